//! EXISTS.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// EXISTS: counts the keys that are there; a key that is named twice counts twice.
pub static EXISTS: Command = Command {
    spec: Spec {
        name: "exists",
        arity: -2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RO, 1, -1, 1)],
        complexity: "O(N) where N is the number of keys to check.",
        summary: "Counts the keys that are there; a key that is named twice counts twice.",
        history: &[("3.0.3", "Accepts multiple `key` arguments.")],
        args: &[Arg::new("key", ArgKind::Key).multiple()],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        examples: &[("SET a 1", "OK"), ("EXISTS a b a", "(integer) 2")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let found = args.iter_from(1).filter(|key| ctx.db.glance(key).is_some()).count();
    ctx.reply.len(found);
    Ok(())
}
