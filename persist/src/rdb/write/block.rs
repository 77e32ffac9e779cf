//! One shard's blocks: filled up to whole pages, summed, and placed.

use std::sync::atomic::{AtomicU64, Ordering};

use ringstone_engine::serial::crc64;

use crate::rdb::index::BlockEntry;
use crate::rdb::opcode::{ALIGN_BYTES, AUX, AUX_PAD};

/// The name's length, in the form of one byte.
#[expect(clippy::cast_possible_truncation, reason = "the name is 13 bytes long, as a test pins")]
const AUX_PAD_LEN: u8 = AUX_PAD.len() as u8;
/// The shortest padding: opcode, name with its length, and a length of two bytes before no value.
const PAD_LEN_MIN: usize = 1 + 1 + AUX_PAD.len() + 2;

/// Bytes that fill up `len` to a multiple of [`ALIGN_BYTES`].
pub(super) fn pad_len(len: usize) -> usize {
    let missing = len.next_multiple_of(ALIGN_BYTES) - len;
    match missing {
        0 => 0,
        1..PAD_LEN_MIN => missing + ALIGN_BYTES,
        _ => missing,
    }
}

/// Appends one AUX field, which every loader passes over, so that `buf` becomes a multiple of [`ALIGN_BYTES`] long.
pub fn pad(buf: &mut Vec<u8>) {
    let len = pad_len(buf.len());
    put_pad(buf, len);
}

/// Appends padding of exactly `len` bytes, which [`pad_len`] has worked out.
pub(super) fn put_pad(buf: &mut Vec<u8>, len: usize) {
    let Some(value_len) = len.checked_sub(PAD_LEN_MIN) else { return };
    let end = buf.len() + len;
    buf.push(AUX);
    buf.push(AUX_PAD_LEN);
    buf.extend_from_slice(AUX_PAD);
    // Always the length form of two bytes, so that each total length can be had.
    let value_len = u16::try_from(value_len).unwrap_or(0) & 0x3fff;
    buf.extend_from_slice(&(0x4000 | value_len).to_be_bytes());
    buf.resize(end, 0);
}

/// A shard's side of a snapshot: seals blocks and remembers where they went.
#[derive(Debug)]
pub struct BlockWriter<'a> {
    shard: u32,
    offsets: &'a AtomicU64,
    written: Vec<BlockEntry>,
}

impl<'a> BlockWriter<'a> {
    /// For `shard`; `offsets` is shared by all shards and starts at the header's length.
    pub fn new(shard: u32, offsets: &'a AtomicU64) -> Self {
        BlockWriter { shard, offsets, written: Vec::new() }
    }

    /// Fills `block` up (it begins with SELECTDB and holds `entries` keys), and returns the offset at which all of it is to be
    /// written. A block whose write fails leaves a gap, so the whole snapshot fails with it.
    pub fn seal(&mut self, block: &mut Vec<u8>, entries: u64) -> u64 {
        let offset = self.place(block);
        let (len, crc64) = (block.len() as u64, crc64::checksum(block));
        self.placed(BlockEntry { offset, len, shard: self.shard, entries, crc64 });
        offset
    }

    /// The first half of [`BlockWriter::seal`], for a block that is summed piece by piece: fills it up and gives its offset.
    pub fn place(&self, block: &mut Vec<u8>) -> u64 {
        pad(block);
        // Relaxed: the counter orders nothing but itself; entries travel to the coordinator by message.
        self.offsets.fetch_add(block.len() as u64, Ordering::Relaxed)
    }

    /// The second half: the block is written, and this is its sum.
    pub fn placed(&mut self, entry: BlockEntry) {
        self.written.push(entry);
    }

    /// The shard that writes.
    pub fn shard(&self) -> u32 {
        self.shard
    }

    /// Keys written so far.
    pub fn entries(&self) -> u64 {
        self.written.iter().map(|block| block.entries).sum()
    }

    /// What the coordinator needs for the tail.
    pub fn into_entries(self) -> Vec<BlockEntry> {
        self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringstone_engine::serial::RdbReader;

    #[test]
    fn padding_is_one_field_that_ends_on_a_page_whatever_the_length() {
        for len in 0..2 * ALIGN_BYTES {
            let mut buf = vec![7; len];
            pad(&mut buf);
            assert_eq!(buf.len() % ALIGN_BYTES, 0);
            let mut reader = RdbReader::new(&buf[len..]);
            if !reader.is_at_end() {
                assert_eq!(reader.byte().unwrap(), AUX);
                assert_eq!(&*reader.string().unwrap(), AUX_PAD);
                reader.skip_string().unwrap();
                assert!(reader.is_at_end());
            }
        }
    }

    #[test]
    fn blocks_of_two_shards_lie_side_by_side() {
        let offsets = AtomicU64::new(4096);
        let mut shards = [BlockWriter::new(0, &offsets), BlockWriter::new(1, &offsets)];
        let at: Vec<u64> = [(0, 10), (1, 5000), (0, 1)]
            .into_iter()
            .map(|(shard, len): (usize, usize)| shards[shard].seal(&mut vec![1; len], 3))
            .collect();
        assert_eq!(at, [4096, 8192, 16384]);
        assert_eq!(shards[0].entries(), 6);
    }
}
