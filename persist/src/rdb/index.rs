//! The block index in the file's tail: where each block lies, so that blocks are loaded in parallel.
//!
//! ```text
//! version:u16 = 1   reserved:u16   blocks:u32   header_len:u64   header_crc64:u64
//! blocks x ( offset:u64  len:u64  shard:u32  reserved:u32  entries:u64  crc64:u64 )
//! index_len:u64   crc32:u32   "RINGIDX1"                              little-endian; index_len counts all of it
//! ```
//!
//! Invariant: an index is used only when its blocks cover the file from the header to the tail without gap or overlap.

use super::opcode::MAGIC_LEN;

const VERSION: u16 = 1;
const HEAD_LEN: usize = 24;
const BLOCK_LEN: usize = 40;
const TRAILER_MAGIC: &[u8; 8] = b"RINGIDX1";
pub(crate) const TRAILER_LEN: usize = 20;

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockEntry {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length in bytes, padding included.
    pub len: u64,
    /// The shard that wrote it.
    pub shard: u32,
    /// Keys in it.
    pub entries: u64,
    /// CRC-64 over it.
    pub crc64: u64,
}

/// Where everything lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Length of what stands before the blocks.
    pub header_len: u64,
    /// CRC-64 over it.
    pub header_crc64: u64,
    /// The blocks, ascending by offset.
    pub blocks: Vec<BlockEntry>,
}

impl Index {
    /// The index's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let len = HEAD_LEN + self.blocks.len() * BLOCK_LEN + TRAILER_LEN;
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&u32::try_from(self.blocks.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&self.header_len.to_le_bytes());
        out.extend_from_slice(&self.header_crc64.to_le_bytes());
        for block in &self.blocks {
            out.extend_from_slice(&block.offset.to_le_bytes());
            out.extend_from_slice(&block.len.to_le_bytes());
            out.extend_from_slice(&block.shard.to_le_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&block.entries.to_le_bytes());
            out.extend_from_slice(&block.crc64.to_le_bytes());
        }
        out.extend_from_slice(&(len as u64).to_le_bytes());
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        out.extend_from_slice(TRAILER_MAGIC);
        out
    }

    /// Reads the index that ends where `bytes` end; also says how long it is. `None` when there is none, or one of
    /// another version, or a broken one: the file loads without it.
    pub(crate) fn decode_end(bytes: &[u8]) -> Option<(Index, usize)> {
        let (before_magic, magic) = bytes.split_last_chunk::<8>()?;
        let (before_crc, crc) = before_magic.split_last_chunk::<4>()?;
        let (_, len) = before_crc.split_last_chunk::<8>()?;
        let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
        let start = bytes.len().checked_sub(len)?;
        let summed = before_crc.get(start..)?;
        if magic != TRAILER_MAGIC || crc32fast::hash(summed) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (head, blocks) = summed.get(..summed.len() - 8)?.split_first_chunk::<HEAD_LEN>()?;
        let mut head = Fields(head);
        let (version, _, count) = (head.u16()?, head.u16()?, head.u32()?);
        let mut index =
            Index { header_len: head.u64()?, header_crc64: head.u64()?, blocks: Vec::new() };
        let sized = usize::try_from(count).ok()?.checked_mul(BLOCK_LEN)? == blocks.len();
        if version != VERSION || !sized {
            return None;
        }
        for block in blocks.chunks_exact(BLOCK_LEN) {
            let mut fields = Fields(block);
            let (offset, len) = (fields.u64()?, fields.u64()?);
            let (shard, _) = (fields.u32()?, fields.u32()?);
            let (entries, crc64) = (fields.u64()?, fields.u64()?);
            index.blocks.push(BlockEntry { offset, len, shard, entries, crc64 });
        }
        Some((index, len))
    }

    /// True when the blocks cover everything from the header to `tail_offset`, each byte once.
    pub(crate) fn covers(&self, tail_offset: u64) -> bool {
        let mut at = self.header_len;
        let contiguous = self.blocks.iter().all(|block| {
            let fits = block.offset == at && block.len > 0;
            at = block.offset.saturating_add(block.len);
            fits && at <= tail_offset
        });
        contiguous && at == tail_offset && self.header_len >= MAGIC_LEN as u64
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Index {
        let block =
            |offset, shard| BlockEntry { offset, len: 4096, shard, entries: 7, crc64: offset * 31 };
        Index { header_len: 4096, header_crc64: 99, blocks: vec![block(4096, 1), block(8192, 0)] }
    }

    #[test]
    fn comes_back_as_written() {
        let bytes = [b"what stands before".to_vec(), sample().encode()].concat();
        assert_eq!(Index::decode_end(&bytes), Some((sample(), sample().encode().len())));
        assert!(sample().covers(12288));
    }

    #[test]
    fn a_cut_or_changed_index_is_no_index() {
        let bytes = sample().encode();
        for at in 0..bytes.len() {
            assert_eq!(Index::decode_end(&bytes[..at]), None);
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert_eq!(Index::decode_end(&changed), None, "byte {at}");
        }
    }

    #[test]
    fn gaps_and_overlaps_are_refused() {
        assert!(!sample().covers(12289));
        assert!(!sample().covers(8192));
        let mut index = sample();
        index.blocks.swap(0, 1);
        assert!(!index.covers(12288));
        index.blocks.clear();
        assert!(index.covers(4096));
    }
}
