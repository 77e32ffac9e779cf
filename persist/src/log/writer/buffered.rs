//! `everysec` and `no`: plain appends before replies leave, synced in the background.

use std::io;

use super::{Group, LogWriter, SegmentKind, SyncRequest, Ticket, is_full, placed_len};
use crate::disk::BLOCK_BYTES;
use crate::log::SegmentId;

/// A group that is being written.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) group: Group,
    segment: SegmentId,
    offset: u64,
    /// Length of its frames in bytes; what follows is padding.
    len: usize,
    done: usize,
    retries: u32,
}

impl Writing {
    /// The group as it was queued.
    fn into_group(mut self) -> Group {
        self.group.buf.truncate(self.len);
        self.group
    }
}

/// Bytes from `end` to the end of its block.
fn padding(end: u64) -> usize {
    let blocks_end = end.next_multiple_of(BLOCK_BYTES as u64);
    usize::try_from(blocks_end - end).unwrap_or(0)
}

/// A segment with frames that are written and not durable.
#[derive(Debug)]
pub(super) struct Dirty {
    pub(super) segment: SegmentId,
    /// The lowest GSN that is not durable.
    pub(super) first_gsn: u64,
    /// The highest GSN written.
    last_gsn: u64,
    /// The sync under way.
    pub(super) in_sync: Option<Ticket>,
    /// The first GSN written since that sync was asked for.
    first_gsn_after: Option<u64>,
    /// A sync is due.
    pub(super) wanted: bool,
    /// A sync failed: what is here will never be durable in this file.
    broken: bool,
}

/// How often a write may end without any progress before it counts as failed.
const IDLE_RETRIES_MAX: u32 = 16;

impl LogWriter {
    /// The bytes to append now: write them at that offset with one `pwrite`, and tell [`LogWriter::buffered_done`]. Ask again
    /// until there is nothing.
    pub fn take_buffered(&mut self) -> Option<(SegmentId, u64, &[u8])> {
        if self.fatal || self.draining || (self.write_full_at_ms.is_some() && !self.retry_now) {
            return None;
        }
        if self.writing.is_none() {
            if self.options.mode.segment_kind() != SegmentKind::Buffered {
                return None;
            }
            let front = self.queue.front()?;
            let len = placed_len(front.buf.len(), SegmentKind::Buffered);
            let (new_segment, last_gsn) = (front.new_segment, front.last_gsn);
            let (segment, offset) = self.place(len, new_segment, last_gsn)?;
            let mut group = self.queue.pop_front()?;
            group.seal(&self.options.log, segment);
            let len = group.buf.len();
            // Up to the end of the block, where nothing valid lies: a page that is written whole need not be read first.
            group.buf.pad(padding(offset + len as u64));
            self.writing = Some(Writing { group, segment, offset, len, done: 0, retries: 0 });
        }
        let writing = self.writing.as_ref()?;
        let rest = writing.group.buf.as_slice().get(writing.done..)?;
        Some((writing.segment, writing.offset + writing.done as u64, rest))
    }

    /// Tells how the append that [`LogWriter::take_buffered`] gave ended.
    pub fn buffered_done(&mut self, result: io::Result<usize>) {
        let Some(mut writing) = self.writing.take() else { return };
        let segment = writing.segment;
        self.retry_now = false;
        match result {
            Ok(n) if writing.done + n >= writing.len => {
                self.write_full_at_ms = None;
                self.appended(writing);
            }
            Ok(n) if n > 0 || writing.retries < IDLE_RETRIES_MAX => {
                writing.retries = if n > 0 { 0 } else { writing.retries + 1 };
                writing.done += n;
                self.writing = Some(writing);
            }
            Ok(_) => self.append_failed(writing, &io::ErrorKind::WriteZero.into()),
            Err(error) if is_full(&error) => {
                self.note("write", segment, &error);
                // `take_buffered` gives it again at the tick that finds the time to be up.
                self.write_full_at_ms = Some(self.now_ms);
                self.writing = Some(writing);
            }
            Err(error)
                if error.kind() == io::ErrorKind::Interrupted
                    && writing.retries < IDLE_RETRIES_MAX =>
            {
                writing.retries += 1;
                self.writing = Some(writing);
            }
            Err(error) => self.append_failed(writing, &error),
        }
    }

    fn appended(&mut self, writing: Writing) {
        let Writing { group, segment, len, .. } = writing;
        self.pending_bytes = self.pending_bytes.saturating_sub(len);
        self.settle_failover();
        match self.dirty.iter_mut().find(|d| d.segment == segment) {
            Some(dirty) => {
                dirty.last_gsn = dirty.last_gsn.max(group.last_gsn);
                // What a failed direct write brings back may be older than what is here.
                dirty.first_gsn = dirty.first_gsn.min(group.first_gsn);
                if dirty.in_sync.is_some() {
                    let after = dirty.first_gsn_after.get_or_insert(group.first_gsn);
                    *after = (*after).min(group.first_gsn);
                }
            }
            None => {
                if self.dirty.is_empty() {
                    // The interval runs from the first write that needs it.
                    self.last_sync_ms = self.last_sync_ms.max(self.now_ms);
                }
                self.dirty.push_back(Dirty {
                    segment,
                    first_gsn: group.first_gsn,
                    last_gsn: group.last_gsn,
                    in_sync: None,
                    first_gsn_after: None,
                    wanted: !self.segments.is_current(segment),
                    broken: false,
                });
            }
        }
        self.reuse(group.buf);
    }

    /// An append failed for another reason than space: the rest goes to a fresh segment, and what this file holds unsynced
    /// is doubtful.
    fn append_failed(&mut self, writing: Writing, error: &io::Error) {
        let segment = writing.segment;
        let group = writing.into_group();
        self.note("write", segment, error);
        if self.failover_through.is_some() {
            self.fatal = true;
        }
        self.failover_through = Some(group.last_gsn);
        self.break_segment(segment);
        self.queue.push_front(group);
        self.segments.distrust(segment);
        if self.segments.is_current(segment) {
            self.segments.abandon_current();
        }
    }

    /// Asks for all that is written to be made durable: `WAITAOF`, shutdown, and `tick` in `everysec`.
    pub fn request_sync(&mut self) {
        self.dirty.iter_mut().filter(|d| !d.broken).for_each(|d| d.wanted = true);
    }

    /// The next sync to submit, if one is due. Ask after every `tick`, `take_buffered` and `request_sync`.
    pub fn next_sync(&mut self) -> Option<SyncRequest> {
        let ticket = Ticket(self.next_ticket + 1);
        let busy = self.writing.as_ref().map(|w| w.segment);
        let dirty = self
            .dirty
            .iter_mut()
            .find(|d| d.wanted && !d.broken && d.in_sync.is_none() && Some(d.segment) != busy)?;
        dirty.wanted = false;
        dirty.in_sync = Some(ticket);
        dirty.first_gsn_after = None;
        self.next_ticket += 1;
        Some(SyncRequest { ticket, segment: dirty.segment })
    }

    /// Tells how a sync ended. After an error the file is given up: the kernel may have dropped what it could not write,
    /// so that the next sync would lie.
    pub fn sync_done(&mut self, ticket: Ticket, result: io::Result<()>) {
        let Some(at) = self.dirty.iter().position(|d| d.in_sync == Some(ticket)) else { return };
        let Some(dirty) = self.dirty.get_mut(at) else { return };
        dirty.in_sync = None;
        let segment = dirty.segment;
        match result {
            Ok(()) if dirty.broken => {}
            Ok(()) => match dirty.first_gsn_after.take() {
                Some(first) => dirty.first_gsn = first,
                None => {
                    self.dirty.remove(at);
                }
            },
            Err(error) => {
                self.note("sync", segment, &error);
                self.segments.distrust(segment);
                self.break_segment(segment);
                self.close_current_if(segment);
            }
        }
    }

    fn break_segment(&mut self, segment: SegmentId) {
        let mut through = None;
        for dirty in self.dirty.iter_mut().filter(|d| d.segment == segment) {
            (dirty.broken, dirty.wanted) = (true, false);
            // A file with nothing but marks is no loss.
            through = through.max(Some(dirty.last_gsn).filter(|gsn| *gsn > 0));
        }
        self.broken_through = self.broken_through.max(through);
    }

    fn close_current_if(&mut self, segment: SegmentId) {
        if let Some(writing) = self.writing.take_if(|w| w.segment == segment) {
            // Half appended to a file that is given up: begin again in the next.
            self.queue.push_front(writing.into_group());
        }
        if self.segments.is_current(segment) {
            self.segments.abandon_current();
        }
    }

    /// A cut is durable: frames at or below it need no sync any more.
    pub(super) fn forget_dirty_below(&mut self, cut: u64) {
        self.dirty.retain(|d| d.last_gsn > cut);
        if self.broken_through.is_some_and(|through| through <= cut) {
            self.broken_through = None;
        }
    }

    pub(super) fn is_dirty(&self, segment: SegmentId) -> bool {
        self.dirty.iter().any(|d| d.segment == segment)
            || self.writing.as_ref().is_some_and(|w| w.segment == segment)
    }
}
