//! Which segments a shard has: spares, the one being written, closed ones, and those that may be used again.

use std::collections::VecDeque;
use std::io;

use super::{LogWriter, WriterOptions};
use crate::log::segment::SEGMENT_HEADER_BYTES;
use crate::log::{Fault, LogId, Preparation, SegmentId, SegmentKind};

/// The segment being written.
#[derive(Debug)]
struct Current {
    id: SegmentId,
    kind: SegmentKind,
    /// Where the next group goes.
    at: u64,
    last_gsn: u64,
}

/// All segments of a shard.
#[derive(Debug)]
pub(super) struct Segments {
    log: LogId,
    shard: u32,
    size_bytes: u64,
    spares_wanted: usize,
    retry_after_ms: u64,
    kind: SegmentKind,
    next_seq: u64,
    preparing: Vec<Preparation>,
    spares: VecDeque<SegmentId>,
    current: Option<Current>,
    /// With the highest GSN in each.
    closed: Vec<(SegmentId, u64)>,
    retired: VecDeque<SegmentId>,
    /// Retired, but for the archive, which must have everything up to this GSN first.
    held: Vec<(SegmentId, u64)>,
    /// Everything up to this GSN is archived; none: there is no archive.
    archived_gsn: Option<u64>,
    /// Gave an I/O error once, or may hold what is in clear: not used again.
    distrusted: Vec<SegmentId>,
    removals: Vec<SegmentId>,
    /// When the last preparation failed, if none succeeded since.
    failed_at_ms: Option<u64>,
    now_ms: u64,
    /// Preparations wait until then.
    not_before_ms: u64,
}

impl Segments {
    pub(super) fn new(options: &WriterOptions) -> Self {
        let old = &options.old_segments;
        let reuses = options.log.faults.has(Fault::OldSegmentsReused);
        let is_free = |(_, last_gsn): &&(SegmentId, u64)| *last_gsn == 0 || reuses;
        // Files of earlier runs may hold what is in clear behind what this run would write over it.
        let recycles = options.cipher.is_none();
        let mut segments = Segments {
            log: options.log,
            shard: options.shard,
            size_bytes: options.segment_bytes,
            spares_wanted: options.spares,
            retry_after_ms: options.retry_after_ms,
            kind: options.mode.segment_kind(),
            next_seq: options.next_seq,
            preparing: Vec::new(),
            spares: VecDeque::new(),
            current: None,
            closed: old.iter().filter(|segment| !is_free(segment)).copied().collect(),
            retired: VecDeque::new(),
            held: Vec::new(),
            archived_gsn: options.archived_gsn,
            distrusted: old.iter().filter(|_| !recycles).map(|(id, _)| *id).collect(),
            removals: Vec::new(),
            failed_at_ms: None,
            now_ms: 0,
            not_before_ms: 0,
        };
        // What is below the first live ones holds nothing above the base's cut.
        old.iter().filter(is_free).for_each(|(id, _)| segments.retire(*id, options.cut_gsn));
        segments
    }

    pub(super) fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    pub(super) fn is_full(&self) -> bool {
        self.failed_at_ms.is_some()
    }

    pub(super) fn has_spare(&self) -> bool {
        !self.spares.is_empty()
    }

    pub(super) fn has_room(&self, kind: SegmentKind) -> bool {
        self.has_spare()
            || self.current.as_ref().is_some_and(|c| c.kind == kind && c.at < self.size_bytes)
    }

    pub(super) fn current_takes(&self, kind: SegmentKind, len: u64, new_segment: bool) -> bool {
        self.current.as_ref().is_some_and(|current| {
            let unused = current.at == SEGMENT_HEADER_BYTES as u64;
            // A group longer than a segment has one of its own, whose file grows.
            let fits = unused || current.at + len <= self.size_bytes;
            current.kind == kind && fits && (unused || !new_segment)
        })
    }

    pub(super) fn open_spare(&mut self) {
        let at = SEGMENT_HEADER_BYTES as u64;
        self.current =
            self.spares.pop_front().map(|id| Current { id, kind: self.kind, at, last_gsn: 0 });
    }

    pub(super) fn append(&mut self, len: u64, last_gsn: u64) -> Option<(SegmentId, u64)> {
        let current = self.current.as_mut()?;
        let offset = current.at;
        current.at += len;
        current.last_gsn = current.last_gsn.max(last_gsn);
        Some((current.id, offset))
    }

    /// Closes the current segment, keeping an unused one as the next spare of its kind.
    pub(super) fn close_current(&mut self) -> Option<SegmentId> {
        let current = self.current.take()?;
        if current.at > SEGMENT_HEADER_BYTES as u64 {
            self.closed.push((current.id, current.last_gsn));
        } else if current.kind == self.kind {
            self.spares.push_front(current.id);
        } else {
            self.retired.push_back(current.id);
        }
        Some(current.id)
    }

    /// Closes the current segment for good after an error, whatever is in it.
    pub(super) fn abandon_current(&mut self) {
        if let Some(current) = self.current.take() {
            self.closed.push((current.id, current.last_gsn));
        }
    }

    pub(super) fn distrust(&mut self, id: SegmentId) {
        if !self.distrusted.contains(&id) {
            self.distrusted.push(id);
        }
    }

    /// Gives up a segment that holds nothing above `gsn`, as soon as the archive has it.
    fn retire(&mut self, id: SegmentId, gsn: u64) {
        if self.archived_gsn.is_some_and(|archived| archived < gsn) {
            self.held.push((id, gsn));
        } else if self.distrusted.contains(&id) {
            self.distrusted.retain(|other| *other != id);
            self.removals.push(id);
        } else {
            self.retired.push_back(id);
        }
    }

    pub(super) fn change_kind(&mut self, kind: SegmentKind) {
        self.kind = kind;
        self.retired.extend(self.spares.drain(..));
    }

    fn wanted(&self) -> usize {
        if self.now_ms < self.not_before_ms {
            return 0;
        }
        let need = self.spares_wanted + usize::from(self.current.is_none());
        need.saturating_sub(self.spares.len() + self.preparing.len())
    }
}

impl LogWriter {
    /// How many segments should be made ready now.
    pub fn segments_wanted(&self) -> usize {
        self.segments.wanted()
    }

    /// The next segment to make ready on a helper thread with [`crate::log::prepare_segment`]; ask until there is none.
    pub fn next_preparation(&mut self) -> Option<Preparation> {
        let segments = &mut self.segments;
        if segments.wanted() == 0 {
            return None;
        }
        let job = Preparation {
            log: segments.log,
            id: SegmentId { shard: segments.shard, seq: segments.next_seq },
            kind: segments.kind,
            size_bytes: segments.size_bytes,
            recycle: segments.retired.pop_front(),
        };
        segments.next_seq += 1;
        segments.preparing.push(job);
        Some(job)
    }

    /// A segment is ready.
    pub fn spare_ready(&mut self, id: SegmentId) {
        let segments = &mut self.segments;
        let Some(at) = segments.preparing.iter().position(|job| job.id == id) else { return };
        let job = segments.preparing.swap_remove(at);
        segments.failed_at_ms = None;
        segments.not_before_ms = 0;
        if job.kind == segments.kind {
            // In the order of their numbers, as far as that is possible.
            let at = segments.spares.partition_point(|spare| *spare < id);
            segments.spares.insert(at, id);
        } else {
            segments.retired.push_back(id);
        }
    }

    /// A segment could not be made ready. Writes are refused until one can; the next attempt is due a while later.
    pub fn spare_failed(&mut self, id: SegmentId, error: &io::Error) {
        self.note("preparation", id, error);
        let segments = &mut self.segments;
        segments.preparing.retain(|job| job.id != id);
        segments.failed_at_ms = Some(segments.now_ms);
        segments.not_before_ms = segments.now_ms.saturating_add(segments.retry_after_ms);
    }

    /// The shard's first segment that still matters after a cut at `cut`, for the MANIFEST. It must be durable there before
    /// [`LogWriter::retire_below`] is called with the same cut.
    pub fn first_live_seq(&self, cut: u64) -> u64 {
        let segments = &self.segments;
        if segments.log.faults.has(Fault::FirstLiveTooHigh) {
            return segments.next_seq;
        }
        let closed = segments.closed.iter().filter(|(_, last)| *last > cut).map(|(id, _)| id);
        let open = segments.current.iter().map(|c| &c.id);
        let ready = segments.spares.iter().chain(segments.preparing.iter().map(|job| &job.id));
        closed
            .chain(open)
            .chain(ready)
            .filter(|id| id.shard == segments.shard)
            .map(|id| id.seq)
            .min()
            .unwrap_or(segments.next_seq)
    }

    /// A base snapshot with this cut, and a MANIFEST that names it, are durable: segments that hold nothing above it may be
    /// used again, and frames at or below it are durable by the base.
    pub fn retire_below(&mut self, cut: u64) {
        let closed = std::mem::take(&mut self.segments.closed);
        let all = self.segments.log.faults.has(Fault::RetiredTooMuch);
        for (id, last_gsn) in closed {
            if (last_gsn <= cut || all) && !self.is_in_flight(id) {
                self.segments.retire(id, last_gsn);
            } else {
                self.segments.closed.push((id, last_gsn));
            }
        }
    }

    /// Everything up to this GSN is in the archive; none: no archive is kept.
    pub fn set_archived(&mut self, gsn: Option<u64>) {
        self.segments.archived_gsn = gsn;
        let held = std::mem::take(&mut self.segments.held);
        held.into_iter().for_each(|(id, gsn)| self.segments.retire(id, gsn));
    }

    /// Segments that are kept for the archive only.
    pub fn held_segments(&self) -> usize {
        self.segments.held.len()
    }

    /// A retired segment that is not needed for reuse, to be removed by a helper; ask until there is none.
    pub fn next_removal(&mut self) -> Option<SegmentId> {
        let keep = self.segments.spares_wanted;
        if let Some(id) = self.segments.removals.pop() {
            return Some(id);
        }
        if self.segments.retired.len() > keep { self.segments.retired.pop_front() } else { None }
    }
}
