//! RANDOMKEY.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// RANDOMKEY: returns the name of a key picked at random.
pub static RANDOMKEY: Command = Command {
    spec: Spec {
        name: "randomkey",
        arity: 1,
        flags: Flags::READONLY,
        acl: Acl::KEYSPACE,
        scope: Scope::All(merge::any_not_null),
        summary: "Returns the name of a key picked at random.",
        tips: &["request_policy:all_shards", "nondeterministic_output"],
        examples: &[("RANDOMKEY", "(nil)"), ("SET k v", "OK"), ("RANDOMKEY", "\"k\"")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, _: Args<'_>) -> CmdResult {
    let key = ctx.db.random_key();
    ctx.reply.bulk_or_null(key.as_deref());
    Ok(())
}
