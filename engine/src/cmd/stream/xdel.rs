//! XDEL

use super::common::strict_id;
use crate::args::Args;
use crate::cmd::{
    Acl, Arg, ArgKind, Command, Flags, Group as CommandGroup, KeyFlags, KeySpec, Spec,
};
use crate::error::CmdResult;
use crate::keyspace::{Classes, Ctx};
use crate::types::Stream;
use crate::types::stream::StreamId;

/// `XDEL`
pub static XDEL: Command = Command {
    spec: Spec {
        name: "xdel",
        arity: -3,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::STREAM,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::DELETE))],
        opcode: 386,
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(1) for each single item to delete in the stream, regardless of the stream size.",
        summary: "Removes entries.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("id", ArgKind::String).multiple()],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XADD log 2-1 temp 21", "\"2-1\""),
            ("XDEL log 1-1 5-5", "(integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run: xdel,
    subs: &[],
};

fn xdel(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let Some(stream) = ctx.db.get_mut_as::<Stream>(args.at(1))? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let ids: Vec<StreamId> = args.iter_from(2).map(strict_id).collect::<Result<_, _>>()?;
    let deleted = ids.into_iter().filter(|id| stream.remove(*id)).count();
    if deleted > 0 {
        ctx.db.effect_verbatim(XDEL.spec.opcode, args);
        ctx.db.notify(Classes::STREAM, "xdel", args.at(1));
    }
    ctx.reply.len(deleted);
    Ok(())
}
