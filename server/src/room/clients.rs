//! `maxmemory-clients`: how much all connections hold, and who goes when it is too much.
//!
//! Each shard counts its own connections anew whenever it has worked with them, and publishes the sum. Whoever finds the limit
//! passed at the end of a pass closes the connection that holds most, of all shards, until it is kept.
//!
//! Invariant: with no limit set, none of this costs more than one comparison.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::ask::{ask, ask_all};
use crate::config::Config;
use crate::conn::{Conn, ConnId};
use crate::shard::{Shard, ShardRef};

/// What the shards know of each other's connections.
#[derive(Debug)]
pub struct Board {
    bytes: Vec<AtomicUsize>,
    /// Somebody is closing connections, or has found none that may go; then the next count of all looks again.
    is_evicting: AtomicBool,
}

impl Board {
    /// A board for a number of shards.
    pub fn new(shards: usize) -> Board {
        Board {
            bytes: (0..shards).map(|_| AtomicUsize::new(0)).collect(),
            is_evicting: AtomicBool::new(false),
        }
    }

    fn bytes(&self) -> usize {
        self.bytes.iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum()
    }
}

/// A shard's part in it.
#[derive(Debug)]
pub struct ClientRoom {
    limit_bytes: Option<usize>,
    bytes: usize,
}

impl ClientRoom {
    /// With the limit of this configuration.
    pub fn new(config: &Config) -> ClientRoom {
        let limit = config.maxmemory_clients.limit(config.maxmemory);
        let limit_bytes = limit.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        ClientRoom { limit_bytes, bytes: 0 }
    }

    /// True when there is a limit.
    #[inline]
    pub fn limits(&self) -> bool {
        self.limit_bytes.is_some()
    }
}

/// A connection that may have to go: its bytes, itself.
type Candidate = (usize, ConnId);

impl Shard {
    /// Takes over the limit of a new configuration.
    pub(crate) fn limit_clients(&mut self, config: &Config) {
        self.client_room = ClientRoom::new(config);
        self.count_all_clients();
    }

    /// Counts a connection that is at hand.
    pub(crate) fn count_client(&mut self, conn: &mut Conn) {
        // Replicas have a limit of their own.
        let spared = conn.closing || conn.is_replica();
        let bytes = if spared { 0 } else { conn.memory_bytes() };
        let before = std::mem::replace(&mut conn.counted_bytes, bytes);
        self.client_room.bytes = (self.client_room.bytes + bytes).saturating_sub(before);
    }

    /// Counts all connections anew.
    pub(crate) fn count_all_clients(&mut self) {
        let limits = self.client_room.limits();
        self.client_room.bytes = 0;
        for conn in self.conns.iter_mut() {
            let counts = limits && !conn.closing && !conn.is_replica();
            conn.counted_bytes = if counts { conn.memory_bytes() } else { 0 };
            self.client_room.bytes += conn.counted_bytes;
        }
        self.publish_client_bytes();
        self.shared.client_memory.is_evicting.store(false, Ordering::Release);
    }

    fn publish_client_bytes(&self) {
        if let Some(published) = self.shared.client_memory.bytes.get(self.index) {
            published.store(self.client_room.bytes, Ordering::Relaxed);
        }
    }

    fn is_beyond_client_limit(&self) -> bool {
        let held = self.shared.client_memory.bytes();
        self.client_room.limit_bytes.is_some_and(|limit| held >= limit)
    }

    /// At the end of a pass: closes connections when they hold too much.
    pub(crate) fn keep_client_limit(&mut self) {
        self.publish_client_bytes();
        if !self.is_beyond_client_limit() {
            return;
        }
        let shared = self.shared.clone();
        if shared.client_memory.is_evicting.swap(true, Ordering::AcqRel) {
            return;
        }
        if self.shards() > 1 {
            if let Some(me) = self.me() {
                self.queues.spawn(async move { evict(&me).await });
            }
            return;
        }
        while self.is_beyond_client_limit() {
            let Some((_, id)) = self.largest_client() else { return };
            self.evict_client(id);
        }
        shared.client_memory.is_evicting.store(false, Ordering::Release);
    }

    /// The connection of this shard that holds most, of those that may go.
    fn largest_client(&mut self) -> Option<Candidate> {
        let conns = self
            .conns
            .iter_mut()
            .filter(|conn| !conn.no_evict && !conn.closing && !conn.is_replica());
        conns.map(|conn| (conn.counted_bytes, conn.id)).max_by_key(|(bytes, _)| *bytes)
    }

    fn evict_client(&mut self, id: ConnId) {
        if let Some(mut conn) = self.conns.take(id) {
            tracing::info!(
                "client id={} closed: it holds {} bytes, and all are above maxmemory-clients",
                conn.client_id,
                conn.counted_bytes
            );
            self.stats.evicted_clients += 1;
            self.close(&mut conn);
            self.settle(conn);
        }
        self.publish_client_bytes();
    }
}

/// Closes connections of any shard, the largest first, until the limit is kept.
pub(crate) async fn evict(shard: &ShardRef) {
    while shard.borrow().is_beyond_client_limit() {
        let found = ask_all(shard, Shard::largest_client).await;
        let largest = found.into_iter().enumerate().filter_map(|(at, found)| Some((at, found?)));
        let Some((owner, (_, id))) = largest.max_by_key(|(_, (bytes, _))| *bytes) else { return };
        ask(shard, owner, move |there| there.evict_client(id)).await;
    }
    shard.borrow().shared.client_memory.is_evicting.store(false, Ordering::Release);
}
