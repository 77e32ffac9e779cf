//! A shard as the server plays it: data, a batch that is open, a log, replies that wait.

use std::collections::{HashMap, HashSet};

use ringstone_engine::Keyspace;
use ringstone_persist::log::{BatchId, Batches, Faults, LogWriter, WriteRequest};

use super::snapshot::Part;

/// Slots in which a shard remembers who wrote a key last: few, so that keys share one.
const SLOTS: usize = 64;

/// What a reply has seen, of which all must survive once it has left.
#[derive(Clone, Copy, Debug)]
pub enum Seen {
    /// Everything up to this GSN.
    Gsn(u64),
    /// A batch of this shard's, which has a GSN once it is closed.
    Batch(BatchId),
}

/// A reply that waits.
pub struct Reply {
    /// For this batch.
    pub batch: BatchId,
    /// What it has seen.
    pub seen: Seen,
}

/// The shard.
pub struct Shard {
    /// Its data.
    pub keyspace: Keyspace,
    /// The log, if there is one.
    pub log: Option<LogWriter>,
    /// Nothing more goes into the log.
    pub is_ending: bool,
    /// The batches.
    pub batches: Batches,
    /// The GSN of each batch that is closed, by its number.
    pub gsns: HashMap<BatchId, u64>,
    /// Replies that wait.
    pub replies: Vec<Reply>,
    /// What a reply about a key has seen.
    pub last_write: HashMap<Vec<u8>, Seen>,
    /// What a reply about any other key has seen.
    pub all_written: Option<Seen>,
    /// Keys that a transaction has.
    pub locked: HashSet<Vec<u8>>,
    /// A transaction has all of it.
    pub is_taken: bool,
    /// Direct writes under way.
    pub writes: Vec<WriteRequest>,
    /// Its part of the snapshot under way.
    pub part: Option<Part>,
}

impl Shard {
    /// A shard with this data and no log.
    pub fn new(keyspace: Keyspace) -> Self {
        Shard {
            keyspace,
            log: None,
            is_ending: false,
            batches: Batches::with_slots(SLOTS),
            gsns: HashMap::new(),
            replies: Vec::new(),
            last_write: HashMap::new(),
            all_written: None,
            locked: HashSet::new(),
            is_taken: false,
            writes: Vec::new(),
            part: None,
        }
    }

    /// True when what is written goes into a log.
    pub fn is_logged(&self) -> bool {
        self.log.is_some() && !self.is_ending
    }

    /// The log of this shard begins.
    pub fn begin_log(&mut self, log: LogWriter, shards: usize, faults: Faults) {
        self.batches.begin(log.mode(), shards, faults);
        self.keyspace.effects.set_enabled(true);
        self.log = Some(log);
        self.is_ending = false;
        self.forget();
    }

    /// The log is given up.
    pub fn drop_log(&mut self) {
        self.log = None;
        self.is_ending = false;
        self.batches.end();
        self.writes.clear();
        self.forget();
    }

    fn forget(&mut self) {
        self.gsns.clear();
        self.replies.clear();
        self.last_write.clear();
        self.all_written = None;
    }

    /// What a reply about this key has seen, if that could still be lost.
    pub fn seen_of(&self, key: &[u8]) -> Option<Seen> {
        self.last_write.get(key).copied().or(self.all_written)
    }

    /// The GSN that a reply stands for; none: of a batch that has none yet.
    pub fn gsn_of(&self, seen: Seen) -> Option<u64> {
        match seen {
            Seen::Gsn(gsn) => Some(gsn),
            Seen::Batch(batch) => self.gsns.get(&batch).copied(),
        }
    }
}
