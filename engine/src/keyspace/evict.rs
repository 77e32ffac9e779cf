//! Which key goes when memory is short.
//!
//! As in Redis: some keys of each database are looked at, and the best candidates of all looks so far are kept in a small pool, which
//! comes close to the exact order without keeping one.

use super::{Classes, Keyspace, Mode, OPCODE_DEL, access, next_random};
use crate::raw::Entry;

/// Candidates that are kept.
const POOL_LEN: usize = 16;
/// Looks that may find nothing before there is nothing.
const LOOKS: usize = 64;

/// What makes a key the next to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvictionOrder {
    /// Its last access is the longest ago.
    LeastRecent,
    /// It is used least.
    LeastFrequent,
    /// Chance.
    Random,
    /// It expires first.
    ExpiresFirst,
}

/// Which keys may go, and which first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// Only keys that expire.
    pub volatile: bool,
    /// Which goes first.
    pub order: EvictionOrder,
    /// Keys of a database that one look sees.
    pub samples: usize,
}

/// A key that may go.
#[derive(Debug)]
struct Candidate {
    /// The highest goes first.
    score: u64,
    db: usize,
    key: Box<[u8]>,
}

/// The best candidates so far, best last.
#[derive(Debug, Default)]
pub(super) struct Pool(Vec<Candidate>);

impl Pool {
    fn offer(&mut self, score: u64, db: usize, key: &[u8]) {
        if self.0.len() >= POOL_LEN {
            if self.0.first().is_some_and(|worst| worst.score >= score) {
                return;
            }
            self.0.remove(0);
        }
        let at = self.0.partition_point(|candidate| candidate.score < score);
        self.0.insert(at, Candidate { score, db, key: key.into() });
    }
}

impl Keyspace {
    /// True when there is a key that may go.
    pub fn has_evictable(&self, eviction: Eviction) -> bool {
        let some = |table: &crate::raw::Table| {
            if eviction.volatile { table.expires_len() > 0 } else { !table.is_empty() }
        };
        self.dbs.iter().any(|db| some(&db.table))
    }

    /// Removes the key that is to go first, and records its DEL; false when none may go.
    pub fn evict(&mut self, eviction: Eviction, now_ms: i64) -> bool {
        for _ in 0..LOOKS {
            if !self.has_evictable(eviction) {
                break;
            }
            self.look(eviction);
            while let Some(candidate) = self.pool.0.pop() {
                if self.evict_candidate(eviction, &candidate, now_ms) {
                    return true;
                }
            }
        }
        false
    }

    fn look(&mut self, eviction: Eviction) {
        let access = self.access;
        if eviction.order == EvictionOrder::Random {
            self.pool.0.clear();
        }
        for (index, db) in self.dbs.iter().enumerate() {
            let (rng, pool) = (&mut self.rng, &mut self.pool);
            let random = &mut || next_random(rng);
            let mut seen: Vec<(u64, Box<[u8]>)> = Vec::new();
            db.table.sample(eviction.samples.max(1), eviction.volatile, random, &mut |entry| {
                seen.push((score(eviction.order, &access, entry), entry.key().into()));
            });
            for (score, key) in seen {
                let random = eviction.order == EvictionOrder::Random;
                pool.offer(if random { next_random(rng) } else { score }, index, &key);
            }
        }
    }

    fn evict_candidate(&mut self, eviction: Eviction, candidate: &Candidate, now_ms: i64) -> bool {
        let key = &candidate.key;
        let mut db = self.db(candidate.db, now_ms, Mode::Live);
        // It may be gone meanwhile, or stay for good.
        let may_go = db.peek(key).is_some_and(|e| !eviction.volatile || e.expire_at_ms().is_some());
        if may_go && db.remove(key) {
            db.notify(Classes::EVICTED, "evicted", key);
            db.keyspace().effects.note_lapse();
            db.effect(OPCODE_DEL, &[key]);
            self.stats.evicted += 1;
        }
        may_go
    }
}

fn score(order: EvictionOrder, access: &access::Access, entry: &Entry) -> u64 {
    match order {
        EvictionOrder::LeastRecent => access.idle_seconds(entry),
        EvictionOrder::LeastFrequent => u64::from(255 - access.counter(entry)),
        EvictionOrder::ExpiresFirst => {
            u64::MAX - entry.expire_at_ms().and_then(|at| u64::try_from(at).ok()).unwrap_or(0)
        }
        EvictionOrder::Random => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::AccessPolicy;

    fn evict(order: EvictionOrder, volatile: bool) -> Eviction {
        Eviction { volatile, order, samples: 10 }
    }

    /// Keys k0, k1, ... of which number `n` was used at `n` minutes and expires at `10,000 - n`, if it is even.
    fn filled(count: i64) -> Keyspace {
        let mut ks = Keyspace::new(16, 1);
        for n in 0..count {
            ks.set_clock(n * 60_000);
            let at = (n % 2 == 0).then_some((10_000 - n) * 60_000);
            ks.db(0, 0, Mode::Live).set_str(format!("k{n}").as_bytes(), b"v", at);
        }
        ks
    }

    fn has(ks: &mut Keyspace, n: i64) -> bool {
        ks.db(0, 0, Mode::Live).contains(format!("k{n}").as_bytes())
    }

    #[test]
    fn the_key_that_was_not_used_for_longest_goes_first() {
        let mut ks = filled(10);
        for n in 0..10 {
            assert!(ks.evict(evict(EvictionOrder::LeastRecent, false), 0));
            assert!(!has(&mut ks, n), "key {n} is the next");
        }
        assert!(!ks.evict(evict(EvictionOrder::LeastRecent, false), 0));
        assert_eq!(ks.stats.evicted, 10);
        assert_eq!(ks.effects.count(), 10);
    }

    #[test]
    fn only_keys_that_expire_go_and_the_first_to_expire_first() {
        let mut ks = filled(10);
        for n in [8, 6, 4, 2, 0] {
            assert!(ks.evict(evict(EvictionOrder::ExpiresFirst, true), 0));
            assert!(!has(&mut ks, n), "key {n} is the next");
        }
        assert!(!ks.evict(evict(EvictionOrder::ExpiresFirst, true), 0));
        assert_eq!(ks.len(), 5);
    }

    #[test]
    fn what_is_used_least_goes_first() {
        let mut ks = Keyspace::new(1, 1);
        ks.set_access_policy(AccessPolicy::Lfu { log_factor: 0, decay_minutes: 1 });
        ks.set_clock(0);
        let mut db = ks.db(0, 0, Mode::Live);
        db.set_str(b"often", b"v", None);
        db.set_str(b"never", b"v", None);
        for _ in 0..10 {
            db.get(b"often").unwrap();
        }
        assert!(ks.evict(evict(EvictionOrder::LeastFrequent, false), 0));
        assert!(ks.db(0, 0, Mode::Live).contains(b"often"));
    }

    #[test]
    fn of_many_keys_the_older_ones_go() {
        let mut ks = filled(5000);
        for _ in 0..1000 {
            assert!(
                ks.evict(Eviction { samples: 5, ..evict(EvictionOrder::LeastRecent, false) }, 0)
            );
        }
        let young = (4000..5000).filter(|n| has(&mut ks, *n)).count();
        let old = (0..1000).filter(|n| has(&mut ks, *n)).count();
        assert!(young > 930 && old < 500, "{young} of the youngest, {old} of the oldest are there");
    }

    #[test]
    fn chance_spares_nobody() {
        let mut ks = filled(100);
        (0..50).for_each(|_| assert!(ks.evict(evict(EvictionOrder::Random, false), 0)));
        let (first, second) = ((0..50).filter(|n| has(&mut ks, *n)).count(), ks.len());
        assert_eq!(second, 50);
        assert!((10..40).contains(&first), "{first} of the first half are left");
    }
}
