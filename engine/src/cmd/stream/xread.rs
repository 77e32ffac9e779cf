//! XREAD, and the arguments that XREADGROUP shares with it

use super::common::{integer, limit, reply_entries, strict_id};
use crate::args::Args;
use crate::cmd::blocking::{Block, Want, timeout_in_ms};
use crate::cmd::{
    Acl, Arg, ArgKind, Begin, Command, Find, Flags, Group as CommandGroup, KeyFlags, KeySpec, Spec,
};
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::reply::Reply;
use crate::types::stream::StreamId;
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

/// From where on a stream is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// What is behind this id.
    After(StreamId),
    /// `$`: what comes from now on.
    End,
    /// `>`: what no consumer of the group was given.
    New,
}

/// A command's arguments, read.
pub(super) struct Request<'a> {
    pub(super) group: Option<(&'a [u8], &'a [u8])>,
    pub(super) no_ack: bool,
    /// Whether it waits when there is nothing, and how long at most (none: for ever).
    pub(super) block: Option<Option<u64>>,
    pub(super) count: usize,
    pub(super) keys: Vec<&'a [u8]>,
    pub(super) ids: Vec<&'a [u8]>,
}

impl<'a> Request<'a> {
    pub(super) fn parse(args: Args<'a>, for_group: bool) -> Result<Request<'a>, Error> {
        let (mut group, mut no_ack, mut count, mut block, mut at) = (None, false, 0, None, 1);
        while at < args.len() {
            let behind = args.len() - at - 1;
            if args.is(at, "block") && behind >= 1 {
                block = Some(timeout_in_ms(args.at(at + 1))?);
                at += 2;
            } else if args.is(at, "count") && behind >= 1 {
                count = integer(args.at(at + 1))?.max(0);
                at += 2;
            } else if args.is(at, "streams") && behind >= 1 {
                if !behind.is_multiple_of(2) {
                    return Err(Error::text(
                        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
                    ));
                }
                if for_group && group.is_none() {
                    return Err(Error::text("ERR Missing GROUP option for XREADGROUP"));
                }
                let mut keys: Vec<_> = args.iter_from(at + 1).collect();
                let ids = keys.split_off(keys.len() / 2);
                return Ok(Request { group, no_ack, block, count: limit(count), keys, ids });
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

/// How many entries a client that has waited gets when it names no COUNT: an id far back must not bring the whole stream.
const WAITED_COUNT: usize = 1000;

impl Request<'_> {
    /// Nothing is there: the reply, or the wait for what is wanted.
    pub(super) fn nothing(self, ctx: &mut Ctx<'_>, want: impl FnOnce(usize) -> Want) -> CmdResult {
        let Some(timeout_ms) = self.block else {
            ctx.reply.null_array();
            return Ok(());
        };
        let count = if self.count == usize::MAX { WAITED_COUNT } else { self.count };
        let keys = self.keys.iter().map(|key| key.to_vec()).collect();
        Block { timeout_ms, keys, want: want(count) }.outcome()
    }
}

/// True when XREAD or XREADGROUP is told to wait, which scripts must not do.
pub fn has_block_option(args: Args<'_>) -> bool {
    let mut at = 1;
    while at + 1 < args.len() && !args.is(at, "streams") {
        if args.is(at, "block") {
            return true;
        }
        at += match () {
            () if args.is(at, "group") => 3,
            () if args.is(at, "count") => 2,
            () => 1,
        };
    }
    false
}

pub(super) fn from(text: &[u8], for_group: bool) -> Result<From, Error> {
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
pub(super) fn begin(out: &mut dyn Reply, streams: usize) {
    match (streams, out.is_resp3()) {
        (0, _) => out.null_array(),
        (_, true) => out.map(streams),
        (_, false) => out.array(streams),
    }
}

pub(super) fn begin_stream(out: &mut dyn Reply, key: &[u8]) {
    if !out.is_resp3() {
        out.array(2);
    }
    out.bulk(key);
}

fn xread(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let request = Request::parse(args, false)?;
    let (mut wanted, mut after_all) = (Vec::new(), Vec::new());
    for (key, id) in request.keys.iter().zip(&request.ids) {
        let stream = ctx.db.get_as::<Stream>(key)?;
        let after = match from(id, false)? {
            From::After(id) => id,
            From::End | From::New => stream.map_or(StreamId::MIN, Stream::last_id),
        };
        after_all.push(after);
        if stream.and_then(Stream::last_live_id).is_some_and(|last| last > after) {
            wanted.push((*key, after));
        }
    }
    // Redis looks for each stream a second time, and says so.
    for key in &request.keys {
        ctx.db.glance(key);
    }
    if wanted.is_empty() {
        return request.nothing(ctx, |count| Want::Entries { after: after_all, count });
    }
    begin(ctx.reply, wanted.len());
    for (key, after) in wanted {
        read(ctx, key, after, request.count);
    }
    Ok(())
}

/// Replies with the entries of one stream behind `after`.
fn read(ctx: &mut Ctx<'_>, key: &[u8], after: StreamId, count: usize) {
    let start = after.next().unwrap_or(StreamId::MAX);
    begin_stream(ctx.reply, key);
    let stream = ctx.db.peek(key).and_then(|entry| Stream::from_ref(entry.value()));
    let entries: Vec<_> =
        stream.map(|s| s.range(start..=StreamId::MAX).take(count).collect()).unwrap_or_default();
    reply_entries(ctx.reply, &entries);
}

/// Reads for a client that has waited.
pub(in crate::cmd) fn serve(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    after: StreamId,
    count: usize,
) -> CmdResult {
    begin(ctx.reply, 1);
    read(ctx, key, after, count);
    Ok(())
}
