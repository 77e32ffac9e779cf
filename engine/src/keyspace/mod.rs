//! A shard's keyspace: its databases, and the one way in for commands.
//!
//! Invariant: a stored value changes only through [`Db`], so that expiry, snapshot pre-images and statistics cannot be bypassed.

use std::collections::HashMap;

use crate::args::Args;
use crate::effect::{Effects, Opcode};
use crate::error::Error;
use crate::raw::Entry;
use crate::reply::Reply;
use crate::types::{EncodingLimits, Object, Value};

/// Whether a command serves a client or repeats what a log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// For a client: expired keys are gone, changes are recorded.
    Live,
    /// From a log: nothing expires by itself, nothing is recorded.
    Replay,
}

/// What a command works with.
pub struct Ctx<'a> {
    /// The selected database.
    pub db: Db<'a>,
    /// Where the reply goes.
    pub reply: &'a mut dyn Reply,
}

/// Counters of a keyspace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Lookups for reading that found a key.
    pub hits: u64,
    /// Lookups for reading that found none.
    pub misses: u64,
    /// Keys removed because their time was up.
    pub expired: u64,
}

/// One shard's data.
pub struct Keyspace {
    dbs: Vec<HashMap<Vec<u8>, Entry>>,
    /// Changes of the open batch.
    pub effects: Effects,
    /// Encoding thresholds.
    pub limits: EncodingLimits,
    /// Counters.
    pub stats: Stats,
    rng: u64,
}

impl Keyspace {
    /// An empty keyspace of `databases` databases; `seed` feeds the key hash and random choices.
    pub fn new(databases: usize, seed: u64) -> Self {
        Keyspace {
            dbs: (0..databases).map(|_| HashMap::new()).collect(),
            effects: Effects::default(),
            limits: EncodingLimits { hash_seed: seed, ..EncodingLimits::default() },
            stats: Stats::default(),
            rng: seed | 1,
        }
    }
    /// Number of databases.
    pub fn databases(&self) -> usize {
        self.dbs.len()
    }
    /// A database as commands see it. An index out of range falls back to 0 (SELECT checks it).
    pub fn db(&mut self, index: usize, now_ms: i64, mode: Mode) -> Db<'_> {
        let index = if index < self.dbs.len() { index } else { 0 };
        Db { ks: self, index, now_ms, mode }
    }
    /// Exchanges two databases.
    pub fn swap(&mut self, a: usize, b: usize) {
        self.dbs.swap(a, b);
    }
}

/// One database of a keyspace at one instant.
pub struct Db<'a> {
    ks: &'a mut Keyspace,
    index: usize,
    now_ms: i64,
    mode: Mode,
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
        if index >= self.ks.dbs.len() {
            return Err(Error::DbIndex);
        }
        Ok(Db { ks: self.ks, index, now_ms: self.now_ms, mode: self.mode })
    }
    /// The next random number.
    pub fn random(&mut self) -> u64 {
        // xorshift64*
        let mut x = self.ks.rng;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.ks.rng = x;
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    // ---- reading

    /// The live entry of `key`, for a read that counts as hit or miss and as an access.
    pub fn get(&mut self, key: &[u8]) -> Option<&Entry> {
        self.expire_if_due(key);
        let found = self.ks.dbs.get(self.index)?.get(key);
        if found.is_some() {
            self.ks.stats.hits += 1
        } else {
            self.ks.stats.misses += 1
        }
        found
    }
    /// The live entry of `key`, without any trace (TTL, TYPE, OBJECT).
    pub fn peek(&mut self, key: &[u8]) -> Option<&Entry> {
        self.expire_if_due(key);
        self.ks.dbs.get(self.index)?.get(key)
    }
    /// True when `key` is there and alive.
    pub fn contains(&mut self, key: &[u8]) -> bool {
        self.peek(key).is_some()
    }
    /// The collection at `key` for reading; an error when it is of another type.
    pub fn get_as<T: Object>(&mut self, key: &[u8]) -> Result<Option<&T>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some(entry) => T::from_ref(entry.value()).map(Some).ok_or(Error::WrongType),
        }
    }

    // ---- changing

    /// The live entry of `key` to be changed in place; its pre-image is safe by then.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut Entry> {
        self.expire_if_due(key);
        self.ks.dbs.get_mut(self.index)?.get_mut(key)
    }
    /// The collection at `key` to be changed in place; an error when it is of another type.
    pub fn get_mut_as<T: Object>(&mut self, key: &[u8]) -> Result<Option<&mut T>, Error> {
        match self.get_mut(key) {
            None => Ok(None),
            Some(entry) => T::from_mut(entry.value_mut()).map(Some).ok_or(Error::WrongType),
        }
    }
    /// The collection at `key` to be changed in place, made by `new` when there is none. Whoever makes one adds to it.
    pub fn get_or_insert_as<T: Object>(
        &mut self,
        key: &[u8],
        new: impl FnOnce(&EncodingLimits) -> T,
    ) -> Result<&mut T, Error> {
        if !self.contains(key) {
            let value = new(&self.ks.limits).into_value();
            self.set(key, value, None);
        }
        self.get_mut_as(key)?.ok_or(Error::NoSuchKey)
    }
    /// Stores a string, replacing whatever was there.
    pub fn set_str(&mut self, key: &[u8], bytes: &[u8], expire_at_ms: Option<i64>) {
        self.put(Entry::new_str(key, bytes, expire_at_ms));
    }
    /// Stores any value, replacing whatever was there.
    pub fn set(&mut self, key: &[u8], value: Value, expire_at_ms: Option<i64>) {
        self.put(Entry::new(key, value, expire_at_ms));
    }
    /// Stores an entry, replacing whatever was there.
    pub fn put(&mut self, entry: Entry) {
        if let Some(db) = self.ks.dbs.get_mut(self.index) {
            db.insert(entry.key().to_vec(), entry);
        }
    }
    /// Removes `key`; false when it was not there (or expired). Large values are freed in slices later.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.take(key).is_some()
    }
    /// Takes `key` out.
    pub fn take(&mut self, key: &[u8]) -> Option<Entry> {
        self.expire_if_due(key);
        self.ks.dbs.get_mut(self.index)?.remove(key)
    }
    /// Removes `key` when its collection is empty; true when it did.
    pub fn remove_if_empty<T: Object>(&mut self, key: &[u8]) -> bool {
        let empty =
            self.peek(key).and_then(|e| T::from_ref(e.value())).is_some_and(Object::is_empty);
        empty && self.remove(key)
    }
    /// Sets or removes the expiry; false when the key is not there.
    pub fn set_expire_at_ms(&mut self, key: &[u8], at: Option<i64>) -> bool {
        self.get_mut(key).map(|e| e.set_expire_at_ms(at)).is_some()
    }
    /// Removes all keys of this database; how many there were.
    pub fn flush(&mut self) -> usize {
        let Some(db) = self.ks.dbs.get_mut(self.index) else { return 0 };
        std::mem::take(db).len()
    }

    // ---- all keys

    /// Number of keys, expired ones that were not noticed yet included.
    pub fn len(&self) -> usize {
        self.ks.dbs.get(self.index).map_or(0, HashMap::len)
    }
    /// True when there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Number of keys that have an expiry.
    pub fn expires_len(&self) -> usize {
        self.ks
            .dbs
            .get(self.index)
            .map_or(0, |d| d.values().filter(|e| e.expire_at_ms().is_some()).count())
    }
    /// One step of a scan: calls `each` for some live entries, about `count` or more, and returns the next cursor, 0 at the end.
    /// A key that is there from the first to the last step is given at least once.
    pub fn scan(&mut self, cursor: u64, count: usize, each: &mut dyn FnMut(&Entry)) -> u64 {
        let _ = (cursor, count);
        self.for_each(each);
        0
    }
    /// Every live entry, in no particular order.
    pub fn for_each(&mut self, each: &mut dyn FnMut(&Entry)) {
        let (now, mode) = (self.now_ms, self.mode);
        let Some(db) = self.ks.dbs.get(self.index) else { return };
        db.values().filter(|e| !is_due(e, now, mode)).for_each(each);
    }
    /// A live key picked at random.
    pub fn random_key(&mut self) -> Option<Vec<u8>> {
        let mut keys = Vec::new();
        self.for_each(&mut |e| keys.push(e.key().to_vec()));
        let at = usize::try_from(self.random() % (keys.len().max(1) as u64)).ok()?;
        keys.into_iter().nth(at)
    }

    // ---- what the log stores

    /// Records a change as a canonical command: its opcode and its arguments after the name.
    pub fn effect(&mut self, opcode: Opcode, args: &[&[u8]]) {
        if self.mode == Mode::Live {
            self.ks.effects.push(u32::try_from(self.index).unwrap_or(0), opcode, args);
        }
    }
    /// Records a change as the client's own words.
    pub fn effect_verbatim(&mut self, opcode: Opcode, args: Args<'_>) {
        if self.mode == Mode::Live {
            self.ks.effects.push_verbatim(u32::try_from(self.index).unwrap_or(0), opcode, args);
        }
    }

    fn expire_if_due(&mut self, key: &[u8]) {
        let (now, mode) = (self.now_ms, self.mode);
        let Some(db) = self.ks.dbs.get_mut(self.index) else { return };
        if db.get(key).is_some_and(|e| is_due(e, now, mode)) {
            db.remove(key);
            self.ks.stats.expired += 1;
            self.effect(OPCODE_DEL, &[key]);
        }
    }
}

/// DEL's opcode, which expiry records too; the table's test checks that it is the row's.
pub const OPCODE_DEL: Opcode = 64;

fn is_due(entry: &Entry, now_ms: i64, mode: Mode) -> bool {
    mode == Mode::Live && entry.expire_at_ms().is_some_and(|at| at <= now_ms)
}
