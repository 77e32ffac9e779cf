//! KEYS.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::glob;
use crate::keyspace::Ctx;

/// KEYS: lists all keys whose name matches a pattern.
pub static KEYS: Command = Command {
    spec: Spec {
        name: "keys",
        arity: 2,
        flags: Flags::READONLY,
        acl: Acl::DANGEROUS.union(Acl::KEYSPACE),
        scope: Scope::All(merge::concat),
        complexity: "O(N) with N being the number of keys in the database, under the assumption that the key names in the database and the given pattern have limited length.",
        summary: "Lists all keys whose name matches a pattern.",
        args: &[Arg::new("pattern", ArgKind::Pattern)],
        tips: &["request_policy:all_shards", "nondeterministic_output_order"],
        examples: &[
            ("MSET first 1 last 2", "OK"),
            ("KEYS f*", "1) \"first\""),
            ("KEYS x*", "(empty array)"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let pattern = args.at(1);
    let mut keys = Vec::new();
    ctx.db.for_each(&mut |entry| {
        if pattern == b"*" || glob::matches(pattern, entry.key()) {
            keys.push(entry.key().to_vec());
        }
    });
    ctx.reply.array(keys.len());
    keys.iter().for_each(|key| ctx.reply.bulk(key));
    Ok(())
}
