//! Reading the segments of one shard as they are written: from where it ended last, in the order of their numbers.
//!
//! Invariant: a segment is left behind only when all of its frames up to what is durable were met.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::ArchiveError;
use crate::disk::Disk;
use crate::log::scan::{FrameEntry, Part, scan_part};
use crate::log::{LogId, SegmentId};

/// A frame in the log's directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) entry: FrameEntry,
    pub(super) file: SegmentId,
}

/// Segments of one shard, or one file that was a stage.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The segment being read, and from where.
    pub(super) current: Option<(u64, u64)>,
    /// What was read and is not archived, by GSN and epoch.
    pub(super) pending: BTreeMap<(u64, u32), Found>,
    /// More may stand in files than is pending.
    pub(super) is_partial: bool,
}

/// Reads a stream's files.
pub(super) struct Reader<'a, D: Disk> {
    pub(super) disk: &'a D,
    pub(super) dir: &'a Path,
    pub(super) log: &'a LogId,
    pub(super) shard: u32,
    pub(super) through: u64,
    pub(super) synced: u64,
    /// The epoch that is being written.
    pub(super) epoch: u32,
    pub(super) search_bytes: u64,
    pub(super) pending_max: usize,
}

impl<D: Disk> Reader<'_, D> {
    /// Goes on in `seqs`, all the numbers that there are.
    pub(super) async fn read_on(
        &self,
        stream: &mut Stream,
        seqs: &[u64],
    ) -> Result<(), ArchiveError> {
        stream.is_partial = true;
        loop {
            if let Some((seq, from)) = stream.current {
                if seqs.contains(&seq) {
                    let (resume_at, _) = self.read(stream, seq, from).await?;
                    stream.current = Some((seq, resume_at));
                }
                if stream.pending.len() >= self.pending_max {
                    return Ok(());
                }
            }
            let mut moved = false;
            let after = stream.current.map_or(0, |(seq, _)| seq + 1);
            for seq in seqs.iter().copied().filter(|seq| *seq >= after) {
                // A later segment that has a durable frame tells that all of the one before was seen just now.
                let (resume_at, first) = self.read(stream, seq, 0).await?;
                if let Some(first) = first {
                    if self.is_early(first) {
                        break;
                    }
                    stream.current = Some((seq, resume_at));
                    moved = true;
                    break;
                }
            }
            if !moved {
                stream.is_partial = false;
                return Ok(());
            }
            if stream.pending.len() >= self.pending_max {
                return Ok(());
            }
        }
    }

    /// Whether a segment that begins so says nothing yet about the one before: its writes may be under way.
    fn is_early(&self, first: FrameEntry) -> bool {
        first.epoch == self.epoch && first.gsn > self.synced
    }

    /// Reads a file from `from` on, and remembers new frames; where to go on, and the first frame met.
    async fn read(
        &self,
        stream: &mut Stream,
        seq: u64,
        from: u64,
    ) -> Result<(u64, Option<FrameEntry>), ArchiveError> {
        let file = SegmentId { shard: self.shard, seq };
        let part = Part { from, search_bytes: self.search_bytes };
        let path = self.dir.join(file.file_name());
        let scan = match scan_part(self.disk, &path, self.log, file, part).await {
            // Given to another use meanwhile, which no segment is that is still wanted.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((from, None)),
            scan => scan.map_err(|error| ArchiveError::io(format!("read {file}"), error))?,
        };
        let numbered = scan.frames.iter().filter(|frame| frame.gsn > 0);
        let first = numbered.clone().next().copied();
        if from == 0 && first.is_some_and(|first| self.is_early(first)) {
            return Ok((0, first));
        }
        for entry in numbered.filter(|entry| entry.gsn > self.through) {
            stream.pending.insert((entry.gsn, entry.epoch), Found { entry: *entry, file });
        }
        Ok((scan.resume_at, first))
    }
}
