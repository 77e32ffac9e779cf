//! What shards tell INFO.

use ringstone_engine::keyspace::Mode;
use ringstone_persist::log::Health;

use crate::measure::calls::CallTable;
use crate::measure::errors::ErrorCounts;
use crate::shard::Shard;
use crate::stats::Stats;

/// What one shard, or all of them, has to tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) stats: Stats,
    pub(super) clients: usize,
    pub(super) blocked: usize,
    /// Of these, those that wait for a limited time.
    pub(super) with_deadline: usize,
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) expired: u64,
    pub(super) evicted: u64,
    pub(super) lazyfree_pending: usize,
    pub(super) lazyfreed: u64,
    pub(super) snapshot_entries: u64,
    /// Clients that track, keys noted, and notes in all.
    pub(super) tracking: (usize, usize, usize),
    /// Prefixes that clients want to be told of; every shard knows all.
    pub(super) tracking_prefixes: usize,
    /// Keys and keys with expiry, per database.
    pub(super) dbs: Vec<(usize, usize)>,
    pub(super) logs: bool,
    pub(super) log_error: Option<String>,
    pub(super) log_pending_bytes: usize,
    pub(super) unhealthy: bool,
    /// When they are wanted.
    pub(super) calls: CallTable,
    pub(super) errors: ErrorCounts,
}

impl Facts {
    pub(super) fn sum(parts: Vec<Facts>) -> Facts {
        let mut all = Facts::default();
        for part in parts {
            all.stats.add(&part.stats);
            all.clients += part.clients;
            all.blocked += part.blocked;
            all.with_deadline += part.with_deadline;
            all.hits += part.hits;
            all.misses += part.misses;
            all.expired += part.expired;
            all.evicted += part.evicted;
            all.lazyfree_pending += part.lazyfree_pending;
            all.lazyfreed += part.lazyfreed;
            all.snapshot_entries += part.snapshot_entries;
            let (clients, keys, items) = part.tracking;
            all.tracking.0 += clients;
            all.tracking.1 += keys;
            all.tracking.2 += items;
            all.tracking_prefixes = all.tracking_prefixes.max(part.tracking_prefixes);
            all.log_pending_bytes += part.log_pending_bytes;
            all.unhealthy |= part.unhealthy;
            all.calls.add(&part.calls);
            all.errors.add(&part.errors);
            all.logs |= part.logs;
            all.log_error = all.log_error.or(part.log_error);
            all.dbs.resize(all.dbs.len().max(part.dbs.len()), (0, 0));
            for (sum, db) in all.dbs.iter_mut().zip(&part.dbs) {
                *sum = (sum.0 + db.0, sum.1 + db.1);
            }
        }
        all
    }
}

impl Shard {
    pub(super) fn facts(&mut self, with_calls: bool) -> Facts {
        let (health, log_error, log_pending_bytes) = self.commit.health();
        let now_ms = self.now_ms;
        let dbs = (0..self.keyspace.databases())
            .map(|index| {
                let db = self.keyspace.db(index, now_ms, Mode::Replay);
                (db.len(), db.expires_len())
            })
            .collect();
        Facts {
            stats: self.stats,
            clients: self.conns.len(),
            blocked: self.pause.waiting() + self.blocked.home.len(),
            with_deadline: self.blocked.home.with_deadline(),
            hits: self.keyspace.stats.hits,
            misses: self.keyspace.stats.misses,
            expired: self.keyspace.stats.expired,
            evicted: self.keyspace.stats.evicted,
            lazyfree_pending: self.keyspace.lazyfree_pending_objects(),
            lazyfreed: self.keyspace.lazyfreed_objects(),
            snapshot_entries: self.snapshot.as_ref().map_or(0, |progress| progress.entries),
            tracking: self.tracking.counts(),
            tracking_prefixes: self.tracking.prefix_count(),
            dbs,
            logs: self.commit.has_log(),
            log_error,
            log_pending_bytes,
            unhealthy: health != Health::Ok,
            calls: if with_calls { self.measure.calls.clone() } else { CallTable::default() },
            errors: if with_calls { self.measure.errors.clone() } else { ErrorCounts::default() },
        }
    }
}
