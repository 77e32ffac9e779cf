//! Hashes: a listpack of fields and values in turn while few and short, else a hash table.
//!
//! Invariant: a listpack has an even number of elements and no field twice.

mod field;

use std::collections::HashSet;

use super::dict::Dict;
use super::listpack::{Item, Listpack, Pos};
use super::rng::Rng;
use super::{EncodingLimits, Object, SavePoint, object_of};
use crate::serial::{Digest, RDB_TYPE_HASH, RDB_TYPE_HASH_LISTPACK, RdbWriter};
use field::Field;

/// A hash.
#[derive(Debug, Clone)]
pub struct Hash(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Packed(Listpack),
    Table(Box<Dict<Field>>),
}

/// Why a listpack is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHash {
    /// A field without a value.
    #[error("a field without a value")]
    OddLength,
    /// A field that is there twice.
    #[error("a field twice")]
    Duplicate,
}

impl Hash {
    /// An empty hash.
    pub fn new(_: &EncodingLimits) -> Self {
        Hash(Repr::Packed(Listpack::new()))
    }

    /// A hash from a snapshot's listpack, whose bytes were checked but not its meaning.
    pub fn from_listpack(packed: Listpack, limits: &EncodingLimits) -> Result<Hash, BadHash> {
        let len = packed.len();
        if !len.is_multiple_of(2) {
            return Err(BadHash::OddLength);
        }
        let mut seen = HashSet::with_capacity(len / 2);
        if !packed.iter().step_by(2).all(|field| seen.insert(field.to_vec())) {
            return Err(BadHash::Duplicate);
        }
        let mut hash = Hash(Repr::Packed(packed));
        if len / 2 > limits.hash_max_listpack_entries {
            hash.convert(limits);
        }
        Ok(hash)
    }

    /// The value of a field.
    pub fn get(&self, field: &[u8]) -> Option<Item<'_>> {
        match &self.0 {
            Repr::Packed(packed) => {
                let pos = packed.next(packed.find(field, 1)?)?;
                Some(packed.get(pos))
            }
            Repr::Table(table) => table.get(field).map(|f| Item::Str(f.value())),
        }
    }

    /// True when there is such a field.
    pub fn contains(&self, field: &[u8]) -> bool {
        match &self.0 {
            Repr::Packed(packed) => packed.find(field, 1).is_some(),
            Repr::Table(table) => table.contains(field),
        }
    }

    /// Sets a field; true when it is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &EncodingLimits) -> bool {
        if let Repr::Packed(packed) = &mut self.0 {
            let longest = field.len().max(value.len());
            if longest <= limits.hash_max_listpack_value && packed.fits(field.len() + value.len()) {
                let new = set_packed(packed, field, value);
                if new && packed.len() / 2 > limits.hash_max_listpack_entries {
                    self.convert(limits);
                }
                return new;
            }
            self.convert(limits);
        }
        let Repr::Table(table) = &mut self.0 else { return false };
        table.put(Field::new(field, value))
    }

    /// Removes a field; false when it was not there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.0 {
            Repr::Packed(packed) => {
                let pos = packed.find(field, 1);
                pos.map(|pos| packed.remove_range(pos, 2)).is_some()
            }
            Repr::Table(table) => table.remove(field).is_some(),
        }
    }

    /// Fields and values, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (Item<'_>, Item<'_>)> {
        let (packed, table) = match &self.0 {
            Repr::Packed(packed) => {
                let mut items = packed.iter();
                (Some(std::iter::from_fn(move || Some((items.next()?, items.next()?)))), None)
            }
            Repr::Table(table) => (None, Some(table.iter().map(pair))),
        };
        packed.into_iter().flatten().chain(table.into_iter().flatten())
    }

    /// A field with its value, each with the same chance.
    pub fn random(&self, rng: &mut Rng) -> Option<(Item<'_>, Item<'_>)> {
        match &self.0 {
            Repr::Packed(packed) => {
                let at = rng.below(packed.len() / 2) * 2;
                let field: Pos = packed.seek(i64::try_from(at).ok()?)?;
                Some((packed.get(field), packed.get(packed.next(field)?)))
            }
            Repr::Table(table) => table.random(rng).map(pair),
        }
    }

    /// One step of a scan, see [`Dict::scan`]. A listpack is given whole.
    pub fn scan(&self, cursor: u64, count: usize, each: &mut dyn FnMut(Item<'_>, Item<'_>)) -> u64 {
        match &self.0 {
            Repr::Packed(_) => {
                self.iter().for_each(|(field, value)| each(field, value));
                0
            }
            Repr::Table(table) => table.scan(cursor, count, &mut |f| {
                let (field, value) = pair(f);
                each(field, value);
            }),
        }
    }

    fn convert(&mut self, limits: &EncodingLimits) {
        if matches!(self.0, Repr::Table(_)) {
            return;
        }
        let mut table = Dict::new(limits.hash_seed);
        let (mut field_text, mut value_text) = (itoa::Buffer::new(), itoa::Buffer::new());
        for (field, value) in self.iter() {
            table.put(Field::new(field.bytes(&mut field_text), value.bytes(&mut value_text)));
        }
        self.0 = Repr::Table(Box::new(table));
    }
}

fn pair(field: &Field) -> (Item<'_>, Item<'_>) {
    let (field, value) = field.pair();
    (Item::Str(field), Item::Str(value))
}

fn set_packed(packed: &mut Listpack, field: &[u8], value: &[u8]) -> bool {
    if let Some(pos) = packed.find(field, 1).and_then(|pos| packed.next(pos)) {
        packed.replace(pos, value);
        return false;
    }
    packed.push_back(field);
    packed.push_back(value);
    true
}

impl Object for Hash {
    const TYPE_NAME: &'static str = "hash";
    object_of!(Hash);
    fn encoding(&self) -> &'static str {
        match self.0 {
            Repr::Packed(_) => "listpack",
            Repr::Table(_) => "hashtable",
        }
    }
    fn len(&self) -> usize {
        match &self.0 {
            Repr::Packed(packed) => packed.len() / 2,
            Repr::Table(table) => table.len(),
        }
    }
    fn rdb_type(&self) -> u8 {
        match self.0 {
            Repr::Packed(_) => RDB_TYPE_HASH_LISTPACK,
            Repr::Table(_) => RDB_TYPE_HASH,
        }
    }
    fn save_some(
        &self,
        from: SavePoint,
        budget_bytes: usize,
        out: &mut RdbWriter,
    ) -> Option<SavePoint> {
        let table = match &self.0 {
            Repr::Packed(packed) => {
                out.string(packed.as_bytes());
                return None;
            }
            Repr::Table(table) => table,
        };
        if from.at == 0 {
            out.length(table.len() as u64);
        }
        let next = table.save_some(from.at, budget_bytes, out, |out, field| {
            let (field, value) = Field::pair(field);
            out.string(field);
            out.string(value);
        });
        next.map(SavePoint::at)
    }
    fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.0 {
                Repr::Packed(packed) => packed.memory_bytes(),
                Repr::Table(table) => size_of::<Dict<Field>>() + table.memory_bytes(),
            }
    }
    fn digest(&self, digest: &mut Digest) {
        let (mut field_text, mut value_text) = (itoa::Buffer::new(), itoa::Buffer::new());
        for (field, value) in self.iter() {
            let parts = [field.bytes(&mut field_text), value.bytes(&mut value_text)];
            digest.unordered_group(&parts);
        }
    }
    fn free_effort(&self) -> usize {
        match &self.0 {
            Repr::Packed(_) => 1,
            Repr::Table(table) => table.len(),
        }
    }
    fn free_some(&mut self, budget: usize) -> bool {
        match &mut self.0 {
            Repr::Packed(_) => true,
            Repr::Table(table) => table.free_some(budget),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn limits() -> EncodingLimits {
        EncodingLimits {
            hash_max_listpack_entries: 20,
            hash_max_listpack_value: 10,
            ..EncodingLimits::default()
        }
    }

    fn texts(hash: &Hash) -> BTreeMap<Vec<u8>, Vec<u8>> {
        hash.iter().map(|(f, v)| (f.to_vec(), v.to_vec())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
        #[test]
        fn behaves_like_a_map(
            changes in prop::collection::vec((0u32..40, prop::option::weighted(0.7, "[a-z0-9]{0,12}")), 0..200)
        ) {
            let limits = limits();
            let (mut hash, mut model) = (Hash::new(&limits), BTreeMap::new());
            for (field, value) in changes {
                let field = field.to_string().into_bytes();
                if let Some(value) = value {
                    let new = model.insert(field.clone(), value.clone().into_bytes()).is_none();
                    prop_assert_eq!(hash.set(&field, value.as_bytes(), &limits), new);
                } else {
                    prop_assert_eq!(hash.remove(&field), model.remove(&field).is_some());
                }
                prop_assert_eq!(hash.get(&field).map(Item::to_vec), model.get(&field).cloned());
                prop_assert_eq!(hash.len(), model.len());
            }
            prop_assert_eq!(texts(&hash), model);
        }
    }

    #[test]
    fn a_listpack_with_a_field_twice_or_half_a_pair_is_refused() {
        let pack = |items: &[&str]| {
            let mut packed = Listpack::new();
            items.iter().for_each(|i| packed.push_back(i.as_bytes()));
            Hash::from_listpack(packed, &limits()).map(|h| h.len())
        };
        assert_eq!(pack(&["a", "1", "b", "a"]), Ok(2));
        assert_eq!(pack(&["a", "1", "b"]), Err(BadHash::OddLength));
        assert_eq!(pack(&["a", "1", "a", "2"]), Err(BadHash::Duplicate));
    }

    #[test]
    fn long_fields_and_long_values_survive_the_table() {
        let mut hash = Hash::new(&limits());
        let (field, value) = (vec![b'f'; 300], vec![b'v'; 70_000]);
        assert!(hash.set(&field, b"", &limits()));
        assert!(!hash.set(&field, &value, &limits()));
        assert_eq!(hash.encoding(), "hashtable");
        assert_eq!(hash.get(&field).map(Item::to_vec), Some(value));
    }
}
