//! DBSIZE.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// DBSIZE: counts the keys of the selected database.
pub static DBSIZE: Command = Command {
    spec: Spec {
        name: "dbsize",
        arity: 1,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::KEYSPACE,
        scope: Scope::All(merge::sum),
        group: Group::Server,
        summary: "Counts the keys of the selected database.",
        tips: &["request_policy:all_shards", "response_policy:agg_sum"],
        examples: &[("MSET a 1 b 2", "OK"), ("DBSIZE", "(integer) 2")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, _: Args<'_>) -> CmdResult {
    ctx.reply.len(ctx.db.len());
    Ok(())
}
