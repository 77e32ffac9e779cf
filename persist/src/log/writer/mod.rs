//! One shard's log as a state machine, which the server drives on its own ring.
//!
//! ```text
//!   push ──> queue of groups ── next_write ──> in flight ──> write_done
//!               └─ everysec, no: each group in a stage's memory; it starts when it is large or old
//!   next_preparation ──> helper: prepare_segment ──> spare_ready ──> current segment ──> closed ── retire_below ──> recycled
//!   next_stage ──> helper: prepare_stage ──> stage_prepared
//! ```
//!
//! After `push`, `write_done` and `retire_below` the server publishes [`LogWriter::written_below`] and
//! [`LogWriter::synced_below`].
//!
//! Invariant: GSNs are pushed in rising order; a frame's bytes are kept until it is durable in a segment.
//! Invariant: a segment is written directly only; a file whose write failed is not written again.

mod direct;
mod segments;
mod stages;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameSeed, seal};
use super::group::GroupPolicy;
use super::segment::{SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MIN, SEGMENT_HEADER_BYTES};
use super::stage::{STAGE_BYTES, stamp};
use super::{Fault, FrameCipher, FrameKind, LogId, SegmentId, SyncMode};
use crate::crypt::CryptError;
use crate::disk::aligned::AlignedBuf;
use direct::InFlight;
use segments::Segments;
use stages::{Stage, Stages};

/// Longest frame payload in bytes; above it [`LogWriter::push`] refuses.
pub const PAYLOAD_BYTES_MAX: usize = 4 << 30;
/// The first GSN of a group that has none, since it only holds a mark.
const NO_GSN: u64 = u64::MAX;
/// Time between marks, in milliseconds.
const MARK_INTERVAL_MS: u64 = 1000;
/// Most bytes of one write; the kernel would write no more than 2 GiB.
const WRITE_BYTES_MAX: usize = 1 << 30;
/// Buffers kept for reuse, and up to which size.
const POOL_LEN_MAX: usize = 8;
const POOL_BYTES_MAX: usize = 2 << 20;
/// How long a group gathers at most in `no`, in milliseconds.
const NO_INTERVAL_MS: u64 = 30_000;

/// What a writer is made with.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// The log.
    pub log: LogId,
    /// The shard.
    pub shard: u32,
    /// The epoch that recovery opened.
    pub epoch: u32,
    /// When to sync.
    pub mode: SyncMode,
    /// The first segment number not used yet, as recovery gave it.
    pub next_seq: u64,
    /// Segments of earlier runs that this writer retires after a cut, with the highest GSN in each; 0: at once.
    pub old_segments: Vec<(SegmentId, u64)>,
    /// The base's cut.
    pub cut_gsn: u64,
    /// Everything up to this GSN is archived; none: there is no archive. See [`LogWriter::set_archived`].
    pub archived_gsn: Option<u64>,
    /// Size of a segment in bytes, at least [`SEGMENT_BYTES_MIN`] outside of tests.
    pub segment_bytes: u64,
    /// Bytes that may wait to be written before writers are held back.
    pub pending_bytes_max: usize,
    /// Spare segments kept ready.
    pub spares: usize,
    /// How long a group gathers at most in `everysec`, in milliseconds.
    pub sync_interval_ms: u64,
    /// Room for frames in a stage file in bytes, whole blocks: how long a group grows at most in `everysec` and `no`.
    pub stage_bytes: usize,
    /// Time before something that failed for want of space is tried again, in milliseconds.
    pub retry_after_ms: u64,
    /// When groups start.
    pub policy: GroupPolicy,
    /// Seals frames. Then files of earlier runs, which may hold what is in clear, are not used again.
    pub cipher: Option<FrameCipher>,
}

impl WriterOptions {
    /// The usual options.
    pub fn new(log: LogId, shard: u32, epoch: u32, mode: SyncMode, next_seq: u64) -> Self {
        WriterOptions {
            log,
            shard,
            epoch,
            mode,
            next_seq,
            old_segments: Vec::new(),
            cut_gsn: 0,
            archived_gsn: None,
            segment_bytes: SEGMENT_BYTES_DEFAULT.max(SEGMENT_BYTES_MIN),
            pending_bytes_max: 64 << 20,
            spares: 2,
            sync_interval_ms: 1000,
            stage_bytes: STAGE_BYTES,
            retry_after_ms: 1000,
            policy: GroupPolicy::default(),
            cipher: None,
        }
    }
}

/// Whether writes may be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// All is well.
    Ok,
    /// No space for segments: writes and PING answer `-MISCONF`, until space is back.
    DiskFull,
    /// A fresh segment failed as well. Stop without acknowledging.
    Fatal,
}

/// Why a frame was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The GSN is not above the one before.
    #[error("GSN {gsn} follows {last} in one shard's log")]
    OutOfOrder {
        /// The frame's.
        gsn: u64,
        /// The one before.
        last: u64,
    },
    /// The records are too long.
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// It cannot be encrypted.
    #[error(transparent)]
    Crypt(#[from] CryptError),
}

/// Identifies a write that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

impl Ticket {
    /// The ticket as a number, for a completion's user data.
    pub fn to_u64(self) -> u64 {
        self.0
    }
    /// The ticket that [`Ticket::to_u64`] gave.
    pub fn from_u64(number: u64) -> Self {
        Ticket(number)
    }
}

/// A direct write to be submitted (`O_DIRECT | O_DSYNC`).
#[derive(Clone, Debug)]
pub struct WriteRequest {
    /// Goes back with [`LogWriter::write_done`].
    pub ticket: Ticket,
    /// The file.
    pub segment: SegmentId,
    /// Where in the file, in bytes; on a block boundary.
    pub offset: u64,
    /// The buffer that holds the bytes. Keep this handle until the write is over, and drop it before
    /// [`LogWriter::write_done`], so that the buffer can be used again.
    pub buf: Arc<AlignedBuf>,
    /// From where in the buffer on; on a block boundary.
    pub from: usize,
}

impl WriteRequest {
    /// The bytes to write: whole blocks, aligned; they stay in place while the handle lives.
    pub fn bytes(&self) -> &[u8] {
        let rest = self.buf.as_slice().get(self.from..).unwrap_or_default();
        rest.get(..WRITE_BYTES_MAX).unwrap_or(rest)
    }
}

/// Frames that are written together.
#[derive(Debug)]
struct Group {
    buf: AlignedBuf,
    /// Where the header of each frame starts that is not sealed yet.
    frames: Vec<usize>,
    first_gsn: u64,
    last_gsn: u64,
    /// Starts a segment of its own.
    new_segment: bool,
    /// Whose memory `buf` is, so that the frames survive a kill meanwhile; without one their replies wait for the segment.
    stage: Option<Stage>,
    /// Does not gather any more.
    is_due: bool,
    since_ms: u64,
}

impl Group {
    /// Puts in what says that the group belongs to `segment`: a stage's stamp, or the frames' checksums.
    fn seal(&mut self, log: &LogId, segment: SegmentId) {
        let bytes = self.buf.as_mut_slice();
        if let Some(stage) = &self.stage {
            return stamp(bytes, log, stage.seed.segment(), segment);
        }
        let seed = FrameSeed::new(log, segment);
        for at in &self.frames {
            if let Some(header) = bytes.get_mut(*at..) {
                seal(header, &seed);
            }
        }
    }

    /// The lowest GSN that a `kill -9` now would lose.
    fn unwritten_gsn(&self) -> u64 {
        if self.stage.is_some() { NO_GSN } else { self.first_gsn }
    }
}

/// The state machine.
#[derive(Debug)]
pub struct LogWriter {
    options: WriterOptions,
    now_ms: u64,
    last_gsn: u64,
    /// The highest `durable_gsn` that any frame here told.
    told_durable_gsn: u64,
    marked_at_ms: u64,
    next_ticket: u64,
    pending_bytes: usize,
    queue: VecDeque<Group>,
    /// The next frame starts a group and a segment.
    rotate_next: bool,
    segments: Segments,
    pool: Vec<AlignedBuf>,
    /// Where a frame is sealed, kept for the next one.
    sealed: Vec<u8>,
    stages: Stages,
    in_flight: Vec<InFlight>,
    resubmit: VecDeque<Ticket>,
    /// A write failed; what is in flight is waited for.
    draining: bool,
    /// Failed groups that are written once more end here; a failure until then is fatal.
    failover_through: Option<u64>,
    /// No space for a write since then.
    write_full_at_ms: Option<u64>,
    fatal: bool,
    last_error: Option<String>,
}

impl LogWriter {
    /// A writer that has no segment yet: it wants some first (see [`LogWriter::next_preparation`]).
    pub fn new(options: WriterOptions) -> Self {
        LogWriter {
            segments: Segments::new(&options),
            options,
            now_ms: 0,
            last_gsn: 0,
            told_durable_gsn: 0,
            marked_at_ms: 0,
            next_ticket: 1,
            pending_bytes: 0,
            queue: VecDeque::new(),
            rotate_next: false,
            pool: Vec::new(),
            sealed: Vec::new(),
            stages: Stages::default(),
            in_flight: Vec::new(),
            resubmit: VecDeque::new(),
            draining: false,
            failover_through: None,
            write_full_at_ms: None,
            fatal: false,
            last_error: None,
        }
    }

    /// Appends a frame to the gathering group. `durable_gsn` is what [`super::Watermarks::synced`] says now.
    pub fn push(
        &mut self,
        gsn: u64,
        wall_ms: u64,
        durable_gsn: u64,
        kind: FrameKind,
        records: &[u8],
    ) -> Result<(), PushError> {
        if gsn <= self.last_gsn {
            return Err(PushError::OutOfOrder { gsn, last: self.last_gsn });
        }
        if records.len() > PAYLOAD_BYTES_MAX {
            return Err(PushError::TooLong(records.len()));
        }
        self.append(gsn, wall_ms, durable_gsn, kind, records)?;
        self.last_gsn = gsn;
        Ok(())
    }

    /// In a pause, writes down once that everything is durable, so that damage to the last frames is noticed at the next
    /// start. Call it about once a second with [`super::Watermarks::synced`] and [`super::Watermarks::next_gsn`], and then
    /// go on as after a push if there is a mark now.
    pub fn mark_if_idle(&mut self, wall_ms: u64, synced: u64, next_gsn: u64) -> bool {
        let idle = synced + 1 == next_gsn && self.pending_bytes == 0 && self.health() == Health::Ok;
        let due = self.now_ms.saturating_sub(self.marked_at_ms) >= MARK_INTERVAL_MS;
        let marks = idle && due && synced > self.told_durable_gsn;
        if marks {
            self.marked_at_ms = self.now_ms;
            // Nothing is sealed here that could be refused.
            let _marked = self.append(0, wall_ms, synced, FrameKind::Mark, &[]);
        }
        marks
    }

    fn append(
        &mut self,
        gsn: u64,
        wall_ms: u64,
        durable_gsn: u64,
        kind: FrameKind,
        records: &[u8],
    ) -> Result<(), CryptError> {
        let mut header = FrameHeader {
            kind,
            key: 0,
            payload_crc: 0,
            payload_len: records.len() as u64,
            shard: self.options.shard,
            epoch: self.options.epoch,
            gsn,
            durable_gsn,
            wall_ms,
        };
        // What goes into a stage is on the disk for whoever looks: it is sealed before.
        let mut sealed = std::mem::take(&mut self.sealed);
        let payload = match self.options.cipher.as_ref().filter(|_| gsn > 0) {
            Some(cipher) => {
                cipher.seal(&mut header, records, &mut sealed)?;
                &*sealed
            }
            None => {
                header.payload_crc = crc32fast::hash(records);
                records
            }
        };
        let len = FRAME_HEADER_BYTES + payload.len();
        let group = self.gathering(len);
        let mut header = header.encode();
        match &group.stage {
            Some(stage) => seal(&mut header, &stage.seed),
            None => group.frames.push(group.buf.len()),
        }
        group.buf.extend(&header);
        group.buf.extend(payload);
        if gsn > 0 {
            group.first_gsn = group.first_gsn.min(gsn);
            group.last_gsn = gsn;
        }
        self.told_durable_gsn = self.told_durable_gsn.max(durable_gsn);
        self.pending_bytes += len;
        if sealed.capacity() <= POOL_BYTES_MAX {
            self.sealed = sealed;
        }
        Ok(())
    }

    /// Seals the frames that follow with another data key, which is in MANIFEST already.
    pub fn set_cipher(&mut self, cipher: Option<FrameCipher>) {
        self.options.cipher = cipher;
    }

    fn gathering(&mut self, len: usize) -> &mut Group {
        let joins =
            !self.rotate_next && self.queue.back().is_some_and(|group| self.joins(group, len));
        if !joins {
            if let Some(before) = self.queue.back_mut() {
                before.is_due = true;
            }
            let new_segment = std::mem::take(&mut self.rotate_next);
            let (stage, buf) = match self.stage_for(len) {
                Some((stage, buf)) => (Some(stage), buf),
                None => {
                    let pooled = self.pool.pop();
                    (None, pooled.unwrap_or_else(|| AlignedBuf::with_capacity(len)))
                }
            };
            self.queue.push_back(Group {
                buf,
                frames: Vec::new(),
                first_gsn: NO_GSN,
                last_gsn: 0,
                new_segment,
                stage,
                is_due: false,
                since_ms: self.now_ms,
            });
        }
        let last = self.queue.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "the queue is not empty here")]
        &mut self.queue[last]
    }

    /// Whether a frame of `len` bytes may join the group.
    fn joins(&self, group: &Group, len: usize) -> bool {
        if group.stage.is_none() {
            return self.options.policy.may_join(group.buf.len(), len);
        }
        !group.is_due && group.buf.len() + len <= SEGMENT_HEADER_BYTES + self.options.stage_bytes
    }

    /// The lowest GSN pushed that a `kill -9` now would lose (`always`: that is not durable).
    pub fn written_below(&self) -> Option<u64> {
        self.groups().map(Group::unwritten_gsn).min().filter(|gsn| *gsn != NO_GSN)
    }

    /// The lowest GSN pushed but not yet durable.
    pub fn synced_below(&self) -> Option<u64> {
        if self.options.log.faults.has(Fault::DurableTooEarly) {
            return self
                .queue
                .iter()
                .map(|group| group.first_gsn)
                .min()
                .filter(|gsn| *gsn != NO_GSN);
        }
        self.groups().map(|group| group.first_gsn).min().filter(|gsn| *gsn != NO_GSN)
    }

    /// All groups that are not durable.
    fn groups(&self) -> impl Iterator<Item = &Group> {
        self.in_flight.iter().map(|write| &write.group).chain(&self.queue)
    }

    /// The highest GSN pushed, 0 when there is none.
    pub fn last_gsn(&self) -> u64 {
        self.last_gsn
    }

    /// Bytes pushed and not yet durable.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// True when writers must be held back: too many bytes wait, or there is no segment to write into.
    pub fn is_stalled(&self) -> bool {
        self.pending_bytes >= self.options.pending_bytes_max
            || (!self.queue.is_empty() && !self.segments.has_room(self.options.mode.segment_kind()))
    }

    /// Whether writes may be accepted.
    pub fn health(&self) -> Health {
        if self.fatal {
            Health::Fatal
        } else if self.write_full_at_ms.is_some() || self.segments.is_full() {
            Health::DiskFull
        } else {
            Health::Ok
        }
    }

    /// True while frames whose write failed are on their way to a fresh segment.
    pub fn is_failing_over(&self) -> bool {
        self.draining || self.failover_through.is_some()
    }

    /// The text of the last I/O error, for `-MISCONF` and the server's log.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// When to sync.
    pub fn mode(&self) -> SyncMode {
        self.options.mode
    }

    /// Changes when to sync. Between segments that are filled before and segments that are not, the segment is rotated, and
    /// spares of the other kind are made anew.
    pub fn set_mode(&mut self, mode: SyncMode) {
        let other_kind = mode.segment_kind() != self.options.mode.segment_kind();
        self.options.mode = mode;
        if other_kind {
            self.segments.change_kind(mode.segment_kind());
            self.segments.close_current();
            self.request_sync();
        }
    }

    /// Tells the time, which never runs backwards, in milliseconds. Call it about ten times a second.
    pub fn tick(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
        self.segments.tick(self.now_ms);
        let interval_ms = match self.options.mode {
            SyncMode::Always | SyncMode::EverySec => self.options.sync_interval_ms,
            SyncMode::No => NO_INTERVAL_MS,
        };
        if let Some(group) = self.queue.back_mut() {
            group.is_due |= self.now_ms.saturating_sub(group.since_ms) >= interval_ms;
        }
        self.retry_after_full();
    }

    /// Asks for all that was pushed to be made durable now: `WAITAOF`, shutdown.
    pub fn request_sync(&mut self) {
        self.queue.iter_mut().for_each(|group| group.is_due = true);
    }

    /// Has the following frames begin a new segment: at a snapshot's cut, so that what the cut covers can be retired.
    pub fn rotate(&mut self) {
        self.rotate_next = true;
    }

    /// True when all that was pushed is durable.
    pub fn is_idle(&self) -> bool {
        self.synced_below().is_none()
    }

    /// Ends a failover once everything that had failed is written.
    fn settle_failover(&mut self) {
        if let Some(through) = self.failover_through
            && self.synced_below().is_none_or(|lowest| lowest > through)
        {
            self.failover_through = None;
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn note(&mut self, what: &str, segment: SegmentId, error: &io::Error) {
        self.last_error = Some(format!("{what} of {segment}: {error}"));
    }

    fn reuse(&mut self, mut buf: AlignedBuf) {
        if self.pool.len() < POOL_LEN_MAX && buf.capacity() <= POOL_BYTES_MAX {
            buf.truncate(0);
            self.pool.push(buf);
        }
    }

    /// Finds the place of a group of `len` bytes, rotating where needed; `None` when there is no segment for it.
    fn place(&mut self, len: u64, new_segment: bool, last_gsn: u64) -> Option<(SegmentId, u64)> {
        let kind = self.options.mode.segment_kind();
        if !self.segments.current_takes(kind, len, new_segment) {
            if !self.segments.has_spare() {
                return None;
            }
            self.segments.close_current();
            self.segments.open_spare();
        }
        self.segments.append(len, last_gsn)
    }
}

/// Whether an error says that there is no space.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod sealed_tests;
#[cfg(test)]
mod tests;
