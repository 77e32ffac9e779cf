//! Step 5: the command runs, on the shard that has its keys.

use ringstone_engine::cmd::blocking::Block;
use ringstone_engine::cmd::generic::scan::scan_count;
use ringstone_engine::cmd::{Flags, Scope};
use ringstone_engine::keyspace::Mode;
use ringstone_engine::reply::TreeSink;
use ringstone_engine::{Args, Ctx, Error, Keyspace, Reply, Tree};
use ringstone_proto::resp::Encoder;

use super::route::{key_hash, with_cursor};
use crate::blocked::Asker;
use crate::conn::{BatchId, Conn, ConnId};
use crate::msg::{Hop, Msg};
use crate::shard::Shard;
use crate::table::{Entry, Run};
use crate::tx::Waiter;

/// Flags of commands that may change data.
pub(crate) const MAY_CHANGE: Flags = Flags::WRITE.union(Flags::MAY_REPLICATE);

/// A reply sink that writes RESP.
pub struct RespReply<'a> {
    encoder: Encoder<'a>,
    resp3: bool,
    /// The longest that `out` may become before the client is dropped.
    limit: usize,
}

impl<'a> RespReply<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>, resp3: bool) -> Self {
        RespReply::within(out, resp3, usize::MAX)
    }

    /// The same where whoever gets the reply is dropped when `out` becomes longer than `limit`.
    pub fn within(out: &'a mut Vec<u8>, resp3: bool, limit: usize) -> Self {
        RespReply { encoder: Encoder::new(out, resp3), resp3, limit }
    }
}

impl Reply for RespReply<'_> {
    fn simple(&mut self, text: &str) {
        self.encoder.simple(text);
    }
    fn error(&mut self, error: &Error) {
        self.encoder.error(&error.wire());
    }
    fn int(&mut self, value: i64) {
        self.encoder.int(value);
    }
    fn bulk(&mut self, bytes: &[u8]) {
        self.encoder.bulk(bytes);
    }
    fn null(&mut self) {
        self.encoder.null();
    }
    fn null_array(&mut self) {
        self.encoder.null_array();
    }
    fn array(&mut self, len: usize) {
        self.encoder.array(len);
    }
    fn map(&mut self, len: usize) {
        self.encoder.map(len);
    }
    fn set(&mut self, len: usize) {
        self.encoder.set(len);
    }
    fn push(&mut self, len: usize) {
        self.encoder.push(len);
    }
    fn double(&mut self, value: f64) {
        self.encoder.double(value);
    }
    fn bool(&mut self, value: bool) {
        self.encoder.bool(value);
    }
    fn verbatim(&mut self, format: &str, text: &[u8]) {
        self.encoder.verbatim(format, text);
    }
    fn big_number(&mut self, digits: &str) {
        self.encoder.big_number(digits);
    }
    fn is_resp3(&self) -> bool {
        self.resp3
    }
    fn is_cut(&self) -> bool {
        self.encoder.out.len() > self.limit
    }
    fn is_bounded(&self) -> bool {
        self.limit < usize::MAX
    }
}

/// Runs an engine command on a keyspace; its error, if any, is written as the reply and returned. It does not wait for anything.
pub fn run_data(
    keyspace: &mut Keyspace,
    db: usize,
    now_ms: i64,
    entry: &Entry,
    args: Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), Error> {
    match run_or_wait(keyspace, db, now_ms, entry, args, reply) {
        Err(Error::WouldBlock(block)) => {
            block.reply_at_once(reply);
            Ok(())
        }
        result => result,
    }
}

/// The same for who can let the client wait: [`Error::WouldBlock`] is no reply.
pub fn run_or_wait(
    keyspace: &mut Keyspace,
    db: usize,
    now_ms: i64,
    entry: &Entry,
    args: Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), Error> {
    let Run::Data(run) = entry.run else { return Ok(()) };
    let before = crate::replication::before(&keyspace.effects);
    let changes = entry.spec.flags.intersects(MAY_CHANGE);
    let mode = if changes { Mode::Live } else { keyspace.look_mode() };
    let mut ctx = Ctx { db: keyspace.db(db, now_ms, mode), reply };
    let result = run(&mut ctx, args);
    if let Err(error) = &result
        && !matches!(error, Error::WouldBlock(_))
    {
        ctx.reply.error(error);
    }
    if let Some(before) = before {
        crate::replication::note(keyspace, before, db, entry, args);
    }
    result
}

impl Shard {
    /// Runs a command of one of this shard's connections.
    pub(crate) fn execute(
        &mut self,
        conn: &mut Conn,
        entry: &'static Entry,
        args: Args<'_>,
        cursor_shard: Option<usize>,
    ) {
        let (db, resp3) = (conn.db, conn.resp3);
        let mark = conn.reply_mark();
        self.keyspace.set_quiet(conn.no_touch);
        self.tracking.caller = conn.caller(self.index);
        let ran = match cursor_shard {
            None => {
                let limit = self.output_max_bytes(conn);
                let mut reply = RespReply::within(conn.reply_buffer(), resp3, limit);
                self.run_or_wait_and_note(db, entry, args, &mut reply)
            }
            Some(_) => {
                let (batch, part) = self.run_cursor(db, resp3, entry, args, None);
                match (part, entry.spec.scope) {
                    (CursorPart::GoesOn(found), Scope::Cursor(at)) => {
                        if batch > 0 {
                            conn.hold_since(mark, batch);
                        }
                        let args = with_cursor(args, at, 0);
                        self.hop_carrying(conn, self.index + 1, entry, args, Some(found));
                        return self.observe();
                    }
                    (CursorPart::GoesOn(_), _) => {}
                    (CursorPart::Done(tree), _) => {
                        tree.write_to(&mut RespReply::new(conn.reply_buffer(), resp3));
                    }
                }
                Ok(batch)
            }
        };
        let batch = match ran {
            Ok(batch) => batch,
            Err(block) => {
                // What had expired is gone; who minds learns it first.
                self.observe();
                self.tracking.caller = None;
                return self.wait_here(conn, (entry, args), *block);
            }
        };
        if batch > 0 {
            conn.hold_since(mark, batch);
        }
        let reply_bytes = conn.reply_mark() - mark;
        self.remember(conn, entry, args, reply_bytes);
        self.after_reply(conn, mark);
        self.observe();
        self.tracking.caller = None;
    }

    /// Runs a command that came from another shard, unless a transaction has its keys.
    pub(crate) fn on_hop(&mut self, hop: Hop) {
        if !self.tx.stalled.is_empty() {
            // A hop of the same connection may be among them: the order is kept.
            self.tx.stalled.push_back(Waiter::Hop(Box::new(hop)));
        } else if self.may_run_now(hop.db, hop.entry, hop.args.as_args()) {
            self.execute_hop(hop);
        } else if let Some(busy) = self.shared.running.busy_error() {
            self.refuse_hop(hop, &busy);
        } else {
            let need = super::route::lock_need(hop.entry, hop.args.as_args());
            self.enqueue(need, Waiter::Hop(Box::new(hop)));
        }
    }

    /// Answers a command of another shard with an error.
    pub(crate) fn refuse_hop(&mut self, hop: Hop, error: &Error) {
        let mut bytes = Vec::new();
        RespReply::new(&mut bytes, hop.resp3).error(error);
        let (conn, number) = (hop.conn, hop.number);
        self.commit.send_when_safe(0, hop.origin, Msg::HopReply { conn, number, bytes });
    }

    pub(crate) fn execute_hop(&mut self, hop: Hop) {
        let Hop { origin, conn, number, db, resp3, no_touch, caller, reply_max, .. } = hop;
        let (entry, args, carried) = (hop.entry, hop.args, hop.carried);
        let mut bytes = Vec::new();
        self.keyspace.set_quiet(no_touch);
        self.tracking.caller = caller;
        let ran = match entry.spec.scope {
            Scope::Cursor(at) => {
                let (batch, part) = self.run_cursor(db, resp3, entry, args.as_args(), carried);
                match part {
                    CursorPart::Done(tree) => {
                        tree.write_to(&mut RespReply::new(&mut bytes, resp3));
                        Ok(batch)
                    }
                    CursorPart::GoesOn(found) => {
                        let (args, carried) = (with_cursor(args.as_args(), at, 0), Some(found));
                        let hop = Hop { args, carried, ..hop };
                        let next = self.index + 1;
                        self.commit.send_when_safe(batch, next, Msg::Hop(Box::new(hop)));
                        return self.observe();
                    }
                }
            }
            Scope::Keys | Scope::All(_) => {
                let mut reply = RespReply::within(&mut bytes, resp3, reply_max);
                self.run_or_wait_and_note(db, entry, args.as_args(), &mut reply)
            }
        };
        let batch = match ran {
            Ok(batch) => batch,
            Err(block) => {
                self.observe();
                self.tracking.caller = None;
                let (home, args) = (origin, args.as_args());
                let asker = Asker { home, conn, entry, args, db, resp3, no_touch, caller };
                return self.wait_for_hop(asker, number, *block);
            }
        };
        self.remember_there(origin, conn, entry, args.as_args(), bytes.len());
        if bytes.len() > reply_max {
            // It may not be whole: nothing of it may be sent, and its connection ends.
            self.call(origin, move |there| there.drop_for_output(conn));
        }
        // First who waits for the keys, then the reply: with that the client's next command runs.
        self.observe();
        self.tracking.caller = None;
        self.commit.send_when_safe(batch, origin, Msg::HopReply { conn, number, bytes });
    }

    /// The answer of another shard has come.
    pub(crate) fn on_hop_reply(&mut self, id: ConnId, number: u64, bytes: Vec<u8>) {
        let Some(mut conn) = self.conns.take(id) else { return };
        conn.fill_reply(number, bytes);
        conn.hop_is_over(number);
        self.mark_dirty(&mut conn);
        self.go_on(&mut conn);
        self.settle(conn);
    }

    /// Runs a command and says for which batch its reply has to wait: the open one if it wrote, the one that wrote its keys
    /// last if that is not safe yet, else none (0). It does not wait for anything.
    pub(crate) fn run_and_note(
        &mut self,
        db: usize,
        resp3: bool,
        entry: &Entry,
        args: Args<'_>,
        out: &mut Vec<u8>,
    ) -> BatchId {
        self.run_and_note_into(db, entry, args, &mut RespReply::new(out, resp3))
    }

    /// The same with any sink for the reply.
    pub(crate) fn run_and_note_into(
        &mut self,
        db: usize,
        entry: &Entry,
        args: Args<'_>,
        reply: &mut dyn Reply,
    ) -> BatchId {
        self.run_or_wait_and_note(db, entry, args, reply).unwrap_or_else(|block| {
            block.reply_at_once(reply);
            0
        })
    }

    /// The same for who can let the client wait.
    fn run_or_wait_and_note(
        &mut self,
        db: usize,
        entry: &Entry,
        args: Args<'_>,
        reply: &mut dyn Reply,
    ) -> Result<BatchId, Box<Block>> {
        let before = self.keyspace.effects.count();
        let result = run_or_wait(&mut self.keyspace, db, self.now_ms, entry, args, reply);
        if let Err(Error::WouldBlock(block)) = result {
            self.note_call(entry, None);
            self.remember_read(entry, args);
            return Err(block);
        }
        self.note_call(entry, result.as_ref().err());
        self.remember_read(entry, args);
        if result.is_ok() {
            self.note_flush(entry);
        }
        let wrote = self.keyspace.effects.count() != before;
        Ok(self.note(entry, args, wrote))
    }

    /// Runs SCAN's part of this shard.
    fn run_cursor(
        &mut self,
        db: usize,
        resp3: bool,
        entry: &Entry,
        args: Args<'_>,
        carried: Option<Vec<Tree>>,
    ) -> (BatchId, CursorPart) {
        let before = self.keyspace.effects.count();
        let mut sink = TreeSink::new(resp3);
        let result = run_data(&mut self.keyspace, db, self.now_ms, entry, args, &mut sink);
        if carried.is_none() {
            self.note_call(entry, result.as_ref().err());
        }
        let wrote = self.keyspace.effects.count() != before;
        let batch = self.note(entry, args, wrote);
        let (shard, shards) = (self.index, self.shards());
        let carried = carried.unwrap_or_default();
        (batch, CursorPart::of(sink.into_reply(), carried, scan_count(args), shard, shards))
    }

    fn note(&mut self, entry: &Entry, args: Args<'_>, wrote: bool) -> BatchId {
        if !self.commit.holds_replies() {
            return 0;
        }
        let open = self.commit.open_batch();
        let Scope::Keys = entry.spec.scope else {
            return if wrote { open } else { self.commit.last_batch(&self.keyspace) };
        };
        if let Some(at) = entry.one_key {
            return self.commit.note_key(key_hash(args.at(at)), wrote);
        }
        let keys = entry.spec.key_positions(args).unwrap_or_default();
        let batches = keys.iter().map(|at| self.commit.note_key(key_hash(args.at(*at)), wrote));
        let batch = batches.max().unwrap_or(0);
        if wrote { open } else { batch }
    }
}

/// What a shard's part of SCAN gave.
pub(crate) enum CursorPart {
    /// The reply.
    Done(Tree),
    /// All that was found so far: this shard is through and fewer than wanted are found, so that the next goes on.
    GoesOn(Vec<Tree>),
}

impl CursorPart {
    /// From a shard's own reply and what those before it have found.
    pub(crate) fn of(
        own: Tree,
        mut found: Vec<Tree>,
        wanted: usize,
        shard: usize,
        shards: usize,
    ) -> CursorPart {
        let Tree::Array(mut pair) = own else { return CursorPart::Done(own) };
        let (Some(Tree::Array(items)), Some(Tree::Bulk(cursor))) = (pair.pop(), pair.pop()) else {
            return CursorPart::Done(Tree::Array(pair));
        };
        found.extend(items);
        let inner: u64 =
            std::str::from_utf8(&cursor).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        let is_last = shard + 1 >= shards;
        if inner == 0 && !is_last && found.len() < wanted {
            return CursorPart::GoesOn(found);
        }
        let next = match inner {
            0 if is_last => 0,
            0 => shard as u64 + 1,
            inner => inner * shards as u64 + shard as u64,
        };
        let cursor = Tree::Bulk(next.to_string().into_bytes());
        CursorPart::Done(Tree::Array(vec![cursor, Tree::Array(found)]))
    }
}
