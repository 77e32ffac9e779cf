//! A shard's keyspace: its databases, and the one way in for commands.
//!
//! ```text
//! Keyspace ── db(index, now, mode) ──> Db ── get / get_mut / set_str / put / take / remove ...     what commands see
//!    │ expire_cycle   evict   snapshot_begin/step   free_some   checkout/checkin                       what the shard's tasks call
//!    └─ Database = raw::Table + where the snapshot's traversal of it stands
//! ```
//!
//! Invariant: a stored value changes only through [`Db`] (and the tasks here), so that expiry, snapshot pre-images and statistics
//! cannot be bypassed. Time is an argument: `now_ms` of [`Keyspace::db`], and [`Keyspace::set_clock`] for the access bits.

mod access;
mod db;
pub mod events;
mod evict;
mod exchange;
mod expire;
mod fields;
mod lazyfree;
mod scan;
mod snapshot;
#[cfg(test)]
mod snapshot_tests;
#[cfg(test)]
mod tests;

pub use access::AccessPolicy;
pub use db::Db;
pub use events::{Classes, Event, Events};
pub use evict::{Eviction, EvictionOrder};
pub use expire::ExpireReport;

use access::Access;
pub use fields::OPCODE_HDEL;

use expire::ExpireCursor;
use fields::FieldTimes;
use lazyfree::LazyFree;
use snapshot::{Cut, Snapshot};

use crate::effect::{Effects, Opcode};
use crate::raw::{KeyHasher, Table};
use crate::reply::Reply;
use crate::types::EncodingLimits;

/// DEL's opcode, which expiry records too; the table's test checks that it is the row's.
pub const OPCODE_DEL: Opcode = 64;

/// So many keys of the usual size, with their index, fit into a core's own cache.
const KEYS_CACHED: usize = 2048;

/// Whether a command serves a client or repeats what a log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// For a client: expired keys are gone, changes are recorded.
    Live,
    /// For a client that reads while the data must stay as it is: expired keys are not seen, but stay.
    Reading,
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
    /// Keys removed to make room.
    pub evicted: u64,
}

impl Stats {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: Stats) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.expired += other.expired;
        self.evicted += other.evicted;
    }
}

/// One database: its index, and where the running snapshot stands in it.
#[derive(Default)]
struct Database {
    table: Table,
    /// There while the snapshot's traversal of this table is not at its end.
    cut: Option<Cut>,
    /// Of hashes whose fields expire.
    fields: FieldTimes,
}

/// One shard's data.
pub struct Keyspace {
    /// As many as were used so far.
    dbs: Vec<Database>,
    databases: usize,
    hasher: KeyHasher,
    /// Changes of the open batch.
    pub effects: Effects,
    /// What happened to keys, for those who want to be told.
    pub events: Events,
    /// Keys whose time was found to be up, while somebody observes the changes.
    lapsed: Vec<Box<[u8]>>,
    /// Keys that count as changed although nothing of them was recorded, by database, while somebody observes the changes.
    unrecorded: Vec<(usize, Box<[u8]>)>,
    /// Commands are called by a script.
    in_script: bool,
    /// Encoding thresholds.
    pub limits: EncodingLimits,
    /// Counters.
    pub stats: Stats,
    rng: u64,
    access: Access,
    pool: evict::Pool,
    snapshot: Snapshot,
    lazyfree: LazyFree,
    active_expire: bool,
    expire_at: ExpireCursor,
    is_paused: bool,
}

impl Keyspace {
    /// An empty keyspace of `databases` databases; `seed` feeds the key hash and random choices. Nothing is allocated before the
    /// first use, so that one may be made for a single transaction.
    pub fn new(databases: usize, seed: u64) -> Self {
        let mut keyspace = Keyspace {
            dbs: Vec::new(),
            databases: databases.max(1),
            hasher: KeyHasher::new(0, 0),
            effects: Effects::default(),
            events: Events::default(),
            lapsed: Vec::new(),
            unrecorded: Vec::new(),
            in_script: false,
            limits: EncodingLimits { hash_seed: seed, ..EncodingLimits::default() },
            stats: Stats::default(),
            rng: seed | 1,
            access: Access::default(),
            pool: evict::Pool::default(),
            snapshot: Snapshot::default(),
            lazyfree: LazyFree::default(),
            active_expire: true,
            expire_at: ExpireCursor::default(),
            is_paused: false,
        };
        keyspace.hasher = KeyHasher::new(keyspace.random() ^ seed, keyspace.random());
        keyspace
    }
    /// The keys that commands found expired since the last call, while changes are observed: nobody's command removed them.
    pub fn take_lapsed(&mut self) -> Vec<Box<[u8]>> {
        std::mem::take(&mut self.lapsed)
    }
    /// The keys that count as changed since the last call although nothing was recorded.
    pub fn take_unrecorded(&mut self) -> Vec<(usize, Box<[u8]>)> {
        std::mem::take(&mut self.unrecorded)
    }
    /// Says whether the commands to come are called by a script.
    pub fn set_in_script(&mut self, in_script: bool) {
        self.in_script = in_script;
    }
    /// Whether keys whose time is up stay until somebody writes (CLIENT PAUSE), rather than to be removed by whoever meets them.
    pub fn set_paused(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }
    /// True while they do.
    #[inline]
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }
    /// How to look at keys without changing them where they are paused.
    pub fn look_mode(&self) -> Mode {
        if self.is_paused { Mode::Reading } else { Mode::Live }
    }
    /// Number of databases.
    pub fn databases(&self) -> usize {
        self.databases
    }
    /// A database as commands see it. An index out of range falls back to 0 (SELECT checks it).
    #[inline]
    pub fn db(&mut self, index: usize, now_ms: i64, mode: Mode) -> Db<'_> {
        let index = if index < self.databases { index } else { 0 };
        if index >= self.dbs.len() {
            self.dbs.resize_with(index + 1, Database::default);
        }
        Db { ks: self, index, now_ms, mode }
    }
    /// Exchanges two databases; an index out of range changes nothing (SWAPDB checks them).
    pub fn swap(&mut self, a: usize, b: usize) {
        if a.max(b) >= self.databases {
            return;
        }
        if a.max(b) >= self.dbs.len() {
            self.dbs.resize_with(a.max(b) + 1, Database::default);
        }
        self.dbs.swap(a, b);
    }
    /// Keys of all databases, expired ones that were not noticed yet included.
    pub fn len(&self) -> usize {
        self.dbs.iter().map(|d| d.table.len()).sum()
    }
    /// True when there is no key in any database.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// True when there are so few keys that they are in the processor's caches, where nothing has to be asked for.
    pub fn is_small(&self) -> bool {
        self.len() <= KEYS_CACHED
    }
    /// Bytes that the key indexes take.
    pub fn index_bytes(&self) -> usize {
        self.dbs.iter().map(|d| d.table.memory_bytes()).sum()
    }
    /// The hash of a key here.
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }
    /// Asks for the memory that a lookup of `key` will touch; worth it for a pipeline's later commands.
    pub fn prefetch(&self, db: usize, key: &[u8]) {
        if let Some(db) = self.dbs.get(db) {
            db.table.prefetch(self.hasher.hash(key));
        }
    }
    /// Asks for the index's memory that a key of this hash touches, as [`Keyspace::prefetch`] does.
    pub fn prefetch_hash(&self, db: usize, hash: u64) {
        if let Some(db) = self.dbs.get(db) {
            db.table.prefetch(hash);
        }
    }
    /// Asks for the entry that a key of this hash may be; worth it after [`Keyspace::prefetch_hash`], when other work came between.
    pub fn prefetch_entry(&self, db: usize, hash: u64) {
        if let Some(db) = self.dbs.get(db) {
            db.table.prefetch_entry(hash);
        }
    }
    fn random(&mut self) -> u64 {
        next_random(&mut self.rng)
    }
}

/// The next random number (xorshift64*) of a state that is not 0.
fn next_random(state: &mut u64) -> u64 {
    let mut x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    x.wrapping_mul(0x2545_f491_4f6c_dd1d)
}
