//! Streams: entries in blocks, ordered by id, and consumer groups.
//!
//! Invariant: blocks are keyed by the id of their first entry, and no block is without a live entry; `len` counts the live
//! entries; no entry's id is above `last_id`.

mod block;
mod group;
mod id;
mod rdb;
mod references;

use std::collections::BTreeMap;
use std::ops::{Bound, RangeInclusive};

use super::{EncodingLimits, Object, SavePoint, object_of};
use crate::serial::{Digest, RDB_TYPE_STREAM_LISTPACKS_2, RdbWriter};
use block::Block;

pub use block::Entry;
pub use group::{Consumer, ConsumerId, Group, Pending};
pub use id::{StreamId, number};

/// The largest block, in bytes, whatever the limits say.
const BLOCK_LEN_BYTES_MAX: usize = 1 << 30;

/// A stream.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    blocks: BTreeMap<StreamId, Block>,
    len: u64,
    last_id: StreamId,
    first_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
    groups: BTreeMap<Box<[u8]>, Group>,
}

/// Which entries trimming removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trim {
    /// The oldest, until no more than this many are left.
    MaxLen(u64),
    /// Those below this id.
    MinId(StreamId),
}

/// Why an entry cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushError {
    /// Its id is not above the last one.
    IdTooSmall,
    /// It does not fit a block.
    TooLarge,
}

impl Stream {
    /// An empty stream.
    pub fn new() -> Self {
        Stream::default()
    }

    /// Appends an entry.
    pub fn push(
        &mut self,
        id: StreamId,
        fields: &[(&[u8], &[u8])],
        limits: &EncodingLimits,
    ) -> Result<(), PushError> {
        if id <= self.last_id {
            return Err(PushError::IdTooSmall);
        }
        let bytes: usize = fields.iter().map(|(field, value)| field.len() + value.len()).sum();
        if bytes > BLOCK_LEN_BYTES_MAX {
            return Err(PushError::TooLarge);
        }
        let block_max = match limits.stream_node_max_bytes {
            0 => BLOCK_LEN_BYTES_MAX,
            max => max.min(BLOCK_LEN_BYTES_MAX),
        };
        let entries_max = limits.stream_node_max_entries as u64;
        let room = self.blocks.last_entry().filter(|block| {
            let block = block.get();
            block.listpack().byte_len() + bytes < block_max
                && (entries_max == 0 || block.live() + block.deleted() < entries_max)
        });
        match room {
            Some(mut block) => {
                let master = *block.key();
                block.get_mut().push(master, id, fields);
            }
            None => {
                let mut block = Block::new(fields);
                block.push(id, id, fields);
                self.blocks.insert(id, block);
            }
        }
        if self.len == 0 {
            self.first_id = id;
        }
        self.len += 1;
        self.entries_added += 1;
        self.last_id = id;
        Ok(())
    }

    /// The entries with these ids, in order.
    pub fn range(&self, ids: RangeInclusive<StreamId>) -> impl Iterator<Item = Entry<'_>> {
        let (start, end) = (*ids.start(), *ids.end());
        self.blocks_for(ids)
            .flat_map(|(master, block)| block.entries(*master))
            .skip_while(move |entry| entry.id < start)
            .take_while(move |entry| entry.id <= end)
    }

    /// The entries with these ids, last first.
    pub fn range_rev(&self, ids: RangeInclusive<StreamId>) -> impl Iterator<Item = Entry<'_>> {
        let (start, end) = (*ids.start(), *ids.end());
        self.blocks_for(ids)
            .rev()
            .flat_map(|(master, block)| {
                let entries: Vec<_> = block.entries(*master).collect();
                entries.into_iter().rev()
            })
            .skip_while(move |entry| entry.id > end)
            .take_while(move |entry| entry.id >= start)
    }

    /// All entries in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.range(StreamId::MIN..=StreamId::MAX)
    }

    /// The entry with this id.
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        self.range(id..=id).next()
    }

    /// Removes an entry; false when it is not there.
    pub fn remove(&mut self, id: StreamId) -> bool {
        let Some((master, block)) = self.blocks.range_mut(..=id).next_back() else { return false };
        let master = *master;
        if block.delete(master, |other| other == id, |other, _| other > id) == 0 {
            return false;
        }
        if block.live() == 0 {
            self.blocks.remove(&master);
        }
        self.len -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id {
            self.find_first();
        }
        true
    }

    /// Removes old entries; how many that were. `whole_blocks` leaves a block alone of which something would remain; with a
    /// `limit` above 0, no more entries than that are removed, whole blocks at a time.
    pub fn trim(&mut self, what: Trim, whole_blocks: bool, limit: u64) -> u64 {
        let mut removed = 0;
        while let Some(mut first) = self.blocks.first_entry() {
            if matches!(what, Trim::MaxLen(max) if self.len <= max) {
                break;
            }
            let (master, block) = (*first.key(), first.get_mut());
            let live = block.live();
            if limit > 0 && removed + live > limit {
                break;
            }
            let whole = match what {
                Trim::MaxLen(max) => self.len - live >= max,
                Trim::MinId(min) => block.last_id(master) < min,
            };
            if whole {
                first.remove();
                self.len -= live;
                removed += live;
                continue;
            }
            if whole_blocks {
                break;
            }
            let len = self.len;
            let deleted = block.delete(
                master,
                |_| true,
                |id, so_far| match what {
                    Trim::MaxLen(max) => len - so_far <= max,
                    Trim::MinId(min) => id >= min,
                },
            );
            if block.live() == 0 {
                first.remove();
            }
            self.len -= deleted;
            removed += deleted;
            break;
        }
        if removed > 0 {
            self.find_first();
        }
        removed
    }

    /// The id of the last entry ever added.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// Sets what XSETID may set; the caller has checked that no entry is above.
    pub fn set_last_id(
        &mut self,
        id: StreamId,
        entries_added: Option<u64>,
        max_deleted_id: Option<StreamId>,
    ) {
        self.last_id = id;
        self.entries_added = entries_added.unwrap_or(self.entries_added);
        self.max_deleted_id = max_deleted_id.unwrap_or(self.max_deleted_id);
    }

    /// The id of the first entry, 0-0 when there is none.
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The id of the last entry that is still there.
    pub fn last_live_id(&self) -> Option<StreamId> {
        self.range_rev(StreamId::MIN..=StreamId::MAX).next().map(|entry| entry.id)
    }

    /// The largest id that XDEL removed.
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// Entries added in the stream's life.
    pub fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// Number of blocks.
    pub fn blocks_len(&self) -> usize {
        self.blocks.len()
    }

    /// The groups, ordered by name.
    pub fn groups(&self) -> &BTreeMap<Box<[u8]>, Group> {
        &self.groups
    }

    /// A group.
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    /// A group, to be changed.
    pub fn group_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.groups.get_mut(name)
    }

    /// Adds a group; false when there is one of this name.
    pub fn add_group(&mut self, name: &[u8], group: Group) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        self.groups.insert(name.into(), group);
        true
    }

    /// Removes a group; false when there is none of this name.
    pub fn remove_group(&mut self, name: &[u8]) -> bool {
        self.groups.remove(name).is_some()
    }

    /// True when an entry at or behind `start` may have been deleted, so that counting by ids is not exact.
    pub fn has_tombstones_from(&self, start: StreamId) -> bool {
        // A tombstone before the first entry is no hole.
        self.len > 0
            && self.max_deleted_id != StreamId::MIN
            && self.first_id <= self.max_deleted_id
            && start <= self.max_deleted_id
    }

    /// How many entries were added up to and with `id`, where that can be told.
    pub fn entries_up_to(&self, id: StreamId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if id == self.last_id || (self.len == 0 && id < self.last_id) {
            return Some(self.entries_added);
        }
        if id > self.last_id {
            return None;
        }
        if self.max_deleted_id == StreamId::MIN || self.max_deleted_id < self.first_id {
            let before = self.entries_added.saturating_sub(self.len);
            if id < self.first_id {
                return Some(before);
            }
            if id == self.first_id {
                return Some(before + 1);
            }
        }
        None
    }

    /// Entries that a group has not read yet, where that can be told.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        let read = group.entries_read.filter(|_| !self.has_tombstones_from(group.last_id));
        let read = read.or_else(|| self.entries_up_to(group.last_id))?;
        Some(self.entries_added.wrapping_sub(read).cast_signed())
    }

    fn blocks_for(
        &self,
        ids: RangeInclusive<StreamId>,
    ) -> impl DoubleEndedIterator<Item = (&StreamId, &Block)> {
        let (start, end) = ids.into_inner();
        // The block that begins before `start` may hold it.
        let from = self.blocks.range(..=start).next_back().map_or(start, |(master, _)| *master);
        let to = if from <= end { Bound::Included(end) } else { Bound::Excluded(from) };
        self.blocks.range((Bound::Included(from), to))
    }

    fn find_first(&mut self) {
        let first = self.iter().next().map(|entry| entry.id);
        self.first_id = first.unwrap_or(StreamId::MIN);
    }
}

impl Object for Stream {
    const TYPE_NAME: &'static str = "stream";
    object_of!(Stream);

    fn encoding(&self) -> &'static str {
        "stream"
    }

    fn len(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }

    /// A stream stays when its last entry goes: it has its last id and its groups.
    fn is_empty(&self) -> bool {
        false
    }

    fn rdb_type(&self) -> u8 {
        RDB_TYPE_STREAM_LISTPACKS_2
    }

    fn save_some(
        &self,
        from: SavePoint,
        budget_bytes: usize,
        out: &mut RdbWriter,
    ) -> Option<SavePoint> {
        rdb::save_some(self, from, budget_bytes, out)
    }

    fn memory_bytes(&self) -> usize {
        let blocks: usize = self.blocks.values().map(|b| b.listpack().memory_bytes()).sum();
        let nodes = self.blocks.len() * (size_of::<StreamId>() + size_of::<Block>()) * 3 / 2;
        let groups: usize = self
            .groups
            .iter()
            .map(|(name, group)| name.len() + size_of::<Group>() + group.memory_bytes())
            .sum();
        size_of::<Self>() + blocks + nodes + groups
    }

    fn digest(&self, digest: &mut Digest) {
        let mut scratch = itoa::Buffer::new();
        for entry in self.iter() {
            digest.string(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
            for (field, value) in entry.fields() {
                digest.string(field.bytes(&mut scratch));
                digest.string(value.bytes(&mut scratch));
            }
        }
    }

    fn free_effort(&self) -> usize {
        let pending: usize = self.groups.values().map(|group| group.pending().len()).sum();
        self.blocks.len() + pending
    }

    fn free_some(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            if self.blocks.pop_first().is_none() && self.groups.pop_first().is_none() {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
