//! GETSET.

use super::{reply_get, set_plain};
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// GETSET: stores a string and returns the one before it.
pub static GETSET: Command = Command {
    spec: Spec {
        name: "getset",
        arity: 3,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
        group: Group::String,
        summary: "Stores a string and returns the one before it.",
        deprecated: Some(("6.2.0", "`SET` with the `!GET` argument")),
        args: &[Arg::new("key", ArgKind::Key), Arg::new("value", ArgKind::String)],
        examples: &[("GETSET k one", "(nil)"), ("GETSET k two", "\"one\""), ("GET k", "\"two\"")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    reply_get(&mut ctx.db, ctx.reply, args.at(1))?;
    set_plain(&mut ctx.db, args.at(1), args.at(2));
    Ok(())
}
