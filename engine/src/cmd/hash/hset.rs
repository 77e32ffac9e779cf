//! HSET, HMSET and HSETNX.

use super::OPCODE_HSET;
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::types::Hash;

/// HSET: sets fields of a hash and returns how many are new; a hash that is not there is made.
pub static HSET: Command = Command {
    spec: Spec {
        name: "hset",
        arity: -4,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        opcode: OPCODE_HSET,
        group: Group::Hash,
        since: "2.0.0",
        complexity: "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with multiple field/value pairs.",
        summary: "Sets fields of a hash and returns how many are new; a hash that is not there is made.",
        history: &[("4.0.0", "Accepts multiple `field` and `value` arguments.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::block(
                "field_value",
                &[Arg::new("field", ArgKind::String), Arg::new("value", ArgKind::String)],
            )
            .multiple(),
        ],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HSET k a 3 c 4", "(integer) 1"),
            ("HGET k a", "\"3\""),
            ("HSET k a", "(error) ERR wrong number of arguments for 'hset' command"),
        ],
        ..Spec::DEFAULT
    },
    run: hset,
    subs: &[],
};

/// HMSET: sets fields of a hash; a hash that is not there is made.
pub static HMSET: Command = Command {
    spec: Spec {
        name: "hmset",
        arity: -4,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        group: Group::Hash,
        since: "2.0.0",
        complexity: "O(N) where N is the number of fields being set.",
        summary: "Sets fields of a hash; a hash that is not there is made.",
        deprecated: Some(("4.0.0", "`HSET` with multiple field-value pairs")),
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::block(
                "field_value",
                &[Arg::new("field", ArgKind::String), Arg::new("value", ArgKind::String)],
            )
            .multiple(),
        ],
        examples: &[
            ("HMSET k a 1 b 2", "OK"),
            ("HMSET k a 1 b", "(error) ERR wrong number of arguments for 'hmset' command"),
        ],
        ..Spec::DEFAULT
    },
    run: hmset,
    subs: &[],
};

/// HSETNX: sets a field of a hash unless it is there.
pub static HSETNX: Command = Command {
    spec: Spec {
        name: "hsetnx",
        arity: 4,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::INSERT))],
        group: Group::Hash,
        since: "2.0.0",
        summary: "Sets a field of a hash unless it is there.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("field", ArgKind::String),
            Arg::new("value", ArgKind::String),
        ],
        examples: &[
            ("HSETNX k a 1", "(integer) 1"),
            ("HSETNX k a 2", "(integer) 0"),
            ("HGET k a", "\"1\""),
        ],
        ..Spec::DEFAULT
    },
    run: hsetnx,
    subs: &[],
};

fn hset(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let added = set_pairs(ctx, args, "hset")?;
    ctx.reply.len(added);
    Ok(())
}

fn hmset(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    set_pairs(ctx, args, "hmset")?;
    ctx.reply.ok();
    Ok(())
}

fn set_pairs(ctx: &mut Ctx<'_>, args: Args<'_>, name: &'static str) -> Result<usize, Error> {
    if !args.len().is_multiple_of(2) {
        return Err(Error::Arity(name.into()));
    }
    let limits = ctx.db.limits();
    let hash = ctx.db.get_or_insert_as(args.at(1), Hash::new)?;
    let pairs = (2..args.len()).step_by(2);
    let added = pairs.filter(|at| hash.set(args.at(*at), args.at(at + 1), &limits)).count();
    ctx.db.effect_verbatim(OPCODE_HSET, args);
    ctx.db.notify(Classes::HASH, "hset", args.at(1));
    Ok(added)
}

fn hsetnx(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let limits = ctx.db.limits();
    let hash = ctx.db.get_or_insert_as(args.at(1), Hash::new)?;
    let new = !hash.contains(args.at(2));
    if new {
        hash.set(args.at(2), args.at(3), &limits);
        ctx.db.effect_verbatim(OPCODE_HSET, args);
        ctx.db.notify(Classes::HASH, "hset", args.at(1));
    }
    ctx.reply.int(i64::from(new));
    Ok(())
}
