//! XLEN

use crate::args::Args;
use crate::cmd::{
    Acl, Arg, ArgKind, Command, Flags, Group as CommandGroup, KeyFlags, KeySpec, Spec,
};
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::{Object, Stream};

/// `XLEN`
pub static XLEN: Command = Command {
    spec: Spec {
        name: "xlen",
        arity: 2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::STREAM,
        keys: &[KeySpec::one(KeyFlags::RO)],
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Gives the number of entries.",
        args: &[Arg::new("key", ArgKind::Key)],
        examples: &[("XADD log 1-1 temp 20", "\"1-1\""), ("XLEN log", "(integer) 1")],
        ..Spec::DEFAULT
    },
    run: xlen,
    subs: &[],
};

fn xlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let len = ctx.db.get_as::<Stream>(args.at(1))?.map_or(0, Object::len);
    ctx.reply.len(len);
    Ok(())
}
