//! Between log and disk: writes, the helper's work, the clock, and the replies that leave.

use std::io;

use ringstone_persist::disk::{BLOCK_BYTES, Disk as _, block_on};
use ringstone_persist::log::frame::FRAME_HEADER_BYTES;
use ringstone_persist::log::writer::Ticket;
use ringstone_persist::log::{
    LogWriter, SegmentId, prepare_segment, prepare_stage, stage_file_name,
};

use super::{Job, Run, World, dir};
use crate::sim::oracle::{Oracle, Violation, Written};

impl World {
    pub(super) fn perhaps_stop_within(&mut self, operations: u64) {
        if self.rng.percent(3) {
            let operations = self.rng.below(operations);
            self.disk.stop_after(Some(operations));
        }
    }

    /// Hands writes to the kernel.
    pub(super) fn submit(&mut self, run: &mut Run, shard: usize) -> Result<(), Violation> {
        self.stage(run, shard);
        let epoch = run.epoch;
        let own = &mut run.shards[shard];
        while let Some(request) = own.log.as_mut().and_then(LogWriter::next_write) {
            if request.from == 0 {
                let (id, bytes) = (request.segment, request.buf.as_slice());
                note_frames(&mut self.oracle, id, request.offset, bytes, epoch);
            }
            own.writes.push(request);
            if self.rng.percent(30) {
                break;
            }
        }
        self.publish(run, shard)
    }

    /// Brings what shards wrote into the memory of their stages to where it is anyway: the page cache.
    pub(super) fn stage(&mut self, run: &mut Run, shard: usize) {
        let Some(log) = &run.shards[shard].log else { return };
        for (stage, id, bytes) in log.stage_images() {
            note_frames(&mut self.oracle, id, 0, bytes, run.epoch);
            let path = dir().join(stage_file_name(shard as u32, stage));
            self.stats.staged += self.disk.change_mapped(&path, bytes);
        }
    }

    /// One write of a shard ends, in any order.
    pub(super) fn complete(&mut self, run: &mut Run, shard: usize) -> Result<(), Violation> {
        let fails = run.io_errors > 0 && self.rng.basis_points(run.io_errors);
        let own = &mut run.shards[shard];
        if own.writes.is_empty() {
            return Ok(());
        }
        let request = own.writes.swap_remove(self.rng.index(own.writes.len()));
        let path = dir().join(request.segment.file_name());
        let len = request.bytes().len();
        let result = match self.rng.below(4) {
            _ if !fails => Ok(len),
            0 => {
                self.stats.short += 1;
                Ok(self.rng.index(len))
            }
            1 => {
                self.stats.space_errors += 1;
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => {
                self.stats.io_errors += 1;
                Err(io::Error::other("EIO"))
            }
        };
        match &result {
            Ok(len) => {
                self.disk.write_direct(&path, request.offset, &request.bytes()[..*len], || true)
            }
            Err(_) => {
                let rng = &mut self.rng;
                self.disk.write_direct(&path, request.offset, request.bytes(), || rng.percent(50));
            }
        }
        let ticket = Ticket::from_u64(request.ticket.to_u64());
        drop(request);
        if let Some(log) = &mut own.log {
            log.write_done(ticket, result);
        }
        self.publish(run, shard)
    }

    /// The helper thread does one piece of work.
    pub(super) fn help(&mut self, run: &mut Run) {
        for (shard, own) in run.shards.iter_mut().enumerate() {
            let Some(log) = &mut own.log else { continue };
            while let Some(job) = log.next_preparation() {
                run.jobs.push(Job::Prepare(shard, job));
            }
            while let Some(job) = log.next_stage() {
                run.jobs.push(Job::Stage(shard, job));
            }
            while let Some(id) = log.next_removal() {
                run.jobs.push(Job::Remove(id));
            }
        }
        if run.jobs.is_empty() {
            return;
        }
        self.perhaps_stop_within(10);
        let job = run.jobs.swap_remove(self.rng.index(run.jobs.len()));
        let disk = &self.disk;
        match job {
            Job::Prepare(shard, job) => {
                let Some(log) = &mut run.shards[shard].log else { return };
                self.oracle.prepare(job.id);
                self.stats.recycled += u64::from(job.recycle.is_some());
                match block_on(prepare_segment(disk, dir(), &job)) {
                    Ok(()) => log.spare_ready(job.id),
                    Err(error) => log.spare_failed(job.id, &error),
                }
            }
            Job::Stage(shard, job) => {
                let result = block_on(prepare_stage(disk, dir(), &job));
                if let Some(log) = &mut run.shards[shard].log {
                    log.stage_prepared(&job, result);
                }
            }
            Job::Remove(id) => drop(block_on(disk.remove(&dir().join(id.file_name())))),
            Job::RemoveBase(name) => drop(block_on(disk.remove(&dir().join(name)))),
        }
    }

    pub(super) fn tick(&mut self, run: &mut Run) -> Result<(), Violation> {
        self.now_ms += match self.rng.below(20) {
            // Long enough for keys to expire.
            0 => 15_000_000,
            _ => 100 + self.rng.below(1500),
        };
        let (synced, next) = (run.marks.synced(), run.marks.next_gsn());
        for shard in 0..run.shards.len() {
            if let Some(log) = &mut run.shards[shard].log {
                log.tick(self.now_ms);
                log.mark_if_idle(self.now_ms, synced, next);
            }
            self.publish(run, shard)?;
        }
        Ok(())
    }
}

/// Tells the oracle which frames are handed to the kernel.
fn note_frames(
    oracle: &mut Oracle,
    segment: SegmentId,
    mut offset: u64,
    mut bytes: &[u8],
    epoch: u32,
) {
    // A stage's group begins with a header block, which all of its frames need.
    let header = bytes.starts_with(b"RSEG");
    let first = offset;
    if header {
        offset += BLOCK_BYTES as u64;
        bytes = bytes.get(BLOCK_BYTES..).unwrap_or_default();
    }
    while bytes.starts_with(b"RFRM") {
        let Some(header_bytes) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else { break };
        let field =
            |at: usize| u64::from_le_bytes(header_bytes[at..at + 8].try_into().expect("8 bytes"));
        let (gsn, len) = (field(32), FRAME_HEADER_BYTES as u64 + field(16));
        let is_new = oracle.write(segment, epoch, Written { offset, end: offset + len, gsn });
        if is_new && header {
            let end = first + BLOCK_BYTES as u64;
            oracle.write_header(segment, Written { offset: first, end, gsn });
        }
        offset += len;
        bytes = bytes.get(len as usize..).unwrap_or_default();
    }
}
