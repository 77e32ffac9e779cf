//! Which stage files there are, and which groups have one.
//!
//! Invariant: the frames of a group that has a stage lie in it, complete, until the group is durable in a segment.

use std::io;

use super::{LogWriter, SegmentId, SyncMode};
use crate::disk::aligned::AlignedBuf;
use crate::log::frame::FrameSeed;
use crate::log::stage::{StagePreparation, stage_header};

/// Stage files kept ready beside the one that gathers.
const FREE_WANTED: usize = 1;
/// Most stage files of a shard: what a disk that pauses may fall behind by, in groups.
const STAGES_MAX: u32 = 32;

/// A group's stage; its bytes are the group's buffer.
#[derive(Debug)]
pub(super) struct Stage {
    number: u32,
    /// Of the number under which it is used now.
    pub(super) seed: FrameSeed,
    /// The group's buffer is no longer its memory.
    pub(super) is_lost: bool,
}

/// The shard's stages that no group has.
#[derive(Debug, Default)]
pub(super) struct Stages {
    free: Vec<(u32, AlignedBuf)>,
    /// Made or being made.
    made: u32,
    preparing: usize,
    not_before_ms: u64,
    /// How often a stage was given to a group.
    uses: u64,
}

impl LogWriter {
    /// The next stage file to make on a helper thread with [`crate::log::prepare_stage`]; ask until there is none.
    pub fn next_stage(&mut self) -> Option<StagePreparation> {
        let stages = &mut self.stages;
        let enough = stages.free.len() + stages.preparing >= FREE_WANTED
            || stages.made >= STAGES_MAX
            || self.now_ms < stages.not_before_ms;
        if self.options.mode == SyncMode::Always || enough {
            return None;
        }
        let stage = stages.made;
        stages.made += 1;
        stages.preparing += 1;
        let (shard, epoch) = (self.options.shard, self.options.epoch);
        Some(StagePreparation { shard, stage, epoch, bytes: self.options.stage_bytes })
    }

    /// A stage file is ready, or could not be made: then groups go without, and their replies wait for the segment.
    pub fn stage_prepared(&mut self, job: &StagePreparation, result: io::Result<AlignedBuf>) {
        if job.epoch != self.options.epoch {
            return;
        }
        let (stages, stage) = (&mut self.stages, job.stage);
        stages.preparing = stages.preparing.saturating_sub(1);
        match result {
            Ok(buf) => stages.free.push((stage, buf)),
            Err(error) => {
                // One at a time is made, so this number comes up again.
                stages.made = stages.made.min(stage);
                // Where stages cannot be had at all, asking again would be in vain.
                let in_vain = error.kind() == io::ErrorKind::Unsupported;
                let wait_ms = if in_vain { u64::MAX } else { self.options.retry_after_ms };
                stages.not_before_ms = self.now_ms.saturating_add(wait_ms);
                self.last_error = Some(format!("preparation of stage {stage}: {error}"));
            }
        }
    }

    /// A stage and its buffer, the header block in it, for a group that begins with a frame of `len` bytes.
    pub(super) fn stage_for(&mut self, len: usize) -> Option<(Stage, AlignedBuf)> {
        if self.options.mode == SyncMode::Always || len > self.options.stage_bytes {
            return None;
        }
        // The one that was used last is the warmest.
        let (number, mut buf) = self.stages.free.pop()?;
        let id = SegmentId::of_stage(self.options.shard, self.options.epoch, self.stages.uses);
        self.stages.uses += 1;
        buf.truncate(0);
        buf.extend(&stage_header(self.options.log, id, self.options.stage_bytes));
        let seed = FrameSeed::new(&self.options.log, id);
        Some((Stage { number, seed, is_lost: false }, buf))
    }

    /// A group is durable in its segment: its stage is free.
    pub(super) fn free_stage(&mut self, stage: &Stage, buf: AlignedBuf) {
        self.stages.free.push((stage.number, buf));
    }

    /// The bytes of all stages that groups have, with both of their numbers: what a simulated disk has in its page cache.
    #[doc(hidden)]
    pub fn stage_images(&self) -> Vec<(u32, SegmentId, &[u8])> {
        let flying = self.in_flight.iter().map(|write| (write.group.stage.as_ref(), &*write.buf));
        let queued = self.queue.iter().map(|group| (group.stage.as_ref(), &group.buf));
        flying
            .chain(queued)
            .filter_map(|(stage, buf)| Some((stage?.number, stage?.seed.segment(), buf.as_slice())))
            .collect()
    }
}
