//! The stream as a whole: its offset, its backlog, its replicas.

use std::collections::BTreeMap;

use super::backlog::Backlog;
use super::chunk::{Chunk, write_command};
use super::merge::Merge;

/// How far a replica has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for a snapshot to begin.
    Waiting,
    /// A snapshot for it is being written.
    Saving,
    /// It is being sent the snapshot.
    Sending,
    /// It follows the stream.
    Online,
}

impl Stage {
    /// The word for it in INFO.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Waiting | Stage::Saving => "wait_bgsave",
            Stage::Sending => "send_bulk",
            Stage::Online => "online",
        }
    }
}

/// A replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Where it can be reached, as it says or as its connection shows.
    pub ip: String,
    /// The port it listens on, as it says; 0 = it has not.
    pub port: u16,
    /// How far it is.
    pub stage: Stage,
    /// It came with PSYNC, and tells how far it is.
    pub tells: bool,
    /// Offset up to which it has everything, as it said last.
    pub offset: u64,
    /// When it said so, in ms since 1970.
    pub told_ms: i64,
}

impl Replica {
    /// Seconds since it said how far it is.
    pub fn lag_s(&self, now_ms: i64) -> i64 {
        (now_ms - self.told_ms).max(0) / 1000
    }
}

/// What becomes of a PSYNC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Negotiated {
    /// It goes on where it was: these bytes, then the stream.
    Goes(Vec<u8>),
    /// It needs a snapshot.
    NeedsAll,
}

/// How often what was negotiated, for INFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Snapshots sent.
    pub full: u64,
    /// Replicas that went on where they were.
    pub partial: u64,
    /// Replicas that wanted to, and could not.
    pub partial_refused: u64,
}

/// The stream, and who follows it.
///
/// Invariant: `offset` counts every byte of the stream, whether or not anybody is there to read it.
#[derive(Debug)]
pub struct Source<Id> {
    id: String,
    offset: u64,
    backlog: Option<Backlog>,
    backlog_size: usize,
    merge: Merge,
    selected: Option<u32>,
    fresh: Vec<u8>,
    replicas: BTreeMap<Id, Replica>,
    /// Since when nobody has followed, in ms since 1970.
    alone_since_ms: i64,
    pinged_ms: i64,
    counters: Counters,
}

impl<Id: Copy + Ord> Source<Id> {
    /// A stream that has not begun. `id` names it, 40 hex digits.
    pub fn new(id: String) -> Source<Id> {
        Source {
            id,
            offset: 0,
            backlog: None,
            backlog_size: 1 << 20,
            merge: Merge::default(),
            selected: None,
            fresh: Vec::new(),
            replicas: BTreeMap::new(),
            alone_since_ms: 0,
            pinged_ms: 0,
            counters: Counters::default(),
        }
    }

    /// The stream's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Bytes of the stream so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The backlog, while there is a stream.
    pub fn backlog(&self) -> Option<&Backlog> {
        self.backlog.as_ref()
    }

    /// True while changes are turned into a stream.
    pub fn is_active(&self) -> bool {
        self.backlog.is_some()
    }

    /// What was negotiated so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many bytes the backlog keeps.
    pub fn set_backlog_size(&mut self, size: usize) {
        self.backlog_size = size;
        if let Some(backlog) = &mut self.backlog {
            backlog.resize(size);
        }
    }

    /// The stream begins, with the chunk of this number. `id` names it from now on: who followed an earlier one cannot go on.
    pub fn begin(&mut self, next_chunk: u64, id: String) {
        self.id = id;
        self.merge.begin(next_chunk);
        self.selected = None;
        self.backlog = Some(Backlog::new(self.backlog_size, self.offset));
    }

    /// The stream ends.
    pub fn end(&mut self) {
        self.backlog = None;
        self.fresh = Vec::new();
    }

    /// The chunk that is next.
    pub fn next_chunk(&self) -> u64 {
        self.merge.next()
    }

    /// Takes a shard's chunk.
    pub fn take(&mut self, number: u64, chunk: Chunk) {
        if !self.is_active() {
            return;
        }
        let mut bytes = Vec::new();
        let selected = &mut self.selected;
        self.merge.take(number, chunk, |chunk| chunk.write(selected, &mut bytes));
        self.extend(&bytes);
    }

    /// Adds a command that changes nothing.
    pub fn say(&mut self, words: &[&[u8]]) {
        if self.is_active() {
            let mut bytes = Vec::new();
            write_command(&mut bytes, words.iter().copied());
            self.extend(&bytes);
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.offset += bytes.len() as u64;
        if let Some(backlog) = &mut self.backlog {
            backlog.push(bytes);
        }
        if !self.replicas.is_empty() {
            self.fresh.extend_from_slice(bytes);
        }
    }

    /// True when there is something to send.
    pub fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// What came since the last call, for all that follow.
    pub fn take_fresh(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.fresh)
    }

    /// A replica that followed the stream `id`, and wants the byte of this offset next. Whether it goes on or not, it must then
    /// be [added](Source::add). What is fresh must have been taken before.
    pub fn negotiate(&mut self, id: &[u8], next: Option<u64>) -> Negotiated {
        let known = id.eq_ignore_ascii_case(self.id.as_bytes());
        let missed = next.filter(|_| known);
        let missed = missed.and_then(|next| self.backlog.as_ref()?.since(next));
        match missed {
            Some(missed) => {
                self.counters.partial += 1;
                Negotiated::Goes(missed)
            }
            None => {
                self.counters.partial_refused += u64::from(id != b"?");
                Negotiated::NeedsAll
            }
        }
    }

    /// A replica has come.
    pub fn add(&mut self, who: Id, replica: Replica) {
        if self.replicas.is_empty() {
            self.pinged_ms = replica.told_ms;
        }
        self.replicas.insert(who, replica);
    }

    /// A replica has gone.
    pub fn remove(&mut self, who: Id, now_ms: i64) {
        let was_there = self.replicas.remove(&who).is_some();
        if was_there && self.replicas.is_empty() {
            self.alone_since_ms = now_ms;
            self.fresh = Vec::new();
        }
    }

    /// Those that wait for a snapshot, each now saved for. The stream names its database anew for them.
    pub fn begin_snapshot(&mut self) -> Vec<Id> {
        let mut joined = Vec::new();
        for (who, replica) in &mut self.replicas {
            if replica.stage == Stage::Waiting {
                replica.stage = Stage::Saving;
                replica.offset = self.offset;
                joined.push(*who);
            }
        }
        self.counters.full += joined.len() as u64;
        self.selected = None;
        joined
    }

    /// A replica is there, to be changed.
    pub fn replica(&mut self, who: Id) -> Option<&mut Replica> {
        self.replicas.get_mut(&who)
    }

    /// All replicas.
    pub fn replicas(&self) -> impl ExactSizeIterator<Item = (Id, &Replica)> {
        self.replicas.iter().map(|(who, replica)| (*who, replica))
    }

    /// True when somebody waits for a snapshot.
    pub fn has_waiting(&self) -> bool {
        self.replicas.values().any(|replica| replica.stage == Stage::Waiting)
    }

    /// A replica says that it has everything up to this offset.
    pub fn acknowledge(&mut self, who: Id, offset: u64, now_ms: i64) {
        if let Some(replica) = self.replicas.get_mut(&who) {
            replica.offset = replica.offset.max(offset);
            replica.told_ms = now_ms;
        }
    }

    fn online(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.values().filter(|replica| replica.stage == Stage::Online)
    }

    /// How many have everything up to this offset.
    pub fn have(&self, offset: u64) -> usize {
        self.online().filter(|replica| replica.offset >= offset).count()
    }

    /// How many have told within so many seconds that they are there.
    pub fn good(&self, now_ms: i64, lag_max_s: i64) -> usize {
        self.online().filter(|replica| replica.lag_s(now_ms) <= lag_max_s).count()
    }

    /// Followers that have been silent for longer than this.
    pub fn silent(&self, now_ms: i64, timeout_ms: i64) -> Vec<Id> {
        let all = self.replicas.iter();
        all.filter(|(_, r)| r.stage == Stage::Online && r.tells && now_ms - r.told_ms > timeout_ms)
            .map(|(who, _)| *who)
            .collect()
    }

    /// Pings the replicas when that is due.
    pub fn ping_if_due(&mut self, now_ms: i64, period_ms: i64) {
        if self.replicas.is_empty() {
            self.pinged_ms = now_ms;
        } else if now_ms - self.pinged_ms >= period_ms {
            self.pinged_ms = now_ms;
            self.say(&[b"PING"]);
        }
    }

    /// True when nobody has followed for longer than this, and nothing needs to be kept any more.
    pub fn is_forgotten(&self, now_ms: i64, ttl_ms: i64) -> bool {
        self.is_active()
            && self.replicas.is_empty()
            && ttl_ms > 0
            && now_ms - self.alone_since_ms > ttl_ms
    }
}

#[cfg(test)]
mod tests;
