//! Groups of whole blocks on their way into segments: several in flight, each durable when its write is done.

use std::io;
use std::sync::Arc;

use super::{Group, LogWriter, Ticket, WriteRequest, is_full};
use crate::disk::BLOCK_BYTES;
use crate::disk::aligned::AlignedBuf;
use crate::log::{Fault, SegmentId};

/// How often a write may end without any progress before it counts as failed.
const IDLE_RETRIES_MAX: u32 = 16;

/// A group that the kernel writes; `group.buf` is empty meanwhile, the bytes being in `buf`.
#[derive(Debug)]
pub(super) struct InFlight {
    ticket: Ticket,
    segment: SegmentId,
    offset: u64,
    pub(super) group: Group,
    pub(super) buf: Arc<AlignedBuf>,
    /// The frames' bytes, without padding.
    frames_len: usize,
    done: usize,
    idle_retries: u32,
    failed: bool,
    /// Waits for space before it is tried again.
    held: bool,
}

impl LogWriter {
    /// The next write to submit, if any may start now. Ask again after every push, `write_done`, `spare_ready` and `tick`.
    pub fn next_write(&mut self) -> Option<WriteRequest> {
        if self.fatal || self.draining {
            return None;
        }
        if let Some(ticket) = self.resubmit.pop_front() {
            return self.in_flight.iter().find(|w| w.ticket == ticket).map(InFlight::request);
        }
        if self.write_full_at_ms.is_some() {
            return None;
        }
        let front = self.queue.front()?;
        let gathers = front.stage.is_some() && !front.is_due;
        if gathers || !self.options.policy.may_start(self.in_flight.len(), front.buf.len()) {
            return None;
        }
        let len = (front.buf.len() as u64).next_multiple_of(BLOCK_BYTES as u64);
        let (new_segment, last_gsn) = (front.new_segment, front.last_gsn);
        let (segment, offset) = self.place(len, new_segment, last_gsn)?;
        let mut group = self.queue.pop_front()?;
        group.seal(&self.options.log, segment);
        let frames_len = group.buf.len();
        group.buf.pad_to_block();
        let buf = Arc::new(std::mem::take(&mut group.buf));
        let frees_early = self.options.log.faults.has(Fault::StageFreedEarly);
        if let Some(stage) = group.stage.as_ref().filter(|_| frees_early) {
            self.free_stage(stage, AlignedBuf::with_capacity(group.buf.capacity()));
        }
        let ticket = self.ticket();
        let write = InFlight {
            ticket,
            segment,
            offset,
            group,
            buf,
            frames_len,
            done: 0,
            idle_retries: 0,
            failed: false,
            held: false,
        };
        let request = write.request();
        self.in_flight.push(write);
        Some(request)
    }

    /// Tells how a write ended: bytes written, or the error.
    pub fn write_done(&mut self, ticket: Ticket, result: io::Result<usize>) {
        let Some(at) = self.in_flight.iter().position(|w| w.ticket == ticket) else { return };
        let Some(write) = self.in_flight.get_mut(at) else { return };
        let faults = self.options.log.faults;
        let accepts = match &result {
            Ok(_) => faults.has(Fault::ShortWriteAccepted),
            Err(_) => faults.has(Fault::WriteErrorIgnored),
        };
        let result = if accepts { Ok(write.buf.len()) } else { result };
        match result {
            Ok(n) if write.done + n >= write.buf.len() => {
                let write = self.in_flight.swap_remove(at);
                self.finish(write);
            }
            Ok(n) => {
                // A short write is taken up again at the last whole block.
                let done = (write.done + n) / BLOCK_BYTES * BLOCK_BYTES;
                write.idle_retries = if done > write.done { 0 } else { write.idle_retries + 1 };
                write.done = done;
                if write.idle_retries > IDLE_RETRIES_MAX {
                    self.write_failed(at, &io::ErrorKind::WriteZero.into());
                } else {
                    self.resubmit.push_back(ticket);
                }
            }
            // Only a frame longer than a segment needs new space here.
            Err(error) if is_full(&error) => {
                write.held = true;
                let segment = write.segment;
                self.note("write", segment, &error);
                self.write_full_at_ms = Some(self.now_ms);
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                ) && write.idle_retries < IDLE_RETRIES_MAX =>
            {
                write.idle_retries += 1;
                self.resubmit.push_back(ticket);
            }
            Err(error) => self.write_failed(at, &error),
        }
        self.drain();
    }

    fn finish(&mut self, write: InFlight) {
        self.pending_bytes = self.pending_bytes.saturating_sub(write.frames_len);
        let frees_early = self.options.log.faults.has(Fault::StageFreedEarly);
        if let Ok(buf) = Arc::try_unwrap(write.buf) {
            match &write.group.stage {
                Some(stage) if frees_early || stage.is_lost => {}
                Some(stage) => self.free_stage(stage, buf),
                None => self.reuse(buf),
            }
        }
        self.settle_failover();
        if self.in_flight.iter().all(|w| !w.held) {
            self.write_full_at_ms = None;
        }
    }

    fn write_failed(&mut self, at: usize, error: &io::Error) {
        let Some(write) = self.in_flight.get_mut(at) else { return };
        write.failed = true;
        let segment = write.segment;
        self.note("write", segment, error);
        self.segments.distrust(segment);
        if self.failover_through.is_some() {
            self.fatal = true;
        }
        self.draining = true;
    }

    /// After a failed write: once nothing is under way any more, everything not durable goes to a fresh segment.
    fn drain(&mut self) {
        if !self.draining || self.fatal {
            return;
        }
        // What was to be continued is not: it counts as failed as well.
        while let Some(ticket) = self.resubmit.pop_front() {
            self.in_flight.iter_mut().filter(|w| w.ticket == ticket).for_each(|w| w.failed = true);
        }
        self.in_flight.iter_mut().filter(|w| w.held).for_each(|w| w.failed = true);
        if self.in_flight.iter().any(|w| !w.failed) {
            return;
        }
        let mut failed: Vec<InFlight> = self.in_flight.drain(..).collect();
        failed.sort_unstable_by_key(|w| w.group.first_gsn);
        self.failover_through = failed.iter().map(|w| w.group.last_gsn).max();
        for write in failed.into_iter().rev() {
            let mut group = write.group;
            group.buf = Arc::try_unwrap(write.buf).unwrap_or_else(|shared| {
                // Should the kernel's handle still be there: the stage keeps what it has, and is not used again.
                group.stage.iter_mut().for_each(|stage| stage.is_lost = true);
                shared.copy()
            });
            group.buf.truncate(write.frames_len);
            self.queue.push_front(group);
        }
        self.segments.abandon_current();
        self.draining = false;
        self.write_full_at_ms = None;
    }

    pub(super) fn retry_after_full(&mut self) {
        let Some(since) = self.write_full_at_ms else { return };
        if self.now_ms.saturating_sub(since) < self.options.retry_after_ms {
            return;
        }
        self.write_full_at_ms = Some(self.now_ms);
        for write in self.in_flight.iter_mut().filter(|w| w.held) {
            write.held = false;
            self.resubmit.push_back(write.ticket);
        }
    }

    pub(super) fn is_in_flight(&self, segment: SegmentId) -> bool {
        self.in_flight.iter().any(|w| w.segment == segment)
    }
}

impl InFlight {
    fn request(&self) -> WriteRequest {
        WriteRequest {
            ticket: self.ticket,
            segment: self.segment,
            offset: self.offset + self.done as u64,
            buf: Arc::clone(&self.buf),
            from: self.done,
        }
    }
}
