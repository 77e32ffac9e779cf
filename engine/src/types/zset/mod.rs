//! Sorted sets: a listpack while small, a counted B+tree with a member index when large.
//!
//! Invariant: elements are ordered by score, then by member bytes; scores are never NaN.

#![expect(
    clippy::indexing_slicing,
    reason = "node and slot numbers come from their own arenas, places from node lengths"
)]

mod arena;
mod large;
mod members;
mod small;
mod tree;

use std::ops::Range;

use super::listpack::{Item, Listpack};
use super::{EncodingLimits, Object, SavePoint, object_of};
use crate::serial::{Digest, RDB_TYPE_ZSET_2, RDB_TYPE_ZSET_LISTPACK, RdbWriter};
use large::Large;

/// A sorted set.
#[derive(Debug, Clone)]
pub struct ZSet(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Small(Listpack),
    Large(Box<Large>),
}

/// What an insertion did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Inserted {
    /// The member is new.
    Added,
    /// The member was there with this other score.
    Moved(f64),
    /// The member was there with the same score.
    Same,
}

/// A listpack that is no sorted set: a member without score, a score that is no number, a member twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a listpack that is no sorted set")]
pub struct BadZSet;

impl Default for ZSet {
    fn default() -> Self {
        ZSet::new()
    }
}

impl ZSet {
    /// An empty sorted set.
    pub fn new() -> Self {
        ZSet(Repr::Small(Listpack::new()))
    }

    /// A sorted set from the listpack of an RDB file, which is checked; it becomes large where the limits say so.
    pub fn from_listpack(list: Listpack, limits: &EncodingLimits) -> Result<ZSet, BadZSet> {
        let ordered = small::check(&list).ok_or(BadZSet)?;
        let fits = list.len() / 2 <= limits.zset_max_listpack_entries
            && list.iter().step_by(2).all(|m| m.text_len() <= limits.zset_max_listpack_value);
        if ordered && fits {
            return Ok(ZSet(Repr::Small(list)));
        }
        let mut set = ZSet::new();
        for (member, score) in small::range(&list, 0..list.len() / 2) {
            set.insert(member.bytes(&mut itoa::Buffer::new()), score, limits);
        }
        Ok(set)
    }

    /// Makes the sorted set a large one, whatever its size.
    pub fn enlarge(&mut self) {
        if let Repr::Small(_) = &self.0 {
            self.make_large();
        }
    }

    /// True when it is a large one.
    pub fn is_large(&self) -> bool {
        matches!(self.0, Repr::Large(_))
    }

    /// The member's score.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.0 {
            Repr::Small(list) => small::find(list, member).map(|found| found.score),
            Repr::Large(large) => large.score(member),
        }
    }

    /// Adds a member or changes its score, which must not be NaN.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &EncodingLimits) -> Inserted {
        let list = match &mut self.0 {
            Repr::Small(list) => list,
            Repr::Large(large) => {
                return match large.insert(member, score) {
                    None => Inserted::Added,
                    Some(old) if old == score => Inserted::Same,
                    Some(old) => Inserted::Moved(old),
                };
            }
        };
        if let Some(found) = small::find(list, member) {
            if found.score == score {
                return Inserted::Same;
            }
            small::remove(list, found.pos);
            small::insert(list, member, score);
            return Inserted::Moved(found.score);
        }
        if list.len() / 2 >= limits.zset_max_listpack_entries
            || member.len() > limits.zset_max_listpack_value
            || !list.fits(member.len())
        {
            self.make_large().insert(member, score);
        } else {
            small::insert(list, member, score);
        }
        Inserted::Added
    }

    /// Removes a member; the score that it had.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.0 {
            Repr::Small(list) => {
                let found = small::find(list, member)?;
                small::remove(list, found.pos);
                Some(found.score)
            }
            Repr::Large(large) => large.remove(member),
        }
    }

    /// Removes the elements with these ranks, as far as they exist; how many that were.
    pub fn remove_ranks(&mut self, ranks: Range<usize>) -> usize {
        let ranks = self.clamp(ranks);
        match &mut self.0 {
            Repr::Small(list) => small::remove_ranks(list, ranks.clone()),
            Repr::Large(large) => large.remove_ranks(ranks.clone()),
        }
        ranks.len()
    }

    /// The member's rank, 0 being the lowest score, and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match &self.0 {
            Repr::Small(list) => {
                let found = small::find(list, member)?;
                let rank = list.positions().position(|pos| pos == found.pos)? / 2;
                Some((rank, found.score))
            }
            Repr::Large(large) => large.rank(member),
        }
    }

    /// Number of leading elements for which `before(score, member)` holds; it must hold for a prefix.
    pub fn partition_point(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        match &self.0 {
            Repr::Small(list) => {
                let mut scratch = itoa::Buffer::new();
                small::range(list, 0..list.len() / 2)
                    .take_while(|(member, score)| before(*score, member.bytes(&mut scratch)))
                    .count()
            }
            Repr::Large(large) => large.partition_point(before),
        }
    }

    /// The elements with these ranks, as far as they exist, from either end.
    pub fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        let ranks = self.clamp(ranks);
        Iter(match &self.0 {
            Repr::Small(list) => IterRepr::Small(small::range(list, ranks)),
            Repr::Large(large) => IterRepr::Large(large, large.range(ranks)),
        })
    }

    /// All elements in order.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0..usize::MAX)
    }

    /// One step of a scan: visits about `count` elements (all of a small set) and gives the next cursor, 0 at the end. An
    /// element that is there from the first to the last step is visited.
    pub fn scan(&self, cursor: u64, count: usize, each: &mut dyn FnMut(&[u8], f64)) -> u64 {
        match &self.0 {
            Repr::Small(_) => {
                let mut scratch = itoa::Buffer::new();
                self.iter().for_each(|(member, score)| each(member.bytes(&mut scratch), score));
                0
            }
            Repr::Large(large) => large.members.scan(cursor, count, each),
        }
    }

    fn clamp(&self, ranks: Range<usize>) -> Range<usize> {
        let end = ranks.end.min(self.len());
        ranks.start.min(end)..end
    }

    fn make_large(&mut self) -> &mut Large {
        if let Repr::Small(list) = &self.0 {
            let mut large = Box::new(Large::new());
            let mut scratch = itoa::Buffer::new();
            for (member, score) in small::range(list, 0..list.len() / 2) {
                large.insert(member.bytes(&mut scratch), score);
            }
            self.0 = Repr::Large(large);
        }
        match &mut self.0 {
            Repr::Large(large) => large,
            Repr::Small(_) => unreachable!("it was made large just now"),
        }
    }
}

/// Elements in order: member and score.
#[derive(Debug, Clone)]
pub struct Iter<'a>(IterRepr<'a>);

#[derive(Debug, Clone)]
enum IterRepr<'a> {
    Small(small::Iter<'a>),
    Large(&'a Large, tree::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Item<'a>, f64);
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            IterRepr::Small(iter) => iter.next(),
            IterRepr::Large(large, iter) => {
                iter.next().map(|e| (Item::Str(large.members.bytes(e.id)), e.score))
            }
        }
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            IterRepr::Small(iter) => iter.size_hint(),
            IterRepr::Large(_, iter) => iter.size_hint(),
        }
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            IterRepr::Small(iter) => iter.next_back(),
            IterRepr::Large(large, iter) => {
                iter.next_back().map(|e| (Item::Str(large.members.bytes(e.id)), e.score))
            }
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl Object for ZSet {
    const TYPE_NAME: &'static str = "zset";
    object_of!(ZSet);

    fn encoding(&self) -> &'static str {
        match self.0 {
            Repr::Small(_) => "listpack",
            Repr::Large(_) => "skiplist",
        }
    }

    fn len(&self) -> usize {
        match &self.0 {
            Repr::Small(list) => list.len() / 2,
            Repr::Large(large) => large.len(),
        }
    }

    fn rdb_type(&self) -> u8 {
        match self.0 {
            Repr::Small(_) => RDB_TYPE_ZSET_LISTPACK,
            Repr::Large(_) => RDB_TYPE_ZSET_2,
        }
    }

    fn save_some(
        &self,
        from: SavePoint,
        budget_bytes: usize,
        out: &mut RdbWriter,
    ) -> Option<SavePoint> {
        let large = match &self.0 {
            Repr::Small(list) => {
                out.string(list.as_bytes());
                return None;
            }
            Repr::Large(large) => large,
        };
        if from.at == 0 {
            out.length(large.len() as u64);
        }
        let limit = out.buf.len().saturating_add(budget_bytes);
        let left = large.len().saturating_sub(usize::try_from(from.at).unwrap_or(usize::MAX));
        // Highest first, as Redis does: its loader then inserts at the head each time. What is written is counted.
        for (written, element) in large.range(0..left).rev().enumerate() {
            if written > 0 && out.buf.len() >= limit {
                return Some(SavePoint::at(from.at + written as u64));
            }
            out.string(large.members.bytes(element.id));
            out.double(element.score);
        }
        None
    }

    fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.0 {
                Repr::Small(list) => list.memory_bytes(),
                Repr::Large(large) => large.memory_bytes(),
            }
    }

    fn digest(&self, digest: &mut Digest) {
        let mut scratch = itoa::Buffer::new();
        for (member, score) in self.iter() {
            digest.scored(member.bytes(&mut scratch), score);
        }
    }

    fn free_effort(&self) -> usize {
        match &self.0 {
            Repr::Small(_) => 1,
            Repr::Large(large) => large.len(),
        }
    }

    fn free_some(&mut self, budget: usize) -> bool {
        match &mut self.0 {
            Repr::Small(_) => true,
            Repr::Large(large) => large.drop_some(budget),
        }
    }
}

#[cfg(test)]
mod tests;
