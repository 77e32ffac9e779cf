//! Fields of hashes that expire.
//!
//! A field whose time is up goes when its key is looked at, so that no command ever sees it, or in the active cycle. Each leaves an
//! HDEL; where nothing may be recorded ([`Mode::Reading`]) it is hidden, and leaves its HDEL later. The cycle finds hashes by a queue of times; an entry of it may be out of date, which shows when its turn comes.
//!
//! Invariant: of a hash with fields that expire the queue has an entry of the earliest time or before.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Classes, Database, Db, Keyspace, Mode};
use crate::effect::Opcode;
use crate::raw::{Entry, Place};
use crate::types::{Hash, Object, ValueMut, ValueRef};

/// HDEL's opcode, which expiry records; the table's test checks that it is the row's.
pub const OPCODE_HDEL: Opcode = 257;
/// Fields that one effect names, so that no record grows without bound.
const EFFECT_FIELDS_MAX: usize = 1024;
/// Entries of the queue before it is looked through for those out of date.
const PRUNE_AT_MIN: usize = 1024;

/// When to look at which hash of a database.
#[derive(Default)]
pub(super) struct FieldTimes {
    queue: BinaryHeap<Reverse<(i64, Box<[u8]>)>>,
    prune_at: usize,
}

/// When the first field of an entry's hash expires.
#[inline]
pub(super) fn earliest(entry: &Entry) -> Option<i64> {
    if let ValueRef::Hash(hash) = entry.value() { hash.earliest() } else { None }
}

impl Database {
    /// Notes when fields of the hash at `place` expire.
    pub(super) fn note_fields(&mut self, hasher: &crate::raw::KeyHasher, place: Place) {
        let Some(entry) = self.table.at(place) else { return };
        let Some(at_ms) = earliest(entry) else { return };
        self.fields.queue.push(Reverse((at_ms, entry.key().into())));
        if self.fields.queue.len() > self.fields.prune_at.max(PRUNE_AT_MIN) {
            self.prune_fields(hasher);
        }
    }

    /// Leaves one entry a hash in the queue.
    fn prune_fields(&mut self, hasher: &crate::raw::KeyHasher) {
        let mut keys: Vec<_> = self.fields.queue.drain().map(|Reverse((_, key))| key).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let place = self.table.locate(hasher.hash(&key), &key);
            if let Some(at_ms) = place.and_then(|place| self.table.at(place)).and_then(earliest) {
                self.fields.queue.push(Reverse((at_ms, key)));
            }
        }
        self.fields.prune_at = self.fields.queue.len() * 2;
    }
}

impl Keyspace {
    /// Whether there may be hashes with fields that expire; not exact for a while after the last of them went.
    pub fn has_field_times(&self) -> bool {
        self.dbs.iter().any(|database| !database.fields.queue.is_empty())
    }

    /// A hash with fields that expire, with its database, if there is one.
    pub fn any_with_field_times(&self) -> Option<(usize, &[u8])> {
        self.dbs.iter().enumerate().find_map(|(index, database)| {
            let mut keys = database.fields.queue.iter().map(|Reverse((_, key))| key);
            let key = keys.find(|key| {
                let place = database.table.locate(self.hasher.hash(key), key);
                place.and_then(|place| database.table.at(place)).and_then(earliest).is_some()
            })?;
            Some((index, &**key))
        })
    }

    /// Removes at most `count` fields that are due of the hash at `place`, and its key with the last one; whether the key is left.
    pub(super) fn expire_fields(
        &mut self,
        index: usize,
        place: Place,
        now_ms: i64,
        count: usize,
    ) -> (usize, bool) {
        let Some(entry) = self.dbs.get(index).and_then(|d| d.table.at(place)) else {
            return (0, false);
        };
        let ValueRef::Hash(hash) = entry.value() else { return (0, true) };
        let due = hash.due(now_ms, count);
        if due.is_empty() {
            return (0, true);
        }
        let key = entry.key().to_vec();
        self.secure(index, place);
        let entry = self.dbs.get_mut(index).and_then(|d| d.table.at_mut(place));
        let Some(ValueMut::Hash(hash)) = entry.map(Entry::value_mut) else { return (0, true) };
        for field in &due {
            hash.remove(field);
        }
        let is_empty = hash.is_empty();
        let db = u32::try_from(index).unwrap_or(0);
        for fields in due.chunks(EFFECT_FIELDS_MAX) {
            let effect: Vec<&[u8]> =
                std::iter::once(key.as_slice()).chain(fields.iter().map(Vec::as_slice)).collect();
            self.effects.note_lapse();
            self.effects.push(db, OPCODE_HDEL, &effect);
        }
        self.events.push(Classes::HASH, "hexpired", index, &key);
        if is_empty {
            self.delete(index, place);
            self.events.push(Classes::GENERIC, "del", index, &key);
        }
        (due.len(), !is_empty)
    }

    /// Hides the fields that are due of the hash at `place`, and records nothing; false when nothing of it would be seen.
    pub(super) fn hide_fields(&mut self, index: usize, place: Place, now_ms: i64) -> bool {
        let hash = self.dbs.get(index).and_then(|d| d.table.at(place)).map(Entry::value);
        let Some(ValueRef::Hash(hash)) = hash else { return true };
        if hash.is_all_due(now_ms) {
            return false;
        }
        if hash.shows_due(now_ms) {
            self.secure(index, place);
            let entry = self.dbs.get_mut(index).and_then(|d| d.table.at_mut(place));
            if let Some(ValueMut::Hash(hash)) = entry.map(Entry::value_mut) {
                hash.hide_due(now_ms);
            }
        }
        true
    }

    /// Removes about `budget` fields that are due, of all databases; how many, and whether those are all.
    pub(super) fn expire_fields_cycle(&mut self, now_ms: i64, budget: usize) -> (usize, bool) {
        let mut removed = 0;
        for index in 0..self.dbs.len() {
            while let Some(key) = self.next_due_hash(index, now_ms) {
                if removed >= budget {
                    self.queue_again(index, key);
                    return (removed, false);
                }
                let hash = self.hasher.hash(&key);
                let Some(database) = self.dbs.get(index) else { break };
                let Some(place) = database.table.locate(hash, &key) else { continue };
                let (count, _) = self.expire_fields(index, place, now_ms, budget - removed);
                removed += count;
                self.queue_again(index, key);
            }
        }
        (removed, true)
    }

    fn next_due_hash(&mut self, index: usize, now_ms: i64) -> Option<Box<[u8]>> {
        let queue = &mut self.dbs.get_mut(index)?.fields.queue;
        let Reverse((at_ms, _)) = queue.peek()?;
        if *at_ms > now_ms {
            return None;
        }
        queue.pop().map(|Reverse((_, key))| key)
    }

    /// Queues a hash that may have more fields that expire.
    fn queue_again(&mut self, index: usize, key: Box<[u8]>) {
        let hash = self.hasher.hash(&key);
        let Some(database) = self.dbs.get_mut(index) else { return };
        let place = database.table.locate(hash, &key);
        if let Some(at_ms) = place.and_then(|place| database.table.at(place)).and_then(earliest) {
            database.fields.queue.push(Reverse((at_ms, key)));
        }
    }
}

impl Db<'_> {
    /// Sets when fields of a hash expire, or that they do not; nothing is recorded. Fields that are not there stay so.
    pub fn set_field_times(&mut self, key: &[u8], fields: &[&[u8]], at_ms: Option<i64>) {
        let Ok(Some(hash)) = self.get_mut_as::<Hash>(key) else { return };
        let before = hash.earliest();
        fields.iter().for_each(|field| hash.set_time(field, at_ms));
        let after = hash.earliest();
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.note_fields(key);
        }
    }

    fn note_fields(&mut self, key: &[u8]) {
        let Some(place) = self.locate(key) else { return };
        let ks = &mut *self.ks;
        if let Some(database) = ks.dbs.get_mut(self.index) {
            database.note_fields(&ks.hasher, place);
        }
    }

    /// Whether fields of an entry are due.
    #[inline]
    pub(super) fn has_due_fields(&self, entry: &Entry) -> bool {
        earliest(entry).is_some_and(|at_ms| at_ms <= self.now_ms) && self.mode != Mode::Replay
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Records;
    use crate::types::EncodingLimits;

    fn put(ks: &mut Keyspace, key: &[u8], times: &[(&str, Option<i64>)]) {
        let limits = EncodingLimits::default();
        let mut hash = Hash::new(&limits);
        for (field, at_ms) in times {
            hash.set(field.as_bytes(), b"v", &limits);
            hash.set_time(field.as_bytes(), *at_ms);
        }
        ks.db(0, 0, Mode::Live).set(key, hash.into_value(), None);
    }

    fn effects(ks: &mut Keyspace) -> Vec<String> {
        let all = ks.effects.take();
        let text = |record: crate::effect::Record| {
            assert_eq!(record.opcode, OPCODE_HDEL);
            let words = record.args.as_args().iter_from(0).map(String::from_utf8_lossy);
            words.collect::<Vec<_>>().join(" ")
        };
        Records::new(all.bytes()).map(|record| text(record.unwrap())).collect()
    }

    #[test]
    fn a_field_is_gone_when_its_time_is_up_and_its_key_with_the_last_one() {
        let mut ks = Keyspace::new(1, 7);
        put(&mut ks, b"h", &[("a", Some(10)), ("b", Some(20)), ("c", Some(20))]);
        let len = |ks: &mut Keyspace, now_ms, mode| {
            ks.db(0, now_ms, mode).get_as::<Hash>(b"h").unwrap().map(|hash| hash.len())
        };
        assert_eq!(len(&mut ks, 9, Mode::Live), Some(3));
        assert_eq!(len(&mut ks, 99, Mode::Replay), Some(3));
        assert_eq!(len(&mut ks, 10, Mode::Live), Some(2));
        assert_eq!(effects(&mut ks), ["h a"]);
        assert_eq!(len(&mut ks, 20, Mode::Live), None);
        assert_eq!(effects(&mut ks), ["h b c"]);
        assert!(ks.is_empty());
    }

    #[test]
    fn a_field_that_is_due_while_nothing_may_be_recorded_is_hidden_and_told_later() {
        let mut ks = Keyspace::new(1, 7);
        put(&mut ks, b"h", &[("a", Some(10)), ("b", Some(20)), ("c", Some(30))]);
        let fields = |ks: &mut Keyspace, now_ms, mode| {
            let mut db = ks.db(0, now_ms, mode);
            let hash = db.get_as::<Hash>(b"h").unwrap();
            hash.map(|hash| (hash.len(), hash.contains(b"a"), hash.contains(b"c")))
        };
        assert_eq!(fields(&mut ks, 10, Mode::Reading), Some((2, false, true)));
        assert_eq!(fields(&mut ks, 20, Mode::Reading), Some((1, false, true)));
        assert_eq!(fields(&mut ks, 30, Mode::Reading), None, "a hash of which nothing is left");
        assert!(ks.has_field_times());
        assert_eq!(effects(&mut ks), [""; 0]);
        assert_eq!(fields(&mut ks, 29, Mode::Live), Some((1, false, true)));
        assert_eq!(effects(&mut ks), ["h a b"]);
        assert_eq!(ks.expire_fields_cycle(30, 10), (1, true));
        assert_eq!(effects(&mut ks), ["h c"]);
        assert!(ks.is_empty());
    }

    #[test]
    fn the_cycle_finds_what_was_hidden() {
        let mut ks = Keyspace::new(1, 7);
        put(&mut ks, b"h", &[("a", Some(10)), ("b", None)]);
        assert_eq!(ks.db(0, 10, Mode::Reading).get_as::<Hash>(b"h").unwrap().unwrap().len(), 1);
        assert_eq!(ks.expire_fields_cycle(10, 10), (1, true));
        assert_eq!(effects(&mut ks), ["h a"]);
        assert_eq!(
            ks.db(0, 10, Mode::Live).get_as::<Hash>(b"h").unwrap().unwrap().earliest(),
            None
        );
    }

    #[test]
    fn the_cycle_removes_fields_within_its_budget() {
        let mut ks = Keyspace::new(1, 7);
        let fields: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        let times: Vec<_> = fields.iter().map(|field| (field.as_str(), Some(10))).collect();
        put(&mut ks, b"due", &times);
        put(&mut ks, b"later", &[("a", Some(11)), ("b", None)]);
        put(&mut ks, b"plain", &[("a", None)]);
        assert_eq!(ks.expire_fields_cycle(9, 1000), (0, true));
        assert_eq!(ks.expire_fields_cycle(10, 20), (20, false));
        assert_eq!(ks.expire_fields_cycle(10, 1000), (30, true));
        assert_eq!(ks.len(), 2);
        assert_eq!(ks.expire_fields_cycle(11, 1000), (1, true));
        assert_eq!((ks.len(), ks.has_field_times()), (2, false));
    }

    #[test]
    fn the_queue_does_not_grow_with_changes_of_times() {
        let mut ks = Keyspace::new(1, 7);
        put(&mut ks, b"h", &[("a", None)]);
        for at_ms in (1_000_000..1_020_000).rev() {
            ks.db(0, 0, Mode::Live).set_field_times(b"h", &[b"a"], Some(at_ms));
        }
        assert!(ks.dbs[0].fields.queue.len() <= PRUNE_AT_MIN + 1);
        assert_eq!(ks.expire_fields_cycle(1_000_000, 10), (1, true));
    }
}
