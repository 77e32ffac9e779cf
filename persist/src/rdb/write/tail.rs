//! What stands behind the blocks: padding, the index, EOF, and the CRC-64 put together from those of the parts.

use ringstone_engine::serial::{Compression, RdbWriter, crc64};

use super::HeaderBlock;
use super::block::{pad_len, put_pad};
use super::header::aux;
use crate::rdb::index::{BlockEntry, Index};
use crate::rdb::opcode::{AUX_INDEX, EOF};

/// Why a tail cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    /// Some block is missing, so that the file has a hole.
    #[error("no block was written at offset {0} of the snapshot")]
    Gap(u64),
    /// Two blocks were given one place.
    #[error("two blocks were written at offset {0} of the snapshot")]
    Overlap(u64),
}

/// The tail's bytes, a multiple of a page long, and the offset at which they are to be written.
pub fn tail(
    header: &HeaderBlock,
    mut blocks: Vec<BlockEntry>,
) -> Result<(u64, Vec<u8>), TailError> {
    blocks.sort_unstable_by_key(|block| block.offset);
    let header_len = header.bytes.len() as u64;
    let (mut offset, mut sum) = (header_len, header.crc64);
    for block in &blocks {
        match block.offset.cmp(&offset) {
            std::cmp::Ordering::Greater => return Err(TailError::Gap(offset)),
            std::cmp::Ordering::Less => return Err(TailError::Overlap(block.offset)),
            std::cmp::Ordering::Equal => {}
        }
        offset += block.len;
        sum = crc64::combine(sum, block.crc64, block.len);
    }
    let index = Index { header_len, header_crc64: header.crc64, blocks };
    // The index is binary and has to be found from the end: never compressed, never taken for a number.
    let mut behind = RdbWriter::new(Compression::None);
    aux(&mut behind, AUX_INDEX, &index.encode());
    behind.byte(EOF);

    let mut bytes = Vec::new();
    put_pad(&mut bytes, pad_len(behind.buf.len() + size_of::<u64>()));
    bytes.extend_from_slice(&behind.buf);
    let sum = crc64::combine(sum, crc64::checksum(&bytes), bytes.len() as u64);
    bytes.extend_from_slice(&sum.to_le_bytes());
    Ok((offset, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdb::write::Header;

    #[test]
    fn a_missing_or_doubled_block_fails_the_snapshot() {
        let header = Header::default().encode();
        let block = |offset| BlockEntry { offset, len: 4096, shard: 0, entries: 1, crc64: 0 };
        assert_eq!(tail(&header, vec![block(8192)]).unwrap_err(), TailError::Gap(4096));
        let twice = vec![block(4096), block(4096)];
        assert_eq!(tail(&header, twice).unwrap_err(), TailError::Overlap(4096));
        let (offset, bytes) = tail(&header, vec![block(8192), block(4096)]).unwrap();
        assert_eq!((offset, bytes.len() % 4096), (12288, 0));
    }
}
