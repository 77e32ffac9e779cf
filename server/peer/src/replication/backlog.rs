//! The last bytes of the stream.

use std::collections::VecDeque;

/// The last bytes of a stream, as many as its size allows.
#[derive(Debug)]
pub struct Backlog {
    bytes: VecDeque<u8>,
    size: usize,
    /// Offset of the last byte; the stream's first byte has offset 1.
    end: u64,
}

impl Backlog {
    /// An empty one, at this offset of the stream.
    pub fn new(size: usize, end: u64) -> Backlog {
        Backlog { bytes: VecDeque::new(), size: size.max(1), end }
    }

    /// Adds what the stream goes on with.
    pub fn push(&mut self, bytes: &[u8]) {
        self.end += bytes.len() as u64;
        let kept = bytes.get(bytes.len().saturating_sub(self.size)..).unwrap_or_default();
        let surplus = (self.bytes.len() + kept.len()).saturating_sub(self.size);
        self.bytes.drain(..surplus);
        self.bytes.extend(kept);
    }

    /// Keeps so many bytes from now on.
    pub fn resize(&mut self, size: usize) {
        self.size = size.max(1);
        let surplus = self.bytes.len().saturating_sub(self.size);
        self.bytes.drain(..surplus);
        self.bytes.shrink_to(self.size);
    }

    /// Offset of the first byte that is there, or would be.
    pub fn first(&self) -> u64 {
        self.end - self.bytes.len() as u64 + 1
    }

    /// Bytes that are there.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True when nothing is there.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of memory held.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Everything from the byte with this offset on; none when it is not, or not yet, there.
    pub fn since(&self, offset: u64) -> Option<Vec<u8>> {
        let skip = usize::try_from(offset.checked_sub(self.first())?).ok()?;
        (skip <= self.bytes.len()).then(|| self.bytes.range(skip..).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Backlog;

    #[test]
    fn gives_what_came_since_an_offset_and_forgets_the_oldest() {
        let mut backlog = Backlog::new(4, 10);
        assert_eq!((backlog.first(), backlog.since(11)), (11, Some(vec![])));
        backlog.push(b"abc");
        assert_eq!(backlog.since(11).unwrap(), b"abc");
        assert_eq!(backlog.since(12).unwrap(), b"bc");
        backlog.push(b"defgh");
        assert_eq!(backlog.first(), 15);
        assert_eq!(backlog.since(14), None);
        assert_eq!(backlog.since(15).unwrap(), b"efgh");
        assert_eq!(backlog.since(19).unwrap(), b"");
        assert_eq!(backlog.since(20), None);
        assert_eq!(backlog.since(0), None);
    }

    #[test]
    fn shrinks_from_its_old_end() {
        let mut backlog = Backlog::new(8, 0);
        backlog.push(b"abcdef");
        backlog.resize(2);
        assert_eq!((backlog.first(), backlog.len()), (5, 2));
        assert_eq!(backlog.since(5).unwrap(), b"ef");
    }
}
