//! A connection: bytes in, bytes out, and what its client has set.
//!
//! ```text
//!   received ─> inbuf (only what is left of a packet) ─> commands ─> out ─> sending ─> socket
//!                                            remote hops ─> pending ┘  (replies keep the order of the commands)
//!   holds: from this byte of `out` on, replies wait until that batch is safe in the log
//! ```

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::Arc;

use ringstone_engine::Span;
use ringstone_proto::resp::Decoder;

use crate::acl::User;
use crate::pubsub::Subscriptions;

/// Names a connection of a shard: slot in the shard's slab, and how often that slot was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnId {
    /// Slot, below 2^24.
    pub slot: u32,
    /// Generation.
    pub generation: u32,
}

impl ConnId {
    /// As 56 bits, for ring tokens.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 24 | u64::from(self.slot & 0x00ff_ffff)
    }
    /// Back from 56 bits.
    pub fn from_bits(bits: u64) -> ConnId {
        let low = |bits: u64| u32::try_from(bits & 0xffff_ffff).unwrap_or(0);
        ConnId { slot: low(bits & 0x00ff_ffff), generation: low(bits >> 24) }
    }
}

/// Replies that may be with other shards before a connection's next command waits.
const PENDING_MAX: usize = 4096;
/// Bytes of output that may wait before a connection's next command waits.
const OUTPUT_PAUSE_BYTES: usize = 64 << 20;

/// Output of up to so many bytes is not counted as waiting: what Redis has in the buffer of its own that each client has there.
pub const OUTPUT_FREE_BYTES: usize = 16 << 10;
/// An input buffer larger than this is made smaller when little of it is used.
const INPUT_SHRINK_BYTES: usize = 32 << 10;
/// What is left of it then: who sent a large command may send another.
const INPUT_KEPT_BYTES: usize = 16 << 10;

/// Number of a shard's batch of effects, from 1 on; 0 is always safe.
pub type BatchId = u64;

/// Replies that must wait: everything from `from` (counted over the connection's life) until `batch` is safe.
#[derive(Clone, Copy, Debug)]
struct Hold {
    from: u64,
    batch: BatchId,
}

/// A reply that is out of turn.
enum Pending {
    /// Still with another shard; not wanted when CLIENT REPLY said so.
    Waiting { wanted: bool },
    /// Here, but something before it is not.
    Ready { bytes: Vec<u8>, batch: BatchId },
}

/// Whether CLIENT REPLY lets replies through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyMode {
    /// All.
    On,
    /// None.
    Off,
    /// Not the next one.
    Skip,
}

/// What a client has said about itself.
#[derive(Clone, Debug, Default)]
pub struct ClientInfo {
    /// CLIENT SETNAME.
    pub name: Vec<u8>,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: Vec<u8>,
    /// CLIENT SETINFO LIB-VER.
    pub lib_version: Vec<u8>,
}

/// A connection.
pub struct Conn {
    /// Where it lives.
    pub id: ConnId,
    /// CLIENT ID, unique in the process.
    pub client_id: u64,
    /// The socket.
    pub fd: RawFd,
    /// True on a unix socket.
    pub unix: bool,
    /// Selected database.
    pub db: usize,
    /// RESP3 after HELLO 3.
    pub resp3: bool,
    /// Who it is, as far as that is known.
    pub user: Arc<User>,
    /// It has logged in, or needed not when it came.
    pub authenticated: bool,
    /// CLIENT REPLY.
    pub reply_mode: ReplyMode,
    /// CLIENT NO-EVICT.
    pub no_evict: bool,
    /// CLIENT NO-TOUCH.
    pub no_touch: bool,
    /// MULTI and WATCH, while there is one of them.
    pub tx: Option<Box<crate::tx::multi::Tx>>,
    /// A command of a transaction is running: nothing may wait for the keyspace.
    pub in_exec: bool,
    /// Watches with MONITOR.
    pub monitors: bool,
    /// It has sent commands that may write.
    pub wrote: bool,
    /// The most output that waited lately, in bytes.
    pub output_peak: usize,
    /// Name and library, when given.
    pub info: Option<Box<ClientInfo>>,
    /// When it connected, in ms since 1970.
    pub since_ms: i64,
    /// When its last command came, in ms since 1970.
    pub last_ms: i64,
    /// Its last command.
    pub last_command: &'static str,
    /// Commands so far.
    pub commands: u64,
    /// Waits for something before its next command may run.
    pub blocked: bool,
    /// Place of a reply from another shard, where its command may wait; this connection stands by until then.
    blocking_hop: Option<u64>,
    /// Place of the reply that a task of this shard works on.
    task_reply: Option<u64>,
    /// To be closed behind the answer to the command at hand, which a task is working on.
    pub close_when_answered: bool,
    /// To be closed when all replies have left.
    pub close_after_reply: bool,
    /// Shut down; goes when the last request has completed.
    pub closing: bool,
    /// A multishot receive is under way.
    pub receiving: bool,
    /// That receive is being cancelled because too much input waits.
    pub input_paused: bool,
    /// In the shard's list of connections to flush.
    pub dirty: bool,
    /// Input that is not a whole command yet, or may not run yet.
    pub inbuf: Vec<u8>,
    /// Where the decoder is.
    pub decoder: Decoder,
    /// Arguments found of an incomplete command.
    pub spans: Vec<Span>,
    /// CLIENT TRACKING, while it is on.
    pub tracking: Option<Box<crate::tracking::Settings>>,
    /// What there is to know of a replica's connection.
    pub replica: Option<Box<crate::replication::ReplicaSide>>,
    /// What it is subscribed to; nothing when it is no subscriber.
    pub subscriptions: Option<Box<Subscriptions>>,
    /// Since when the output has been above the soft limit, in ms since 1970.
    pub soft_limit_since_ms: Option<i64>,
    /// Its share of what the shard counts for `maxmemory-clients`, in bytes.
    pub counted_bytes: usize,
    out: Vec<u8>,
    /// Bytes that ever left `out` for `sending`.
    taken: u64,
    sending: Vec<u8>,
    sent: usize,
    in_flight: bool,
    holds: VecDeque<Hold>,
    pending: VecDeque<Pending>,
    pending_first: u64,
}

impl Conn {
    /// A fresh connection of `user`.
    pub fn new(
        id: ConnId,
        client_id: u64,
        fd: RawFd,
        unix: bool,
        now_ms: i64,
        user: Arc<User>,
    ) -> Conn {
        Conn {
            id,
            client_id,
            fd,
            unix,
            db: 0,
            resp3: false,
            authenticated: user.is_open(),
            user,
            reply_mode: ReplyMode::On,
            no_evict: false,
            no_touch: false,
            tx: None,
            in_exec: false,
            monitors: false,
            wrote: false,
            output_peak: 0,
            info: None,
            since_ms: now_ms,
            last_ms: now_ms,
            last_command: "NULL",
            commands: 0,
            blocked: false,
            blocking_hop: None,
            task_reply: None,
            close_when_answered: false,
            close_after_reply: false,
            closing: false,
            receiving: false,
            input_paused: false,
            dirty: false,
            inbuf: Vec::new(),
            decoder: Decoder::new(),
            spans: Vec::new(),
            tracking: None,
            replica: None,
            subscriptions: None,
            soft_limit_since_ms: None,
            counted_bytes: 0,
            out: Vec::new(),
            taken: 0,
            sending: Vec::new(),
            sent: 0,
            in_flight: false,
            holds: VecDeque::new(),
            pending: VecDeque::new(),
            pending_first: 0,
        }
    }

    /// Between MULTI and EXEC.
    pub fn is_queueing(&self) -> bool {
        self.tx.as_ref().is_some_and(|tx| tx.queue.is_some())
    }

    /// A command was refused: if it was to be queued, EXEC will be refused too.
    pub fn fail_queue(&mut self) {
        if let Some(queue) = self.tx.as_mut().and_then(|tx| tx.queue.as_mut()) {
            queue.fail();
        }
    }

    /// True for a client of this host.
    pub fn is_local(&self) -> bool {
        self.unix
            || crate::rt::socket::names(self.fd)
                .0
                .is_some_and(|peer| peer.ip().to_canonical().is_loopback())
    }

    // ---- replies

    /// Where the reply of the command at hand goes.
    pub fn reply_buffer(&mut self) -> &mut Vec<u8> {
        if self.pending.is_empty() {
            return &mut self.out;
        }
        if !matches!(self.pending.back(), Some(Pending::Ready { .. })) {
            self.pending.push_back(Pending::Ready { bytes: Vec::new(), batch: 0 });
        }
        match self.pending.back_mut() {
            Some(Pending::Ready { bytes, .. }) => bytes,
            _ => &mut self.out,
        }
    }

    /// Appends a message that is no reply: behind the replies so far, those that are still with other shards included.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.closing && !self.close_after_reply {
            self.reply_buffer().extend_from_slice(bytes);
        }
    }

    /// True for a subscriber of anything.
    pub fn is_subscriber(&self) -> bool {
        self.subscriptions.is_some()
    }

    /// Length of the buffer that [`Conn::reply_buffer`] gives, to take a reply back.
    pub fn reply_mark(&mut self) -> usize {
        self.reply_buffer().len()
    }

    /// The reply that was written since `mark` must wait for `batch`.
    pub fn hold_since(&mut self, mark: usize, batch: BatchId) {
        if self.pending.is_empty() {
            self.hold_output(mark, batch);
        } else if let Some(Pending::Ready { batch: held, .. }) = self.pending.back_mut() {
            *held = (*held).max(batch);
        }
    }

    /// Keeps a place for the reply of a command that went to another shard; its number.
    pub fn expect_reply(&mut self) -> u64 {
        let wanted = self.reply_mode == ReplyMode::On;
        if self.reply_mode == ReplyMode::Skip {
            self.reply_mode = ReplyMode::On;
        }
        self.pending.push_back(Pending::Waiting { wanted });
        self.pending_first + self.pending.len() as u64 - 1
    }

    /// Runs no command until the reply of place `number` is there.
    pub fn stand_by_hop(&mut self, number: u64) {
        self.blocked = true;
        self.blocking_hop = Some(number);
    }

    /// The reply of place `number` is there.
    pub fn hop_is_over(&mut self, number: u64) {
        if self.blocking_hop == Some(number) {
            self.blocking_hop = None;
            self.blocked = false;
        }
    }

    /// The command of place `number` waits for keys. Its reply will be written where replies are by then, so that messages may
    /// pass it.
    pub fn hop_waits(&mut self, number: u64) {
        if self.blocking_hop == Some(number) {
            self.blocking_hop = None;
            let at = number.checked_sub(self.pending_first).and_then(|at| usize::try_from(at).ok());
            let place = at.and_then(|at| self.pending.get(at));
            if matches!(place, Some(Pending::Waiting { wanted: false }))
                && self.reply_mode == ReplyMode::On
            {
                self.reply_mode = ReplyMode::Skip;
            }
            self.fill_reply(number, Vec::new());
        }
    }

    /// A task works on the command at hand. Its reply has its place already, so that whatever the connection is told meanwhile
    /// comes behind it: of a change behind what was read before the change.
    pub fn stand_by_task(&mut self) {
        self.blocked = true;
        self.task_reply = Some(self.expect_reply());
    }

    /// The task has found that the command waits for keys: as [`Conn::hop_waits`].
    pub fn task_waits(&mut self) {
        if let Some(number) = self.task_reply.take() {
            self.blocking_hop = Some(number);
            self.hop_waits(number);
        }
    }

    /// The place of the reply that is there now, if one was kept for it.
    pub fn take_task_reply(&mut self) -> Option<u64> {
        self.task_reply.take()
    }

    /// Replies that are still with other shards, or behind such.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// Fills the place `number`, and moves what is in turn now to the output.
    pub fn fill_reply(&mut self, number: u64, bytes: Vec<u8>) {
        self.fill_place(number, bytes, 0);
        self.move_ready();
    }

    /// The same with a reply that is still to be written, and has to wait for `batch`.
    pub fn write_reply_at(
        &mut self,
        number: u64,
        batch: BatchId,
        write: impl FnOnce(&mut Vec<u8>, bool),
    ) {
        if number == self.pending_first
            && matches!(self.pending.front(), Some(Pending::Waiting { wanted: true }))
        {
            self.pending.pop_front();
            self.pending_first += 1;
            let mark = self.out.len();
            write(&mut self.out, self.resp3);
            self.hold_output(mark, batch);
        } else {
            let mut bytes = Vec::new();
            write(&mut bytes, self.resp3);
            self.fill_place(number, bytes, batch);
        }
        self.move_ready();
    }

    fn fill_place(&mut self, number: u64, bytes: Vec<u8>, batch: BatchId) {
        let at = number.checked_sub(self.pending_first).and_then(|at| usize::try_from(at).ok());
        if let Some(slot) = at.and_then(|at| self.pending.get_mut(at)) {
            let wanted = !matches!(slot, Pending::Waiting { wanted: false });
            let bytes = if wanted { bytes } else { Vec::new() };
            *slot = Pending::Ready { bytes, batch };
        }
    }

    fn move_ready(&mut self) {
        while let Some(Pending::Ready { .. }) = self.pending.front() {
            let Some(Pending::Ready { bytes, batch }) = self.pending.pop_front() else { break };
            self.pending_first += 1;
            let mark = self.out.len();
            self.out.extend_from_slice(&bytes);
            self.hold_output(mark, batch);
        }
    }

    fn hold_output(&mut self, mark: usize, batch: BatchId) {
        if batch > 0 && self.holds.back().is_none_or(|hold| hold.batch < batch) {
            self.holds.push_back(Hold { from: self.taken + mark as u64, batch });
        }
    }

    /// Bytes of replies that wait to leave, in all.
    pub fn output_bytes(&self) -> usize {
        let pending = self
            .pending
            .iter()
            .map(|p| if let Pending::Ready { bytes, .. } = p { bytes.len() } else { 0 });
        let behind = self.replica.as_ref().map_or(0, |side| side.behind_bytes());
        self.out.len() + self.sending.len() - self.sent + pending.sum::<usize>() + behind
    }

    /// Room allocated for replies, in bytes.
    pub fn output_capacity(&self) -> usize {
        self.out.capacity() + self.sending.capacity()
    }

    /// Output as CLIENT LIST has it: bytes while they are few; when they are more, how many pieces of 16 KiB wait, and their bytes.
    pub fn output_parts(&self) -> (usize, usize, usize) {
        match self.output_bytes() {
            few @ 0..=OUTPUT_FREE_BYTES => (few, 0, 0),
            many => (0, many.div_ceil(OUTPUT_FREE_BYTES), many),
        }
    }

    /// Room allocated for replies that are out of turn, in bytes.
    fn pending_capacity(&self) -> usize {
        let bytes = self.pending.iter().map(|p| match p {
            Pending::Ready { bytes, .. } => bytes.capacity(),
            Pending::Waiting { .. } => 0,
        });
        bytes.sum::<usize>() + self.pending.capacity() * size_of::<Pending>()
    }

    /// Bytes of the commands queued behind MULTI.
    pub fn queue_bytes(&self) -> usize {
        let queue = self.tx.as_ref().and_then(|tx| tx.queue.as_ref());
        queue.map_or(0, |queue| queue.memory_bytes())
    }

    /// Bytes that the connection holds.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Conn>()
            + self.inbuf.capacity()
            + self.spans.capacity() * size_of::<Span>()
            + self.output_capacity()
            + self.pending_capacity()
            + self.tx.as_ref().map_or(0, |tx| tx.memory_bytes())
            + self.subscriptions.as_ref().map_or(0, |all| all.memory_bytes())
            + self.tracking.as_ref().map_or(0, |settings| settings.memory_bytes())
    }

    // ---- sending

    /// The next bytes to send, now that every batch up to `released` is safe; nothing while a send is under way.
    /// They stay in place until [`Conn::sent`].
    pub fn next_send(&mut self, released: BatchId) -> Option<&[u8]> {
        if self.in_flight || self.closing {
            return None;
        }
        if self.sent >= self.sending.len() {
            self.refill(released);
        }
        let bytes = self.sending.get(self.sent..).filter(|bytes| !bytes.is_empty())?;
        self.in_flight = true;
        Some(bytes)
    }

    fn refill(&mut self, released: BatchId) {
        while self.holds.front().is_some_and(|hold| hold.batch <= released) {
            self.holds.pop_front();
        }
        let free = match self.holds.front() {
            None => self.out.len(),
            Some(hold) => usize::try_from(hold.from.saturating_sub(self.taken))
                .unwrap_or(0)
                .min(self.out.len()),
        };
        self.sending.clear();
        self.sent = 0;
        if free == self.out.len() {
            std::mem::swap(&mut self.sending, &mut self.out);
        } else {
            self.sending.extend(self.out.drain(..free));
        }
        self.taken += free as u64;
    }

    /// A send has completed with `len` bytes.
    pub fn sent(&mut self, len: usize) {
        self.in_flight = false;
        self.sent += len;
    }

    /// True while a send is under way.
    pub fn is_sending(&self) -> bool {
        self.in_flight
    }

    /// True when nothing is left to send, held replies included.
    pub fn is_drained(&self) -> bool {
        !self.in_flight
            && self.sent >= self.sending.len()
            && self.out.is_empty()
            && self.pending.is_empty()
    }

    /// True when replies wait for a batch.
    pub fn is_held(&self) -> bool {
        !self.holds.is_empty()
    }

    /// True when its next command cannot run now.
    pub fn is_stuck(&self) -> bool {
        self.blocked
            || self.pending_len() >= PENDING_MAX
            || self.output_bytes() >= OUTPUT_PAUSE_BYTES
    }

    /// Gives back the buffers of an idle connection, so that it costs next to nothing.
    pub fn shrink(&mut self) {
        if self.is_drained() {
            self.out = Vec::new();
            self.sending = Vec::new();
            self.sent = 0;
            self.holds = VecDeque::new();
            self.pending = VecDeque::new();
        }
        if self.inbuf.is_empty() {
            self.inbuf = Vec::new();
            self.spans = Vec::new();
        }
    }

    /// Gives back the better part of an input buffer that is large and not used.
    pub fn shrink_input(&mut self) {
        let wanted = self.inbuf.len().max(INPUT_KEPT_BYTES);
        if self.inbuf.capacity() > INPUT_SHRINK_BYTES && wanted <= self.inbuf.capacity() / 2 {
            self.inbuf.shrink_to(wanted);
        }
    }

    /// True when [`Conn::shrink`] would free something.
    pub fn is_shrinkable(&self) -> bool {
        (self.is_drained() && self.output_capacity() > 0)
            || (self.inbuf.is_empty() && self.inbuf.capacity() > 0)
    }
}
