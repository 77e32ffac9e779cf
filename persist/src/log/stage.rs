//! Stage files: where frames of `everysec` and `no` outlive the process until their group is large enough for a direct write.
//!
//! ```text
//!   push ──> group in a mapped stage file                     (in the page cache: survives kill -9, replies leave)
//!                └─ when large or old ──> segment, direct      (survives power loss: the stage is free again)
//! ```
//!
//! A stage file is laid out as a segment: a header block that names a segment number of its own, then frames sealed for it.
//! The file is used again and again, each time under a new number, so that older frames in it never validate; the run's
//! epoch is in the number, so that no later run takes it for another file, even if the power failed before it was noted.
//!
//! The group goes to its segment as it is, header block first. Just before, the block is stamped with the segment, so
//! that a group which an earlier use of the segment's file left there does not count. Recovery gives every stage file the
//! name that its header says and reads it as one segment more; frames that reached their segment as well stand there
//! twice, which recovery allows.
//!
//! Why: an append to the page cache costs a page's allocation and a copy each time; a file of one MiB stays there, warm.
//!
//! Invariant: a stage is used again only when all of its frames are durable elsewhere.
//! Invariant: a frame that is pushed into a stage is complete there before anything else happens.

use std::io;
use std::path::Path;

use super::segment::{
    MAGIC, SEGMENT_HEADER_BYTES, STAMP_AT, STAMP_BYTES, encode_header, fill, named_in_header,
};
use super::{Fault, LogId, Preparation, SegmentId, SegmentKind};
use crate::disk::Disk;
use crate::disk::aligned::AlignedBuf;

/// Frames' bytes that fit into a stage.
pub const STAGE_BYTES: usize = 1 << 20;

const PREFIX: &str = "stage-";

/// A stage file to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StagePreparation {
    /// The shard that will write it.
    pub shard: u32,
    /// Its number in that shard.
    pub stage: u32,
    /// The epoch that will be written: tells a log from one that began meanwhile in the same directory.
    pub epoch: u32,
    /// Room for frames in bytes.
    pub bytes: usize,
}

/// The name of a shard's stage file.
pub fn stage_file_name(shard: u32, stage: u32) -> String {
    format!("{PREFIX}{shard}-{stage}")
}

/// Whether a file in the log's directory is a stage.
pub(super) fn is_stage_name(name: &str) -> bool {
    let numbers = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
    numbers.is_some_and(|(shard, stage)| {
        let (Ok(shard), Ok(stage)) = (shard.parse(), stage.parse()) else { return false };
        stage_file_name(shard, stage) == name
    })
}

/// Makes a stage file and maps it: zeros over its whole length, which are in the page cache and have their place on the
/// disk, so that no later write needs space. Blocks; a helper's work.
pub async fn prepare_stage<D: Disk>(
    disk: &D,
    dir: &Path,
    job: &StagePreparation,
) -> io::Result<AlignedBuf> {
    let file = disk.create(&dir.join(stage_file_name(job.shard, job.stage))).await?;
    let len = SEGMENT_HEADER_BYTES + job.bytes;
    fill(disk, &file, 0, len as u64).await?;
    disk.sync_all(&file).await?;
    disk.sync_dir(dir).await?;
    disk.map(&file, len).await
}

/// A stage's first block, once it holds frames of `id`.
pub(super) fn stage_header(log: LogId, id: SegmentId, bytes: usize) -> Vec<u8> {
    let size_bytes = (SEGMENT_HEADER_BYTES + bytes) as u64;
    encode_header(&Preparation { log, id, kind: SegmentKind::Buffered, size_bytes, recycle: None })
}

/// What a stage's header block is stamped with on its way into `segment`.
fn stamp_of(log: &LogId, stage: SegmentId, segment: SegmentId) -> [u8; STAMP_BYTES] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&log.uuid);
    for id in [stage, segment] {
        hasher.update(&id.shard.to_le_bytes());
        hasher.update(&id.seq.to_le_bytes());
    }
    let mut out = [0; STAMP_BYTES];
    let (seq, rest) = out.split_at_mut(8);
    seq.copy_from_slice(&segment.seq.to_le_bytes());
    if let Some((crc, _)) = rest.split_at_mut_checked(4) {
        crc.copy_from_slice(&hasher.finalize().to_le_bytes());
    }
    out
}

/// Stamps the header block that `bytes` begin with.
pub(super) fn stamp(bytes: &mut [u8], log: &LogId, stage: SegmentId, segment: SegmentId) {
    if let Some(place) = bytes.get_mut(STAMP_AT..SEGMENT_HEADER_BYTES) {
        place.copy_from_slice(&stamp_of(log, stage, segment));
    }
}

/// The number under which the frames behind this block of `segment` are sealed, if a stage's group begins with it.
pub(super) fn group_in(block: &[u8], log: &LogId, segment: SegmentId) -> Option<SegmentId> {
    if !block.starts_with(&MAGIC) {
        return None;
    }
    let stage = named_in_header(block, log).filter(|id| id.is_of_stage())?;
    let stamped = log.faults.has(Fault::SeedWithoutSegment)
        || block.get(STAMP_AT..SEGMENT_HEADER_BYTES)? == stamp_of(log, stage, segment);
    (stamped && stage.shard == segment.shard).then_some(stage)
}

/// At start-up: gives a stage file its name as a segment, so that it is read as one. `None` when its header names none: it
/// was never used, or the power failed before its header reached the disk.
pub(super) async fn adopt<D: Disk>(
    disk: &D,
    dir: &Path,
    log: &LogId,
    name: &str,
) -> io::Result<Option<SegmentId>> {
    let path = dir.join(name);
    let file = disk.open(&path).await?;
    let mut block = vec![0; SEGMENT_HEADER_BYTES];
    disk.read_full_at(&file, &mut block, 0).await?;
    let Some(id) = named_in_header(&block, log) else { return Ok(None) };
    let target = dir.join(id.file_name());
    if disk.exists(&target).await? {
        return Ok(None);
    }
    // A segment's name promises that its header is durable.
    if !log.faults.has(Fault::StageAdoptedUnsynced) {
        disk.write_all_at(&file, &block, 0).await?;
        disk.sync_all(&file).await?;
    }
    disk.rename(&path, &target).await?;
    Ok(Some(id))
}
