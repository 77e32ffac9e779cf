//! SETNX.

use super::set_plain;
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// SETNX: stores a string under a key that is not there yet.
pub static SETNX: Command = Command {
    spec: Spec {
        name: "setnx",
        arity: 3,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::OW.union(KeyFlags::INSERT))],
        group: Group::String,
        summary: "Stores a string under a key that is not there yet.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("value", ArgKind::String)],
        examples: &[("SETNX k v", "(integer) 1"), ("SETNX k w", "(integer) 0"), ("GET k", "\"v\"")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let absent = !ctx.db.contains(args.at(1));
    if absent {
        set_plain(&mut ctx.db, args.at(1), args.at(2));
    }
    ctx.reply.int(i64::from(absent));
    Ok(())
}
