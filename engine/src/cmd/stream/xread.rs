//! XREAD, XREADGROUP

use super::common::{integer, limit, reply_entries, reply_entry, reply_id, strict_id, text};
use super::xclaim::record_claim;
use super::xgroup::{record_consumer, record_position};
use crate::args::Args;
use crate::cmd::{
    Acl, Arg, ArgKind, Begin, Command, Find, Flags, Group as CommandGroup, KeyFlags, KeySpec, Spec,
};
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::reply::Reply;
use crate::types::stream::{ConsumerId, Pending, StreamId};
use crate::types::{Object, Stream};

/// `XREAD`
pub static XREAD: Command = Command {
    spec: Spec {
        name: "xread",
        arity: -4,
        flags: Flags::BLOCKING.union(Flags::MOVABLEKEYS).union(Flags::READONLY),
        acl: Acl::STREAM,
        keys: &[KeySpec {
            flags: KeyFlags::RO.union(KeyFlags::ACCESS),
            begin: Begin::Keyword("STREAMS", 1),
            find: Find::Range(-1, 1, 2),
            notes: None,
        }],
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "For each stream mentioned: O(N) with N being the number of elements being returned, it means that XREAD-ing with a fixed COUNT is O(1). Note that when the BLOCK option is used, XADD will pay O(M) time in order to serve the M clients blocked on the stream getting new data.",
        summary: "Gives the entries of several streams that are newer than ids.",
        args: &[
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
            Arg::new("milliseconds", ArgKind::Integer).token("BLOCK").optional(),
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
            (
                "XREAD COUNT 1 STREAMS log 0",
                "1) 1) \"log\" 2) 1) 1) \"1-1\" 2) 1) \"temp\" 2) \"20\"",
            ),
            ("XREAD STREAMS log $", "(nil)"),
        ],
        ..Spec::DEFAULT
    },
    run: xread,
    subs: &[],
};

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

/// From where on a stream is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// What is behind this id.
    After(StreamId),
    /// `$`: what comes from now on.
    End,
    /// `>`: what no consumer of the group was given.
    New,
}

/// A command's arguments, read.
struct Request<'a> {
    group: Option<(&'a [u8], &'a [u8])>,
    no_ack: bool,
    count: usize,
    keys: Vec<&'a [u8]>,
    ids: Vec<&'a [u8]>,
}

impl<'a> Request<'a> {
    fn parse(args: Args<'a>, for_group: bool) -> Result<Request<'a>, Error> {
        let (mut group, mut no_ack, mut count, mut at) = (None, false, 0, 1);
        while at < args.len() {
            let behind = args.len() - at - 1;
            if args.is(at, "block") && behind >= 1 {
                return Err(Error::text("ERR the BLOCK option is not supported yet"));
            } else if args.is(at, "count") && behind >= 1 {
                count = integer(args.at(at + 1))?.max(0);
                at += 2;
            } else if args.is(at, "streams") && behind >= 1 {
                if !behind.is_multiple_of(2) {
                    let symbol = if for_group { '>' } else { '$' };
                    return Err(Error::owned(format!(
                        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '{symbol}' must be specified."
                    )));
                }
                if for_group && group.is_none() {
                    return Err(Error::text("ERR Missing GROUP option for XREADGROUP"));
                }
                let mut keys: Vec<_> = args.iter_from(at + 1).collect();
                let ids = keys.split_off(keys.len() / 2);
                return Ok(Request { group, no_ack, count: limit(count), keys, ids });
            } else if args.is(at, "group") && behind >= 2 {
                if !for_group {
                    return Err(Error::text(
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                group = Some((args.at(at + 1), args.at(at + 2)));
                at += 3;
            } else if args.is(at, "noack") {
                if !for_group {
                    return Err(Error::text(
                        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                no_ack = true;
                at += 1;
            } else {
                return Err(Error::Syntax);
            }
        }
        Err(Error::Syntax)
    }
}

fn from(text: &[u8], for_group: bool) -> Result<From, Error> {
    match text {
        b"$" if for_group => Err(Error::text(
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.",
        )),
        b"$" => Ok(From::End),
        b">" if for_group => Ok(From::New),
        // The largest id is what Redis turns `>` into.
        _ if for_group && strict_id(text) == Ok(StreamId::MAX) => Ok(From::New),
        b">" => Err(Error::text(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        )),
        _ => strict_id(text).map(From::After),
    }
}

/// Begins the reply: in RESP3 a map from key to entries, in RESP2 an array of pairs.
fn begin(out: &mut dyn Reply, streams: usize) {
    match (streams, out.is_resp3()) {
        (0, _) => out.null_array(),
        (_, true) => out.map(streams),
        (_, false) => out.array(streams),
    }
}

fn begin_stream(out: &mut dyn Reply, key: &[u8]) {
    if !out.is_resp3() {
        out.array(2);
    }
    out.bulk(key);
}

fn xread(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let request = Request::parse(args, false)?;
    let mut wanted = Vec::new();
    for (key, id) in request.keys.iter().zip(&request.ids) {
        let stream = ctx.db.get_as::<Stream>(key)?;
        let after = match from(id, false)? {
            From::After(id) => id,
            From::End | From::New => continue,
        };
        if stream.and_then(Stream::last_live_id).is_some_and(|last| last > after) {
            wanted.push((*key, after));
        }
    }
    // Redis looks for each stream a second time, and says so.
    for key in &request.keys {
        ctx.db.glance(key);
    }
    begin(ctx.reply, wanted.len());
    for (key, after) in wanted {
        let start = after.next().unwrap_or(StreamId::MAX);
        begin_stream(ctx.reply, key);
        let stream = ctx.db.peek(key).and_then(|entry| Stream::from_ref(entry.value()));
        let entries: Vec<_> = stream
            .map(|s| s.range(start..=StreamId::MAX).take(request.count).collect())
            .unwrap_or_default();
        reply_entries(ctx.reply, &entries);
    }
    Ok(())
}

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
    begin(ctx.reply, wanted.len());
    let now_ms = ctx.db.now_ms();
    for (key, from) in wanted {
        begin_stream(ctx.reply, key);
        let Some(stream) = ctx.db.get_mut_as::<Stream>(key)? else { continue };
        let Some(group) = stream.group_mut(group_name) else { continue };
        let (consumer, new) = group.find_or_add(consumer_name, now_ms);
        if let Some(consumer) = group.consumer_mut(consumer) {
            consumer.seen_at_ms = now_ms;
        }
        if new {
            record_consumer(ctx, key, group_name, consumer_name);
        }
        let read = Read { key, group: group_name, consumer: consumer_name, number: consumer };
        match from {
            From::After(id) => read.history(ctx, id, request.count)?,
            From::End | From::New => read.news(ctx, request.count, request.no_ack)?,
        }
    }
    Ok(())
}

/// One consumer reading one stream.
struct Read<'a> {
    key: &'a [u8],
    group: &'a [u8],
    consumer: &'a [u8],
    number: ConsumerId,
}

impl Read<'_> {
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
                Some(read) => Some(read + 1),
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
