//! MSET and MSETNX.

use super::set_plain;
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Ctx, Db};

/// MSET: stores strings under several keys.
pub static MSET: Command = Command {
    spec: Spec {
        name: "mset",
        arity: -3,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec::range(KeyFlags::OW.union(KeyFlags::UPDATE), 1, -1, 2)],
        group: Group::String,
        since: "1.0.1",
        complexity: "O(N) where N is the number of keys to set.",
        summary: "Stores strings under several keys.",
        args: &[Arg::block(
            "key_value",
            &[Arg::new("key", ArgKind::Key), Arg::new("value", ArgKind::String)],
        )
        .multiple()],
        tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
        examples: &[
            ("MSET a 1 b 2", "OK"),
            ("GET b", "\"2\""),
            ("MSET a 1 b", "(error) ERR wrong number of arguments for 'mset' command"),
        ],
        ..Spec::DEFAULT
    },
    run: mset,
    subs: &[],
};

/// MSETNX: stores strings under several keys, none of which may be there yet.
pub static MSETNX: Command = Command {
    spec: Spec {
        name: "msetnx",
        arity: -3,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec::range(KeyFlags::OW.union(KeyFlags::INSERT), 1, -1, 2)],
        group: Group::String,
        since: "1.0.1",
        complexity: "O(N) where N is the number of keys to set.",
        summary: "Stores strings under several keys, none of which may be there yet.",
        args: &[Arg::block(
            "key_value",
            &[Arg::new("key", ArgKind::Key), Arg::new("value", ArgKind::String)],
        )
        .multiple()],
        tips: &["request_policy:multi_shard", "response_policy:agg_min"],
        examples: &[
            ("MSETNX a 1 b 2", "(integer) 1"),
            ("MSETNX b 3 c 4", "(integer) 0"),
            ("EXISTS c", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run: msetnx,
    subs: &[],
};

fn mset(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    check_pairs(args, "mset")?;
    store(&mut ctx.db, args);
    ctx.reply.ok();
    Ok(())
}

fn msetnx(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    check_pairs(args, "msetnx")?;
    let absent = !args.iter_from(1).step_by(2).any(|key| ctx.db.contains(key));
    if absent {
        store(&mut ctx.db, args);
    }
    ctx.reply.int(i64::from(absent));
    Ok(())
}

fn check_pairs(args: Args<'_>, name: &'static str) -> CmdResult {
    if args.len().is_multiple_of(2) { Err(Error::Arity(name.into())) } else { Ok(()) }
}

fn store(db: &mut Db<'_>, args: Args<'_>) {
    for at in (1..args.len()).step_by(2) {
        set_plain(db, args.at(at), args.at(at + 1));
    }
}
