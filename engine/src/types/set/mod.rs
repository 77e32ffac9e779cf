//! Sets: an intset while all members are integers and few, else a hash table.
//!
//! Invariant: the members of an intset are never more than `set-max-intset-entries` at the time of the last change.

use super::dict::{Dict, Element};
use super::intset::IntSet;
use super::listpack::Item;
use super::rng::Rng;
use super::{EncodingLimits, Object, SavePoint, object_of};
use crate::num::parse_i64;
use crate::raw::{Thin, size_class};
use crate::serial::{Digest, RDB_TYPE_SET, RDB_TYPE_SET_INTSET, RdbWriter};

/// A set.
#[derive(Debug, Clone)]
pub struct Set(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Ints(IntSet),
    Table(Box<Dict<Thin>>),
}

/// A member taken out of a set.
#[derive(Debug)]
pub enum Member {
    /// From an intset.
    Int(i64),
    /// From a hash table.
    Text(Thin),
}

impl Member {
    /// The member's text, an integer written out into `scratch`.
    pub fn bytes<'a>(&'a self, scratch: &'a mut itoa::Buffer) -> &'a [u8] {
        match self {
            Member::Int(n) => scratch.format(*n).as_bytes(),
            Member::Text(text) => text.bytes(),
        }
    }
}

impl Element for Thin {
    fn key(&self) -> &[u8] {
        self.bytes()
    }
    fn heap_bytes(&self) -> usize {
        size_class(self.alloc_bytes())
    }
}

impl Set {
    /// An empty set.
    pub fn new(_: &EncodingLimits) -> Self {
        Set(Repr::Ints(IntSet::new()))
    }

    /// A set of integers from a snapshot.
    pub fn from_intset(ints: IntSet, limits: &EncodingLimits) -> Self {
        let mut set = Set(Repr::Ints(ints));
        if set.len() > limits.set_max_intset_entries {
            set.convert(limits);
        }
        set
    }

    /// Adds a member; false when it was there.
    pub fn add(&mut self, member: &[u8], limits: &EncodingLimits) -> bool {
        if let Repr::Ints(ints) = &mut self.0 {
            if let Some(value) = parse_i64(member) {
                let added = ints.insert(value);
                if added && ints.len() > limits.set_max_intset_entries {
                    self.convert(limits);
                }
                return added;
            }
            self.convert(limits);
        }
        let Repr::Table(table) = &mut self.0 else { return false };
        table.add(member, || Thin::concat(&[member]))
    }

    /// Removes a member; false when it was not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.0 {
            Repr::Ints(ints) => parse_i64(member).is_some_and(|value| ints.remove(value)),
            Repr::Table(table) => table.remove(member).is_some(),
        }
    }

    /// True when `member` is in the set.
    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.0 {
            Repr::Ints(ints) => parse_i64(member).is_some_and(|value| ints.contains(value)),
            Repr::Table(table) => table.contains(member),
        }
    }

    /// True when `item` is in the set.
    pub fn contains_item(&self, item: Item<'_>) -> bool {
        match (&self.0, item) {
            (Repr::Ints(ints), Item::Int(value)) => ints.contains(value),
            _ => self.contains(item.bytes(&mut itoa::Buffer::new())),
        }
    }

    /// The members, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = Item<'_>> {
        let (ints, table) = match &self.0 {
            Repr::Ints(ints) => (Some(ints.iter().map(Item::Int)), None),
            Repr::Table(table) => (None, Some(table.iter().map(|m| Item::Str(m.bytes())))),
        };
        ints.into_iter().flatten().chain(table.into_iter().flatten())
    }

    /// A member, each with the same chance.
    pub fn random(&self, rng: &mut Rng) -> Option<Item<'_>> {
        match &self.0 {
            Repr::Ints(ints) => ints.random(rng).map(Item::Int),
            Repr::Table(table) => table.random(rng).map(|m| Item::Str(m.bytes())),
        }
    }

    /// Takes a member out, each with the same chance.
    pub fn take_random(&mut self, rng: &mut Rng) -> Option<Member> {
        match &mut self.0 {
            Repr::Ints(ints) => {
                let value = ints.random(rng)?;
                ints.remove(value);
                Some(Member::Int(value))
            }
            Repr::Table(table) => table.take_random(rng).map(Member::Text),
        }
    }

    /// One step of a scan, see [`Dict::scan`]. An intset is given whole.
    pub fn scan(&self, cursor: u64, count: usize, each: &mut dyn FnMut(Item<'_>)) -> u64 {
        match &self.0 {
            Repr::Ints(ints) => {
                ints.iter().map(Item::Int).for_each(each);
                0
            }
            Repr::Table(table) => table.scan(cursor, count, &mut |m| each(Item::Str(m.bytes()))),
        }
    }

    fn convert(&mut self, limits: &EncodingLimits) {
        let Repr::Ints(ints) = &self.0 else { return };
        let mut table = Dict::new(limits.hash_seed);
        let mut scratch = itoa::Buffer::new();
        for value in ints.iter() {
            table.put(Thin::concat(&[scratch.format(value).as_bytes()]));
        }
        self.0 = Repr::Table(Box::new(table));
    }
}

impl Object for Set {
    const TYPE_NAME: &'static str = "set";
    object_of!(Set);
    fn encoding(&self) -> &'static str {
        match self.0 {
            Repr::Ints(_) => "intset",
            Repr::Table(_) => "hashtable",
        }
    }
    fn len(&self) -> usize {
        match &self.0 {
            Repr::Ints(ints) => ints.len(),
            Repr::Table(table) => table.len(),
        }
    }
    fn rdb_type(&self) -> u8 {
        match self.0 {
            Repr::Ints(_) => RDB_TYPE_SET_INTSET,
            Repr::Table(_) => RDB_TYPE_SET,
        }
    }
    fn save_some(
        &self,
        from: SavePoint,
        budget_bytes: usize,
        out: &mut RdbWriter,
    ) -> Option<SavePoint> {
        let table = match &self.0 {
            Repr::Ints(ints) => {
                out.string(ints.as_bytes());
                return None;
            }
            Repr::Table(table) => table,
        };
        if from.at == 0 {
            out.length(table.len() as u64);
        }
        let next =
            table.save_some(from.at, budget_bytes, out, |out, member| out.string(member.bytes()));
        next.map(SavePoint::at)
    }
    fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.0 {
                Repr::Ints(ints) => ints.memory_bytes(),
                Repr::Table(table) => size_of::<Dict<Thin>>() + table.memory_bytes(),
            }
    }
    fn digest(&self, digest: &mut Digest) {
        let mut scratch = itoa::Buffer::new();
        self.iter().for_each(|item| digest.unordered(item.bytes(&mut scratch)));
    }
    fn free_effort(&self) -> usize {
        match &self.0 {
            Repr::Ints(_) => 1,
            Repr::Table(table) => table.len(),
        }
    }
    fn free_some(&mut self, budget: usize) -> bool {
        match &mut self.0 {
            Repr::Ints(_) => true,
            Repr::Table(table) => table.free_some(budget),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn texts(set: &Set) -> BTreeSet<Vec<u8>> {
        set.iter().map(Item::to_vec).collect()
    }

    #[test]
    fn integers_become_a_table_beyond_the_limit_and_with_the_first_word() {
        let limits = EncodingLimits { set_max_intset_entries: 4, ..EncodingLimits::default() };
        let mut set = Set::new(&limits);
        for n in 0..4 {
            assert!(set.add(n.to_string().as_bytes(), &limits));
            assert!(!set.add(n.to_string().as_bytes(), &limits));
        }
        assert_eq!(set.encoding(), "intset");
        let mut words = set.clone();
        assert!(set.add(b"99", &limits));
        assert_eq!((set.encoding(), set.len()), ("hashtable", 5));
        assert!(!words.add(b"2", &limits));
        assert!(words.add(b"02", &limits));
        assert_eq!((words.encoding(), words.len()), ("hashtable", 5));
        let expected = ["0", "1", "2", "3", "02"].map(|s| s.as_bytes().to_vec());
        assert_eq!(texts(&words), BTreeSet::from(expected));
    }

    #[test]
    fn taking_at_random_empties_the_set_without_repeats() {
        let limits = EncodingLimits::default();
        let mut rng = Rng::new(5);
        for prefix in ["", "m"] {
            let mut set = Set::new(&limits);
            (0..300).for_each(|n| assert!(set.add(format!("{prefix}{n}").as_bytes(), &limits)));
            let before = texts(&set);
            let mut taken = BTreeSet::new();
            while let Some(member) = set.take_random(&mut rng) {
                assert!(taken.insert(member.bytes(&mut itoa::Buffer::new()).to_vec()));
            }
            assert_eq!(taken, before);
            assert!(set.is_empty());
        }
    }
}
