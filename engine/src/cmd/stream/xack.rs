//! XACK

use super::common::strict_id;
use crate::args::Args;
use crate::cmd::{
    Acl, Arg, ArgKind, Command, Flags, Group as CommandGroup, KeyFlags, KeySpec, Spec,
};
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::Stream;
use crate::types::stream::StreamId;

/// `XACK`
pub static XACK: Command = Command {
    spec: Spec {
        name: "xack",
        arity: -4,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::STREAM,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        opcode: 393,
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(1) for each message ID processed.",
        summary: "Acknowledges entries that a group was given.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("group", ArgKind::String),
            Arg::new("id", ArgKind::String).multiple(),
        ],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XGROUP CREATE log g 0", "OK"),
            (
                "XREADGROUP GROUP g ann STREAMS log >",
                "1) 1) \"log\" 2) 1) 1) \"1-1\" 2) 1) \"temp\" 2) \"20\"",
            ),
            ("XACK log g 1-1 7-7", "(integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run: xack,
    subs: &[],
};

fn xack(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    if ctx.db.glance(args.at(1)).is_none() {
        ctx.reply.int(0);
        return Ok(());
    }
    let stream = ctx.db.get_mut_as::<Stream>(args.at(1))?;
    let Some(group) = stream.and_then(|stream| stream.group_mut(args.at(2))) else {
        ctx.reply.int(0);
        return Ok(());
    };
    let ids: Vec<StreamId> = args.iter_from(3).map(strict_id).collect::<Result<_, _>>()?;
    let acknowledged = ids.into_iter().filter(|id| group.acknowledge(*id)).count();
    if acknowledged > 0 {
        ctx.db.effect_verbatim(XACK.spec.opcode, args);
    }
    ctx.reply.len(acknowledged);
    Ok(())
}
