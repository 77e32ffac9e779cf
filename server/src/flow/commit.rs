//! Step 6: the batch of a pass is closed, gets its number, and goes into the log.
//!
//! ```text
//!   effects ─ close ─> GSN ─> LogWriter ─> disk ─> watermark ─> released ─> replies leave
//!                                 through the ring, several groups in flight; in `everysec` and `no`
//!                                 once they are large or old; until then they are in a stage's memory
//! ```
//!
//! Invariant: no reply leaves before its batch is released, and a batch is released when every GSN up to its own is written
//! (`everysec`, `no`) or durable (`always`) on *all* shards.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ringstone_engine::{Error, Keyspace};
use ringstone_persist::disk::aligned::AlignedBuf;
use ringstone_persist::disk::block_on;
use ringstone_persist::log::writer::Ticket;
use ringstone_persist::log::{
    Batches, Faults, FrameKind, Health, LogWriter, SegmentId, StagePreparation, SyncMode,
    WriteRequest, prepare_segment, prepare_stage,
};

use super::intake::kind;
use crate::conn::{BatchId, ConnId};
use crate::failpoint::{DISK, Step, pass, reach};
use crate::map::Map;
use crate::msg::Msg;
use crate::rt::file::LogFile;
use crate::rt::ring::{Completion, Token};
use crate::shard::Shard;
use crate::shared::Saving;
use crate::tx::locks::KeyHash;

/// A shard's log and what waits for it.
pub struct Commit {
    log: Option<Log>,
    /// A log that begins with the next snapshot's cut.
    offered: Option<(LogWriter, PathBuf)>,
    batches: Batches,
    waiting: VecDeque<(BatchId, ConnId)>,
    messages: VecDeque<(BatchId, usize, Msg)>,
}

struct Log {
    writer: LogWriter,
    dir: PathBuf,
    files: Map<SegmentId, LogFile>,
    in_flight: Map<u64, WriteRequest>,
    /// Nothing more goes into it; what is in it is still made durable.
    is_ending: bool,
    /// It takes nothing now, and all shards know.
    is_unwell: bool,
}

impl Commit {
    /// The commit step of one of `shards` shards, with the log's writer and directory if there is a log.
    pub fn new(log: Option<(LogWriter, PathBuf)>, shards: usize) -> Commit {
        let mut commit = Commit {
            log: None,
            offered: None,
            batches: Batches::default(),
            waiting: VecDeque::new(),
            messages: VecDeque::new(),
        };
        if let Some((writer, dir)) = log {
            commit.begin_log(writer, dir, shards);
        }
        commit
    }

    fn begin_log(&mut self, writer: LogWriter, dir: PathBuf, shards: usize) {
        self.batches.begin(writer.mode(), shards, Faults::NONE);
        let (files, in_flight) = (Map::default(), Map::default());
        let (is_ending, is_unwell) = (false, false);
        self.log = Some(Log { writer, dir, files, in_flight, is_ending, is_unwell });
    }

    /// Gives a log to begin with the next snapshot's cut; `None` takes it back.
    pub fn offer_log(&mut self, log: Option<(LogWriter, PathBuf)>) {
        self.offered = log;
    }

    /// Begins the log that was offered; false when none was. The open batch is empty.
    pub fn begin_offered(&mut self, shards: usize) -> bool {
        let Some((writer, dir)) = self.offered.take() else { return false };
        self.begin_log(writer, dir, shards);
        true
    }

    /// Nothing more goes into the log from here on. The open batch is empty.
    pub fn stop_logging(&mut self) {
        if let Some(log) = &mut self.log {
            log.is_ending = true;
        }
    }

    /// Gives up a log that nothing more goes into, releasing whatever still waits for it; false while the kernel works on it.
    pub fn drop_log(&mut self) -> bool {
        match &self.log {
            Some(log) if !log.in_flight.is_empty() => return false,
            Some(_) | None => {}
        }
        self.log = None;
        self.batches.end();
        true
    }

    /// True when writes go into a log.
    pub fn has_log(&self) -> bool {
        self.log.as_ref().is_some_and(|log| !log.is_ending)
    }

    /// True when replies may have to wait.
    pub fn holds_replies(&self) -> bool {
        self.log.is_some()
    }

    /// Number of the open batch.
    pub fn open_batch(&self) -> BatchId {
        self.batches.open()
    }

    /// Every batch up to this one is safe.
    pub fn released(&self) -> BatchId {
        self.batches.released()
    }

    /// The batch that a reply about this key waits for; a write makes it the open one.
    pub fn note_key(&mut self, key: KeyHash, wrote: bool) -> BatchId {
        self.batches.note_key(key, wrote)
    }

    /// The last batch that changed anything, for replies about the whole keyspace; 0 without a log, as nothing is waited for.
    pub fn last_batch(&self, keyspace: &Keyspace) -> BatchId {
        if !self.holds_replies() {
            0
        } else if !keyspace.effects.is_empty() {
            self.batches.open()
        } else {
            self.batches.last_closed().unwrap_or(0)
        }
    }

    /// Sends a message to another shard as soon as `batch` is safe (0: with this pass).
    pub fn send_when_safe(&mut self, batch: BatchId, to: usize, message: Msg) {
        self.messages.push_back((batch, to, message));
    }

    /// Looks at the connection again when more batches are safe.
    pub fn wait_for_release(&mut self, conn: ConnId) {
        let next = self.batches.next_to_release();
        let batch = next.map_or(self.batches.open(), |(batch, _)| batch);
        self.waiting.push_back((batch, conn));
    }

    /// Keeps batches from closing, and replies from leaving, until [`Commit::unhold`].
    pub fn hold(&mut self) {
        self.batches.hold();
    }

    /// Ends one [`Commit::hold`].
    pub fn unhold(&mut self) {
        self.batches.unhold();
    }

    /// True while a transaction over the whole shard waits for its GSN.
    pub fn is_held(&self) -> bool {
        self.batches.is_held()
    }

    /// True when writers have to wait because the disk is behind.
    pub fn is_stalled(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.writer.is_stalled())
    }

    /// An error when writes cannot be made durable now.
    pub fn check_writable(&self, stop_on_save_error: bool, saving: &Saving) -> Result<(), Error> {
        if let Some(why) = saving.why_unwell() {
            return Err(Error::owned(format!("MISCONF Errors writing to the AOF file: {why}")));
        }
        if stop_on_save_error && saving.last_failed.load(Ordering::Relaxed) {
            return Err(Error::text(
                "MISCONF Ringstone is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands \
                 that may modify the data set are disabled, because this instance is configured to report errors during \
                 writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the log for details \
                 about the RDB error.",
            ));
        }
        Ok(())
    }

    /// True when the log takes nothing now, and all shards know.
    pub fn is_unwell(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.is_unwell)
    }

    /// Health of the log, its last error, and bytes that wait to be written.
    pub fn health(&self) -> (Health, Option<String>, usize) {
        self.log.as_ref().map_or((Health::Ok, None, 0), |log| {
            (
                log.writer.health(),
                log.writer.last_error().map(str::to_owned),
                log.writer.pending_bytes(),
            )
        })
    }

    /// True when all that was pushed is durable.
    pub fn is_clean(&self) -> bool {
        self.log.as_ref().is_none_or(|log| log.writer.is_idle())
    }

    /// The writer, for cuts, mode changes and shutdown.
    pub fn writer(&mut self) -> Option<&mut LogWriter> {
        self.log.as_mut().map(|log| &mut log.writer)
    }

    /// Changes `appendfsync`.
    pub fn set_mode(&mut self, mode: SyncMode, shards: usize) {
        if let Some(log) = &mut self.log {
            log.writer.set_mode(mode);
            self.batches.set_mode(mode, shards);
        }
    }

    /// The GSN of another shard's transaction changed keys of this one: replies about them wait for it.
    /// With `all` any key of the shard may be changed.
    pub fn note_foreign(&mut self, gsn: u64, keys: &[KeyHash], all: bool) {
        self.batches.note_foreign(gsn, keys.iter().copied(), all);
    }
}

impl Shard {
    /// The end of a pass: what was written becomes safe, and what is safe leaves.
    pub(crate) fn commit_and_reply(&mut self) -> bool {
        let mut worked = false;
        if !self.commit.is_held() {
            self.close_batch();
            self.flush_stream();
            worked |= self.drive_log();
            worked |= self.release();
            self.flush_replies();
        }
        let net = &mut self.net;
        self.mesh.flush(|fd| net.wake_peer(fd, Token::new(kind::IGNORE, 0)));
        worked || !self.dirty.is_empty() || self.commit.is_held()
    }

    /// Gives the effects of the open batch their number and their place in the log.
    pub(crate) fn close_batch(&mut self) {
        if self.commit.is_held() {
            return;
        }
        if self.keyspace.effects.is_empty() {
            self.close_words();
            return;
        }
        let changes = i64::try_from(self.keyspace.effects.count()).unwrap_or(i64::MAX);
        self.shared.saving.changes.fetch_add(changes, Ordering::Relaxed);
        let mut effects = self.keyspace.effects.take();
        self.append(FrameKind::Batch, effects.bytes());
        self.feed(&effects, false);
        effects.clear();
        self.keyspace.effects = effects;
    }

    /// The same where nothing was changed, but replicas may be told something.
    fn close_words(&mut self) {
        if !self.keyspace.effects.notes().is_empty() {
            let mut effects = self.keyspace.effects.take();
            self.feed(&effects, false);
            effects.clear();
            self.keyspace.effects = effects;
        }
    }

    /// Appends a frame and says which batch its replies wait for, and its GSN.
    pub(crate) fn append(&mut self, frame: FrameKind, records: &[u8]) -> (BatchId, Option<u64>) {
        let Some(log) = self.commit.log.as_mut().filter(|log| !log.is_ending) else {
            return (0, None);
        };
        let gsn = self.shared.watermarks.take_gsn(self.index);
        let wall_ms = u64::try_from(self.now_ms).unwrap_or(0);
        if let Err(e) =
            log.writer.push(gsn, wall_ms, self.shared.watermarks.synced(), frame, records)
        {
            // Nothing may be acknowledged from here on: the log has no place for what was done.
            tracing::error!("the log of shard {} is broken: {e}", self.index);
            std::process::abort();
        }
        self.shared.saving.log_bytes.fetch_add(records.len() as u64 + 64, Ordering::Relaxed);
        (self.commit.batches.close(gsn), Some(gsn))
    }

    fn drive_log(&mut self) -> bool {
        let Some(log) = &mut self.commit.log else { return false };
        let (mut worked, mut failed) = (false, false);
        while let Some(request) = log.writer.next_write() {
            worked = true;
            pass(Step::LogSubmit);
            let token = Token::new(kind::LOG_WRITE, request.ticket.to_u64());
            match open_segment(&mut log.files, &log.dir, request.segment) {
                Ok(file) => {
                    self.net.write_at(file.fd(), request.bytes(), request.offset, token);
                    log.in_flight.insert(request.ticket.to_u64(), request);
                }
                Err(e) => {
                    tracing::error!("{} cannot be opened: {e}", request.segment);
                    let ticket = request.ticket;
                    drop(request);
                    log.writer.write_done(ticket, Err(e));
                    failed = true;
                }
            }
        }
        if failed {
            self.note_log_health();
        }
        self.prepare_segments();
        worked
    }

    /// Has the helper make the segments ready that the log will need.
    pub(crate) fn prepare_segments(&mut self) {
        let Some(log) = &mut self.commit.log else { return };
        let (shared, index) = (&self.shared, self.index);
        while let Some(job) = log.writer.next_preparation() {
            shared.archive.note_segment();
            if let Some(old) = job.recycle {
                log.files.remove(&old);
            }
            let (dir, back) = (log.dir.clone(), Arc::clone(shared));
            shared.helper.run(move || {
                let result = block_on(prepare_segment(&DISK, &dir, &job));
                back.post(index, move |shard| shard.on_segment_prepared(job.id, result));
            });
        }
        while let Some(job) = log.writer.next_stage() {
            let (dir, back) = (log.dir.clone(), Arc::clone(shared));
            shared.helper.run(move || {
                let result = block_on(prepare_stage(&DISK, &dir, &job));
                back.post(index, move |shard| shard.on_stage_prepared(&job, result));
            });
        }
        while let Some(old) = log.writer.next_removal() {
            log.files.remove(&old);
            let path = log.dir.join(old.file_name());
            shared.helper.run(move || {
                let removed = reach(Step::SegmentRemove).and_then(|()| std::fs::remove_file(&path));
                if let Err(e) = removed {
                    tracing::warn!("{} could not be removed: {e}", path.display());
                }
            });
        }
    }

    fn on_segment_prepared(&mut self, id: SegmentId, result: std::io::Result<()>) {
        let Some(log) = &mut self.commit.log else { return };
        match result {
            Ok(()) => log.writer.spare_ready(id),
            Err(e) => log.writer.spare_failed(id, &e),
        }
        self.note_log_health();
    }

    /// Lets all shards, and the operator, know when this one's log takes nothing any more, and when it does again.
    fn note_log_health(&mut self) {
        let (index, saving) = (self.index, &self.shared.saving);
        let Some(log) = &mut self.commit.log else { return };
        if log.writer.health() == Health::Fatal {
            let why = log.writer.last_error().unwrap_or_default();
            tracing::error!(
                "the log cannot be written even into a fresh segment ({why}): stopping; nothing was acknowledged that is not as \
                 durable as appendfsync promises"
            );
            std::process::exit(1);
        }
        let is_unwell = log.writer.health() != Health::Ok;
        if is_unwell == std::mem::replace(&mut log.is_unwell, is_unwell) {
            return;
        }
        if is_unwell {
            let why = log.writer.last_error().unwrap_or("no space for the log");
            tracing::error!(
                "the log of shard {index} in {} cannot go on: {why}. Writes are refused until it can.",
                log.dir.display()
            );
            saving.note_unwell(why);
        } else {
            saving.note_well();
            tracing::warn!("the log of shard {index} goes on: there is space again");
        }
    }

    fn on_stage_prepared(&mut self, job: &StagePreparation, result: std::io::Result<AlignedBuf>) {
        let Some(log) = &mut self.commit.log else { return };
        if let Err(e) = &result {
            tracing::warn!(
                "a stage of the log cannot be prepared in {}: {e}. Until it can, replies wait for the disk.",
                log.dir.display()
            );
        }
        log.writer.stage_prepared(job, result);
    }

    pub(crate) fn on_log_written(&mut self, completion: Completion) {
        let Some(log) = &mut self.commit.log else { return };
        let number = completion.token.id();
        drop(log.in_flight.remove(&number));
        let result = completion.to_result().and_then(|n| reach(Step::LogWritten).map(|()| n));
        if let Err(e) = &result {
            tracing::error!("a write to the log of shard {} failed: {e}", self.index);
        }
        log.writer.write_done(Ticket::from_u64(number), result);
        self.note_log_health();
    }

    /// Publishes how far this shard's log is, and releases the batches that are safe by now.
    fn release(&mut self) -> bool {
        let commit = &mut self.commit;
        if let Some(log) = &commit.log {
            let marks = &self.shared.watermarks;
            marks.publish(self.index, log.writer.written_below(), log.writer.synced_below());
            commit.batches.release(log.writer.mode(), marks);
            self.shared.set_waiting(self.index, commit.batches.are_waiting());
            if self.mesh.shards() > 1 {
                let (net, index) = (&mut self.net, self.index);
                for peer in self.shared.waiting_peers(index) {
                    self.mesh.wake_one(peer, |fd| net.wake_peer(fd, Token::new(kind::IGNORE, 0)));
                }
            }
        }
        let (mut worked, mut here) = (false, Vec::new());
        while commit
            .messages
            .front()
            .is_some_and(|(batch, _, _)| *batch <= commit.batches.released())
        {
            let Some((_, to, message)) = commit.messages.pop_front() else { break };
            worked = true;
            if to == self.index {
                here.push(message);
            } else {
                self.mesh.send(to, message);
            }
        }
        while commit.waiting.front().is_some_and(|(batch, _)| *batch <= commit.batches.released()) {
            let Some((_, id)) = commit.waiting.pop_front() else { break };
            worked = true;
            if let Some(conn) = self.conns.get(id)
                && !conn.dirty
            {
                conn.dirty = true;
                self.dirty.push(id);
            }
        }
        here.into_iter().for_each(|message| self.on_message(message));
        worked
    }

    /// True while something is about to be safe that no completion of this shard will announce.
    pub(crate) fn must_poll(&mut self) -> bool {
        let commit = &self.commit;
        if commit.is_held() {
            return true;
        }
        let Some((_, gsn)) = commit.batches.next_to_release() else { return false };
        match self.commit.log.as_ref().map(|log| log.writer.mode()) {
            Some(SyncMode::Always) => self.shared.watermarks.synced() >= gsn,
            Some(_) => log_is_written(&self.commit) || self.shared.watermarks.written() >= gsn,
            None => false,
        }
    }
}

/// This shard has written all of its own, so that a peer in the middle of its write is all that is missing.
fn log_is_written(commit: &Commit) -> bool {
    commit.log.as_ref().is_some_and(|log| log.writer.written_below().is_none())
}

fn open_segment<'a>(
    files: &'a mut Map<SegmentId, LogFile>,
    dir: &std::path::Path,
    segment: SegmentId,
) -> std::io::Result<&'a LogFile> {
    use hashbrown::hash_map::Entry;
    match files.entry(segment) {
        Entry::Occupied(open) => Ok(open.into_mut()),
        Entry::Vacant(vacant) => {
            reach(Step::LogOpen)?;
            Ok(vacant.insert(LogFile::open(&dir.join(segment.file_name()))?))
        }
    }
}
