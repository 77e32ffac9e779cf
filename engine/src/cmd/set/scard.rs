//! SCARD.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::{Object, Set};

/// SCARD: returns the number of a set's members.
pub static SCARD: Command = Command {
    spec: Spec {
        name: "scard",
        arity: 2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::SET,
        keys: &[KeySpec::one(KeyFlags::RO)],
        group: Group::Set,
        summary: "Returns the number of a set's members.",
        args: &[Arg::new("key", ArgKind::Key)],
        examples: &[
            ("SADD k a b", "(integer) 2"),
            ("SCARD k", "(integer) 2"),
            ("SCARD none", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let len = ctx.db.get_as::<Set>(args.at(1))?.map_or(0, Object::len);
    ctx.reply.len(len);
    Ok(())
}
