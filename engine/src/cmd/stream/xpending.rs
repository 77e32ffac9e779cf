//! XPENDING

use super::common::{integer, interval_end, interval_start, no_group, reply_id};
use crate::args::Args;
use crate::cmd::{
    Acl, Arg, ArgKind, Command, Flags, Group as CommandGroup, KeyFlags, KeySpec, Spec,
};
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::reply::Reply;
use crate::types::Stream;
use crate::types::stream::{Group, StreamId};

/// `XPENDING`
pub static XPENDING: Command = Command {
    spec: Spec {
        name: "xpending",
        arity: -3,
        flags: Flags::READONLY,
        acl: Acl::STREAM,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for iterating every consumer.",
        summary: "Gives the entries that were given out and not acknowledged.",
        history: &[("6.2.0", "Added the `IDLE` option and exclusive range intervals.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("group", ArgKind::String),
            Arg::block(
                "filters",
                &[
                    Arg::new("min-idle-time", ArgKind::Integer)
                        .token("IDLE")
                        .optional()
                        .since("6.2.0"),
                    Arg::new("start", ArgKind::String),
                    Arg::new("end", ArgKind::String),
                    Arg::new("count", ArgKind::Integer),
                    Arg::new("consumer", ArgKind::String).optional(),
                ],
            )
            .optional(),
        ],
        tips: &["nondeterministic_output"],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XGROUP CREATE log g 0", "OK"),
            (
                "XREADGROUP GROUP g ann STREAMS log >",
                "1) 1) \"log\" 2) 1) 1) \"1-1\" 2) 1) \"temp\" 2) \"20\"",
            ),
            ("XPENDING log g", "1) (integer) 1 2) \"1-1\" 3) \"1-1\" 4) 1) 1) \"ann\" 2) \"1\""),
            ("XPENDING log g - + 5 bob", "(empty array)"),
        ],
        ..Spec::DEFAULT
    },
    run: xpending,
    subs: &[],
};

/// `[IDLE ms] start end count [consumer]`
struct Query<'a> {
    idle_min_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Query<'a> {
    fn parse(args: Args<'a>) -> Result<Query<'a>, Error> {
        let (mut first, mut idle_min_ms) = (3, 0);
        if args.is(3, "idle") {
            idle_min_ms = integer(args.at(4))?;
            if args.len() < 8 {
                return Err(Error::Syntax);
            }
            first = 5;
        }
        let count = integer(args.at(first + 2))?;
        Ok(Query {
            idle_min_ms,
            count: usize::try_from(count).unwrap_or(0),
            start: interval_start(args.at(first))?,
            end: interval_end(args.at(first + 1))?,
            consumer: args.get(first + 3),
        })
    }
}

fn xpending(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    if args.len() != 3 && !(6..=9).contains(&args.len()) {
        return Err(Error::Syntax);
    }
    let query = if args.len() == 3 { None } else { Some(Query::parse(args)?) };
    let now_ms = ctx.db.now_ms();
    let stream = ctx.db.get_as::<Stream>(args.at(1))?;
    let group = stream
        .and_then(|stream| stream.group(args.at(2)))
        .ok_or_else(|| no_group(args.at(1), args.at(2)))?;
    match query {
        None => summary(ctx.reply, group),
        Some(query) => list(ctx.reply, group, &query, now_ms),
    }
    Ok(())
}

fn summary(out: &mut dyn Reply, group: &Group) {
    out.array(4);
    out.len(group.pending().len());
    let ends = (group.pending().first_key_value(), group.pending().last_key_value());
    let (Some((first, _)), Some((last, _))) = ends else {
        out.null();
        out.null();
        out.null_array();
        return;
    };
    reply_id(out, *first);
    reply_id(out, *last);
    let busy: Vec<_> = group.consumers().filter(|c| !c.pending().is_empty()).collect();
    out.array(busy.len());
    for consumer in busy {
        out.array(2);
        out.bulk(&consumer.name);
        out.bulk(itoa::Buffer::new().format(consumer.pending().len()).as_bytes());
    }
}

fn list(out: &mut dyn Reply, group: &Group, query: &Query<'_>, now_ms: i64) {
    let consumer = query.consumer.map(|name| group.find(name));
    if consumer == Some(None) || query.start > query.end {
        out.array(0);
        return;
    }
    let found: Vec<_> = group
        .pending_in(query.start..=query.end, consumer.flatten())
        .filter(|(_, pending)| {
            query.idle_min_ms == 0
                || now_ms.saturating_sub(pending.delivered_at_ms) >= query.idle_min_ms
        })
        .take(query.count)
        .collect();
    out.array(found.len());
    for (id, pending) in found {
        out.array(4);
        reply_id(out, id);
        out.bulk(group.name_of(pending.consumer));
        out.int(now_ms.saturating_sub(pending.delivered_at_ms).max(0));
        out.int(i64::try_from(pending.deliveries).unwrap_or(i64::MAX));
    }
}
