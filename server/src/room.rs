//! The memory limit: how much is used, and room that is made when it is too much.
//!
//! Each shard publishes what its thread has allocated and freed, which the allocator counts anyway; the sum over the shards, and what
//! other threads hold, is what the limit is about. Whoever finds it passed removes keys of its own shard.
//!
//! Invariant: with no limit set, none of this costs more than one comparison.

pub mod clients;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use ringstone_engine::Error;
use ringstone_engine::cmd::Flags;
use ringstone_engine::keyspace::{AccessPolicy, Eviction, EvictionOrder};

use crate::config::Config;
use crate::config::types::EvictionPolicy;
use crate::conn::Conn;
use crate::memory::ThreadUsage;
use crate::shard::Shard;
use crate::table::Entry;

/// Elements of removed values that are freed before the use of memory is looked at again.
const FREE_ELEMENTS: usize = 4096;
/// What a client may do in MULTI although memory is short: it ends or begins the queue, or leaves.
const MAY_QUEUE: &[&str] = &["exec", "discard", "multi", "quit", "reset", "watch"];

/// What the shards know of each other's memory.
#[derive(Debug)]
pub struct Board {
    /// Bytes that each shard's thread holds; below zero where others allocated what it freed.
    used: Vec<AtomicI64>,
    /// Which shards have keys that may go.
    evictable: Vec<AtomicBool>,
    /// What is held beside that.
    rest: AtomicI64,
}

impl Board {
    /// A board for a number of shards.
    pub fn new(shards: usize) -> Board {
        Board {
            used: (0..shards).map(|_| AtomicI64::new(0)).collect(),
            evictable: (0..shards).map(|_| AtomicBool::new(false)).collect(),
            rest: AtomicI64::new(0),
        }
    }

    fn of_shards(&self) -> i64 {
        self.used.iter().map(|used| used.load(Ordering::Relaxed)).sum()
    }

    fn evictable_beside(&self, index: usize) -> Vec<usize> {
        let flags = self.evictable.iter().enumerate();
        let some = flags.filter(|(at, flag)| *at != index && flag.load(Ordering::Relaxed));
        some.map(|(at, _)| at).collect()
    }

    fn used(&self) -> u64 {
        let used = self.of_shards().saturating_add(self.rest.load(Ordering::Relaxed));
        u64::try_from(used).unwrap_or(0)
    }
}

/// A shard's part in it.
#[derive(Debug, Default)]
pub struct Room {
    usage: ThreadUsage,
    /// The limit is passed, and nothing more may go.
    is_out: bool,
}

impl Room {
    /// True when commands that need memory are refused.
    pub fn is_out(&self) -> bool {
        self.is_out
    }
}

/// Which keys go first; none for `noeviction`.
pub fn eviction(config: &Config) -> Option<Eviction> {
    use EvictionOrder::{ExpiresFirst, LeastFrequent, LeastRecent, Random};
    let (volatile, order) = match config.maxmemory_policy {
        EvictionPolicy::NoEviction => return None,
        EvictionPolicy::VolatileLru => (true, LeastRecent),
        EvictionPolicy::VolatileLfu => (true, LeastFrequent),
        EvictionPolicy::VolatileRandom => (true, Random),
        EvictionPolicy::VolatileTtl => (true, ExpiresFirst),
        EvictionPolicy::AllkeysLru => (false, LeastRecent),
        EvictionPolicy::AllkeysLfu => (false, LeastFrequent),
        EvictionPolicy::AllkeysRandom => (false, Random),
    };
    let samples = usize::try_from(config.maxmemory_samples).unwrap_or(1);
    Some(Eviction { volatile, order, samples })
}

/// What is noted when a key is used.
pub fn access_policy(config: &Config) -> AccessPolicy {
    match eviction(config) {
        Some(Eviction { order: EvictionOrder::LeastFrequent, .. }) => AccessPolicy::Lfu {
            log_factor: config.lfu_log_factor,
            decay_minutes: config.lfu_decay_time,
        },
        Some(_) | None => AccessPolicy::Lru,
    }
}

/// How long removing keys may take at once; none = as long as it takes.
fn patience(tenacity: u32) -> Option<Duration> {
    match tenacity {
        0..=10 => Some(Duration::from_micros(50 * u64::from(tenacity))),
        11..100 => Some(Duration::from_micros(500).mul_f64(1.15_f64.powi(tenacity as i32 - 10))),
        _ => None,
    }
}

impl Shard {
    /// Tells the others what this shard holds, and corrects what is held beside.
    pub(crate) fn measure_memory(&mut self) {
        self.publish_memory();
        // Whoever is the last to do this after a change of the limit sees what all shards hold now.
        let all = i64::try_from(crate::memory::used_bytes()).unwrap_or(i64::MAX);
        let board = &self.shared.memory;
        board.rest.store(all - board.of_shards(), Ordering::Relaxed);
    }

    fn publish_memory(&self) {
        let board = &self.shared.memory;
        if let Some(used) = board.used.get(self.index) {
            used.store(self.room.usage.bytes(), Ordering::Relaxed);
        }
        if let Some(flag) = board.evictable.get(self.index) {
            let some = eviction(&self.config).is_some_and(|e| self.keyspace.has_evictable(e));
            flag.store(some, Ordering::Relaxed);
        }
    }

    /// Before a command or a pass: when more memory is used than may be, removes keys. True when there is more to remove.
    #[inline]
    pub(crate) fn make_room(&mut self) -> bool {
        let limit = self.config.maxmemory;
        if limit == 0 {
            self.room.is_out = false;
            return false;
        }
        self.make_room_below(limit)
    }

    fn make_room_below(&mut self, limit: u64) -> bool {
        self.publish_memory();
        self.room.is_out = false;
        if self.shared.memory.used() <= limit {
            return false;
        }
        let Some(eviction) = eviction(&self.config) else {
            self.room.is_out = true;
            return false;
        };
        // CLIENT PAUSE: nothing may change. A transaction has keys of this shard: they must not change under it.
        if self.keyspace.is_paused() || !self.tx.locks.is_free() {
            return false;
        }
        if self.commit.check_writable(false, &self.shared.saving).is_err() {
            self.room.is_out = true;
            return false;
        }
        let more = self.evict_below(limit, eviction);
        self.observe();
        if !more && self.shared.memory.used() > limit {
            self.have_others_make_room();
        }
        more
    }

    /// Removes keys until the limit is kept, or none may go, or it has taken long enough: true then.
    fn evict_below(&mut self, limit: u64, eviction: Eviction) -> bool {
        let (began, patience) = (Instant::now(), patience(self.config.maxmemory_eviction_tenacity));
        while self.keyspace.evict(eviction, self.now_ms) {
            while self.keyspace.free_some(FREE_ELEMENTS) {}
            self.publish_memory();
            if self.shared.memory.used() <= limit {
                return false;
            }
            if patience.is_some_and(|patience| began.elapsed() > patience) {
                return true;
            }
        }
        self.publish_memory();
        false
    }

    fn have_others_make_room(&mut self) {
        let index = self.index;
        let others = self.shared.clone().memory.evictable_beside(index);
        self.room.is_out = others.is_empty();
        for to in others {
            self.call(to, |there| {
                there.make_room();
            });
        }
    }

    /// Whether there is memory for a command.
    pub(crate) fn check_room(&self, conn: &Conn, entry: &Entry) -> Result<(), Error> {
        let needs = entry.spec.flags.contains(Flags::DENYOOM)
            || conn.is_queueing() && !MAY_QUEUE.contains(&entry.spec.name);
        if self.room.is_out && needs { Err(out_of_memory()) } else { Ok(()) }
    }
}

/// The answer to a command that there is no memory for.
pub fn out_of_memory() -> Error {
    Error::text("OOM command not allowed when used memory > 'maxmemory'.")
}
