//! Which stage files there are, and what goes into them.
//!
//! Invariant: the frames of a group that count as staged lie in its stage until the group is durable in a segment.

use std::io;

use super::{Group, LogWriter, NO_GSN, SegmentId, SyncMode};
use crate::log::frame::FrameSeed;
use crate::log::segment::SEGMENT_HEADER_BYTES;
use crate::log::stage::{StagePreparation, stage_header};

/// Stage files kept ready beside the one that gathers.
const FREE_WANTED: usize = 1;
/// Most stage files of a shard: what a disk that pauses may fall behind by, in groups.
const STAGES_MAX: usize = 32;
/// How often a write may end without any progress before it counts as failed.
const IDLE_RETRIES_MAX: u32 = 16;

/// A write into a stage file, to be done at once.
#[derive(Clone, Copy, Debug)]
pub struct StageWrite<'a> {
    /// The stage's number.
    pub stage: u32,
    /// The segment number under which it is used now.
    pub segment: SegmentId,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// What to write.
    pub bytes: &'a [u8],
}

/// A group's stage.
#[derive(Debug)]
pub(super) struct Staging {
    stage: u32,
    segment: SegmentId,
    header: Vec<u8>,
    /// Bytes of header and frames that are in the file.
    done: usize,
    /// Frames that are sealed for it.
    sealed: usize,
    /// The lowest GSN that is not in it.
    first_gsn: u64,
    idle_retries: u32,
    /// Could not be written: what is not in it waits for the segment.
    failed: bool,
}

impl Staging {
    /// A frame joined the group.
    pub(super) fn pushed(&mut self, gsn: u64) {
        self.first_gsn = self.first_gsn.min(gsn);
    }

    /// True while the stage can take what is pushed.
    pub(super) fn works(&self) -> bool {
        !self.failed
    }

    fn is_behind(&self, frames_len: usize) -> bool {
        !self.failed && self.done < self.header.len() + frames_len
    }
}

impl Group {
    /// The lowest GSN whose reply waits for the segment or for the stage.
    pub(super) fn unwritten_gsn(&self) -> u64 {
        self.staging.as_ref().map_or(self.first_gsn, |staging| staging.first_gsn)
    }

    /// True while frames have to go into the stage before anything else is done with the group.
    pub(super) fn is_behind(&self) -> bool {
        self.staging.as_ref().is_some_and(|staging| staging.is_behind(self.buf.len()))
    }
}

/// The shard's stages that no group has.
#[derive(Debug, Default)]
pub(super) struct Stages {
    free: Vec<u32>,
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
            || stages.made as usize >= STAGES_MAX
            || self.now_ms < stages.not_before_ms;
        if self.options.mode == SyncMode::Always || enough {
            return None;
        }
        let stage = stages.made;
        stages.made += 1;
        stages.preparing += 1;
        let (shard, bytes) = (self.options.shard, self.options.stage_bytes);
        Some(StagePreparation { shard, stage, bytes })
    }

    /// A stage file is ready, or could not be made: then groups go without, and their replies wait for the segment.
    pub fn stage_prepared(&mut self, stage: u32, result: io::Result<()>) {
        self.stages.preparing = self.stages.preparing.saturating_sub(1);
        match result {
            Ok(()) => self.stages.free.push(stage),
            Err(error) => {
                // One at a time is made, so this number comes up again.
                self.stages.made = self.stages.made.min(stage);
                self.last_error = Some(format!("preparation of stage {stage}: {error}"));
                self.stages.not_before_ms = self.now_ms.saturating_add(self.options.retry_after_ms);
            }
        }
    }

    /// A stage for a group that begins with a frame of `len` bytes.
    pub(super) fn stage_for(&mut self, len: usize) -> Option<Staging> {
        if self.options.mode == SyncMode::Always || len > self.options.stage_bytes {
            return None;
        }
        // The one that was used last is the warmest.
        let stage = self.stages.free.pop()?;
        let (shard, epoch) = (self.options.shard, self.options.epoch);
        let segment = SegmentId::of_stage(shard, epoch, self.stages.uses);
        self.stages.uses += 1;
        Some(Staging {
            stage,
            segment,
            header: stage_header(self.options.log, segment, self.options.stage_bytes),
            done: 0,
            sealed: 0,
            first_gsn: NO_GSN,
            idle_retries: 0,
            failed: false,
        })
    }

    /// A group is durable in its segment: its stage is free.
    pub(super) fn free_stage(&mut self, staging: Option<&Staging>) {
        let works = staging.filter(|staging| staging.works());
        self.stages.free.extend(works.map(|staging| staging.stage));
    }

    /// What to write into a stage now: do it with one `pwrite`, and tell [`LogWriter::staged`] before anything else. Ask
    /// again until there is nothing; before [`LogWriter::next_write`].
    pub fn next_staged(&mut self) -> Option<StageWrite<'_>> {
        let log = self.options.log;
        let group = self.queue.iter_mut().find(|group| group.is_behind())?;
        let staging = group.staging.as_mut()?;
        let (stage, segment) = (staging.stage, staging.segment);
        let header_len = SEGMENT_HEADER_BYTES;
        let offset = staging.done as u64;
        if staging.done < header_len {
            let bytes = staging.header.get(staging.done..)?;
            return Some(StageWrite { stage, segment, offset, bytes });
        }
        let seed = FrameSeed::new(&log, segment);
        super::seal_frames(&mut group.buf, group.frames.get(staging.sealed..)?, &seed);
        staging.sealed = group.frames.len();
        let bytes = group.buf.as_slice().get(staging.done - header_len..)?;
        Some(StageWrite { stage, segment, offset, bytes })
    }

    /// Tells how the write that [`LogWriter::next_staged`] gave ended: bytes written, or the error.
    pub fn staged(&mut self, result: io::Result<usize>) {
        let Some(group) = self.queue.iter_mut().find(|group| group.is_behind()) else { return };
        let frames_len = group.buf.len();
        let Some(staging) = group.staging.as_mut() else { return };
        let error = match result {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(n) => {
                staging.idle_retries = 0;
                staging.done += n;
                if !staging.is_behind(frames_len) {
                    staging.first_gsn = NO_GSN;
                }
                return;
            }
            Err(error) => error,
        };
        staging.idle_retries += 1;
        let again = matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WriteZero);
        if !again || staging.idle_retries > IDLE_RETRIES_MAX {
            // What is in it already stays there, and the file is not used again in this run.
            staging.failed = true;
            group.is_due = true;
            let stage = staging.stage;
            self.last_error = Some(format!("write to stage {stage}: {error}"));
        }
    }
}
