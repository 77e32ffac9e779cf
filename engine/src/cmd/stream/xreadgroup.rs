//! XREADGROUP

use super::common::{reply_entries, reply_entry, reply_id, text};
use super::xclaim::record_claim;
use super::xgroup::{record_consumer, record_position};
use super::xread::{From, Request, begin, begin_stream, from};
use crate::args::Args;
use crate::cmd::blocking::Want;
use crate::cmd::{
    Acl, Arg, ArgKind, Begin, Command, Find, Flags, Group as CommandGroup, KeyFlags, KeySpec, Spec,
};
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::types::Stream;
use crate::types::stream::{ConsumerId, Pending, StreamId};

/// `XREADGROUP`
pub static XREADGROUP: Command = Command {
    spec: Spec {
        name: "xreadgroup",
        arity: -7,
        flags: Flags::BLOCKING.union(Flags::MOVABLEKEYS).union(Flags::WRITE),
        acl: Acl::STREAM,
        keys: &[KeySpec {
            flags: KeyFlags::RO.union(KeyFlags::ACCESS),
            begin: Begin::Keyword("STREAMS", 4),
            find: Find::Range(-1, 1, 2),
            notes: None,
        }],
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data.",
        summary: "Gives a group's consumer entries that are new, or again those pending for it.",
        args: &[
            Arg::block(
                "group_consumer",
                &[Arg::new("group", ArgKind::String), Arg::new("consumer", ArgKind::String)],
            )
            .token("GROUP"),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
            Arg::new("milliseconds", ArgKind::Integer).token("BLOCK").optional(),
            Arg::word("noack", "NOACK").optional(),
            Arg::block(
                "streams",
                &[
                    Arg::new("key", ArgKind::Key).multiple(),
                    Arg::new("id", ArgKind::String).multiple(),
                ],
            )
            .token("STREAMS"),
        ],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XGROUP CREATE log g 0", "OK"),
            (
                "XREADGROUP GROUP g ann STREAMS log >",
                "1) 1) \"log\" 2) 1) 1) \"1-1\" 2) 1) \"temp\" 2) \"20\"",
            ),
            ("XREADGROUP GROUP g ann STREAMS log >", "(nil)"),
        ],
        ..Spec::DEFAULT
    },
    run: xreadgroup,
    subs: &[],
};

fn xreadgroup(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let request = Request::parse(args, true)?;
    let Some((group_name, consumer_name)) = request.group else { return Err(Error::Syntax) };
    let mut wanted = Vec::new();
    for (key, id) in request.keys.iter().zip(&request.ids) {
        let stream = ctx.db.get_as::<Stream>(key)?;
        let Some((stream, group)) = stream.and_then(|s| Some((s, s.group(group_name)?))) else {
            return Err(Error::owned(format!(
                "NOGROUP No such key '{}' or consumer group '{}' in XREADGROUP with GROUP option",
                text(key),
                text(group_name)
            )));
        };
        let from = from(id, true)?;
        let has_new = stream.last_live_id().is_some_and(|last| last > group.last_id);
        if from != From::New || has_new {
            wanted.push((*key, from));
        }
    }
    if wanted.is_empty() {
        let (group, consumer) = (group_name.to_vec(), consumer_name.to_vec());
        let no_ack = request.no_ack;
        return request.nothing(ctx, |count| Want::News { group, consumer, no_ack, count });
    }
    begin(ctx.reply, wanted.len());
    for (key, from) in wanted {
        begin_stream(ctx.reply, key);
        let Some(read) = Read::begin(ctx, key, (group_name, consumer_name))? else { continue };
        match from {
            From::After(id) => read.history(ctx, id, request.count)?,
            From::End | From::New => read.news(ctx, request.count, request.no_ack)?,
        }
    }
    Ok(())
}

/// Reads for a client of a group that has waited.
pub(in crate::cmd) fn serve(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    (group, consumer): (&[u8], &[u8]),
    no_ack: bool,
    count: usize,
) -> CmdResult {
    let Ok(Some(_)) = ctx.db.get_mut_as::<Stream>(key) else {
        return Err(Error::text("UNBLOCKED the stream key no longer exists"));
    };
    let Some(read) = Read::begin(ctx, key, (group, consumer))? else {
        return Err(Error::text(
            "NOGROUP the consumer group this client was blocked on no longer exists",
        ));
    };
    begin(ctx.reply, 1);
    begin_stream(ctx.reply, key);
    read.news(ctx, count, no_ack)
}

/// One consumer reading one stream.
struct Read<'a> {
    key: &'a [u8],
    group: &'a [u8],
    consumer: &'a [u8],
    number: ConsumerId,
}

impl<'a> Read<'a> {
    /// Finds the consumer, or makes it; none when there is no such group.
    fn begin(
        ctx: &mut Ctx<'_>,
        key: &'a [u8],
        (group_name, consumer_name): (&'a [u8], &'a [u8]),
    ) -> Result<Option<Read<'a>>, Error> {
        let now_ms = ctx.db.now_ms();
        let Some(stream) = ctx.db.get_mut_as::<Stream>(key)? else { return Ok(None) };
        let Some(group) = stream.group_mut(group_name) else { return Ok(None) };
        let (number, new) = group.find_or_add(consumer_name, now_ms);
        if let Some(consumer) = group.consumer_mut(number) {
            consumer.seen_at_ms = now_ms;
        }
        if new {
            record_consumer(ctx, key, group_name, consumer_name);
        }
        Ok(Some(Read { key, group: group_name, consumer: consumer_name, number }))
    }

    /// Gives out entries that the group was not given yet.
    fn news(&self, ctx: &mut Ctx<'_>, count: usize, no_ack: bool) -> CmdResult {
        let now_ms = ctx.db.now_ms();
        let Some(stream) = ctx.db.get_mut_as::<Stream>(self.key)? else { return Ok(()) };
        let Some(group) = stream.group(self.group) else { return Ok(()) };
        let start = group.last_id.next().unwrap_or(StreamId::MAX);
        let entries: Vec<_> = stream.range(start..=StreamId::MAX).take(count).collect();
        reply_entries(ctx.reply, &entries);
        let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
        let mut entries_read = group.entries_read;
        for id in &ids {
            entries_read = match entries_read.filter(|_| !stream.has_tombstones_from(*id)) {
                Some(read) => Some(read.wrapping_add(1)),
                None if stream.entries_added() > 0 => stream.entries_up_to(*id),
                None => None,
            };
        }
        let Some(last) = ids.last().copied() else { return Ok(()) };
        let Some(group) = stream.group_mut(self.group) else { return Ok(()) };
        group.last_id = last;
        group.entries_read = entries_read;
        let pending = Pending { consumer: self.number, delivered_at_ms: now_ms, deliveries: 1 };
        if let Some(consumer) = group.consumer_mut(self.number) {
            consumer.active_at_ms = now_ms;
        }
        if !no_ack {
            ids.iter().for_each(|id| group.set_pending(*id, pending));
            record_claim(ctx, self.key, self.group, self.consumer, &ids, pending);
        }
        record_position(ctx, self.key, self.group, last, entries_read);
        Ok(())
    }

    /// Gives out again what is pending for the consumer, behind `after`.
    fn history(&self, ctx: &mut Ctx<'_>, after: StreamId, count: usize) -> CmdResult {
        let now_ms = ctx.db.now_ms();
        let Some(stream) = ctx.db.get_mut_as::<Stream>(self.key)? else { return Ok(()) };
        let Some(group) = stream.group(self.group) else { return Ok(()) };
        let start = after.next().unwrap_or(StreamId::MAX);
        let pending: Vec<_> = group.pending_in(start.., Some(self.number)).take(count).collect();
        ctx.reply.array(pending.len());
        let mut again = Vec::new();
        for (id, pending) in pending {
            match stream.get(id) {
                Some(entry) => {
                    reply_entry(ctx.reply, &entry);
                    let deliveries = pending.deliveries.saturating_add(1);
                    again.push((id, Pending { delivered_at_ms: now_ms, deliveries, ..pending }));
                }
                // Removed from the stream meanwhile: the id alone.
                None => {
                    ctx.reply.array(2);
                    reply_id(ctx.reply, id);
                    ctx.reply.null_array();
                }
            }
        }
        if let Some(group) = stream.group_mut(self.group) {
            again.iter().for_each(|(id, pending)| group.set_pending(*id, *pending));
        }
        for (id, pending) in again {
            record_claim(ctx, self.key, self.group, self.consumer, &[id], pending);
        }
        Ok(())
    }
}
