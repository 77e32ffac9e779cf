//! A growable byte buffer whose first byte lies on a block boundary, as direct I/O wants it; its bytes may be a file's.
//!
//! Invariant: the bytes move only when the buffer grows; moving the value itself leaves its bytes (and pointers the
//! kernel holds) in place.

use super::BLOCK_BYTES;
use super::map::MappedMut;

/// The buffer.
#[derive(Debug, Default)]
pub struct AlignedBuf {
    storage: Storage,
    start: usize,
    len: usize,
}

#[derive(Debug)]
enum Storage {
    /// Longer than needed by a block, so that an aligned start can be found in it.
    Heap(Vec<u8>),
    /// A whole file.
    Mapped(MappedMut),
}

impl Default for Storage {
    fn default() -> Self {
        Storage::Heap(Vec::new())
    }
}

impl Storage {
    fn bytes(&self) -> &[u8] {
        match self {
            Storage::Heap(bytes) => bytes,
            Storage::Mapped(map) => map.bytes(),
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Storage::Heap(bytes) => bytes,
            Storage::Mapped(map) => map.bytes_mut(),
        }
    }
}

impl From<MappedMut> for AlignedBuf {
    /// An empty buffer over a file's bytes. It must not grow above its capacity: then it would be the file's no longer.
    fn from(map: MappedMut) -> Self {
        AlignedBuf { storage: Storage::Mapped(map), start: 0, len: 0 }
    }
}

impl AlignedBuf {
    /// An empty buffer that holds `capacity` bytes without growing.
    pub fn with_capacity(capacity: usize) -> Self {
        let storage = vec![0; capacity.next_multiple_of(BLOCK_BYTES) + BLOCK_BYTES];
        let start = storage.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        AlignedBuf { storage: Storage::Heap(storage), start, len: 0 }
    }

    /// Bytes in use.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when no byte is in use.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that fit without growing.
    pub fn capacity(&self) -> usize {
        self.storage.bytes().len().saturating_sub(self.start)
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.storage.bytes().get(self.start..self.start + self.len).unwrap_or_default()
    }

    /// The bytes, to be changed.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.storage.bytes_mut().get_mut(self.start..self.start + self.len).unwrap_or_default()
    }

    /// Appends bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        let at = self.start + self.len;
        if let Some(place) = self.storage.bytes_mut().get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }

    /// Appends zeros up to the next block boundary.
    pub fn pad_to_block(&mut self) {
        self.pad(self.len.next_multiple_of(BLOCK_BYTES) - self.len);
    }

    /// Appends zeros.
    pub fn pad(&mut self, zeros: usize) {
        self.reserve(zeros);
        let at = self.start + self.len;
        if let Some(place) = self.storage.bytes_mut().get_mut(at..at + zeros) {
            place.fill(0);
            self.len += zeros;
        }
    }

    /// Cuts the buffer to its first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// A copy of its own.
    pub fn copy(&self) -> Self {
        let mut copy = AlignedBuf::with_capacity(self.len);
        copy.extend(self.as_slice());
        copy
    }

    fn reserve(&mut self, more: usize) {
        let wanted = self.len + more;
        if wanted > self.capacity() {
            let mut grown =
                AlignedBuf::with_capacity(wanted.max(self.capacity().saturating_mul(2)));
            let start = grown.start;
            let whole = grown.storage.bytes_mut();
            if let Some(place) = whole.get_mut(start..start + self.len) {
                place.copy_from_slice(self.as_slice());
                grown.len = self.len;
            }
            *self = grown;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_aligned_while_it_grows_and_moves() {
        let mut buf = AlignedBuf::default();
        for i in 0..5000u32 {
            buf.extend(&i.to_le_bytes());
            assert_eq!(buf.as_slice().as_ptr().align_offset(BLOCK_BYTES), 0);
        }
        let pointer = buf.as_slice().as_ptr();
        let boxed = Box::new(buf);
        assert_eq!(boxed.as_slice().as_ptr(), pointer);
        assert_eq!(&boxed.as_slice()[4 * 4999..], &4999u32.to_le_bytes());
    }

    #[test]
    fn padding_is_zero_even_where_old_bytes_lay() {
        let mut buf = AlignedBuf::with_capacity(100);
        buf.extend(&[7; 3000]);
        buf.truncate(10);
        buf.pad_to_block();
        assert_eq!(buf.len(), BLOCK_BYTES);
        assert!(buf.as_slice()[10..].iter().all(|b| *b == 0));
    }
}
