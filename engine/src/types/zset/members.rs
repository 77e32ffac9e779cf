//! The members of a large sorted set, each stored once with its score, and the index from member to number.
//!
//! ```text
//! slot (32 bytes) = score:f64  text: inline up to 22 bytes, or a pointer
//! index           = hash table of slot numbers
//! ```
//!
//! Invariant: a member keeps its number as long as it is in the set, whatever happens to its score or to others. ZSCAN's
//! cursor is such a number, hence its guarantee.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Number of a member.
pub(super) type MemberId = u32;

const INLINE_LEN_MAX: usize = 22;
const CHUNK_LEN: usize = 1024;
const INDEX_PARTS: usize = 32;
const NO_SLOT: MemberId = MemberId::MAX;

#[derive(Debug, Clone)]
enum Text {
    /// Unused; the next unused slot.
    Free(MemberId),
    Inline(u8, [u8; INLINE_LEN_MAX]),
    Heap(Box<[u8]>),
}

#[derive(Debug, Clone)]
struct Slot {
    score: f64,
    text: Text,
}

/// Members, scores and the index.
#[derive(Debug, Clone)]
pub(super) struct Members {
    /// Slots in chunks, so that growing never copies more than one chunk.
    chunks: Vec<Vec<Slot>>,
    /// Head of the list of unused slots.
    free: MemberId,
    /// Split by hash, so that growing never rehashes more than a part.
    index: Box<[HashTable<MemberId>; INDEX_PARTS]>,
    len: usize,
    hasher: RandomState,
}

impl Text {
    fn new(bytes: &[u8]) -> Text {
        let mut inline = [0; INLINE_LEN_MAX];
        match (inline.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(room), Ok(len)) => {
                room.copy_from_slice(bytes);
                Text::Inline(len, inline)
            }
            _ => Text::Heap(bytes.into()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Text::Inline(len, bytes) => &bytes[..usize::from(*len)],
            Text::Heap(bytes) => bytes,
            Text::Free(_) => &[],
        }
    }

    fn is_free(&self) -> bool {
        matches!(self, Text::Free(_))
    }
}

impl Members {
    pub(super) fn new() -> Self {
        Members {
            chunks: Vec::new(),
            free: NO_SLOT,
            index: Box::new([const { HashTable::new() }; INDEX_PARTS]),
            len: 0,
            hasher: RandomState::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn find(&self, member: &[u8]) -> Option<MemberId> {
        let hash = self.hasher.hash_one(member);
        self.index[part(hash)]
            .find(hash, |id| slot(&self.chunks, *id).text.bytes() == member)
            .copied()
    }

    /// Adds a member that is not there yet.
    pub(super) fn add(&mut self, member: &[u8], score: f64) -> MemberId {
        let new = Slot { score, text: Text::new(member) };
        let id = self.free;
        let id = if id == NO_SLOT {
            self.push(new)
        } else {
            let old = std::mem::replace(slot_mut(&mut self.chunks, id), new);
            self.free = if let Text::Free(next) = old.text { next } else { NO_SLOT };
            id
        };
        let (hasher, chunks) = (&self.hasher, &self.chunks);
        let rehash = |id: &MemberId| hasher.hash_one(slot(chunks, *id).text.bytes());
        let hash = hasher.hash_one(member);
        self.index[part(hash)].insert_unique(hash, id, rehash);
        self.len += 1;
        id
    }

    pub(super) fn remove(&mut self, id: MemberId) {
        let hash = self.hasher.hash_one(self.bytes(id));
        if let Ok(found) = self.index[part(hash)].find_entry(hash, |other| *other == id) {
            found.remove();
            self.len -= 1;
        }
        let slot = slot_mut(&mut self.chunks, id);
        slot.text = Text::Free(std::mem::replace(&mut self.free, id));
    }

    pub(super) fn bytes(&self, id: MemberId) -> &[u8] {
        slot(&self.chunks, id).text.bytes()
    }

    pub(super) fn score(&self, id: MemberId) -> f64 {
        slot(&self.chunks, id).score
    }

    pub(super) fn set_score(&mut self, id: MemberId, score: f64) {
        slot_mut(&mut self.chunks, id).score = score;
    }

    /// Visits about `count` members from number `from` on; the number to go on from, 0 at the end.
    pub(super) fn scan(&self, from: u64, count: usize, each: &mut dyn FnMut(&[u8], f64)) -> u64 {
        let total = self.slots_len();
        let mut at = usize::try_from(from).unwrap_or(usize::MAX);
        // As many unused slots are passed in one step at most as Redis passes empty buckets.
        let mut seen = 0;
        let end = at.saturating_add(count.saturating_mul(10)).min(total);
        while at < end && seen < count {
            let slot = &self.chunks[at / CHUNK_LEN][at % CHUNK_LEN];
            at += 1;
            if !slot.text.is_free() {
                seen += 1;
                each(slot.text.bytes(), slot.score);
            }
        }
        if at >= total { 0 } else { at as u64 }
    }

    /// Drops about `count` members, whoever refers to them; true when none is left.
    pub(super) fn drop_some(&mut self, count: usize) -> bool {
        *self.index = [const { HashTable::new() }; INDEX_PARTS];
        for _ in 0..count.div_ceil(CHUNK_LEN) {
            self.chunks.pop();
        }
        self.chunks.is_empty()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let slots: usize = self.chunks.iter().map(|c| c.capacity() * size_of::<Slot>()).sum();
        // Members beyond the inline size are sampled: walking all of them would stall MEMORY USAGE.
        let (mut sampled, mut heap) = (0, 0);
        for slot in self.chunks.iter().flatten().filter(|s| !s.text.is_free()).take(CHUNK_LEN) {
            sampled += 1;
            if let Text::Heap(bytes) = &slot.text {
                heap += bytes.len() + 8;
            }
        }
        slots
            + (heap * self.len()).checked_div(sampled).unwrap_or(0)
            + self.chunks.capacity() * size_of::<Vec<Slot>>()
            + size_of_val(&*self.index)
            + self.index.iter().map(HashTable::allocation_size).sum::<usize>()
    }

    fn slots_len(&self) -> usize {
        match self.chunks.last() {
            Some(last) => (self.chunks.len() - 1) * CHUNK_LEN + last.len(),
            None => 0,
        }
    }

    #[expect(clippy::expect_used, reason = "four billion members do not fit a shard's memory")]
    fn push(&mut self, slot: Slot) -> MemberId {
        let id = self.slots_len();
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK_LEN => last.push(slot),
            _ => self.chunks.push(vec![slot]),
        }
        MemberId::try_from(id).ok().filter(|id| *id != NO_SLOT).expect("fewer than 2^32 members")
    }
}

/// The part of the index for a hash, by bits that the table itself uses last.
fn part(hash: u64) -> usize {
    usize::try_from(hash >> 40).unwrap_or(0) % INDEX_PARTS
}

fn slot(chunks: &[Vec<Slot>], id: MemberId) -> &Slot {
    &chunks[id as usize / CHUNK_LEN][id as usize % CHUNK_LEN]
}

fn slot_mut(chunks: &mut [Vec<Slot>], id: MemberId) -> &mut Slot {
    &mut chunks[id as usize / CHUNK_LEN][id as usize % CHUNK_LEN]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_takes_32_bytes() {
        assert_eq!(size_of::<Slot>(), 32);
    }

    #[test]
    fn numbers_are_reused_and_members_found() {
        let mut members = Members::new();
        let ids: Vec<_> =
            (0..3000u32).map(|i| members.add(&i.to_le_bytes(), f64::from(i))).collect();
        members.remove(ids[7]);
        assert_eq!(members.find(&7u32.to_le_bytes()), None);
        let long = [b'x'; 100];
        assert_eq!(members.add(&long, 1.0), ids[7]);
        assert_eq!(members.find(&long), Some(ids[7]));
        assert_eq!(members.len(), 3000);
        let mut seen = 0;
        let mut cursor = 0;
        loop {
            cursor = members.scan(cursor, 100, &mut |_, _| seen += 1);
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen, 3000);
    }
}
