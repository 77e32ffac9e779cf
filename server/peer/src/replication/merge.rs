//! Brings the chunks of all shards into the order of their numbers.

use std::collections::BTreeMap;

use super::chunk::Chunk;

/// Chunks that have come before their turn.
///
/// Invariant: chunks leave in the order of their numbers, without a gap.
#[derive(Debug, Default)]
pub struct Merge {
    next: u64,
    early: BTreeMap<u64, Chunk>,
}

impl Merge {
    /// Begins with the chunk of this number; what is older, or was waiting, is dropped.
    pub fn begin(&mut self, next: u64) {
        self.next = next;
        self.early.clear();
    }

    /// The number that is next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes a chunk, and gives it and those behind it whose turn has come to `each`.
    pub fn take(&mut self, number: u64, chunk: Chunk, mut each: impl FnMut(&Chunk)) {
        if number < self.next {
            return;
        }
        if number > self.next {
            self.early.insert(number, chunk);
            return;
        }
        each(&chunk);
        self.next += 1;
        while let Some(chunk) = self.early.remove(&self.next) {
            each(&chunk);
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_leave_in_order_whoever_comes_first() {
        let mut merge = Merge::default();
        merge.begin(5);
        let mut out = Vec::new();
        for number in [7, 4, 6, 9, 5, 8] {
            let mut chunk = Chunk::default();
            chunk.push_anywhere(number.to_string().as_bytes());
            merge.take(number, chunk, |chunk| chunk.write(&mut None, &mut out));
        }
        assert_eq!(out, b"56789");
        assert_eq!(merge.next(), 10);
    }
}
