//! GETDEL.

use super::reply_get;
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// GETDEL: returns the string under a key and removes it.
pub static GETDEL: Command = Command {
    spec: Spec {
        name: "getdel",
        arity: 2,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
        group: Group::String,
        since: "6.2.0",
        summary: "Returns the string under a key and removes it.",
        args: &[Arg::new("key", ArgKind::Key)],
        examples: &[("SET k v", "OK"), ("GETDEL k", "\"v\""), ("GETDEL k", "(nil)")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    reply_get(&mut ctx.db, ctx.reply, args.at(1))?;
    crate::cmd::generic::delete(&mut ctx.db, args.at(1));
    Ok(())
}
