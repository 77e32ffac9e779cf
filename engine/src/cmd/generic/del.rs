//! DEL and UNLINK.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::keyspace::OPCODE_DEL;

/// DEL: removes keys.
pub static DEL: Command = Command {
    spec: Spec {
        name: "del",
        arity: -2,
        flags: Flags::WRITE,
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RM.union(KeyFlags::DELETE), 1, -1, 1)],
        opcode: OPCODE_DEL,
        complexity: "O(N) where N is the number of keys that will be removed. When a key to remove holds a value other than a string, the individual complexity for this key is O(M) where M is the number of elements in the list, set, sorted set or hash. Removing a single key that holds a string value is O(1).",
        summary: "Removes keys.",
        args: &[Arg::new("key", ArgKind::Key).multiple()],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        examples: &[("MSET a 1 b 2", "OK"), ("DEL a b c", "(integer) 2")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

/// UNLINK: removes keys; their memory is freed later.
pub static UNLINK: Command = Command {
    spec: Spec {
        name: "unlink",
        arity: -2,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RM.union(KeyFlags::DELETE), 1, -1, 1)],
        since: "4.0.0",
        complexity: "O(1) for each key removed regardless of its size. Then the command does O(N) work in a different thread in order to reclaim memory, where N is the number of allocations the deleted objects where composed of.",
        summary: "Removes keys; their memory is freed later.",
        args: &[Arg::new("key", ArgKind::Key).multiple()],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        examples: &[("MSET a 1 b 2", "OK"), ("UNLINK a b c", "(integer) 2")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    // Both free large values in slices, so they are the same.
    let removed = args.iter_from(1).filter(|key| super::delete(&mut ctx.db, key)).count();
    ctx.reply.len(removed);
    Ok(())
}
