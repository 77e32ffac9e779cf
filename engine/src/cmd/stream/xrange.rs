//! XRANGE, XREVRANGE

use super::common::{integer, interval_end, interval_start, limit, reply_entries};
use crate::args::Args;
use crate::cmd::{
    Acl, Arg, ArgKind, Command, Flags, Group as CommandGroup, KeyFlags, KeySpec, Spec,
};
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::types::Stream;

/// `XRANGE`
pub static XRANGE: Command = Command {
    spec: Spec {
        name: "xrange",
        arity: -4,
        flags: Flags::READONLY,
        acl: Acl::STREAM,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
        summary: "Gives the entries in a range of ids.",
        history: &[("6.2.0", "Added exclusive ranges.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("start", ArgKind::String),
            Arg::new("end", ArgKind::String),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
        ],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XADD log 2-1 temp 21", "\"2-1\""),
            ("XRANGE log - + COUNT 1", "1) 1) \"1-1\" 2) 1) \"temp\" 2) \"20\""),
        ],
        ..Spec::DEFAULT
    },
    run: xrange,
    subs: &[],
};

/// `XREVRANGE`
pub static XREVRANGE: Command = Command {
    spec: Spec {
        name: "xrevrange",
        arity: -4,
        flags: Flags::READONLY,
        acl: Acl::STREAM,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
        summary: "Gives the entries in a range of ids, last first.",
        history: &[("6.2.0", "Added exclusive ranges.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("end", ArgKind::String),
            Arg::new("start", ArgKind::String),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
        ],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XADD log 2-1 temp 21", "\"2-1\""),
            ("XREVRANGE log + (1-1", "1) 1) \"2-1\" 2) 1) \"temp\" 2) \"21\""),
        ],
        ..Spec::DEFAULT
    },
    run: xrevrange,
    subs: &[],
};

fn xrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    range(ctx, args, false)
}

fn xrevrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    range(ctx, args, true)
}

fn range(ctx: &mut Ctx<'_>, args: Args<'_>, reverse: bool) -> CmdResult {
    let (start, end) = if reverse { (3, 2) } else { (2, 3) };
    let start = interval_start(args.at(start))?;
    let end = interval_end(args.at(end))?;
    let mut count = -1;
    for at in (4..args.len()).step_by(2) {
        if !args.is(at, "count") || at + 1 >= args.len() {
            return Err(Error::Syntax);
        }
        count = integer(args.at(at + 1))?.max(0);
    }
    let Some(stream) = ctx.db.get_as::<Stream>(args.at(1))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    if count == 0 {
        ctx.reply.null_array();
        return Ok(());
    }
    let entries: Vec<_> = if reverse {
        stream.range_rev(start..=end).take(limit(count)).collect()
    } else {
        stream.range(start..=end).take(limit(count)).collect()
    };
    reply_entries(ctx.reply, &entries);
    Ok(())
}
