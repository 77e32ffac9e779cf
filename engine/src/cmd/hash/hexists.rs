//! HEXISTS.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::Hash;

/// HEXISTS: tells whether a hash has a field.
pub static HEXISTS: Command = Command {
    spec: Spec {
        name: "hexists",
        arity: 3,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RO)],
        group: Group::Hash,
        since: "2.0.0",
        summary: "Tells whether a hash has a field.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("field", ArgKind::String)],
        examples: &[
            ("HSET k a 1", "(integer) 1"),
            ("HEXISTS k a", "(integer) 1"),
            ("HEXISTS k b", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let hash = ctx.db.get_as::<Hash>(args.at(1))?;
    ctx.reply.int(i64::from(hash.is_some_and(|hash| hash.contains(args.at(2)))));
    Ok(())
}
