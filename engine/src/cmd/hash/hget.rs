//! HGET.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::Hash;

/// HGET: returns the value of a hash's field.
pub static HGET: Command = Command {
    spec: Spec {
        name: "hget",
        arity: 3,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Hash,
        since: "2.0.0",
        summary: "Returns the value of a hash's field.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("field", ArgKind::String)],
        examples: &[("HSET k a 1", "(integer) 1"), ("HGET k a", "\"1\""), ("HGET k b", "(nil)")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let hash = ctx.db.get_as::<Hash>(args.at(1))?;
    match hash.and_then(|hash| hash.get(args.at(2))) {
        Some(value) => ctx.reply.bulk(value.bytes(&mut itoa::Buffer::new())),
        None => ctx.reply.null(),
    }
    Ok(())
}
