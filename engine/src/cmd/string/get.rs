//! GET.

use super::reply_get;
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// GET: returns the string under a key.
pub static GET: Command = Command {
    spec: Spec {
        name: "get",
        arity: 2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::String,
        summary: "Returns the string under a key.",
        args: &[Arg::new("key", ArgKind::Key)],
        examples: &[
            ("GET k", "(nil)"),
            ("SET k \"some text\"", "OK"),
            ("GET k", "\"some text\""),
            ("SET k 42", "OK"),
            ("GET k", "\"42\""),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    reply_get(&mut ctx.db, ctx.reply, args.at(1))
}
