//! The primary's side of replication.
//!
//! ```text
//!   each shard:  a batch closes ─ its records become commands ─ a number ─> chunk ──┐
//!   shard 0:     chunks in the order of their numbers ─> stream, backlog ───────────┴─> shards with replicas
//!   a replica's: REPLCONF, PSYNC ─> shard 0: goes on, or a snapshot, which begins where its part of the stream does
//! ```
//!
//! A chunk's number is taken when its batch has been executed and none of its replies has left, as the log's is; while keys of
//! several shards are held, by who holds them. So the order of numbers is an order in which everything may have been executed
//! one after another.
//!
//! Invariant: while nobody follows and no backlog is kept, a batch costs one branch more than without replication.

mod replica;
mod stream;
mod sync;
mod translate;
mod words;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ringstone_engine::{ArgBuf, Args, Effects, Error, Keyspace};
use ringstone_peer::replication::Source;

pub(crate) use replica::configure;
pub use replica::{Phase, ReplicaSide};
pub use stream::{Follower, ReplicaId};

use crate::shard::Shard;
use crate::table::Entry;

/// What all shards share of replication.
#[derive(Debug, Default)]
pub struct SharedPart {
    /// Number of the next chunk.
    next_chunk: AtomicU64,
    /// Replicas that have told lately that they are there.
    good: AtomicUsize,
}

/// A shard's part.
pub struct Replication {
    /// The stream, of which only shard 0's is used.
    source: Source<ReplicaId>,
    /// A task of this shard makes a snapshot for replicas.
    is_saving: bool,
    /// What commands of the server say, which no record tells: PUBLISH.
    said: Vec<(u32, ArgBuf)>,
}

impl Replication {
    /// Nobody follows. `id` names the stream until there is one.
    pub fn new(id: String) -> Replication {
        Replication { source: Source::new(id), is_saving: false, said: Vec::new() }
    }

    fn add_said(&mut self, effects: &mut Effects) {
        for (db, words) in self.said.drain(..) {
            effects.note_words(effects.bytes().len(), db, words);
        }
    }

    /// The stream; shard 0's.
    pub fn source(&self) -> &Source<ReplicaId> {
        &self.source
    }
}

/// Where a command's records begin, when replicas are told of them.
#[inline]
pub(crate) fn before(effects: &Effects) -> Option<(usize, u64)> {
    effects.is_fed().then(|| (effects.bytes().len(), effects.count()))
}

/// A command has run: notes how replicas are told of it. `before` is what [`before`] said.
pub(crate) fn note(
    keyspace: &mut Keyspace,
    before: (usize, u64),
    db: usize,
    entry: &Entry,
    args: Args<'_>,
) {
    let (from, count) = before;
    let effects = &mut keyspace.effects;
    let db = u32::try_from(db).unwrap_or(0);
    if effects.count() == count && !words::are_told_anyway(entry) {
        return;
    }
    let records = effects.bytes().get(from..).unwrap_or_default();
    let commands = words::of(entry, args, records);
    for (at, words) in commands.into_iter().enumerate() {
        // All records are told by the first; what follows stands for none.
        let from = if at == 0 { from } else { effects.bytes().len() };
        effects.note_words(from, db, words);
    }
}

impl Shard {
    /// Replicas are to be told of a command of the server.
    pub(crate) fn tell_replicas(&mut self, db: usize, args: Args<'_>) {
        if self.keyspace.effects.is_fed() {
            let db = u32::try_from(db).unwrap_or(0);
            self.replication.said.push((db, ArgBuf::from(args)));
        }
    }

    /// Moves what [`Shard::tell_replicas`] has to say to the end of these records.
    pub(crate) fn add_said(&mut self, effects: &mut Effects) {
        self.replication.add_said(effects);
    }

    /// The same for the records at hand.
    pub(crate) fn say_within(&mut self) {
        self.replication.add_said(&mut self.keyspace.effects);
    }

    /// The same for the shard's open batch, as a unit.
    #[inline]
    pub(crate) fn say(&mut self) {
        if !self.replication.said.is_empty() {
            self.say_within();
            self.keyspace.effects.end_unit();
        }
    }

    /// Sends what a batch that closes has changed to the stream; `as_one`: it is one unit.
    #[inline]
    pub(crate) fn feed(&mut self, effects: &Effects, as_one: bool) {
        if effects.is_fed() {
            self.send_chunk(effects, as_one);
        }
    }

    fn send_chunk(&mut self, effects: &Effects, as_one: bool) {
        let chunk = translate::chunk(self.table, effects, as_one);
        if !chunk.is_empty() {
            let number = self.shared.replication.next_chunk.fetch_add(1, Ordering::SeqCst);
            self.call(0, move |first| first.replication.source.take(number, chunk));
        }
    }

    /// An error when fewer replicas than `min-replicas-to-write` are there.
    #[inline]
    pub(crate) fn check_replicas(&self) -> Result<(), Error> {
        let wanted = self.config.min_replicas_to_write as usize;
        if wanted > 0
            && self.config.min_replicas_max_lag > 0
            && self.shared.replication.good.load(Ordering::Relaxed) < wanted
        {
            return Err(Error::text("NOREPLICAS Not enough good replicas to write."));
        }
        Ok(())
    }
}

impl SharedPart {
    /// The number that the next chunk will get.
    pub(crate) fn next_chunk(&self) -> u64 {
        self.next_chunk.load(Ordering::SeqCst)
    }
}
