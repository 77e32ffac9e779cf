//! XCLAIM, XAUTOCLAIM

use super::common::{integer, interval_start, no_group, reply_entry, reply_id, strict_id, text};
use super::xack::XACK;
use super::xgroup::{record_consumer, record_position};
use crate::args::Args;
use crate::cmd::{
    Acl, Arg, ArgKind, Command, Flags, Group as CommandGroup, KeyFlags, KeySpec, Spec,
};
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::keyspace::{Db, Mode};
use crate::reply::Reply;
use crate::types::Stream;
use crate::types::stream::{Group, Pending, StreamId};

/// `XCLAIM`
pub static XCLAIM: Command = Command {
    spec: Spec {
        name: "xclaim",
        arity: -6,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::STREAM,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        opcode: 394,
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(log N) with N being the number of messages in the PEL of the consumer group.",
        summary: "Makes pending entries those of another consumer.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("group", ArgKind::String),
            Arg::new("consumer", ArgKind::String),
            Arg::new("min-idle-time", ArgKind::String),
            Arg::new("id", ArgKind::String).multiple(),
            Arg::new("ms", ArgKind::Integer).token("IDLE").optional(),
            Arg::new("unix-time-milliseconds", ArgKind::UnixTime).token("TIME").optional(),
            Arg::new("count", ArgKind::Integer).token("RETRYCOUNT").optional(),
            Arg::word("force", "FORCE").optional(),
            Arg::word("justid", "JUSTID").optional(),
            Arg::new("id", ArgKind::String).token("LASTID").optional(),
        ],
        tips: &["nondeterministic_output"],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XGROUP CREATE log g 0", "OK"),
            (
                "XREADGROUP GROUP g ann STREAMS log >",
                "1) 1) \"log\" 2) 1) 1) \"1-1\" 2) 1) \"temp\" 2) \"20\"",
            ),
            ("XCLAIM log g bob 0 1-1 JUSTID", "1) \"1-1\""),
        ],
        ..Spec::DEFAULT
    },
    run: xclaim,
    subs: &[],
};

/// `XAUTOCLAIM`
pub static XAUTOCLAIM: Command = Command {
    spec: Spec {
        name: "xautoclaim",
        arity: -6,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::STREAM,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::DELETE))],
        group: CommandGroup::Stream,
        since: "6.2.0",
        complexity: "O(1) if COUNT is small.",
        summary: "Makes entries that were pending for long those of another consumer.",
        history: &[(
            "7.0.0",
            "Added an element to the reply array, containing deleted entries the command cleared from the PEL",
        )],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("group", ArgKind::String),
            Arg::new("consumer", ArgKind::String),
            Arg::new("min-idle-time", ArgKind::String),
            Arg::new("start", ArgKind::String),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
            Arg::word("justid", "JUSTID").optional(),
        ],
        tips: &["nondeterministic_output"],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XGROUP CREATE log g 0", "OK"),
            (
                "XREADGROUP GROUP g ann STREAMS log >",
                "1) 1) \"log\" 2) 1) 1) \"1-1\" 2) 1) \"temp\" 2) \"20\"",
            ),
            ("XAUTOCLAIM log g bob 0 0 JUSTID", "1) \"0-0\" 2) 1) \"1-1\" 3) (empty array)"),
        ],
        ..Spec::DEFAULT
    },
    run: xautoclaim,
    subs: &[],
};

/// The words behind the ids of XCLAIM.
#[derive(Default)]
struct Options {
    delivered_at_ms: Option<i64>,
    deliveries: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

impl Options {
    fn parse(args: Args<'_>, mut at: usize, now_ms: i64) -> Result<Options, Error> {
        let mut options = Options::default();
        let number =
            |at: usize, error: &'static str| integer(args.at(at)).map_err(|_| Error::text(error));
        while at < args.len() {
            let more = at + 1 < args.len();
            at += 1;
            if args.is(at - 1, "force") {
                options.force = true;
                continue;
            } else if args.is(at - 1, "justid") {
                options.just_id = true;
                continue;
            } else if more && args.is(at - 1, "idle") {
                let idle = number(at, "ERR Invalid IDLE option argument for XCLAIM")?;
                options.delivered_at_ms = Some(now_ms.saturating_sub(idle));
            } else if more && args.is(at - 1, "time") {
                options.delivered_at_ms =
                    Some(number(at, "ERR Invalid TIME option argument for XCLAIM")?);
            } else if more && args.is(at - 1, "retrycount") {
                let count = number(at, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                options.deliveries = u64::try_from(count).ok();
            } else if more && args.is(at - 1, "lastid") {
                options.last_id = strict_id(args.at(at))?;
            } else {
                return Err(Error::owned(format!(
                    "ERR Unrecognized XCLAIM option '{}'",
                    text(args.at(at - 1))
                )));
            }
            at += 1;
        }
        Ok(options)
    }
}

/// The group of arguments 1 and 2, which must be there, with its stream.
fn find<'c>(db: &'c mut Db<'_>, args: Args<'_>) -> Result<&'c mut Stream, Error> {
    let stream = match db.glance(args.at(1)) {
        Some(_) => db.get_mut_as::<Stream>(args.at(1))?,
        None => None,
    };
    stream
        .filter(|stream| stream.group(args.at(2)).is_some())
        .ok_or_else(|| no_group(args.at(1), args.at(2)))
}

fn xclaim(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (now_ms, mode) = (ctx.db.now_ms(), ctx.db.mode());
    find(&mut ctx.db, args)?;
    let idle_min_ms = integer(args.at(4))
        .map_err(|_| Error::text("ERR Invalid min-idle-time argument for XCLAIM"))?
        .max(0);
    let ids: Vec<StreamId> = args.iter_from(5).map_while(|a| strict_id(a).ok()).collect();
    let options = Options::parse(args, 5 + ids.len(), now_ms)?;
    let delivered_at_ms = match options.delivered_at_ms {
        // A log's times are taken as they are.
        Some(at) if mode == Mode::Replay => at,
        Some(at) if (0..=now_ms).contains(&at) => at,
        _ => now_ms,
    };
    let (key, group_name, consumer_name) = (args.at(1), args.at(2), args.at(3));
    let stream = find(&mut ctx.db, args)?;
    let Some(group) = stream.group_mut(group_name) else { return Ok(()) };
    let advanced = options.last_id > group.last_id;
    group.last_id = group.last_id.max(options.last_id);
    let position = (group.last_id, group.entries_read);
    let mut changes = Changes::new(consumer_name, now_ms);
    for id in ids {
        let exists = stream.get(id).is_some();
        let Some(group) = stream.group_mut(group_name) else { break };
        let pending = group.pending().get(&id).copied();
        if !exists {
            if group.acknowledge(id) {
                changes.gone.push(id);
            }
            continue;
        }
        let claimed = match pending {
            Some(old) if now_ms.saturating_sub(old.delivered_at_ms) < idle_min_ms => continue,
            Some(old) => old.deliveries,
            None if options.force => 1,
            None => continue,
        };
        let deliveries = options.deliveries.unwrap_or(claimed + u64::from(!options.just_id));
        changes.claim(group, id, delivered_at_ms, deliveries);
    }
    changes.reply(ctx.reply, stream, options.just_id);
    changes.record(ctx, key, group_name);
    if advanced {
        record_position(ctx, key, group_name, position.0, position.1);
    }
    Ok(())
}

/// The most entries that XAUTOCLAIM looks at for each one it may claim.
const ATTEMPTS_PER_ENTRY: usize = 10;
const COUNT_MAX: i64 = i64::MAX / 16;

fn xautoclaim(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let now_ms = ctx.db.now_ms();
    let idle_min_ms = integer(args.at(4))
        .map_err(|_| Error::text("ERR Invalid min-idle-time argument for XAUTOCLAIM"))?
        .max(0);
    let start = interval_start(args.at(5))?;
    let (mut count, mut just_id, mut at) = (100, false, 6);
    while at < args.len() {
        if args.is(at, "count") && at + 1 < args.len() {
            count = integer(args.at(at + 1))
                .ok()
                .filter(|n| (1..=COUNT_MAX).contains(n))
                .and_then(|n| usize::try_from(n).ok())
                .ok_or(Error::text("ERR COUNT must be > 0"))?;
            at += 2;
        } else if args.is(at, "justid") {
            just_id = true;
            at += 1;
        } else {
            return Err(Error::Syntax);
        }
    }
    let (key, group_name, consumer_name) = (args.at(1), args.at(2), args.at(3));
    let stream = find(&mut ctx.db, args)?;
    let attempts = count.saturating_mul(ATTEMPTS_PER_ENTRY);
    let (mut changes, mut next, mut left) =
        (Changes::new(consumer_name, now_ms), Some(start), count);
    for _ in 0..attempts {
        let Some(group) = stream.group(group_name).filter(|_| left > 0) else { break };
        let found = next.and_then(|id| group.pending().range(id..).next());
        let Some((id, old)) = found.map(|(id, old)| (*id, *old)) else {
            next = None;
            break;
        };
        next = id.next();
        let exists = stream.get(id).is_some();
        let Some(group) = stream.group_mut(group_name) else { break };
        if !exists {
            group.acknowledge(id);
            changes.gone.push(id);
            left -= 1;
        } else if now_ms.saturating_sub(old.delivered_at_ms) >= idle_min_ms {
            let deliveries = old.deliveries + u64::from(!just_id);
            changes.claim(group, id, now_ms, deliveries);
            left -= 1;
        }
    }
    let cursor = stream
        .group(group_name)
        .and_then(|group| Some(*group.pending().range(next?..).next()?.0))
        .unwrap_or(StreamId::MIN);
    ctx.reply.array(3);
    reply_id(ctx.reply, cursor);
    changes.reply(ctx.reply, stream, just_id);
    ctx.reply.array(changes.gone.len());
    changes.gone.iter().for_each(|id| reply_id(ctx.reply, *id));
    changes.record(ctx, key, group_name);
    Ok(())
}

/// What claiming changed.
struct Changes<'a> {
    consumer: &'a [u8],
    now_ms: i64,
    /// The consumer was made: the first claim does it.
    made: bool,
    claimed: Vec<(StreamId, Pending)>,
    /// Pending entries that the stream no longer has.
    gone: Vec<StreamId>,
}

impl<'a> Changes<'a> {
    fn new(consumer: &'a [u8], now_ms: i64) -> Self {
        Changes { consumer, now_ms, made: false, claimed: Vec::new(), gone: Vec::new() }
    }

    fn claim(&mut self, group: &mut Group, id: StreamId, delivered_at_ms: i64, deliveries: u64) {
        let (number, new) = group.find_or_add(self.consumer, self.now_ms);
        self.made |= new;
        let pending = Pending { consumer: number, delivered_at_ms, deliveries };
        group.set_pending(id, pending);
        if let Some(consumer) = group.consumer_mut(number) {
            consumer.seen_at_ms = self.now_ms;
            consumer.active_at_ms = self.now_ms;
        }
        self.claimed.push((id, pending));
    }

    fn reply(&self, out: &mut dyn Reply, stream: &Stream, just_id: bool) {
        out.array(self.claimed.len());
        for (id, _) in &self.claimed {
            match stream.get(*id).filter(|_| !just_id) {
                Some(entry) => reply_entry(out, &entry),
                None => reply_id(out, *id),
            }
        }
    }

    fn record(&self, ctx: &mut Ctx<'_>, key: &[u8], group: &[u8]) {
        if self.made {
            record_consumer(ctx, key, group, self.consumer);
        }
        for same in self.claimed.chunk_by(|a, b| a.1 == b.1) {
            let ids: Vec<_> = same.iter().map(|(id, _)| *id).collect();
            if let Some((_, pending)) = same.first() {
                record_claim(ctx, key, group, self.consumer, &ids, *pending);
            }
        }
        if !self.gone.is_empty() {
            let ids: Vec<_> = self.gone.iter().map(ToString::to_string).collect();
            let mut effect = vec![key, group];
            effect.extend(ids.iter().map(|id| id.as_bytes()));
            ctx.db.effect(XACK.spec.opcode, &effect);
        }
    }
}

/// Records that entries are pending for a consumer.
pub(super) fn record_claim(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    group: &[u8],
    consumer: &[u8],
    ids: &[StreamId],
    pending: Pending,
) {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let (time, count) = (pending.delivered_at_ms.to_string(), pending.deliveries.to_string());
    let mut effect = vec![key, group, consumer, b"0"];
    effect.extend(ids.iter().map(|id| id.as_bytes()));
    effect.extend([b"TIME", time.as_bytes(), b"RETRYCOUNT", count.as_bytes()]);
    effect.extend([&b"FORCE"[..], b"JUSTID"]);
    ctx.db.effect(XCLAIM.spec.opcode, &effect);
}
