//! ZCARD

use crate::args::Args;
use crate::cmd::{Acl, Arg, ArgKind, Command, Flags, Group, KeyFlags, KeySpec, Spec};
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::{Object, ZSet};

/// `ZCARD`
pub static ZCARD: Command = Command {
    spec: Spec {
        name: "zcard",
        arity: 2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RO)],
        group: Group::SortedSet,
        since: "1.2.0",
        complexity: "O(1)",
        summary: "Gives the number of members.",
        args: &[Arg::new("key", ArgKind::Key)],
        examples: &[("ZADD board 1 ann 2 bob", "(integer) 2"), ("ZCARD board", "(integer) 2")],
        ..Spec::DEFAULT
    },
    run: zcard,
    subs: &[],
};

fn zcard(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let len = ctx.db.get_as::<ZSet>(args.at(1))?.map_or(0, Object::len);
    ctx.reply.len(len);
    Ok(())
}
