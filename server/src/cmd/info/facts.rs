//! What shards tell INFO.

use ringstone_engine::keyspace::Mode;
use ringstone_peer::replication::{Counters, Replica};
use ringstone_persist::log::Health;

use crate::measure::calls::CallTable;
use crate::measure::errors::ErrorCounts;
use crate::shard::Shard;
use crate::stats::Stats;

/// What there is of one database.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DbFacts {
    pub(crate) keys: usize,
    pub(crate) expires: usize,
    /// Sum of the times to live, in ms.
    pub(crate) ttl_ms: i128,
    /// Bytes of the key index.
    pub(crate) index_bytes: usize,
}

impl DbFacts {
    fn add(&mut self, other: &DbFacts) {
        self.keys += other.keys;
        self.expires += other.expires;
        self.ttl_ms += other.ttl_ms;
        self.index_bytes += other.index_bytes;
    }

    /// The average time to live, in ms; 0 when no key has one.
    pub(crate) fn average_ttl_ms(&self) -> i128 {
        let expires = i128::try_from(self.expires).unwrap_or(i128::MAX);
        self.ttl_ms.checked_div(expires).unwrap_or(0).max(0)
    }
}

/// What one shard, or all of them, has to tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) stats: Stats,
    pub(crate) clients: usize,
    pub(crate) blocked: usize,
    /// Of these, those that wait for a limited time.
    pub(crate) with_deadline: usize,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) expired: u64,
    pub(crate) evicted: u64,
    pub(crate) lazyfree_pending: usize,
    pub(crate) lazyfreed: u64,
    pub(crate) snapshot_entries: u64,
    /// Clients that track, keys noted, and notes in all.
    pub(crate) tracking: (usize, usize, usize),
    /// Prefixes of broadcasting ones.
    pub(crate) tracking_prefixes: usize,
    pub(crate) dbs: Vec<DbFacts>,
    /// Bytes that connections hold.
    pub(crate) client_bytes: usize,
    /// Commands, bytes received and bytes sent a second.
    pub(crate) rates: [u64; 3],
    /// Sum of the shards' shares of stale keys.
    pub(crate) stale: f64,
    /// The clock that commands are measured with.
    pub(crate) clock: String,
    /// Processor time of the shards' threads: user and system, in seconds.
    pub(crate) cpu: (f64, f64),
    pub(crate) logs: bool,
    pub(crate) log_error: Option<String>,
    pub(crate) log_pending_bytes: usize,
    pub(crate) unhealthy: bool,
    /// Bytes of the interpreters' values: scripts, functions.
    pub(crate) lua_bytes: (usize, usize),
    /// When they are wanted.
    pub(crate) calls: CallTable,
    pub(crate) errors: ErrorCounts,
    /// Connections of replicas.
    pub(crate) replica_clients: usize,
    /// The stream and its replicas; of shard 0.
    pub(crate) replication: Option<ReplicationFacts>,
}

/// What there is to tell of replication.
#[derive(Clone, Debug)]
pub(crate) struct ReplicationFacts {
    pub(crate) id: String,
    pub(crate) offset: u64,
    pub(crate) counters: Counters,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) good: usize,
    /// Of the backlog, while there is one: first offset, bytes in it, bytes of memory.
    pub(crate) backlog: Option<(u64, usize, usize)>,
    pub(crate) now_ms: i64,
}

impl Facts {
    pub(crate) fn sum(parts: Vec<Facts>) -> Facts {
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
            all.lua_bytes.0 += part.lua_bytes.0;
            all.lua_bytes.1 += part.lua_bytes.1;
            all.calls.add(&part.calls);
            all.errors.add(&part.errors);
            all.logs |= part.logs;
            all.replica_clients += part.replica_clients;
            all.replication = all.replication.or(part.replication);
            all.log_error = all.log_error.or(part.log_error);
            all.dbs.resize(all.dbs.len().max(part.dbs.len()), DbFacts::default());
            all.dbs.iter_mut().zip(&part.dbs).for_each(|(sum, db)| sum.add(db));
            all.client_bytes += part.client_bytes;
            all.rates.iter_mut().zip(part.rates).for_each(|(sum, rate)| *sum += rate);
            all.stale += part.stale;
            all.clock = part.clock;
            all.cpu = (all.cpu.0 + part.cpu.0, all.cpu.1 + part.cpu.1);
        }
        all
    }
}

impl Facts {
    /// Bytes that are there for what is none of the data: at start, indexes, connections, the log's buffer.
    pub(crate) fn overhead_bytes(&self, startup: usize) -> usize {
        let indexes: usize = self.dbs.iter().map(|db| db.index_bytes).sum();
        startup + indexes + self.client_bytes + self.log_pending_bytes
    }

    /// Keys of all databases.
    pub(crate) fn keys(&self) -> usize {
        self.dbs.iter().map(|db| db.keys).sum()
    }
}

impl Shard {
    fn replication_facts(&self) -> ReplicationFacts {
        let source = self.replication.source();
        let good = source.good(self.now_ms, i64::from(self.config.min_replicas_max_lag));
        ReplicationFacts {
            id: source.id().to_owned(),
            offset: source.offset(),
            counters: source.counters(),
            replicas: source.replicas().map(|(_, replica)| replica.clone()).collect(),
            good,
            backlog: source.backlog().map(|b| (b.first(), b.len(), b.capacity())),
            now_ms: self.now_ms,
        }
    }

    pub(crate) fn facts(&mut self, with_calls: bool) -> Facts {
        let (health, log_error, log_pending_bytes) = self.commit.health();
        let now_ms = self.now_ms;
        let dbs = (0..self.keyspace.databases())
            .map(|index| {
                let db = self.keyspace.db(index, now_ms, Mode::Replay);
                DbFacts {
                    keys: db.len(),
                    expires: db.expires_len(),
                    ttl_ms: db.ttl_sum_ms(),
                    index_bytes: db.index_bytes(),
                }
            })
            .collect();
        let replica_clients = self.conns.iter_mut().filter(|conn| conn.is_replica()).count();
        Facts {
            stats: self.stats,
            clients: self.conns.len() - replica_clients,
            replica_clients,
            replication: (self.index == 0).then(|| self.replication_facts()),
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
            client_bytes: self.conns.iter_mut().map(|conn| conn.memory_bytes()).sum(),
            rates: self.measure.rates.a_second(),
            stale: self.stale_share,
            clock: self.measure.clock_name(),
            cpu: crate::rt::clock::thread_cpu_seconds(),
            logs: self.commit.has_log(),
            log_error,
            log_pending_bytes,
            unhealthy: health != Health::Ok,
            lua_bytes: self.scripts.memory_bytes(),
            calls: if with_calls { self.measure.calls.clone() } else { CallTable::default() },
            errors: self.measure.errors.clone(),
        }
    }
}
