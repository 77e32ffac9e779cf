//! SETEX and PSETEX.

use super::options::Expiry;
use super::set_expiring;
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// SETEX: stores a string that expires after some seconds.
pub static SETEX: Command = Command {
    spec: Spec {
        name: "setex",
        arity: 4,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::OW.union(KeyFlags::UPDATE))],
        group: Group::String,
        since: "2.0.0",
        summary: "Stores a string that expires after some seconds.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("seconds", ArgKind::Integer),
            Arg::new("value", ArgKind::String),
        ],
        examples: &[
            ("SETEX k 10 v", "OK"),
            ("TTL k", "(integer) 10"),
            ("SETEX k 0 v", "(error) ERR invalid expire time in 'setex' command"),
        ],
        ..Spec::DEFAULT
    },
    run: setex,
    subs: &[],
};

/// PSETEX: stores a string that expires after some milliseconds.
pub static PSETEX: Command = Command {
    spec: Spec {
        name: "psetex",
        arity: 4,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::OW.union(KeyFlags::UPDATE))],
        group: Group::String,
        since: "2.6.0",
        summary: "Stores a string that expires after some milliseconds.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("milliseconds", ArgKind::Integer),
            Arg::new("value", ArgKind::String),
        ],
        examples: &[("PSETEX k 1500 v", "OK"), ("PTTL k", "(integer) 1500")],
        ..Spec::DEFAULT
    },
    run: psetex,
    subs: &[],
};

fn setex(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, true, "setex")
}

fn psetex(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, false, "psetex")
}

fn run(ctx: &mut Ctx<'_>, args: Args<'_>, seconds: bool, name: &'static str) -> CmdResult {
    let expiry = Expiry { text: args.at(2), seconds, absolute: false };
    let at_ms = expiry.at_ms(ctx.db.now_ms(), name)?;
    set_expiring(&mut ctx.db, args.at(1), args.at(3), at_ms);
    ctx.reply.ok();
    Ok(())
}
