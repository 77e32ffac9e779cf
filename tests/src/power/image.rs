//! A disk's content in memory: blocks that are shared until one of their owners writes them.
//!
//! Invariant: a copy costs a pointer a block, so that thousands of images of one recording can be tried.

use std::sync::Arc;

/// Bytes of a block.
pub(super) const BLOCK: usize = 4096;
/// What a disk writes whole or not at all.
pub(super) const SECTOR: usize = 512;

/// A disk's content; what was never written is zero.
#[derive(Clone, Debug)]
pub struct Image {
    blocks: Vec<Option<Arc<[u8; BLOCK]>>>,
}

impl Image {
    /// A disk of zeros.
    pub fn zeros(len_bytes: u64) -> Image {
        let blocks = usize::try_from(len_bytes).expect("it fits into memory") / BLOCK;
        Image { blocks: vec![None; blocks] }
    }

    /// Its length in bytes.
    pub fn len_bytes(&self) -> u64 {
        (self.blocks.len() * BLOCK) as u64
    }

    /// Reads; zeros behind the end.
    pub fn read(&self, offset: u64, out: &mut [u8]) {
        for (index, at, range) in pieces(offset, out.len()) {
            match self.blocks.get(index) {
                Some(Some(block)) => {
                    let len = range.len();
                    out[range].copy_from_slice(&block[at..at + len]);
                }
                _ => out[range].fill(0),
            }
        }
    }

    /// Writes; what lies behind the end is dropped.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        for (index, at, range) in pieces(offset, bytes.len()) {
            let Some(slot) = self.blocks.get_mut(index) else { return };
            let part = &bytes[range];
            if slot.is_none() && part.iter().all(|b| *b == 0) {
                continue;
            }
            let block = Arc::make_mut(slot.get_or_insert_with(|| Arc::new([0; BLOCK])));
            block[at..at + part.len()].copy_from_slice(part);
        }
    }
}

/// Block, offset within it, and range of the buffer.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (usize, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = usize::try_from(offset).unwrap_or(usize::MAX - len) + done;
        let take = (BLOCK - at % BLOCK).min(len - done);
        let piece = (at / BLOCK, at % BLOCK, done..done + take);
        done += take;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_does_not_see_what_is_written_later() {
        let mut image = Image::zeros(4 * BLOCK as u64);
        image.write(4000, &[7; 200]);
        let copy = image.clone();
        image.write(4090, &[9; 10]);
        let (mut old, mut new) = ([1; 210], [1; 210]);
        copy.read(3995, &mut old);
        image.read(3995, &mut new);
        assert_eq!((old[4], old[5], old[204], old[205]), (0, 7, 7, 0));
        assert_eq!((new[94], new[95], new[104], new[105]), (7, 9, 9, 7));
    }
}
