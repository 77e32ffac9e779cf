//! LLEN.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::{List, Object};

/// LLEN: returns a list's length.
pub static LLEN: Command = Command {
    spec: Spec {
        name: "llen",
        arity: 2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::LIST,
        keys: &[KeySpec::one(KeyFlags::RO)],
        group: Group::List,
        summary: "Returns a list's length.",
        args: &[Arg::new("key", ArgKind::Key)],
        examples: &[
            ("LLEN k", "(integer) 0"),
            ("RPUSH k a b", "(integer) 2"),
            ("LLEN k", "(integer) 2"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let len = ctx.db.get_as::<List>(args.at(1))?.map_or(0, Object::len);
    ctx.reply.len(len);
    Ok(())
}
