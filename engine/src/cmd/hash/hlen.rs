//! HLEN.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::{Hash, Object};

/// HLEN: returns the number of a hash's fields.
pub static HLEN: Command = Command {
    spec: Spec {
        name: "hlen",
        arity: 2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RO)],
        group: Group::Hash,
        since: "2.0.0",
        summary: "Returns the number of a hash's fields.",
        args: &[Arg::new("key", ArgKind::Key)],
        examples: &[
            ("HLEN k", "(integer) 0"),
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HLEN k", "(integer) 2"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let len = ctx.db.get_as::<Hash>(args.at(1))?.map_or(0, Object::len);
    ctx.reply.len(len);
    Ok(())
}
