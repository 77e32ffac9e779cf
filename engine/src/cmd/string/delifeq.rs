//! DELIFEQ, as Valkey 9 has it.

use super::is_string;
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// DELIFEQ: removes a key if it holds exactly this string.
pub static DELIFEQ: Command = Command {
    spec: Spec {
        name: "delifeq",
        arity: 3,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::RM.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
        group: Group::String,
        since: "9.0.0",
        summary: "Removes a key if it holds exactly this string.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("value", ArgKind::String)],
        examples: &[
            ("SET lock token", "OK"),
            ("DELIFEQ lock other", "(integer) 0"),
            ("DELIFEQ lock token", "(integer) 1"),
            ("DELIFEQ lock token", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let removed =
        is_string(&mut ctx.db, key, args.at(2))? && crate::cmd::generic::delete(&mut ctx.db, key);
    ctx.reply.int(i64::from(removed));
    Ok(())
}
