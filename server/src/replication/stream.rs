//! The stream, on shard 0: what comes from the shards goes out to those with replicas.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ringstone_peer::replication::{Negotiated, Replica, Stage};

use crate::conn::ConnId;
use crate::shard::Shard;

/// A replica: its connection's shard, and the connection's bits.
pub type ReplicaId = (usize, u64);

/// Who asks to follow.
pub struct Follower {
    /// Who it is.
    pub id: ReplicaId,
    /// Where it can be reached, as it says or as its connection shows.
    pub ip: String,
    /// The port it listens on.
    pub port: u16,
    /// It comes with PSYNC, and tells how far it is.
    pub tells: bool,
}

impl Shard {
    /// Somebody wants to follow from `next` of the stream `stream` on; what is missed is sent, or all of it.
    pub(super) fn on_follower(&mut self, follower: Follower, stream: &[u8], next: Option<u64>) {
        self.flush_stream();
        let (now_ms, id) = (self.now_ms, follower.id);
        let source = &mut self.replication.source;
        let offset = source.offset();
        let Follower { ip, port, tells, .. } = follower;
        let mut replica =
            Replica { ip, port, stage: Stage::Waiting, tells, offset: 0, told_ms: now_ms };
        // SYNC has no say in it, and its replicas nothing to go on from.
        let negotiated = if tells { source.negotiate(stream, next) } else { Negotiated::NeedsAll };
        if let Negotiated::Goes(missed) = negotiated {
            tracing::info!("a replica goes on at offset {offset}, {} bytes behind", missed.len());
            (replica.stage, replica.offset) = (Stage::Online, next.unwrap_or(0).saturating_sub(1));
            source.add(id, replica);
            let stream = source.id().to_owned();
            self.call(id.0, move |there| there.go_on_following(id, &stream, &missed));
            self.count_good_replicas();
            return;
        }
        source.add(id, replica);
        self.save_for_replicas();
    }

    /// Sends what is new to the shards with replicas.
    pub(crate) fn flush_stream(&mut self) {
        if !self.replication.source.has_fresh() {
            return;
        }
        let bytes: Arc<[u8]> = self.replication.source.take_fresh().into();
        let followers = self.replication.source.replicas();
        let mut by_shard: Vec<Vec<ReplicaId>> = (0..self.shards()).map(|_| Vec::new()).collect();
        for (id, _) in followers.filter(|(_, replica)| replica.stage != Stage::Waiting) {
            by_shard.get_mut(id.0).into_iter().for_each(|list| list.push(id));
        }
        for (to, list) in by_shard.into_iter().enumerate().filter(|(_, list)| !list.is_empty()) {
            let bytes = Arc::clone(&bytes);
            self.call(to, move |there| list.iter().for_each(|id| there.follow(*id, &bytes)));
        }
    }

    /// A replica has gone.
    pub(super) fn on_follower_gone(&mut self, id: ReplicaId) {
        self.replication.source.remove(id, self.now_ms);
        self.count_good_replicas();
    }

    /// A replica says how far it is.
    pub(super) fn on_acknowledged(&mut self, id: ReplicaId, offset: u64) {
        self.replication.source.acknowledge(id, offset, self.now_ms);
        self.count_good_replicas();
    }

    /// A replica has all of its snapshot.
    pub(super) fn on_online(&mut self, id: ReplicaId) {
        let now_ms = self.now_ms;
        if let Some(replica) = self.replication.source.replica(id) {
            replica.stage = Stage::Online;
            replica.told_ms = now_ms;
        }
        self.count_good_replicas();
    }

    /// Looks at who is there; for NOREPLICAS.
    pub(crate) fn count_good_replicas(&mut self) {
        let lag_max_s = i64::from(self.config.min_replicas_max_lag);
        let good = self.replication.source.good(self.now_ms, lag_max_s);
        self.shared.replication.good.store(good, Ordering::Relaxed);
    }

    /// Asks all replicas how far they are.
    pub(crate) fn ask_replicas(&mut self) {
        self.replication.source.say(&[b"REPLCONF", b"GETACK", b"*"]);
        self.wake();
    }

    /// Once a second on shard 0: pings, those that are silent, a backlog that nobody comes back for.
    pub(crate) fn look_after_replicas(&mut self) {
        let (now_ms, config) = (self.now_ms, self.config.clone());
        let source = &mut self.replication.source;
        if !source.is_active() && source.replicas().len() == 0 {
            return;
        }
        source.set_backlog_size(usize::try_from(config.repl_backlog_size).unwrap_or(usize::MAX));
        source.ping_if_due(now_ms, i64::from(config.repl_ping_replica_period) * 1000);
        let silent = source.silent(now_ms, i64::from(config.repl_timeout) * 1000);
        let ended = source.is_forgotten(now_ms, i64::from(config.repl_backlog_ttl) * 1000);
        let waiting: Vec<ReplicaId> = source
            .replicas()
            .filter(|(_, r)| matches!(r.stage, Stage::Waiting | Stage::Saving))
            .map(|(id, _)| id)
            .collect();
        if ended {
            tracing::info!("the backlog is dropped: nobody has followed for long");
            source.end();
            (0..self.shards())
                .for_each(|to| self.call(to, |there| there.keyspace.effects.set_fed(false)));
        }
        for id in silent {
            tracing::warn!("a replica is dropped: it has been silent for longer than repl-timeout");
            self.call(id.0, move |there| there.close_id(ConnId::from_bits(id.1)));
        }
        // An empty line, lest they think that nothing happens any more.
        for id in waiting {
            self.call(id.0, move |there| there.push_to_replica(id, b"\n"));
        }
        self.count_good_replicas();
        self.wake();
    }
}
