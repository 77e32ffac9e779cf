//! Between log and disk: writes, the helper's work, the clock, and the replies that leave.

use std::io;

use ringstone_persist::disk::{BLOCK_BYTES, Disk as _, block_on};
use ringstone_persist::log::frame::FRAME_HEADER_BYTES;
use ringstone_persist::log::writer::Ticket;
use ringstone_persist::log::{
    SegmentId, SyncMode, prepare_segment, prepare_stage, stage_file_name,
};

use super::{Job, Run, World, dir};
use crate::sim::mutation::Mutation;
use crate::sim::oracle::{Oracle, Written};

impl World {
    pub(super) fn perhaps_stop_within(&mut self, operations: u64) {
        if self.rng.percent(3) {
            let operations = self.rng.below(operations);
            self.disk.stop_after(Some(operations));
        }
    }

    /// Hands writes to the kernel.
    pub(super) fn submit(&mut self, run: &mut Run, shard: usize) {
        self.stage(run, shard);
        let own = &mut run.shards[shard];
        while let Some(request) = own.log.next_write() {
            if request.from == 0 {
                note_frames(
                    &mut self.oracle,
                    request.segment,
                    request.offset,
                    request.buf.as_slice(),
                    run.epoch,
                );
            }
            own.writes.push(request);
            if self.rng.percent(30) {
                break;
            }
        }
        self.publish(run, shard);
    }

    /// Brings what shards wrote into the memory of their stages to where it is anyway: the page cache.
    pub(super) fn stage(&mut self, run: &mut Run, shard: usize) {
        for (stage, id, bytes) in run.shards[shard].log.stage_images() {
            note_frames(&mut self.oracle, id, 0, bytes, run.epoch);
            let path = dir().join(stage_file_name(shard as u32, stage));
            self.stats.staged += self.disk.change_mapped(&path, bytes);
        }
    }

    /// One write of a shard ends, in any order.
    pub(super) fn complete(&mut self, run: &mut Run, shard: usize) {
        let fails = self.rng.basis_points(run.io_errors);
        let own = &mut run.shards[shard];
        if own.writes.is_empty() {
            return;
        }
        let request = own.writes.swap_remove(self.rng.index(own.writes.len()));
        let path = dir().join(request.segment.file_name());
        let len = request.bytes().len();
        let result = match self.rng.below(4) {
            _ if !fails => Ok(len),
            0 => Ok(self.rng.index(len)),
            1 => Err(io::ErrorKind::StorageFull.into()),
            _ => Err(io::Error::other("EIO")),
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
        self.stats.faults += u64::from(fails);
        let ticket = Ticket::from_u64(request.ticket.to_u64());
        drop(request);
        own.log.write_done(ticket, result);
        self.publish(run, shard);
    }

    /// The helper thread does one piece of work.
    pub(super) fn help(&mut self, run: &mut Run) {
        for (shard, own) in run.shards.iter_mut().enumerate() {
            while let Some(job) = own.log.next_preparation() {
                run.jobs.push(Job::Prepare(shard, job));
            }
            while let Some(job) = own.log.next_stage() {
                run.jobs.push(Job::Stage(shard, job));
            }
            while let Some(id) = own.log.next_removal() {
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
                let log = &mut run.shards[shard].log;
                self.oracle.prepare(job.id);
                self.stats.recycled += u64::from(job.recycle.is_some());
                match block_on(prepare_segment(disk, dir(), &job)) {
                    Ok(()) => log.spare_ready(job.id),
                    Err(error) => log.spare_failed(job.id, &error),
                }
            }
            Job::Stage(shard, job) => {
                let result = block_on(prepare_stage(disk, dir(), &job));
                run.shards[shard].log.stage_prepared(&job, result);
            }
            Job::Remove(id) => drop(block_on(disk.remove(&dir().join(id.file_name())))),
            Job::RemoveBase(name) => drop(block_on(disk.remove(&dir().join(name)))),
        }
    }

    pub(super) fn tick(&mut self, run: &mut Run) {
        self.now_ms += 100 + self.rng.below(1500);
        let (synced, next) = (run.marks.synced(), run.marks.next_gsn());
        for own in &mut run.shards {
            own.log.tick(self.now_ms);
            own.log.mark_if_idle(self.now_ms, synced, next);
        }
    }

    pub(super) fn publish(&mut self, run: &mut Run, shard: usize) {
        let log = &run.shards[shard].log;
        run.marks.publish(shard, log.written_below(), log.synced_below());
        self.reply(run);
    }

    /// Replies leave.
    pub(super) fn reply(&mut self, run: &mut Run) {
        let (written, synced) = (run.marks.written(), run.marks.synced());
        self.oracle.synced = self.oracle.synced.max(synced);
        for own in &mut run.shards {
            let always = own.log.mode() == SyncMode::Always;
            while let Some(gsn) = own.waiting.front().copied() {
                let leaves = match self.mutation {
                    Some(Mutation::AckLocal) if always => own.own_done(gsn, true),
                    Some(Mutation::AckWrittenLocal) if !always => own.own_done(gsn, false),
                    Some(Mutation::AckBeforeDurable) => true,
                    _ if always => gsn <= synced,
                    _ => gsn <= written,
                };
                if !leaves {
                    break;
                }
                own.waiting.pop_front();
                self.oracle.acknowledge(gsn, always);
                self.stats.acknowledged += 1;
            }
        }
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
    let block = bytes.starts_with(b"RSEG").then_some((offset, offset + BLOCK_BYTES as u64));
    while let Some(at) = bytes.windows(4).position(|four| four == b"RFRM") {
        (offset, bytes) = (offset + at as u64, &bytes[at..]);
        let Some(header) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else { break };
        let field = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("8 bytes"));
        let (gsn, len) = (field(32), FRAME_HEADER_BYTES as u64 + field(16));
        oracle.write(segment, epoch, Written { offset, end: offset + len, gsn });
        if let Some((offset, end)) = block {
            oracle.write(segment, epoch, Written { offset, end, gsn });
        }
        offset += len;
        bytes = bytes.get(len as usize..).unwrap_or_default();
    }
}
