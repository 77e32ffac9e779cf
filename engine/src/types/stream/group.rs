//! Consumer groups: who was given which entries and has not acknowledged them.
//!
//! Invariant: an id is pending for one consumer of its group: it is in [`Group::pending`] with that consumer's number, and in the
//! consumer's own set.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;

use super::StreamId;

/// Number of a consumer within its group.
pub type ConsumerId = u32;

/// A consumer group.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// The last entry given out.
    pub last_id: StreamId,
    /// Entries read so far, if known.
    pub entries_read: Option<u64>,
    pending: BTreeMap<StreamId, Pending>,
    consumers: Vec<Option<Consumer>>,
    names: BTreeMap<Box<[u8]>, ConsumerId>,
}

/// An entry that was given out and not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// To whom.
    pub consumer: ConsumerId,
    /// When, in ms since 1970.
    pub delivered_at_ms: i64,
    /// How often.
    pub deliveries: u64,
}

/// A consumer.
#[derive(Debug, Clone)]
pub struct Consumer {
    /// Its name.
    pub name: Box<[u8]>,
    /// When it last tried anything, in ms since 1970.
    pub seen_at_ms: i64,
    /// When it last was given anything, in ms since 1970; -1: never.
    pub active_at_ms: i64,
    pending: BTreeSet<StreamId>,
}

impl Consumer {
    /// The ids that are pending for it.
    pub fn pending(&self) -> &BTreeSet<StreamId> {
        &self.pending
    }
}

impl Group {
    /// A group that begins after `last_id`.
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Group { last_id, entries_read, ..Group::default() }
    }

    /// The consumer of this name.
    pub fn find(&self, name: &[u8]) -> Option<ConsumerId> {
        self.names.get(name).copied()
    }

    /// The consumer of this name, made when there is none; and whether it was made.
    pub fn find_or_add(&mut self, name: &[u8], now_ms: i64) -> (ConsumerId, bool) {
        if let Some(id) = self.find(name) {
            return (id, false);
        }
        let consumer = Consumer {
            name: name.into(),
            seen_at_ms: now_ms,
            active_at_ms: -1,
            pending: BTreeSet::new(),
        };
        let free = self.consumers.iter().position(Option::is_none);
        let at = free.unwrap_or(self.consumers.len());
        match self.consumers.get_mut(at) {
            Some(slot) => *slot = Some(consumer),
            None => self.consumers.push(Some(consumer)),
        }
        let id = ConsumerId::try_from(at).unwrap_or(ConsumerId::MAX);
        self.names.insert(name.into(), id);
        (id, true)
    }

    /// A consumer by its number.
    pub fn consumer(&self, id: ConsumerId) -> Option<&Consumer> {
        self.consumers.get(id as usize)?.as_ref()
    }

    /// A consumer by its number, to be changed.
    pub fn consumer_mut(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        self.consumers.get_mut(id as usize)?.as_mut()
    }

    /// A consumer's name.
    pub fn name_of(&self, id: ConsumerId) -> &[u8] {
        self.consumer(id).map_or(&[], |consumer| &consumer.name)
    }

    /// All consumers, ordered by name.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = &Consumer> {
        let consumers: Vec<_> = self.names.values().filter_map(|id| self.consumer(*id)).collect();
        consumers.into_iter()
    }

    /// Removes a consumer with all that is pending for it; how much that was.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let id = self.names.remove(name)?;
        let consumer = self.consumers.get_mut(id as usize)?.take()?;
        for pending in &consumer.pending {
            self.pending.remove(pending);
        }
        Some(consumer.pending.len())
    }

    /// All pending entries in order.
    pub fn pending(&self) -> &BTreeMap<StreamId, Pending> {
        &self.pending
    }

    /// Pending entries of a range, of one consumer if that is given.
    pub fn pending_in(
        &self,
        range: impl RangeBounds<StreamId>,
        consumer: Option<ConsumerId>,
    ) -> Box<dyn Iterator<Item = (StreamId, Pending)> + '_> {
        match consumer.map(|id| self.consumer(id)) {
            None => Box::new(self.pending.range(range).map(|(id, pending)| (*id, *pending))),
            Some(None) => Box::new(std::iter::empty()),
            Some(Some(consumer)) => Box::new(
                consumer.pending.range(range).filter_map(|id| Some((*id, *self.pending.get(id)?))),
            ),
        }
    }

    /// Makes an entry pending, or changes what is known of it; it leaves the consumer that had it.
    pub fn set_pending(&mut self, id: StreamId, pending: Pending) {
        let old = self.pending.insert(id, pending);
        if let Some(old) = old.filter(|old| old.consumer != pending.consumer)
            && let Some(consumer) = self.consumer_mut(old.consumer)
        {
            consumer.pending.remove(&id);
        }
        if let Some(consumer) = self.consumer_mut(pending.consumer) {
            consumer.pending.insert(id);
        }
    }

    /// Forgets a pending entry; false when it was not pending.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        if let Some(consumer) = self.consumer_mut(pending.consumer) {
            consumer.pending.remove(&id);
        }
        true
    }

    pub(super) fn memory_bytes(&self) -> usize {
        // B-tree nodes are two thirds full or so.
        let pending = size_of::<StreamId>() * 2 + size_of::<Pending>();
        let names: usize = self.names.keys().map(|name| 2 * name.len() + 48).sum();
        self.pending.len() * pending * 3 / 2
            + self.consumers.capacity() * size_of::<Option<Consumer>>()
            + names
    }
}
