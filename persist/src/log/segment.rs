//! Segment files: their names, their first block, and how one is made ready off the hot path.
//!
//! ```text
//!   0 magic "RSEG"   4 version u16   6 kind u16 (see SegmentKind)   8 crc u32   12 shard u32
//!  16 seq u64       24 uuid, 16 bytes               40 size_bytes u64   48 zeros up to byte 4096; frames from there on
//! ```
//!
//! Invariant: a file gets its final name only once its header is durable, so a segment with a broken header is damage and
//! never the trace of a crash. The same holds for a file shorter than its header says.

use std::io;
use std::path::Path;

use super::{Fault, LogId};
use crate::disk::{BLOCK_BYTES, Disk};

/// Where a segment's frames begin.
pub const SEGMENT_HEADER_BYTES: usize = BLOCK_BYTES;
/// The smallest segment that may be configured, in bytes.
pub const SEGMENT_BYTES_MIN: u64 = 1 << 20;
/// The usual size of a segment in bytes.
pub const SEGMENT_BYTES_DEFAULT: u64 = 16 << 20;

/// A segment's first bytes.
pub(super) const MAGIC: [u8; 4] = *b"RSEG";
/// The end of a stage's first block: which segment the group goes to.
pub(super) const STAMP_BYTES: usize = 16;
/// Where it begins.
pub(super) const STAMP_AT: usize = SEGMENT_HEADER_BYTES - STAMP_BYTES;
const VERSION: u16 = 1;
/// How much is zero-filled with one write.
const ZEROS_BYTES: usize = 256 << 10;

/// Names a segment: the shard that wrote it, and its number in that shard's log, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    /// The shard.
    pub shard: u32,
    /// The number.
    pub seq: u64,
}

/// Set in the numbers under which stages are used: above all others.
const STAGE_BIT: u64 = 1 << 63;
/// Bits of such a number that count the uses in a run; above them stands the run's epoch.
const STAGE_USE_BITS: u32 = 36;

impl SegmentId {
    /// Names one use of a stage of a run. No two runs share an epoch, so no number comes up twice, even where the power failed
    /// before anything told that it had been used.
    pub(super) fn of_stage(shard: u32, epoch: u32, uses: u64) -> Self {
        let epoch = u64::from(epoch) << STAGE_USE_BITS & !STAGE_BIT;
        SegmentId { shard, seq: STAGE_BIT | epoch | uses & ((1 << STAGE_USE_BITS) - 1) }
    }

    /// Whether the number is one of a stage.
    pub(crate) fn is_of_stage(self) -> bool {
        self.seq & STAGE_BIT != 0
    }

    /// The file's name in the log's directory.
    pub fn file_name(self) -> String {
        format!("s{}-{}.log", self.shard, self.seq)
    }

    /// The segment that a file name stands for; only the exact form that [`SegmentId::file_name`] gives.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (shard, seq) = name.strip_prefix('s')?.strip_suffix(".log")?.split_once('-')?;
        let id = SegmentId { shard: shard.parse().ok()?, seq: seq.parse().ok()? };
        // The last number has no successor, so no log can have got there.
        (id.file_name() == name && id.seq < u64::MAX).then_some(id)
    }
}

impl std::fmt::Display for SegmentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file_name())
    }
}

/// How a segment is written. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum SegmentKind {
    /// Direct and synchronous, in whole blocks, over bytes that were filled before.
    Direct = 1,
    /// Through the page cache, byte after byte: a stage file.
    Buffered = 2,
    /// Direct and synchronous, in large groups, over space that was only reserved.
    Grouped = 3,
}

/// A segment to be made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preparation {
    /// The log.
    pub log: LogId,
    /// The new segment.
    pub id: SegmentId,
    /// How it will be written.
    pub kind: SegmentKind,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// A retired segment whose file may be used again.
    pub recycle: Option<SegmentId>,
}

/// Makes a segment ready: its space is there, its header and its name are durable. Blocks for long; a helper's work.
pub async fn prepare_segment<D: Disk>(disk: &D, dir: &Path, job: &Preparation) -> io::Result<()> {
    let path = dir.join(job.id.file_name());
    let temporary = dir.join(format!("{}.new", job.id.file_name()));
    let file = match job.recycle {
        Some(old) => {
            disk.rename(&dir.join(old.file_name()), &temporary).await?;
            // Should the power fail, the old name must not come back before the new header: that would look like damage.
            disk.sync_dir(dir).await?;
            disk.open(&temporary).await?
        }
        None => disk.create(&temporary).await?,
    };
    let len = disk.len(&file).await?;
    if len > job.size_bytes {
        disk.set_len(&file, job.size_bytes).await?;
    } else if job.kind == SegmentKind::Direct {
        fill(disk, &file, len, job.size_bytes).await?;
    } else {
        disk.allocate(&file, job.size_bytes).await?;
    }
    disk.write_all_at(&file, &encode_header(job), 0).await?;
    if !job.log.faults.has(Fault::SegmentNamedUnsynced) {
        disk.sync_all(&file).await?;
    }
    disk.rename(&temporary, &path).await?;
    disk.sync_dir(dir).await
}

/// Writes zeros, so that later writes find allocated and initialised blocks.
pub(super) async fn fill<D: Disk>(disk: &D, file: &D::File, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES];
    let mut at = from;
    while at < to {
        let len = usize::try_from(to - at).unwrap_or(ZEROS_BYTES).min(ZEROS_BYTES);
        disk.write_all_at(file, zeros.get(..len).unwrap_or_default(), at).await?;
        at += len as u64;
    }
    Ok(())
}

/// A segment's first block.
pub(crate) fn encode_header(job: &Preparation) -> Vec<u8> {
    let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(job.kind as u16).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&job.id.shard.to_le_bytes());
    out.extend_from_slice(&job.id.seq.to_le_bytes());
    out.extend_from_slice(&job.log.uuid);
    out.extend_from_slice(&job.size_bytes.to_le_bytes());
    out.resize(SEGMENT_HEADER_BYTES, 0);
    let crc = crc32fast::hash(&out);
    if let Some(place) = out.get_mut(8..12) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
    out
}

/// Why a segment's first block is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Shorter than one block, no magic, or a wrong checksum.
    #[error("its header is damaged")]
    Damaged,
    /// A version that this code does not read.
    #[error("its header has version {0}, which this release does not read")]
    Version(u16),
    /// Another log's uuid.
    #[error("it belongs to another log")]
    OtherLog,
    /// Another shard or number than the name says.
    #[error("its header names another segment")]
    OtherSegment,
}

/// The segment that a valid first block names, whatever the file is called.
pub(super) fn named_in_header(bytes: &[u8], log: &LogId) -> Option<SegmentId> {
    let shard = u32::from_le_bytes(bytes.get(12..16)?.try_into().ok()?);
    let seq = u64::from_le_bytes(bytes.get(16..24)?.try_into().ok()?);
    let id = SegmentId { shard, seq };
    (seq < u64::MAX && check_header(bytes, log, id).is_ok()).then_some(id)
}

/// The log and the segment that a first block names, if its checksum is right: for whoever has a file and no MANIFEST.
pub fn header_of(bytes: &[u8]) -> Option<(LogId, SegmentId)> {
    let log = LogId::new(bytes.get(24..40)?.try_into().ok()?);
    named_in_header(bytes, &log).map(|id| (log, id))
}

/// Verifies a segment's first block; gives its kind and the size in bytes that it was made with.
pub fn check_header(
    bytes: &[u8],
    log: &LogId,
    id: SegmentId,
) -> Result<(SegmentKind, u64), HeaderError> {
    let block: &[u8; SEGMENT_HEADER_BYTES] = bytes
        .get(..SEGMENT_HEADER_BYTES)
        .and_then(|b| b.try_into().ok())
        .ok_or(HeaderError::Damaged)?;
    let field = |at: usize, len: usize| block.get(at..at + len).unwrap_or_default();
    let number = |at, len| field(at, len).iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(field(0, 8));
    hasher.update(&[0; 4]);
    hasher.update(field(12, STAMP_AT - 12));
    // A stage's header is complete without the stamp that it gets on its way into a segment.
    let stamped = number(6, 2) == SegmentKind::Buffered as u64;
    hasher.update(if stamped { &[0; STAMP_BYTES] } else { field(STAMP_AT, STAMP_BYTES) });
    if field(0, 4) != MAGIC || number(8, 4) != u64::from(hasher.finalize()) {
        return Err(HeaderError::Damaged);
    }
    if number(4, 2) != u64::from(VERSION) {
        return Err(HeaderError::Version(u16::try_from(number(4, 2)).unwrap_or(u16::MAX)));
    }
    if field(24, 16) != log.uuid {
        return Err(HeaderError::OtherLog);
    }
    if number(12, 4) != u64::from(id.shard) || number(16, 8) != id.seq {
        return Err(HeaderError::OtherSegment);
    }
    match number(6, 2) {
        1 => Ok((SegmentKind::Direct, number(40, 8))),
        2 => Ok((SegmentKind::Buffered, number(40, 8))),
        3 => Ok((SegmentKind::Grouped, number(40, 8))),
        _ => Err(HeaderError::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{StdDisk, block_on};

    #[test]
    fn names_read_back_and_nothing_else_is_a_segment() {
        let id = SegmentId { shard: 3, seq: 17 };
        assert_eq!(SegmentId::from_file_name(&id.file_name()), Some(id));
        for name in [
            "s3-017.log",
            "s+3-17.log",
            "s3-17.log.new",
            "s3.log",
            "MANIFEST",
            "s-1-2.log",
            "s0-18446744073709551615.log",
        ] {
            assert_eq!(SegmentId::from_file_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_recycled_file_gets_a_new_name_and_header_and_its_right_size() {
        let dir = tempfile::tempdir().unwrap();
        let log = LogId::new([1; 16]);
        let first = Preparation {
            log,
            id: SegmentId { shard: 0, seq: 1 },
            kind: SegmentKind::Direct,
            size_bytes: SEGMENT_BYTES_MIN,
            recycle: None,
        };
        let second =
            Preparation { id: SegmentId { shard: 0, seq: 2 }, recycle: Some(first.id), ..first };
        block_on(prepare_segment(&StdDisk, dir.path(), &first)).unwrap();
        block_on(prepare_segment(&StdDisk, dir.path(), &second)).unwrap();
        assert!(!dir.path().join("s0-1.log").exists());
        let bytes = std::fs::read(dir.path().join("s0-2.log")).unwrap();
        assert_eq!(bytes.len() as u64, SEGMENT_BYTES_MIN);
        assert_eq!(
            check_header(&bytes, &log, second.id),
            Ok((SegmentKind::Direct, SEGMENT_BYTES_MIN))
        );
        assert_eq!(check_header(&bytes, &log, first.id), Err(HeaderError::OtherSegment));
    }
}
