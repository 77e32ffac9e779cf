//! TOUCH.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// TOUCH: marks keys as just used, and counts those that are there.
pub static TOUCH: Command = Command {
    spec: Spec {
        name: "touch",
        arity: -2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RO, 1, -1, 1)],
        since: "3.2.1",
        complexity: "O(N) where N is the number of keys that will be touched.",
        summary: "Marks keys as just used, and counts those that are there.",
        args: &[Arg::new("key", ArgKind::Key).multiple()],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        examples: &[("MSET a 1 b 2", "OK"), ("TOUCH a b c", "(integer) 2")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let found = args.iter_from(1).filter(|key| ctx.db.get(key).is_some()).count();
    ctx.reply.len(found);
    Ok(())
}
