//! Which batches of a shard are closed and safe, and so which replies may leave: the commit step without its I/O.
//!
//! ```text
//!   executed: note_key ─> open batch ── close (GSN) ──> closed ── release (all GSNs up to its own are safe) ──> released
//!                              ^ hold: a transaction over the whole shard waits for its GSN
//! ```
//!
//! Invariant: batches are closed, and released, in their order. A reply that waits for a batch leaves when it is released;
//! so does one that only saw what the batch wrote.

use std::collections::VecDeque;

use super::{Fault, Faults, SyncMode, Watermarks};

/// Number of a batch; 0: none.
pub type BatchId = u64;

/// Slots of the table "which batch wrote this key last"; a collision makes a reply wait for nothing.
const SLOTS: usize = 1 << 14;

/// A shard's batches.
#[derive(Debug)]
pub struct Batches {
    /// Number of the batch that is open.
    open: BatchId,
    /// Every batch up to this one is safe.
    released: BatchId,
    /// Closed batches that are not released, with their GSN.
    closed: VecDeque<(BatchId, u64)>,
    /// Batches may not close: a transaction over the whole shard waits for its GSN.
    holds: u32,
    /// Reads may see a batch that is not released.
    tracks_reads: bool,
    /// By slot of the key's hash, the batch that wrote it last.
    recent: Box<[BatchId]>,
    /// A power of two.
    slots: usize,
    faults: Faults,
}

impl Default for Batches {
    fn default() -> Batches {
        Batches {
            open: 1,
            released: 0,
            closed: VecDeque::new(),
            holds: 0,
            tracks_reads: false,
            recent: Box::new([]),
            slots: SLOTS,
            faults: Faults::NONE,
        }
    }
}

impl Batches {
    /// With so many slots for keys, rounded up to a power of two.
    pub fn with_slots(slots: usize) -> Batches {
        Batches { slots: slots.max(1).next_power_of_two(), ..Batches::default() }
    }

    /// A log begins, of one of `shards` shards. The open batch is empty.
    pub fn begin(&mut self, mode: SyncMode, shards: usize, faults: Faults) {
        self.faults = faults;
        self.recent = vec![0; self.slots].into_boxed_slice();
        self.set_mode(mode, shards);
    }

    /// `appendfsync` changes. The open batch is empty.
    pub fn set_mode(&mut self, mode: SyncMode, shards: usize) {
        let tracked = self.tracks_reads;
        self.tracks_reads = shards > 1 || mode == SyncMode::Always;
        if self.tracks_reads && !tracked {
            // Nobody noted who wrote which key until now.
            self.recent.fill(self.last_closed().unwrap_or(0));
        }
    }

    /// The log is given up: whatever still waits for it is released.
    pub fn end(&mut self) {
        self.tracks_reads = false;
        self.recent = Box::new([]);
        self.closed.clear();
        self.released = self.open;
        self.open += 1;
    }

    /// Number of the open batch.
    #[inline]
    pub fn open(&self) -> BatchId {
        self.open
    }

    /// Every batch up to this one is safe.
    #[inline]
    pub fn released(&self) -> BatchId {
        self.released
    }

    /// The batch that was closed last and is not released.
    #[inline]
    pub fn last_closed(&self) -> Option<BatchId> {
        self.closed.back().map(|(batch, _)| *batch)
    }

    /// The batch that is to be released next, and its GSN.
    #[inline]
    pub fn next_to_release(&self) -> Option<(BatchId, u64)> {
        self.closed.front().copied()
    }

    /// The batch that a reply about this key waits for; a write makes it the open one.
    #[inline]
    pub fn note_key(&mut self, key: u64, wrote: bool) -> BatchId {
        if !self.tracks_reads || self.faults.has(Fault::ReadsNotHeld) {
            return if wrote { self.open } else { 0 };
        }
        let open = self.open;
        let Some(recent) = self.slot(key) else { return 0 };
        if wrote {
            *recent = open;
        }
        let batch = *recent;
        if batch > self.released { batch } else { 0 }
    }

    #[inline]
    fn slot(&mut self, key: u64) -> Option<&mut BatchId> {
        let at = usize::try_from(key).unwrap_or_default() & (self.slots - 1);
        self.recent.get_mut(at)
    }

    /// Keeps batches from closing, and replies from leaving, until [`Batches::unhold`].
    pub fn hold(&mut self) {
        self.holds += 1;
    }

    /// Ends one [`Batches::hold`].
    pub fn unhold(&mut self) {
        self.holds = self.holds.saturating_sub(1);
    }

    /// True while a transaction over the whole shard waits for its GSN.
    #[inline]
    pub fn is_held(&self) -> bool {
        self.holds > 0
    }

    /// The open batch is closed under this GSN; gives its number, which its replies wait for.
    #[inline]
    pub fn close(&mut self, gsn: u64) -> BatchId {
        let batch = self.open;
        self.open += 1;
        self.closed.push_back((batch, gsn));
        batch
    }

    /// The GSN of another shard's transaction changed keys of this one: replies about them wait for it.
    /// With `all` any key of the shard may be changed. The open batch is empty.
    pub fn note_foreign(&mut self, gsn: u64, keys: impl IntoIterator<Item = u64>, all: bool) {
        if self.faults.has(Fault::ForeignNotNoted) {
            return;
        }
        // GSNs of the queue must not fall, so a smaller one waits a little longer than it had to.
        let gsn = self.closed.back().map_or(gsn, |(_, last)| gsn.max(*last));
        let batch = self.close(gsn);
        if all {
            self.recent.fill(batch);
        }
        for key in keys {
            if let Some(recent) = self.slot(key) {
                *recent = batch;
            }
        }
    }

    /// Releases what is safe by now.
    #[inline]
    pub fn release(&mut self, mode: SyncMode, marks: &Watermarks) {
        let mut safe = if mode == SyncMode::Always { marks.synced() } else { marks.written() };
        if self.faults.has(Fault::ReleasedAtOnce) {
            safe = u64::MAX;
        }
        while let Some((batch, gsn)) = self.next_to_release() {
            if gsn > safe {
                break;
            }
            self.released = batch;
            self.closed.pop_front();
        }
    }

    /// Whether batches wait to be released.
    #[inline]
    pub fn are_waiting(&self) -> bool {
        !self.closed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_wait_for_what_was_written_before_anybody_noted_who_wrote_which_key() {
        let (marks, mut batches) = (Watermarks::new(1, 1), Batches::default());
        batches.begin(SyncMode::EverySec, 1, Faults::NONE);
        let written = batches.note_key(7, true);
        let gsn = marks.take_gsn(0);
        assert_eq!(batches.close(gsn), written);
        assert_eq!(batches.note_key(7, false), 0);
        batches.set_mode(SyncMode::Always, 1);
        assert_eq!(batches.note_key(7, false), written);
        marks.publish(0, None, None);
        batches.release(SyncMode::Always, &marks);
        assert_eq!(batches.note_key(7, false), 0);
    }

    #[test]
    fn batches_are_released_in_their_order_and_foreign_ones_with_them() {
        let (marks, mut batches) = (Watermarks::new(2, 1), Batches::default());
        batches.begin(SyncMode::Always, 2, Faults::NONE);
        let foreign = marks.take_gsn(1);
        let own = batches.close(marks.take_gsn(0));
        batches.note_foreign(foreign, [3], false);
        let read = batches.note_key(3, false);
        assert!(read > own);
        marks.publish(1, None, None);
        batches.release(SyncMode::Always, &marks);
        assert_eq!(batches.released(), 0);
        marks.publish(0, None, None);
        batches.release(SyncMode::Always, &marks);
        assert_eq!((batches.released(), batches.note_key(3, false)), (read, 0));
    }
}
