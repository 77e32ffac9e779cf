//! The fork-free snapshot of one instant: who saves what, exactly once.
//!
//! ```text
//! begin  flips the parity of every table: all entries are unsaved now
//! step   drains the queue, then walks the tables: an unsaved entry is written, and marked
//! write  to an unsaved entry: replaced or removed -> moved into the queue; changed in place -> encoded into the queue
//! flush  swaps the table out: it is walked on as an orphan, then freed in slices
//! ```
//! Invariant: every entry of the cut is written exactly once, under the database index that it had at the cut.
//! Invariant: nothing that came after the cut is written: entries are born saved.
//!
//! After an abort some entries are marked and some are not; until a walk without output has marked the rest ([`Keyspace::free_some`] does
//! it in slices) the state is `Tidying`, and a new snapshot finishes that walk first.

use std::collections::VecDeque;

use super::{Database, Keyspace};
use crate::raw::{Entry, Place};
use crate::serial::{Compression, SnapshotWriter};
use crate::types::{SavePoint, ValueRef};

/// A block of pre-images is closed at this size.
const BLOCK_LEN_MIN: usize = 64 << 10;
/// Collections that take more are encoded in slices.
const LARGE_BYTES: usize = if cfg!(test) { 200 } else { 64 << 10 };
/// What looking at a bucket counts for in a budget of bytes.
const BUCKET_COST: usize = 16;

/// A table's part in the running snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// The database's index at the cut.
    db: u32,
    cursor: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Running,
    /// Aborted; entries that are not marked yet are still to be.
    Tidying,
}

/// A large collection that is encoded in slices.
struct Partial {
    /// Its block. As long as an entry is unsaved it stays in its block, in the table, in an orphan or in the queue.
    address: usize,
    /// What is written so far, a block of its own.
    out: SnapshotWriter,
    /// Where to go on.
    next: SavePoint,
}

/// Whether an entry is encoded in slices.
fn is_large(entry: &Entry) -> bool {
    !matches!(entry.value(), ValueRef::Int(_) | ValueRef::Bytes(_))
        && entry.memory_bytes() > LARGE_BYTES
}

/// Encodes an entry, or the next slice of a large one; true when all of it is in `out`.
fn save(
    partials: &mut Vec<Partial>,
    out: &mut SnapshotWriter,
    db: u32,
    entry: &Entry,
    budget_bytes: usize,
) -> bool {
    let address = entry.address().addr();
    // Asked first, since the size of some collections takes a walk.
    let known = partials.iter().position(|p| p.address == address);
    if known.is_none() && !is_large(entry) {
        out.entry(db, entry.key(), entry.value(), entry.expire_at_ms());
        return true;
    }
    let at = known.unwrap_or_else(|| {
        let mut own = out.sibling();
        own.reserve(entry.memory_bytes());
        own.head(db, entry.key(), entry.value(), entry.expire_at_ms());
        partials.push(Partial { address, out: own, next: SavePoint::default() });
        partials.len() - 1
    });
    let Some(partial) = partials.get_mut(at) else { return true };
    match partial.out.part(entry.value(), partial.next, budget_bytes) {
        Some(next) => {
            partial.next = next;
            false
        }
        None => {
            out.absorb(partials.swap_remove(at).out);
            true
        }
    }
}

/// The running snapshot.
#[derive(Default)]
pub(super) struct Snapshot {
    state: State,
    /// Entries that were replaced or removed.
    moved: VecDeque<(u32, Entry)>,
    moved_bytes: usize,
    /// Entries that were about to change, encoded: closed blocks and the open one.
    blocks: VecDeque<(Vec<u8>, u64)>,
    blocks_bytes: usize,
    open: SnapshotWriter,
    /// Large collections of which a part is written.
    partials: Vec<Partial>,
    /// Keys that somebody waits for.
    wanted: VecDeque<(usize, Vec<u8>)>,
    /// Tables that were flushed since the cut.
    orphans: Vec<Database>,
}

impl Snapshot {
    fn push_moved(&mut self, db: u32, entry: Entry) {
        self.moved_bytes += entry.memory_bytes();
        self.moved.push_back((db, entry));
    }
    fn push_encoded(&mut self, db: u32, entry: &Entry) {
        while !save(&mut self.partials, &mut self.open, db, entry, usize::MAX) {}
        if self.open.len_bytes() >= BLOCK_LEN_MIN {
            self.close_block();
        }
    }
    fn close_block(&mut self) {
        let (bytes, entries) = self.open.take_block();
        if entries > 0 {
            self.blocks_bytes += bytes.len();
            self.blocks.push_back((bytes, entries));
        }
    }
    fn queue_bytes(&self) -> usize {
        self.moved_bytes + self.blocks_bytes + self.open.len_bytes()
    }
}

impl Keyspace {
    /// The cut: everything as it is now will be written by [`Keyspace::snapshot_step`]. A snapshot that runs is given up.
    pub fn snapshot_begin(&mut self) {
        self.snapshot_abort();
        while self.snapshot_normalise(usize::MAX) {}
        for (index, db) in self.dbs.iter_mut().enumerate() {
            db.table.flip();
            if !db.table.is_empty() {
                db.cut = Some(Cut { db: u32::try_from(index).unwrap_or(u32::MAX), cursor: 0 });
            }
        }
        self.snapshot.state = State::Running;
    }
    /// Whether pre-images are compressed (`rdbcompression`); what [`Keyspace::snapshot_step`] writes is its writer's choice.
    pub fn snapshot_set_compression(&mut self, compression: Compression) {
        self.snapshot.open.set_compression(compression);
    }
    /// Whether a snapshot runs.
    pub fn snapshot_is_running(&self) -> bool {
        self.snapshot.state == State::Running
    }
    /// True when [`Keyspace::snapshot_begin`] would not have to tidy up after an aborted one first.
    pub fn snapshot_is_ready(&self) -> bool {
        self.snapshot.state == State::Idle
    }
    /// Writes about `budget_bytes`; true when the snapshot is complete. Of a large collection it encodes a slice.
    pub fn snapshot_step(&mut self, out: &mut SnapshotWriter, budget_bytes: usize) -> bool {
        if self.snapshot.state != State::Running {
            return true;
        }
        let limit = out.len_bytes().saturating_add(budget_bytes.max(1));
        if !self.save_wanted(out, limit) || !self.drain_queue(out, limit) {
            return false;
        }
        let partials = &mut self.snapshot.partials;
        let mut looked = 0usize;
        for db in self.dbs.iter_mut().chain(&mut self.snapshot.orphans) {
            while let Some(cut) = &mut db.cut {
                if out.len_bytes().saturating_add(looked) >= limit {
                    return false;
                }
                looked = looked.saturating_add(BUCKET_COST);
                let at = cut.db;
                let mut all_saved = true;
                let next = db.table.step_saving(cut.cursor, &mut |entry| {
                    let budget = limit.saturating_sub(out.len_bytes()).max(1);
                    let saved = save(partials, out, at, entry, budget);
                    all_saved &= saved;
                    saved
                });
                if !all_saved {
                    return false;
                }
                cut.cursor = next;
                if cut.cursor == 0 {
                    db.cut = None;
                }
            }
        }
        self.free_orphans();
        self.snapshot.state = State::Idle;
        true
    }
    /// Writes the queue up to `limit`; true when it is empty.
    fn drain_queue(&mut self, out: &mut SnapshotWriter, limit: usize) -> bool {
        let snapshot = &mut self.snapshot;
        if snapshot.blocks.is_empty() {
            snapshot.close_block();
        }
        while let Some((bytes, entries)) = snapshot.blocks.pop_front() {
            snapshot.blocks_bytes -= bytes.len();
            out.append_block(&bytes, entries);
            if out.len_bytes() >= limit {
                return false;
            }
            if snapshot.blocks.is_empty() {
                snapshot.close_block();
            }
        }
        while let Some((db, entry)) = snapshot.moved.front() {
            let budget = limit.saturating_sub(out.len_bytes()).max(1);
            if !save(&mut snapshot.partials, out, *db, entry, budget) {
                return false;
            }
            let Some((_, entry)) = snapshot.moved.pop_front() else { break };
            snapshot.moved_bytes = snapshot.moved_bytes.saturating_sub(entry.memory_bytes());
            self.lazyfree.entry(entry);
            if out.len_bytes() >= limit {
                return false;
            }
        }
        true
    }
    /// Writes the keys that somebody waits for, up to `limit`; true when there is none left.
    fn save_wanted(&mut self, out: &mut SnapshotWriter, limit: usize) -> bool {
        while let Some((index, key)) = self.snapshot.wanted.pop_front() {
            let hash = self.hasher.hash(&key);
            let Some(database) = self.dbs.get_mut(index) else { continue };
            let Some(place) = database.table.locate(hash, &key) else { continue };
            let (Some(cut), Some(entry)) = (database.cut, database.table.at(place)) else {
                continue;
            };
            if !database.table.is_unsaved(entry) {
                continue;
            }
            let budget = limit.saturating_sub(out.len_bytes()).max(1);
            if !save(&mut self.snapshot.partials, out, cut.db, entry, budget) {
                self.snapshot.wanted.push_front((index, key));
                return false;
            }
            database.table.set_saved(place);
        }
        true
    }
    /// Whether a write to `key` would have to encode a large collection first. If so, that is done ahead of its turn, in slices, and the
    /// write had better wait until then.
    pub fn snapshot_holds(&mut self, db: usize, key: &[u8]) -> bool {
        if self.snapshot.state != State::Running {
            return false;
        }
        let Some(database) = self.dbs.get(db) else { return false };
        let held = database
            .table
            .find(self.hasher.hash(key), key)
            .is_some_and(|entry| database.table.is_unsaved(entry) && is_large(entry));
        let known = |wanted: &(usize, Vec<u8>)| wanted.0 == db && wanted.1 == key;
        if held && !self.snapshot.wanted.iter().any(known) {
            self.snapshot.wanted.push_back((db, key.to_vec()));
        }
        held
    }
    /// Bytes that wait in the queue; writers wait when it is too long.
    pub fn snapshot_queue_bytes(&self) -> usize {
        self.snapshot.queue_bytes()
    }
    /// Bytes that the next write to `key` would have to encode first; 0 when it may go on at once.
    pub fn snapshot_unsaved_effort(&self, db: usize, key: &[u8]) -> usize {
        if self.snapshot.state != State::Running {
            return 0;
        }
        let Some(database) = self.dbs.get(db) else { return 0 };
        match database.table.find(self.hasher.hash(key), key) {
            Some(entry) if database.table.is_unsaved(entry) => entry.memory_bytes(),
            _ => 0,
        }
    }
    /// Writes `key` ahead of its turn, so that writers of it need not wait any longer. True when it wrote it.
    pub fn snapshot_save_key(&mut self, db: usize, key: &[u8], out: &mut SnapshotWriter) -> bool {
        if self.snapshot.state != State::Running {
            return false;
        }
        let hash = self.hasher.hash(key);
        let Some(database) = self.dbs.get_mut(db) else { return false };
        let Some(place) = database.table.locate(hash, key) else { return false };
        let (Some(cut), Some(entry)) = (database.cut, database.table.at(place)) else {
            return false;
        };
        if !database.table.is_unsaved(entry) {
            return false;
        }
        while !save(&mut self.snapshot.partials, out, cut.db, entry, usize::MAX) {}
        database.table.set_saved(place);
        true
    }
    /// Gives the running snapshot up.
    pub fn snapshot_abort(&mut self) {
        if self.snapshot.state != State::Running {
            return;
        }
        self.snapshot.state = State::Tidying;
        for (_, entry) in std::mem::take(&mut self.snapshot.moved) {
            self.lazyfree.entry(entry);
        }
        self.snapshot.moved_bytes = 0;
        self.snapshot.partials.clear();
        self.snapshot.wanted.clear();
        self.snapshot.blocks.clear();
        self.snapshot.blocks_bytes = 0;
        self.snapshot.open.take_block();
        self.free_orphans();
    }
    fn free_orphans(&mut self) {
        for orphan in std::mem::take(&mut self.snapshot.orphans) {
            self.lazyfree.table(orphan.table);
        }
    }
    /// Marks entries that an aborted snapshot left unmarked, looking at about `budget` buckets; true when there is more.
    pub(super) fn snapshot_normalise(&mut self, budget: usize) -> bool {
        if self.snapshot.state != State::Tidying {
            return false;
        }
        let mut budget = budget.max(1);
        for db in &mut self.dbs {
            while let Some(cut) = &mut db.cut {
                if budget == 0 {
                    return true;
                }
                budget -= 1;
                cut.cursor = db.table.step_unsaved(cut.cursor, &mut |_| {});
                if cut.cursor == 0 {
                    db.cut = None;
                }
            }
        }
        self.snapshot.state = State::Idle;
        false
    }

    // ---- what changes call

    /// Saves what the running snapshot still needs of an entry that is about to change in place.
    #[inline]
    pub(super) fn secure(&mut self, index: usize, place: Place) {
        let Some(db) = self.dbs.get_mut(index) else { return };
        let Some(entry) = db.table.at(place) else { return };
        if !db.table.is_unsaved(entry) {
            return;
        }
        if let (State::Running, Some(cut)) = (self.snapshot.state, db.cut) {
            self.snapshot.push_encoded(cut.db, entry);
        }
        db.table.set_saved(place);
    }
    /// Removes the entry at a place for good.
    pub(super) fn delete(&mut self, index: usize, place: Place) {
        let Some(db) = self.dbs.get_mut(index) else { return };
        let unsaved = db.table.at(place).is_some_and(|e| db.table.is_unsaved(e));
        let cut = db.cut.filter(|_| unsaved);
        if let Some(entry) = db.table.remove(place) {
            self.retire(cut, entry);
        }
    }
    /// Puts an entry in the place of another one of the same key.
    pub(super) fn replace(&mut self, index: usize, place: Place, entry: Entry) {
        let Some(db) = self.dbs.get_mut(index) else { return };
        let unsaved = db.table.at(place).is_some_and(|e| db.table.is_unsaved(e));
        let cut = db.cut.filter(|_| unsaved);
        let old = db.table.replace(place, entry);
        db.note_fields(&self.hasher, place);
        if let Some(old) = old {
            self.retire(cut, old);
        }
    }
    /// Disposes of an entry that left its table; with a cut when the snapshot has still to save it.
    fn retire(&mut self, cut: Option<Cut>, entry: Entry) {
        match (self.snapshot.state, cut) {
            (State::Running, Some(cut)) => self.snapshot.push_moved(cut.db, entry),
            _ => self.lazyfree.entry(entry),
        }
    }
    /// Empties a database; how many keys it had.
    pub(super) fn flush(&mut self, index: usize) -> usize {
        let Some(db) = self.dbs.get_mut(index) else { return 0 };
        let keys = db.table.len();
        let next = Database { table: db.table.successor(), ..Database::default() };
        let old = std::mem::replace(db, next);
        if self.snapshot.state == State::Running && old.cut.is_some() {
            self.snapshot.orphans.push(old);
        } else {
            self.lazyfree.table(old.table);
        }
        keys
    }
}
