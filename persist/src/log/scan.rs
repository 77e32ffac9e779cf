//! Reading one segment: every frame that validates, and every place where something else stood.
//!
//! Invariant: memory is bounded by the number of frames, never by a length that the file claims: payloads are checked in
//! pieces and left where they are. No content makes this panic.

use std::io;
use std::path::Path;

use super::frame::{FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, FrameSeed};
use super::segment::{HeaderError, SEGMENT_HEADER_BYTES, check_header};
use super::stage::group_in;
use super::{LogId, SegmentId, SegmentKind};
use crate::disk::{BLOCK_BYTES, Disk};

/// How much is read at once.
const WINDOW_BYTES: usize = 256 << 10;

/// Where a frame lies, and what recovery must know about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameEntry {
    /// Its place in the order of everything; 0 for a mark.
    pub gsn: u64,
    /// Every GSN up to this one was durable when the frame was made.
    pub durable_gsn: u64,
    /// Offset of its header in the file, in bytes.
    pub offset: u64,
    /// Length of its payload in bytes.
    pub payload_len: u64,
    /// CRC-32 of its payload.
    pub payload_crc: u32,
    /// Wall clock when it was made, in milliseconds since 1970.
    pub wall_ms: u64,
    /// The epoch in which it was written.
    pub epoch: u32,
    /// The data key of the epoch that its payload is sealed with; 0: none.
    pub key: u16,
    /// The segment that it is sealed for: the file's own, or a stage's number.
    pub sealed_for: SegmentId,
}

impl FrameEntry {
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(FRAME_HEADER_BYTES as u64).saturating_add(self.payload_len)
    }
}

/// What a segment holds.
#[derive(Clone, Debug)]
pub struct SegmentScan {
    /// The segment.
    pub id: SegmentId,
    /// What is wrong with its first block, if anything.
    pub header_error: Option<HeaderError>,
    /// How it was written; unknown with a broken header.
    pub kind: Option<SegmentKind>,
    /// The file's length when it was made, if it is shorter now.
    pub cut_from: Option<u64>,
    /// The frames that validate, in the order of their offsets.
    pub frames: Vec<FrameEntry>,
    /// Where the frames before a hole end: bytes there are no frame, yet frames follow.
    pub holes: Vec<u64>,
    /// Where the last valid frame ends.
    pub end: u64,
    /// Whether the bytes behind `end`, up to where the next group's header would be, are something else than zeros.
    pub tail_bytes: bool,
    /// From where on to scan again for what is written later.
    pub resume_at: u64,
}

/// Which part of a segment is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// Where to begin: behind the header, or a scan's [`SegmentScan::resume_at`].
    pub(crate) from: u64,
    /// How far behind a frame to look for the next one.
    pub(crate) search_bytes: u64,
}

impl Part {
    /// All of it.
    pub(crate) const WHOLE: Part =
        Part { from: SEGMENT_HEADER_BYTES as u64, search_bytes: u64::MAX };
}

/// Reads a whole segment.
pub async fn scan_segment<D: Disk>(
    disk: &D,
    path: &Path,
    log: &LogId,
    id: SegmentId,
) -> io::Result<SegmentScan> {
    scan_part(disk, path, log, id, Part::WHOLE).await
}

/// Reads a part of a segment.
pub(crate) async fn scan_part<D: Disk>(
    disk: &D,
    path: &Path,
    log: &LogId,
    id: SegmentId,
    part: Part,
) -> io::Result<SegmentScan> {
    let file = disk.open(path).await?;
    let len = disk.len(&file).await?;
    let window_len = usize::try_from(len).unwrap_or(WINDOW_BYTES).min(WINDOW_BYTES);
    let mut window = Window {
        disk,
        file: &file,
        len,
        buf: vec![0; window_len],
        at: 0,
        filled: 0,
        search_bytes: part.search_bytes,
    };
    let header = check_header(window.peek(0, SEGMENT_HEADER_BYTES).await?, log, id);
    let (kind, made_len, header_error) = match header {
        Ok((kind, made_len)) => (Some(kind), made_len, None),
        // No segment is shorter than its first block.
        Err(error) => (None, SEGMENT_HEADER_BYTES as u64, Some(error)),
    };
    let start = part.from.max(SEGMENT_HEADER_BYTES as u64);
    let mut seals = Seals {
        log,
        own: FrameSeed::new(log, id),
        group: None,
        group_at: start,
        looked_to: start / BLOCK_BYTES as u64,
    };
    let mut scan = SegmentScan {
        id,
        header_error,
        kind,
        cut_from: (len < made_len).then_some(made_len),
        frames: Vec::new(),
        holes: Vec::new(),
        end: start,
        tail_bytes: false,
        resume_at: start,
    };
    let mut at = start;
    while let Some(offset) = window.next_magic(at).await? {
        let group_at = seals.look_to(&mut window, offset).await?;
        match window.frame(offset, &seals).await? {
            Some(frame) => {
                if offset != at && !window.is_padding(at, group_at.unwrap_or(offset)).await? {
                    scan.holes.push(at);
                }
                at = frame.end();
                scan.end = at;
                scan.resume_at = match frame.sealed_for.is_of_stage() && !id.is_of_stage() {
                    true => seals.group_at,
                    false => frame.offset / BLOCK_BYTES as u64 * BLOCK_BYTES as u64,
                };
                scan.frames.push(frame);
            }
            None => {
                // Look on from the next byte, without moving the end of what is valid.
                match window.resync(offset + 1, &mut seals).await? {
                    Some(found) => {
                        scan.holes.push(at);
                        at = found;
                    }
                    None => break,
                }
            }
        }
    }
    // As far as the next group's header, if there was one.
    let to_block = scan.end.next_multiple_of(BLOCK_BYTES as u64) - scan.end;
    let tail_len = usize::try_from(to_block).unwrap_or(0) + FRAME_HEADER_BYTES;
    // Behind a stage's frames lies what its use before left.
    scan.tail_bytes =
        !id.is_of_stage() && window.peek(scan.end, tail_len).await?.iter().any(|byte| *byte != 0);
    Ok(scan)
}

/// The error with the place where it struck.
pub(super) fn at_offset(offset: u64, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("at offset {offset}: {error}"))
}

/// What frames may be sealed with.
struct Seals<'a> {
    log: &'a LogId,
    /// The file's own.
    own: FrameSeed,
    /// Of the stage whose group was met last.
    group: Option<FrameSeed>,
    /// Where that group's first block is.
    group_at: u64,
    /// Blocks before this one were looked at for a group's beginning.
    looked_to: u64,
}

impl Seals<'_> {
    /// Looks for beginnings of groups in the blocks before `offset`; gives the last one's offset if a frame right behind it is
    /// the group's first.
    async fn look_to<D: Disk>(
        &mut self,
        window: &mut Window<'_, D>,
        offset: u64,
    ) -> io::Result<Option<u64>> {
        let block_bytes = BLOCK_BYTES as u64;
        let mut first_of = None;
        while (self.looked_to + 1) * block_bytes <= offset {
            let at = self.looked_to * block_bytes;
            self.looked_to += 1;
            let block = window.peek(at, BLOCK_BYTES).await?;
            if let Some(stage) = group_in(block, self.log, self.own.segment()) {
                self.group = Some(FrameSeed::new(self.log, stage));
                self.group_at = at;
                first_of = (at + block_bytes == offset).then_some(at);
            }
        }
        Ok(first_of)
    }
}

/// A stretch of the file in memory.
struct Window<'a, D: Disk> {
    disk: &'a D,
    file: &'a D::File,
    len: u64,
    buf: Vec<u8>,
    at: u64,
    filled: usize,
    search_bytes: u64,
}

impl<D: Disk> Window<'_, D> {
    /// At most `len` bytes (not above the window's size) from `offset` on; fewer at the end of the file.
    async fn peek(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let inside = offset >= self.at && offset + len as u64 <= self.at + self.filled as u64;
        if !inside {
            self.at = offset;
            let read = self.disk.read_full_at(self.file, &mut self.buf, offset).await;
            self.filled = read.map_err(|error| at_offset(offset, &error))?;
        }
        let from = usize::try_from(offset - self.at).unwrap_or(usize::MAX).min(self.filled);
        let to = from.saturating_add(len).min(self.filled);
        Ok(self.buf.get(from..to).unwrap_or_default())
    }

    /// Where the next magic stands at or after `from`, at any byte: damage to one frame must not hide the next.
    async fn next_magic(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut at = from;
        while at + FRAME_HEADER_BYTES as u64 <= self.len && at - from < self.search_bytes {
            let room = usize::try_from(self.len - at).unwrap_or(usize::MAX).min(WINDOW_BYTES / 2);
            let bytes = self.peek(at, room).await?;
            if bytes.len() < FRAME_MAGIC.len() {
                return Ok(None);
            }
            let hit = memchr::memmem::find(bytes, &FRAME_MAGIC);
            if let Some(i) = hit {
                return Ok(Some(at + i as u64));
            }
            at += (bytes.len() - (FRAME_MAGIC.len() - 1)) as u64;
        }
        Ok(None)
    }

    /// Where the next *valid* frame starts at or after `from`.
    async fn resync(&mut self, from: u64, seals: &mut Seals<'_>) -> io::Result<Option<u64>> {
        let mut at = from;
        while let Some(offset) = self.next_magic(at).await? {
            seals.look_to(self, offset).await?;
            if self.frame(offset, seals).await?.is_some() {
                return Ok(Some(offset));
            }
            at = offset + 1;
        }
        Ok(None)
    }

    /// The frame at `offset`, if it validates with its payload.
    async fn frame(&mut self, offset: u64, seals: &Seals<'_>) -> io::Result<Option<FrameEntry>> {
        let bytes = self.peek(offset, FRAME_HEADER_BYTES).await?;
        let mut all = seals.group.iter().chain([&seals.own]);
        let sealed = all.find_map(|seed| Some((seed.segment(), FrameHeader::decode(bytes, seed)?)));
        let Some((sealed_for, header)) = sealed else { return Ok(None) };
        let frame = FrameEntry {
            gsn: header.gsn,
            durable_gsn: header.durable_gsn,
            offset,
            payload_len: header.payload_len,
            payload_crc: header.payload_crc,
            wall_ms: header.wall_ms,
            epoch: header.epoch,
            key: header.key,
            sealed_for,
        };
        if header.shard != sealed_for.shard || frame.end() > self.len {
            return Ok(None);
        }
        let mut hasher = crc32fast::Hasher::new();
        let mut at = offset + FRAME_HEADER_BYTES as u64;
        while at < frame.end() {
            let len = usize::try_from(frame.end() - at).unwrap_or(usize::MAX).min(WINDOW_BYTES / 2);
            let bytes = self.peek(at, len).await?;
            if bytes.is_empty() {
                return Ok(None);
            }
            hasher.update(bytes);
            at += bytes.len() as u64;
        }
        Ok((hasher.finalize() == header.payload_crc).then_some(frame))
    }

    /// Whether a gap is what fills a block behind a group.
    async fn is_padding(&mut self, from: u64, to: u64) -> io::Result<bool> {
        let len = usize::try_from(to - from).unwrap_or(usize::MAX);
        if len >= BLOCK_BYTES || !to.is_multiple_of(BLOCK_BYTES as u64) {
            return Ok(false);
        }
        Ok(self.peek(from, len).await?.iter().all(|byte| *byte == 0))
    }
}
