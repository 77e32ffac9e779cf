//! One database at one instant: what commands read and change.
//!
//! Invariant: whatever changes or removes an entry goes through [`Db::secured`] or hands the former entry to
//! [`Keyspace::retire`], which are where a running snapshot saves what was.

use super::{Classes, Keyspace, Mode, OPCODE_DEL, next_random};
use crate::args::Args;
use crate::effect::Opcode;
use crate::error::Error;
use crate::raw::{Entry, Place, Table};
use crate::types::{EncodingLimits, List, Object, Value, ValueRef};

/// One database of a keyspace at one instant.
pub struct Db<'a> {
    pub(super) ks: &'a mut Keyspace,
    /// Of a database that is there.
    pub(super) index: usize,
    pub(super) now_ms: i64,
    pub(super) mode: Mode,
}

impl Db<'_> {
    /// The database's index.
    pub fn index(&self) -> usize {
        self.index
    }
    /// Now, in ms since 1970.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }
    /// Live or replay.
    pub fn mode(&self) -> Mode {
        self.mode
    }
    /// Encoding thresholds.
    pub fn limits(&self) -> EncodingLimits {
        self.ks.limits
    }
    /// The keyspace that it belongs to.
    pub fn keyspace(&mut self) -> &mut Keyspace {
        self.ks
    }
    /// Another database at the same instant; an error when there is none.
    pub fn other(&mut self, index: usize) -> Result<Db<'_>, Error> {
        if index >= self.ks.databases {
            return Err(Error::DbIndex);
        }
        let (now_ms, mode) = (self.now_ms, self.mode);
        Ok(self.ks.db(index, now_ms, mode))
    }
    /// The next random number.
    pub fn random(&mut self) -> u64 {
        self.ks.random()
    }

    // ---- reading

    /// The live entry of `key`, for a read that counts as hit or miss and as an access.
    pub fn get(&mut self, key: &[u8]) -> Option<&Entry> {
        let Some(place) = self.locate(key) else {
            self.missed(key);
            return None;
        };
        self.ks.stats.hits += 1;
        Some(self.touched(place)?)
    }
    #[cold]
    fn missed(&mut self, key: &[u8]) {
        self.ks.stats.misses += 1;
        self.notify(Classes::KEY_MISS, "keymiss", key);
    }
    /// The live entry of `key`, without any trace (TTL, TYPE, OBJECT).
    pub fn peek(&mut self, key: &[u8]) -> Option<&Entry> {
        let place = self.locate(key)?;
        self.table()?.at(place)
    }
    /// The live entry of `key`, for a read that counts as hit or miss but not as an access (TTL, TYPE, EXISTS).
    pub fn glance(&mut self, key: &[u8]) -> Option<&Entry> {
        let Some(place) = self.locate(key) else {
            self.missed(key);
            return None;
        };
        self.ks.stats.hits += 1;
        self.entry(place)
    }
    /// True when `key` is there and alive.
    pub fn contains(&mut self, key: &[u8]) -> bool {
        self.locate(key).is_some()
    }
    /// The collection at `key` for reading; an error when it is of another type.
    pub fn get_as<T: Object>(&mut self, key: &[u8]) -> Result<Option<&T>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some(entry) => T::from_ref(entry.value()).map(Some).ok_or(Error::WrongType),
        }
    }

    /// After a list was read, closes what reading opened of it ([`List::close`]); its content is the same.
    pub fn close_list(&mut self, key: &[u8]) {
        let entry = self.locate(key).and_then(|place| self.table_mut()?.at_mut(place));
        if let Some(list) = entry.and_then(|entry| List::from_mut(entry.value_mut())) {
            list.close();
        }
    }

    // ---- changing

    /// The live entry of `key` to be changed in place; its pre-image is safe by then.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let place = self.locate(key)?;
        self.secured(place);
        self.touched(place)
    }
    /// The collection at `key` to be changed in place; an error when it is of another type.
    pub fn get_mut_as<T: Object>(&mut self, key: &[u8]) -> Result<Option<&mut T>, Error> {
        let Some(place) = self.locate(key) else { return Ok(None) };
        self.collection(place).map(Some)
    }
    /// The collection at `key` to be changed in place, made by `new` when there is none. Whoever makes one adds to it.
    pub fn get_or_insert_as<T: Object>(
        &mut self,
        key: &[u8],
        new: impl FnOnce(&EncodingLimits) -> T,
    ) -> Result<&mut T, Error> {
        let hash = self.ks.hasher.hash(key);
        let place = match self.locate_hashed(hash, key) {
            Some(place) => place,
            None => {
                let value = new(&self.ks.limits).into_value();
                self.insert(hash, Entry::new(key, value, None)).ok_or(Error::NoSuchKey)?
            }
        };
        self.collection(place)
    }
    fn collection<T: Object>(&mut self, place: Place) -> Result<&mut T, Error> {
        // A wrong type changes nothing, so nothing is saved for it.
        let fits = self.entry(place).is_some_and(|e| T::from_ref(e.value()).is_some());
        if !fits {
            return Err(Error::WrongType);
        }
        self.secured(place);
        self.touched(place).and_then(|e| T::from_mut(e.value_mut())).ok_or(Error::WrongType)
    }
    /// Stores a string, replacing whatever was there.
    pub fn set_str(&mut self, key: &[u8], bytes: &[u8], expire_at_ms: Option<i64>) {
        let hash = self.ks.hasher.hash(key);
        // An expired entry is as good as any other to be replaced, but its DEL is recorded.
        let Some(place) = self.locate_hashed(hash, key) else {
            self.insert(hash, Entry::new_str(key, bytes, expire_at_ms));
            return;
        };
        let born = self.ks.access.born();
        let Some(db) = self.ks.dbs.get_mut(self.index) else { return };
        let Some(old) = db.table.at(place) else { return };
        let same_shape = old.expire_at_ms().is_some() == expire_at_ms.is_some()
            && matches!(old.value(), ValueRef::Int(_) | ValueRef::Bytes(_));
        if !same_shape || db.table.is_unsaved(old) {
            self.replace(place, Entry::new_str(key, bytes, expire_at_ms));
            return;
        }
        if expire_at_ms.is_some() {
            db.table.set_expire_at_ms(place, expire_at_ms);
        }
        if let Some(entry) = db.table.at_mut(place) {
            entry.set_str(bytes);
            entry.set_access(born);
        }
    }
    /// Stores any value, replacing whatever was there.
    pub fn set(&mut self, key: &[u8], value: Value, expire_at_ms: Option<i64>) {
        self.put(Entry::new(key, value, expire_at_ms));
    }
    /// Stores an entry, replacing whatever was there.
    pub fn put(&mut self, entry: Entry) {
        let hash = self.ks.hasher.hash(entry.key());
        match self.locate_hashed(hash, entry.key()) {
            Some(place) => self.replace(place, entry),
            None => {
                self.insert(hash, entry);
            }
        }
    }
    /// True when a script calls the command at hand.
    pub fn is_in_script(&self) -> bool {
        self.ks.in_script
    }
    /// Removes `key`; false when it was not there (or expired). Large values are freed in slices later.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let Some(place) = self.locate(key) else { return false };
        self.ks.delete(self.index, place);
        true
    }
    /// Takes `key` out.
    pub fn take(&mut self, key: &[u8]) -> Option<Entry> {
        let place = self.locate(key)?;
        self.secured(place);
        self.table_mut()?.remove(place)
    }
    /// Removes `key` when its collection is empty; true when it did.
    pub fn remove_if_empty<T: Object>(&mut self, key: &[u8]) -> bool {
        let Some(place) = self.locate(key) else { return false };
        let object = self.entry(place).and_then(|e| T::from_ref(e.value()));
        if !object.is_some_and(Object::is_empty) {
            return false;
        }
        self.ks.delete(self.index, place);
        true
    }
    /// Sets or removes the expiry; false when the key is not there.
    pub fn set_expire_at_ms(&mut self, key: &[u8], at: Option<i64>) -> bool {
        let Some(place) = self.locate(key) else { return false };
        self.secured(place);
        if let Some(table) = self.table_mut() {
            table.set_expire_at_ms(place, at);
        }
        true
    }
    /// Removes all keys of this database; how many there were. They are freed in slices later.
    pub fn flush(&mut self) -> usize {
        self.ks.flush(self.index)
    }

    // ---- what the log stores

    /// Records a change as a canonical command: its opcode and its arguments after the name.
    pub fn effect(&mut self, opcode: Opcode, args: &[&[u8]]) {
        if self.mode != Mode::Replay {
            self.ks.effects.push(u32::try_from(self.index).unwrap_or(0), opcode, args);
        }
    }
    /// Records a change as the client's own words.
    pub fn effect_verbatim(&mut self, opcode: Opcode, args: Args<'_>) {
        if self.mode != Mode::Replay {
            self.ks.effects.push_verbatim(u32::try_from(self.index).unwrap_or(0), opcode, args);
        }
    }

    /// Has whoever observes `key` take it for changed, although there is nothing to record.
    pub fn count_as_changed(&mut self, key: &[u8]) {
        if self.ks.effects.is_observed() {
            self.ks.unrecorded.push((self.index, key.into()));
        }
    }

    // ---- places

    pub(super) fn table(&self) -> Option<&Table> {
        self.ks.dbs.get(self.index).map(|d| &d.table)
    }
    fn table_mut(&mut self) -> Option<&mut Table> {
        self.ks.dbs.get_mut(self.index).map(|d| &mut d.table)
    }
    fn entry(&self, place: Place) -> Option<&Entry> {
        self.table()?.at(place)
    }
    #[inline]
    pub(super) fn locate(&mut self, key: &[u8]) -> Option<Place> {
        let hash = self.ks.hasher.hash(key);
        self.locate_hashed(hash, key)
    }
    /// Where the live entry of `key` is; an expired one is removed and recorded, unless nothing may change.
    #[inline]
    fn locate_hashed(&mut self, hash: u64, key: &[u8]) -> Option<Place> {
        let table = self.table()?;
        let place = table.locate(hash, key)?;
        let entry = table.at(place)?;
        if is_due(entry, self.now_ms, self.mode) {
            self.expire(place, key);
            return None;
        }
        if self.has_due_fields(entry) {
            if self.mode == Mode::Reading {
                let is_seen = self.ks.hide_fields(self.index, place, self.now_ms);
                return is_seen.then_some(place);
            }
            let (_, is_left) = self.ks.expire_fields(self.index, place, self.now_ms, usize::MAX);
            return is_left.then_some(place);
        }
        Some(place)
    }
    #[cold]
    fn expire(&mut self, place: Place, key: &[u8]) {
        if self.mode == Mode::Reading {
            return;
        }
        self.ks.delete(self.index, place);
        self.ks.stats.expired += 1;
        if self.ks.effects.is_observed() {
            self.ks.lapsed.push(key.into());
        }
        self.notify(Classes::EXPIRED, "expired", key);
        self.ks.effects.note_lapse();
        self.effect(OPCODE_DEL, &[key]);
    }
    pub(super) fn touched(&mut self, place: Place) -> Option<&mut Entry> {
        let ks = &mut *self.ks;
        let access = ks.access;
        let entry = ks.dbs.get_mut(self.index)?.table.at_mut(place)?;
        access.touch(entry, || next_random(&mut ks.rng) >> 32);
        Some(entry)
    }
    /// Sets what is known of the accesses of `key`, as [`Entry::access`] gave it.
    pub fn set_access(&mut self, key: &[u8], bits: u32) {
        if let Some(place) = self.locate(key)
            && let Some(entry) = self.table_mut().and_then(|t| t.at_mut(place))
        {
            entry.set_access(bits);
        }
    }
    /// Saves what the running snapshot still needs of an entry that is about to change in place.
    #[inline]
    fn secured(&mut self, place: Place) {
        self.ks.secure(self.index, place);
    }
    fn insert(&mut self, hash: u64, mut entry: Entry) -> Option<Place> {
        entry.set_access(self.ks.access.born());
        self.notify(Classes::NEW, "new", entry.key());
        let ks = &mut *self.ks;
        let database = ks.dbs.get_mut(self.index)?;
        let place = database.table.insert(&ks.hasher, hash, entry);
        database.note_fields(&ks.hasher, place);
        Some(place)
    }
    fn replace(&mut self, place: Place, mut entry: Entry) {
        entry.set_access(self.ks.access.born());
        self.ks.replace(self.index, place, entry);
    }
}

/// Whether an entry is to be seen as gone.
#[inline]
pub(super) fn is_due(entry: &Entry, now_ms: i64, mode: Mode) -> bool {
    entry.expire_at_ms().is_some_and(|at| at <= now_ms) && mode != Mode::Replay
}
