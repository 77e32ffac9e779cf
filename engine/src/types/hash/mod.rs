//! Hashes: a listpack of fields and values in turn while few and short, else a hash table.
//!
//! A hash with fields that expire is one of these with their times beside it; one without has nothing of that.
//!
//! Invariant: a listpack has an even number of elements and no field twice.
//! Invariant: a field that has a time is there, and one that is `gone` is not.

mod field;
mod times;

use std::collections::HashSet;

use super::dict::Dict;
use super::listpack::{Item, Listpack, Pos};
use super::rng::Rng;
use super::{EncodingLimits, Object, SavePoint, object_of};
use crate::serial::{
    Digest, RDB_TYPE_HASH, RDB_TYPE_HASH_LISTPACK, RDB_TYPE_HASH_LISTPACK_EX,
    RDB_TYPE_HASH_METADATA, RdbWriter,
};
use field::Field;
use times::Times;

/// A hash.
#[derive(Debug, Clone)]
pub struct Hash(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Packed(Listpack),
    Table(Box<Dict<Field>>),
    /// One of the others, with times of its fields.
    Timed(Box<Timed>),
}

#[derive(Debug, Clone)]
struct Timed {
    fields: Hash,
    times: Times,
    /// Fields that were due while nothing was to be recorded: nobody sees them, and their removal is still to be told.
    gone: Times,
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
            Repr::Timed(timed) => timed.fields.get(field),
        }
    }

    /// True when there is such a field.
    pub fn contains(&self, field: &[u8]) -> bool {
        match &self.0 {
            Repr::Packed(packed) => packed.find(field, 1).is_some(),
            Repr::Table(table) => table.contains(field),
            Repr::Timed(timed) => timed.fields.contains(field),
        }
    }

    /// Sets a field, which does not expire then; true when it is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &EncodingLimits) -> bool {
        self.set_time(field, None);
        self.set_value(field, value, limits)
    }

    /// Sets a field, which expires as it did; true when it is new.
    pub fn set_value(&mut self, field: &[u8], value: &[u8], limits: &EncodingLimits) -> bool {
        if let Repr::Timed(timed) = &mut self.0 {
            return timed.fields.set_value(field, value, limits);
        }
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
        self.set_time(field, None);
        match &mut self.0 {
            Repr::Packed(packed) => {
                let pos = packed.find(field, 1);
                pos.map(|pos| packed.remove_range(pos, 2)).is_some()
            }
            Repr::Table(table) => table.remove(field).is_some(),
            Repr::Timed(timed) => timed.fields.remove(field),
        }
    }

    /// Fields and values, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (Item<'_>, Item<'_>)> {
        let (packed, table) = match self.fields() {
            Repr::Packed(packed) => {
                let mut items = packed.iter();
                (Some(std::iter::from_fn(move || Some((items.next()?, items.next()?)))), None)
            }
            Repr::Table(table) => (None, Some(table.iter().map(pair))),
            Repr::Timed(_) => (None, None),
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
            Repr::Timed(timed) => timed.fields.random(rng),
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
            Repr::Timed(timed) => timed.fields.scan(cursor, count, each),
        }
    }

    /// When a field expires, in ms since 1970.
    pub fn time_of(&self, field: &[u8]) -> Option<i64> {
        match &self.0 {
            Repr::Timed(timed) => timed.times.get(field),
            Repr::Packed(_) | Repr::Table(_) => None,
        }
    }

    /// When the first of its fields expires, or has expired without being told.
    pub fn earliest(&self) -> Option<i64> {
        match &self.0 {
            Repr::Timed(timed) => timed.gone.earliest().or_else(|| timed.times.earliest()),
            Repr::Packed(_) | Repr::Table(_) => None,
        }
    }

    /// At most `count` fields that are due by `now_ms`.
    pub fn due(&self, now_ms: i64, count: usize) -> Vec<Vec<u8>> {
        let Repr::Timed(timed) = &self.0 else { return Vec::new() };
        let due = timed.gone.iter().chain(timed.times.due(now_ms));
        due.take(count).map(|(field, _)| field.to_vec()).collect()
    }

    /// True when all of its fields are due by `now_ms`.
    pub fn is_all_due(&self, now_ms: i64) -> bool {
        let Repr::Timed(timed) = &self.0 else { return false };
        timed.times.len() == timed.fields.len()
            && timed.times.latest().is_some_and(|at_ms| at_ms <= now_ms)
    }

    /// True when [`Hash::hide_due`] has something to do.
    pub fn shows_due(&self, now_ms: i64) -> bool {
        let Repr::Timed(timed) = &self.0 else { return false };
        timed.times.earliest().is_some_and(|at_ms| at_ms <= now_ms)
    }

    /// Has nobody see the fields that are due by `now_ms`, of which [`Hash::due`] goes on to tell.
    pub fn hide_due(&mut self, now_ms: i64) {
        let Repr::Timed(timed) = &mut self.0 else { return };
        let due: Vec<_> =
            timed.times.due(now_ms).map(|(field, at_ms)| (field.to_vec(), at_ms)).collect();
        for (field, at_ms) in due {
            timed.times.remove(&field);
            timed.fields.remove(&field);
            timed.gone.set(&field, at_ms);
        }
    }

    /// Lets a field that is there expire, or not any more.
    pub fn set_time(&mut self, field: &[u8], at_ms: Option<i64>) {
        match (&mut self.0, at_ms) {
            (Repr::Timed(timed), Some(at_ms)) => {
                if timed.fields.contains(field) {
                    timed.times.set(field, at_ms);
                }
            }
            (Repr::Timed(timed), None) => {
                timed.times.remove(field);
                timed.gone.remove(field);
                if timed.times.is_empty() && timed.gone.is_empty() {
                    let empty = Hash(Repr::Packed(Listpack::new()));
                    *self = std::mem::replace(&mut timed.fields, empty);
                }
            }
            (Repr::Packed(_) | Repr::Table(_), None) => {}
            (Repr::Packed(_) | Repr::Table(_), Some(at_ms)) => {
                if self.contains(field) {
                    let empty = Hash(Repr::Packed(Listpack::new()));
                    let fields = std::mem::replace(self, empty);
                    let mut times = Times::default();
                    times.set(field, at_ms);
                    self.0 = Repr::Timed(Box::new(Timed { fields, times, gone: Times::default() }));
                }
            }
        }
    }

    /// The fields and values, times aside: never [`Repr::Timed`].
    fn fields(&self) -> &Repr {
        match &self.0 {
            Repr::Timed(timed) => &timed.fields.0,
            fields @ (Repr::Packed(_) | Repr::Table(_)) => fields,
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

impl Timed {
    /// As Redis 7.4 has it: a listpack of fields, values and times, the earliest first and 0 for none at the end; or, times as what
    /// they are later than one ms before the earliest, 0 for none.
    fn save_some(
        &self,
        from: SavePoint,
        budget_bytes: usize,
        out: &mut RdbWriter,
    ) -> Option<SavePoint> {
        let earliest = self.times.earliest().unwrap_or(0);
        let table = match &self.fields.0 {
            Repr::Table(table) => table,
            Repr::Packed(_) | Repr::Timed(_) => {
                out.ms_time(earliest);
                out.string(self.triples().as_bytes());
                return None;
            }
        };
        if from.at == 0 {
            out.ms_time(earliest);
            out.length(table.len() as u64);
        }
        let next = table.save_some(from.at, budget_bytes, out, |out, field| {
            let (field, value) = Field::pair(field);
            let later = self.times.get(field).map_or(0, |at_ms| at_ms.abs_diff(earliest) + 1);
            out.length(later);
            out.string(field);
            out.string(value);
        });
        next.map(SavePoint::at)
    }

    fn triples(&self) -> Listpack {
        let mut triples = Listpack::new();
        for (field, at_ms) in self.times.iter() {
            let Some(value) = self.fields.get(field) else { continue };
            triples.push_back(field);
            triples.push_back_item(value);
            triples.push_back_item(Item::Int(at_ms));
        }
        let mut scratch = itoa::Buffer::new();
        for (field, value) in self.fields.iter() {
            if self.times.get(field.bytes(&mut scratch)).is_none() {
                triples.push_back_item(field);
                triples.push_back_item(value);
                triples.push_back_item(Item::Int(0));
            }
        }
        triples
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
            Repr::Timed(ref timed) => match timed.fields.0 {
                Repr::Packed(_) => "listpackex",
                Repr::Table(_) | Repr::Timed(_) => "hashtable",
            },
        }
    }
    fn len(&self) -> usize {
        match &self.0 {
            Repr::Packed(packed) => packed.len() / 2,
            Repr::Table(table) => table.len(),
            Repr::Timed(timed) => timed.fields.len(),
        }
    }
    fn rdb_type(&self) -> u8 {
        match self.0 {
            Repr::Packed(_) => RDB_TYPE_HASH_LISTPACK,
            Repr::Table(_) => RDB_TYPE_HASH,
            Repr::Timed(ref timed) => match timed.fields.0 {
                Repr::Packed(_) => RDB_TYPE_HASH_LISTPACK_EX,
                Repr::Table(_) | Repr::Timed(_) => RDB_TYPE_HASH_METADATA,
            },
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
            Repr::Timed(timed) => return timed.save_some(from, budget_bytes, out),
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
                Repr::Timed(timed) => {
                    let trees = timed.times.memory_bytes() + timed.gone.memory_bytes();
                    2 * size_of::<Times>() + trees + timed.fields.memory_bytes()
                }
            }
    }
    fn digest(&self, digest: &mut Digest) {
        let (mut field_text, mut value_text) = (itoa::Buffer::new(), itoa::Buffer::new());
        for (field, value) in self.iter() {
            let parts = [field.bytes(&mut field_text), value.bytes(&mut value_text)];
            match self.time_of(parts[0]) {
                None => digest.unordered_group(&parts),
                Some(_) => digest.unordered_group_marked(&parts, b"!!hexpire!!"),
            }
        }
    }
    fn free_effort(&self) -> usize {
        match &self.0 {
            Repr::Packed(_) => 1,
            Repr::Table(table) => table.len(),
            // The times are freed at once with the rest.
            Repr::Timed(timed) => timed.fields.free_effort(),
        }
    }
    fn free_some(&mut self, budget: usize) -> bool {
        match &mut self.0 {
            Repr::Packed(_) => true,
            Repr::Table(table) => table.free_some(budget),
            Repr::Timed(timed) => timed.fields.free_some(budget),
        }
    }
}

#[cfg(test)]
mod tests;
