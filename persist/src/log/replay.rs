//! Reading the recovered frames one by one, in GSN order, straight from the segments.
//!
//! Invariant: one payload and one read-ahead window a segment are in memory, and a segment's window goes with its last frame.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameSeed};
use super::recovery::Recovered;
use super::report::Location;
use super::scan::at_offset;
use super::{FrameKind, LogId, SegmentId};
use crate::disk::Disk;

/// How far ahead a segment is read.
const AHEAD_BYTES: usize = 128 << 10;

/// Where a frame is: index of its segment, and offset; and what it is sealed for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) segment: usize,
    pub(crate) offset: u64,
    pub(crate) sealed_for: SegmentId,
}

/// A frame to be applied.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What it holds.
    pub kind: FrameKind,
    /// The shard in whose log it stood; keys are routed by their slot, not by this.
    pub shard: u32,
    /// Its place in the order of everything.
    pub gsn: u64,
    /// Wall clock when it was made, in milliseconds since 1970.
    pub wall_ms: u64,
    /// All that its header says.
    pub header: FrameHeader,
    /// The segment in which it stands.
    pub segment: SegmentId,
    /// The offset of its header there, in bytes.
    pub offset: u64,
    /// Effect records, for [`ringstone_engine::effect::Records`].
    pub records: &'a [u8],
}

/// The reader.
#[derive(Debug)]
pub struct Replay<'a, D: Disk> {
    recovered: &'a Recovered,
    next: usize,
    open: HashMap<usize, Cursor<D::File>>,
    /// Frames still to come, by segment.
    left: HashMap<usize, usize>,
    payload: Vec<u8>,
}

/// A segment that is read frame by frame.
#[derive(Debug)]
pub(crate) struct Cursor<F> {
    file: F,
    id: SegmentId,
    log: LogId,
    /// Of the frame that was read last.
    seed: FrameSeed,
    /// How much is read at once: no more than the file has.
    ahead_bytes: usize,
    at: u64,
    buf: Vec<u8>,
}

impl<'a, D: Disk> Replay<'a, D> {
    pub(super) fn new(recovered: &'a Recovered) -> Self {
        let mut left = HashMap::new();
        for place in &recovered.places {
            *left.entry(place.segment).or_insert(0) += 1;
        }
        Replay { recovered, next: 0, open: HashMap::new(), left, payload: Vec::new() }
    }

    /// The next frame; `None` after the last. An error ends the reading.
    pub async fn next(&mut self, disk: &D) -> io::Result<Option<Frame<'_>>> {
        let Some(place) = self.recovered.places.get(self.next).copied() else { return Ok(None) };
        self.next += 1;
        if !self.open.contains_key(&place.segment) {
            let cursor = self.open_segment(disk, place.segment).await?;
            self.open.insert(place.segment, cursor);
        }
        let Some(cursor) = self.open.get_mut(&place.segment) else { return Ok(None) };
        let header = cursor.read(disk, &place, &mut self.payload).await?;
        let segment = cursor.id;
        let location = Location { segment, offset: place.offset };
        let opened = self.recovered.opener.open(&header, &mut self.payload, &location);
        opened.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let left = self.left.entry(place.segment).or_insert(1);
        *left -= 1;
        if *left == 0 {
            self.open.remove(&place.segment);
        }
        Ok(Some(Frame {
            kind: header.kind,
            shard: header.shard,
            gsn: header.gsn,
            wall_ms: header.wall_ms,
            header,
            segment,
            offset: place.offset,
            records: &self.payload,
        }))
    }

    async fn open_segment(&self, disk: &D, segment: usize) -> io::Result<Cursor<D::File>> {
        let id = self.recovered.segments.get(segment).ok_or(io::ErrorKind::NotFound)?.id;
        Cursor::open(disk, &self.recovered.dir, self.recovered.manifest.log, id).await
    }
}

impl<F> Cursor<F> {
    pub(crate) async fn open<D: Disk<File = F>>(
        disk: &D,
        dir: &Path,
        log: LogId,
        id: SegmentId,
    ) -> io::Result<Self> {
        let file = disk.open(&dir.join(id.file_name())).await?;
        let seed = FrameSeed::new(&log, id);
        let len = usize::try_from(disk.len(&file).await?).unwrap_or(AHEAD_BYTES);
        Ok(Cursor {
            file,
            id,
            log,
            seed,
            ahead_bytes: len.min(AHEAD_BYTES),
            at: 0,
            buf: Vec::new(),
        })
    }

    /// Reads the frame at `place` into `payload`.
    pub(crate) async fn read<D: Disk<File = F>>(
        &mut self,
        disk: &D,
        place: &Place,
        payload: &mut Vec<u8>,
    ) -> io::Result<FrameHeader> {
        if self.seed.segment() != place.sealed_for {
            self.seed = FrameSeed::new(&self.log, place.sealed_for);
        }
        let (offset, seed) = (place.offset, self.seed.clone());
        let bytes = self.peek(disk, offset, FRAME_HEADER_BYTES).await?;
        let header = FrameHeader::decode(bytes, &seed).ok_or_else(|| self.changed(offset))?;
        // The scan saw the whole payload in the file, so its length is no mere claim.
        let len = usize::try_from(header.payload_len).map_err(|_| self.changed(offset))?;
        let start = offset + FRAME_HEADER_BYTES as u64;
        payload.clear();
        if len <= AHEAD_BYTES - FRAME_HEADER_BYTES {
            payload.extend_from_slice(self.peek(disk, start, len).await?);
        } else {
            payload.resize(len, 0);
            let read = disk.read_full_at(&self.file, payload, start).await;
            let filled = read.map_err(|error| self.unread(start, &error))?;
            payload.truncate(filled);
        }
        if payload.len() != len || crc32fast::hash(payload) != header.payload_crc {
            return Err(self.changed(offset));
        }
        Ok(header)
    }

    async fn peek<D: Disk<File = F>>(
        &mut self,
        disk: &D,
        offset: u64,
        len: usize,
    ) -> io::Result<&[u8]> {
        let end = offset + len as u64;
        if offset < self.at || end > self.at + self.buf.len() as u64 {
            self.buf.resize(self.ahead_bytes, 0);
            let read = disk.read_full_at(&self.file, &mut self.buf, offset).await;
            let filled = read.map_err(|error| self.unread(offset, &error))?;
            self.buf.truncate(filled);
            self.at = offset;
        }
        let from = usize::try_from(offset - self.at).unwrap_or(usize::MAX).min(self.buf.len());
        let to = from.saturating_add(len).min(self.buf.len());
        Ok(self.buf.get(from..to).unwrap_or_default())
    }

    fn unread(&self, offset: u64, error: &io::Error) -> io::Error {
        let error = at_offset(offset, error);
        io::Error::new(error.kind(), format!("{}: {error}", self.id))
    }

    fn changed(&self, offset: u64) -> io::Error {
        let text = format!("{} changed while it was read, at offset {offset}", self.id);
        io::Error::new(io::ErrorKind::InvalidData, text)
    }
}
