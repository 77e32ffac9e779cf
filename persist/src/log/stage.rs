//! Stage files: where frames of `everysec` and `no` outlive the process until their group is large enough for a direct write.
//!
//! ```text
//!   push ──> group ──┬─ at once ──> stage file, in the page cache      (survives kill -9: replies leave)
//!                    └─ when large or old ──> segment, direct           (survives power loss: the stage is free again)
//! ```
//!
//! A stage file is laid out as a segment: a header block that names a segment number of its own, then frames sealed for it.
//! The file is used again and again, each time under a new number, so that older frames in it never validate; the run's
//! epoch is in the number, so that no later run takes it for another file, even if the power failed before it was noted. Recovery
//! gives every stage file the name that its header says and reads it as one segment more; frames that the direct write
//! brought to their place as well stand there twice, which recovery allows.
//!
//! Why: an append to the page cache costs a page's allocation each time; a file of one MiB stays there, warm.
//!
//! Invariant: a stage is used again only when all of its frames are durable elsewhere.

use std::io;
use std::path::Path;

use super::segment::{SEGMENT_HEADER_BYTES, encode_header, fill, named_in_header};
use super::{LogId, Preparation, SegmentId, SegmentKind};
use crate::disk::Disk;

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

/// Makes a stage file: zeros over its whole length, which are in the page cache and have their place on the disk, so that
/// no later write needs space. Blocks; a helper's work.
pub async fn prepare_stage<D: Disk>(
    disk: &D,
    dir: &Path,
    job: &StagePreparation,
) -> io::Result<()> {
    let file = disk.create(&dir.join(stage_file_name(job.shard, job.stage))).await?;
    fill(disk, &file, 0, (SEGMENT_HEADER_BYTES + job.bytes) as u64).await?;
    disk.sync_all(&file).await?;
    disk.sync_dir(dir).await
}

/// A stage's first block, once it holds frames of `id`.
pub(super) fn stage_header(log: LogId, id: SegmentId, bytes: usize) -> Vec<u8> {
    let size_bytes = (SEGMENT_HEADER_BYTES + bytes) as u64;
    encode_header(&Preparation { log, id, kind: SegmentKind::Buffered, size_bytes, recycle: None })
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
    disk.write_all_at(&file, &block, 0).await?;
    disk.sync_all(&file).await?;
    disk.rename(&path, &target).await?;
    Ok(Some(id))
}
