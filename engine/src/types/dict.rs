//! The hash table inside large sets and hashes: an extendible hash over small segments.
//!
//! ```text
//! directory, by the top `depth` hash bits  ──>  Segment { 32 tags | 32 slots }  ──>  element, one allocation
//! up to 8 elements: no directory, one short vector
//! ```
//!
//! - Growing splits one segment of 32 at a time; the only step that depends on the size is copying the directory
//!   (4 bytes for about 5 elements) when it doubles.
//! - A scan's cursor is a position in the order of hashes: all elements whose hash is below were returned. Segments cover
//!   ranges of that order, so that splits and merges in between can neither hide an element nor repeat a whole range.
//! - The hash is keyed, and the directory's depth is bounded by the number of elements: what does not fit is kept in `rest`.
//!
//! Invariant: `rest` is all there is, or (with a directory) holds only elements whose segment could not be split.
//! Invariant: a segment of depth d is named by exactly the 2^(depth-d) directory slots that share its prefix.

#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "directory slots hold numbers of segments, and tags are cut hashes"
)]

use siphasher::sip::SipHasher13;

use super::rng::Rng;
use crate::serial::RdbWriter;

const SLOTS: usize = 32;
const FLAT_LEN_MAX: usize = 8;
/// Segments a chunk: a chunk is what the allocator is asked for at once.
const CHUNK: usize = 16;
/// Two segments become one when they hold no more than this together.
const MERGE_LEN_MAX: usize = SLOTS / 2;
const DEPTH_MAX: u32 = 32;
/// Cursors have 48 bits, as clients may read them as signed or as doubles.
const CURSOR_SHIFT: u32 = 16;

/// What a [`Dict`] holds.
pub trait Element: Clone {
    /// What it is found by.
    fn key(&self) -> &[u8];
    /// Bytes that it holds on the heap.
    fn heap_bytes(&self) -> usize;
}

/// A hash table of elements, see the module's head.
#[derive(Clone, Debug)]
pub struct Dict<E> {
    seed: u64,
    len: usize,
    /// Heap bytes of the elements.
    element_bytes: usize,
    rest: Vec<E>,
    chunks: Vec<Vec<Segment<E>>>,
    directory: Vec<u32>,
    /// The directory has `2^depth` slots.
    depth: u32,
    /// Segments of that depth; the directory halves when there is none.
    deepest: usize,
}

#[derive(Clone, Debug)]
struct Segment<E> {
    tags: [u8; SLOTS],
    len: u8,
    /// Number of leading hash bits that its elements share.
    depth: u8,
    /// Those bits, at the top.
    prefix: u64,
    slots: [Option<E>; SLOTS],
}

#[derive(Clone, Copy)]
enum Place {
    Rest(usize),
    Slot(usize, usize),
}

impl<E> Segment<E> {
    fn new(depth: u8, prefix: u64) -> Self {
        Segment { tags: [0; SLOTS], len: 0, depth, prefix, slots: [const { None }; SLOTS] }
    }
    fn len(&self) -> usize {
        usize::from(self.len)
    }
    fn push(&mut self, tag: u8, element: E) {
        self.tags[self.len()] = tag;
        self.slots[self.len()] = Some(element);
        self.len += 1;
    }
    fn take(&mut self, slot: usize) -> Option<E> {
        let last = self.len().checked_sub(1)?;
        self.slots.swap(slot, last);
        self.tags[slot] = self.tags[last];
        self.len -= 1;
        self.slots[last].take()
    }
    /// The first position in the order of hashes behind this segment; none at the end.
    fn end(&self) -> Option<u64> {
        let span = 1u64.checked_shl(64 - u32::from(self.depth))?;
        self.prefix.checked_add(span)
    }
}

impl<E: Element> Segment<E> {
    fn find(&self, tag: u8, key: &[u8]) -> Option<usize> {
        const ONES: u64 = 0x0101_0101_0101_0101;
        let pattern = u64::from(tag) * ONES;
        for (word, tags) in self.tags.chunks_exact(8).enumerate() {
            let tags: [u8; 8] = tags.try_into().unwrap_or_default();
            let differ = u64::from_le_bytes(tags) ^ pattern;
            // Marks every zero byte; a carry may mark one more, which the comparison below sorts out.
            let mut hits = differ.wrapping_sub(ONES) & !differ & (ONES << 7);
            while hits != 0 {
                let slot = word * 8 + hits.trailing_zeros() as usize / 8;
                if self.slots[slot].as_ref().is_some_and(|e| e.key() == key) {
                    return Some(slot);
                }
                hits &= hits - 1;
            }
        }
        None
    }
}

impl<E: Element> Dict<E> {
    /// An empty table; `seed` is the secret of its hash.
    pub fn new(seed: u64) -> Self {
        Dict {
            seed,
            len: 0,
            element_bytes: 0,
            rest: Vec::new(),
            chunks: Vec::new(),
            directory: Vec::new(),
            depth: 0,
            deepest: 0,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes held on the heap, elements included.
    pub fn memory_bytes(&self) -> usize {
        let segments =
            self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.capacity());
        self.element_bytes
            + segments * size_of::<Segment<E>>()
            + self.chunks.capacity() * size_of::<Vec<Segment<E>>>()
            + self.directory.capacity() * size_of::<u32>()
            + self.rest.capacity() * size_of::<E>()
    }

    /// The element of `key`.
    pub fn get(&self, key: &[u8]) -> Option<&E> {
        match self.find(self.hash(key), key)? {
            Place::Rest(at) => self.rest.get(at),
            Place::Slot(segment, slot) => self.segment(segment).slots[slot].as_ref(),
        }
    }

    /// True when `key` is there.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.find(self.hash(key), key).is_some()
    }

    /// Adds the element that `make` makes of `key`, unless `key` is there; true when it was added.
    pub fn add(&mut self, key: &[u8], make: impl FnOnce() -> E) -> bool {
        let hash = self.hash(key);
        let new = self.find(hash, key).is_none();
        if new {
            self.add_new(hash, make());
        }
        new
    }

    /// Puts `element`, in place of the one with the same key; true when there was none.
    pub fn put(&mut self, element: E) -> bool {
        let hash = self.hash(element.key());
        let slot = match self.find(hash, element.key()) {
            None => {
                self.add_new(hash, element);
                return true;
            }
            Some(Place::Rest(at)) => self.rest.get_mut(at),
            Some(Place::Slot(segment, slot)) => self.segment_mut(segment).slots[slot].as_mut(),
        };
        if let Some(slot) = slot {
            let added = element.heap_bytes();
            let removed = std::mem::replace(slot, element).heap_bytes();
            self.element_bytes += added;
            self.element_bytes -= removed;
        }
        false
    }

    /// Takes the element of `key` out.
    pub fn remove(&mut self, key: &[u8]) -> Option<E> {
        let place = self.find(self.hash(key), key)?;
        self.take(place)
    }

    /// An element, each with the same chance.
    pub fn random(&self, rng: &mut Rng) -> Option<&E> {
        match self.random_place(rng)? {
            Place::Rest(at) => self.rest.get(at),
            Place::Slot(segment, slot) => self.segment(segment).slots[slot].as_ref(),
        }
    }

    /// Takes an element out, each with the same chance.
    pub fn take_random(&mut self, rng: &mut Rng) -> Option<E> {
        let place = self.random_place(rng)?;
        self.take(place)
    }

    /// All elements, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        let segments = self.chunks.iter().flatten();
        self.rest.iter().chain(segments.flat_map(|s| s.slots[..s.len()].iter().flatten()))
    }

    /// Writes elements through `write` until there are about `budget_bytes` more in `out`: from the beginning with `at` 0, else on
    /// from what was returned before; `None` at the end. Each comes once, as long as the table does not change.
    pub fn save_some(
        &self,
        at: u64,
        budget_bytes: usize,
        out: &mut RdbWriter,
        write: impl Fn(&mut RdbWriter, &E),
    ) -> Option<u64> {
        let limit = out.buf.len().saturating_add(budget_bytes);
        let mut cursor = at;
        loop {
            cursor = self.scan(cursor, 1, &mut |element| write(out, element));
            if cursor == 0 {
                return None;
            }
            if out.buf.len() >= limit {
                return Some(cursor);
            }
        }
    }

    /// One step of a scan from `cursor` (0 begins): gives `each` about `count` elements or more, and returns the next
    /// cursor, 0 at the end. An element that is there from the first step to the last is given at least once.
    pub fn scan(&self, cursor: u64, count: usize, each: &mut dyn FnMut(&E)) -> u64 {
        let mut position = cursor << CURSOR_SHIFT;
        let mut given = 0;
        while !self.directory.is_empty() {
            let segment = self.segment(self.directory_at(position));
            segment.slots[..segment.len()].iter().flatten().for_each(&mut *each);
            given += segment.len();
            match segment.end() {
                None => break,
                Some(end) if given >= count => return end >> CURSOR_SHIFT,
                Some(end) => position = end,
            }
        }
        self.rest.iter().for_each(each);
        0
    }

    /// Drops about `budget` elements, after which the table is only good for being dropped; true when little is left.
    pub fn free_some(&mut self, budget: usize) -> bool {
        self.directory = Vec::new();
        let mut freed = 0;
        while freed < budget
            && let Some(last) = self.chunks.last_mut()
        {
            freed += last.pop().map_or(0, |segment| segment.len());
            if last.is_empty() {
                self.chunks.pop();
            }
        }
        self.len = self.len.saturating_sub(freed);
        self.chunks.is_empty()
    }

    // ---- places

    fn hash(&self, key: &[u8]) -> u64 {
        SipHasher13::new_with_keys(self.seed, self.seed.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15)
            .hash(key)
    }

    fn directory_at(&self, hash: u64) -> usize {
        self.directory[directory_index(hash, self.depth)] as usize
    }

    fn segment(&self, number: usize) -> &Segment<E> {
        &self.chunks[number / CHUNK][number % CHUNK]
    }

    fn segment_mut(&mut self, number: usize) -> &mut Segment<E> {
        &mut self.chunks[number / CHUNK][number % CHUNK]
    }

    fn segments_len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<Place> {
        if !self.directory.is_empty() {
            let number = self.directory_at(hash);
            if let Some(slot) = self.segment(number).find(hash as u8, key) {
                return Some(Place::Slot(number, slot));
            }
        }
        self.rest.iter().position(|e| e.key() == key).map(Place::Rest)
    }

    /// Draws places until one is taken: segments are at least a quarter full on average, so this ends soon.
    fn random_place(&self, rng: &mut Rng) -> Option<Place> {
        if self.len == 0 {
            return None;
        }
        let segments = self.segments_len();
        for _ in 0..100 {
            let at = rng.below(segments * SLOTS + self.rest.len());
            let Some(at) = at.checked_sub(self.rest.len()) else { return Some(Place::Rest(at)) };
            if at % SLOTS < self.segment(at / SLOTS).len() {
                return Some(Place::Slot(at / SLOTS, at % SLOTS));
            }
        }
        let mut at = rng.below(self.len);
        for number in 0..segments {
            let len = self.segment(number).len();
            if at < len {
                return Some(Place::Slot(number, at));
            }
            at -= len;
        }
        Some(Place::Rest(at))
    }

    // ---- growing

    fn add_new(&mut self, hash: u64, element: E) {
        self.len += 1;
        self.element_bytes += element.heap_bytes();
        if self.directory.is_empty() {
            if self.rest.len() < FLAT_LEN_MAX {
                self.rest.reserve_exact(if self.rest.capacity() > self.rest.len() { 0 } else { 4 });
                self.rest.push(element);
                return;
            }
            self.directory.push(0);
            self.push_segment(Segment::new(0, 0));
            self.deepest = 1;
            for element in std::mem::take(&mut self.rest) {
                let tag = self.hash(element.key()) as u8;
                self.segment_mut(0).push(tag, element);
            }
        }
        loop {
            let number = self.directory_at(hash);
            if self.segment(number).len() < SLOTS {
                return self.segment_mut(number).push(hash as u8, element);
            }
            let depth = u32::from(self.segment(number).depth);
            if depth >= DEPTH_MAX.min(self.len.ilog2() + 4) {
                return self.rest.push(element);
            }
            self.split(number);
        }
    }

    fn push_segment(&mut self, segment: Segment<E>) -> usize {
        let number = self.segments_len();
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => {
                if last.len() == last.capacity() {
                    last.reserve_exact(last.len());
                }
                last.push(segment);
            }
            last => {
                let capacity = if last.is_none() { 1 } else { CHUNK };
                let mut chunk = Vec::with_capacity(capacity);
                chunk.push(segment);
                self.chunks.push(chunk);
            }
        }
        number
    }

    fn split(&mut self, number: usize) {
        let depth = u32::from(self.segment(number).depth);
        if depth == self.depth {
            self.directory = self.directory.iter().flat_map(|n| [*n, *n]).collect();
            self.depth += 1;
            self.deepest = 0;
        }
        let bit = 1u64 << (63 - depth);
        let old = self.segment(number);
        let prefix = old.prefix;
        let mut tags = [0u64; SLOTS];
        for (hash, element) in tags.iter_mut().zip(old.slots.iter().flatten()) {
            *hash = self.hash(element.key());
        }
        let mut upper = Segment::new(depth as u8 + 1, prefix | bit);
        let lower = self.segment_mut(number);
        lower.depth += 1;
        let elements = std::mem::replace(&mut lower.slots, [const { None }; SLOTS]);
        lower.len = 0;
        for (hash, element) in tags.into_iter().zip(elements.into_iter().flatten()) {
            let half = if hash & bit == 0 { &mut *lower } else { &mut upper };
            half.push(hash as u8, element);
        }
        let new = self.push_segment(upper);
        if depth + 1 == self.depth {
            self.deepest += 2;
        }
        self.point(prefix | bit, depth + 1, new);
    }

    /// Lets all directory slots of a prefix name one segment.
    fn point(&mut self, prefix: u64, depth: u32, number: usize) {
        let first = directory_index(prefix, self.depth);
        self.directory[first..first + (1 << (self.depth - depth))].fill(number as u32);
    }

    // ---- shrinking

    fn take(&mut self, place: Place) -> Option<E> {
        let element = match place {
            Place::Rest(at) => self.rest.swap_remove(at),
            Place::Slot(number, slot) => {
                let segment = self.segment_mut(number);
                let element = segment.take(slot)?;
                if segment.len() <= MERGE_LEN_MAX / 2 {
                    self.merge(number);
                }
                element
            }
        };
        self.len -= 1;
        self.element_bytes -= element.heap_bytes();
        Some(element)
    }

    /// Merges a segment with the other half of its range, when both together fill half a segment.
    fn merge(&mut self, number: usize) {
        let (depth, prefix) = (u32::from(self.segment(number).depth), self.segment(number).prefix);
        if depth == 0 {
            return;
        }
        let bit = 1u64 << (64 - depth);
        let buddy = self.directory_at(prefix ^ bit);
        let other = self.segment(buddy);
        if u32::from(other.depth) != depth
            || other.len() + self.segment(number).len() > MERGE_LEN_MAX
        {
            return;
        }
        let other = self.segment_mut(buddy);
        let len = other.len();
        let tags = other.tags;
        let moved = std::mem::replace(&mut other.slots, [const { None }; SLOTS]);
        other.len = 0;
        let kept = self.segment_mut(number);
        for (tag, element) in tags.into_iter().zip(moved.into_iter().flatten()).take(len) {
            kept.push(tag, element);
        }
        kept.depth -= 1;
        kept.prefix &= !bit;
        self.point(prefix & !bit, depth - 1, number);
        if depth == self.depth {
            self.deepest -= 2;
        }
        self.drop_segment(buddy);
        self.shrink_directory();
    }

    /// Removes an empty segment that no directory slot names; the last one takes its number.
    fn drop_segment(&mut self, number: usize) {
        let Some(chunk) = self.chunks.last_mut() else { return };
        let Some(last) = chunk.pop() else { return };
        if chunk.is_empty() {
            self.chunks.pop();
        }
        if number < self.segments_len() {
            self.point(last.prefix, u32::from(last.depth), number);
            *self.segment_mut(number) = last;
        }
    }

    fn shrink_directory(&mut self) {
        while self.deepest == 0 && self.depth > 0 {
            self.depth -= 1;
            self.directory = self.directory.iter().step_by(2).copied().collect();
            let depth = self.depth;
            self.deepest =
                self.chunks.iter().flatten().filter(|s| u32::from(s.depth) == depth).count();
        }
    }
}

fn directory_index(hash: u64, depth: u32) -> usize {
    hash.checked_shr(64 - depth).unwrap_or(0) as usize
}

#[cfg(test)]
mod tests;
