//! A shard as the server plays it: a batch that is open, a log, replies that wait.

use std::collections::VecDeque;

use ringstone_persist::log::{LogWriter, WriteRequest};

use super::oracle::Op;

/// The shard.
pub struct Shard {
    /// The log.
    pub log: LogWriter,
    /// Executed, not yet closed.
    pub batch: Vec<Op>,
    /// Holds the shard's closes back: a transaction or cut without its GSN.
    pub held: bool,
    /// Closed batches whose replies wait, by GSN.
    pub waiting: VecDeque<u64>,
    /// Direct writes under way.
    pub writes: Vec<WriteRequest>,
}

impl Shard {
    /// A fresh one.
    pub fn new(log: LogWriter) -> Self {
        Shard { log, batch: Vec::new(), held: false, waiting: VecDeque::new(), writes: Vec::new() }
    }

    /// True when nothing of the shard's own up to `gsn` is outstanding.
    pub fn own_done(&self, gsn: u64, durable: bool) -> bool {
        let lowest = if durable { self.log.synced_below() } else { self.log.written_below() };
        lowest.is_none_or(|lowest| lowest > gsn)
    }
}

/// A transaction over several shards, between its execution and its GSN.
pub struct Transaction {
    /// Its shards; the first one coordinates.
    pub shards: Vec<usize>,
    /// What it did.
    pub op: Op,
}
