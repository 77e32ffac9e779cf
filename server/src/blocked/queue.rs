//! Who waits for a shard's keys, and which of those keys were changed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Waiting;
use crate::map::Map;
use crate::observe::Touched;
use crate::shard::Shard;

/// A command in a key's queue.
pub(super) struct Place {
    pub(super) waiting: Arc<Waiting>,
    /// Which of its keys it is.
    pub(super) key_at: usize,
}

#[derive(Default)]
struct Queue {
    /// By order of arrival.
    places: BTreeMap<u64, Place>,
    /// In the list of changed keys.
    is_ready: bool,
}

/// A shard's queues.
#[derive(Default)]
pub struct Queues {
    next: u64,
    /// By database and key.
    keys: Vec<Map<Vec<u8>, Queue>>,
    /// Order of arrival of each command that is registered here.
    orders: Map<u64, u64>,
    /// Changed keys that somebody waits for, in the order of their change.
    ready: VecDeque<(usize, Vec<u8>)>,
}

impl Queues {
    /// True when nobody waits here.
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// True when a key was changed that somebody waits for.
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn add(&mut self, waiting: &Arc<Waiting>, is_here: impl Fn(&[u8]) -> bool) {
        self.next += 1;
        let (order, db) = (self.next, waiting.db);
        self.orders.insert(waiting.id, order);
        if db >= self.keys.len() {
            self.keys.resize_with(db + 1, Map::default);
        }
        let Some(keys) = self.keys.get_mut(db) else { return };
        for (key_at, key) in waiting.block.keys.iter().enumerate() {
            if is_here(key) {
                let place = Place { waiting: Arc::clone(waiting), key_at };
                // Of a key named twice, the first counts.
                keys.entry(key.clone()).or_default().places.entry(order).or_insert(place);
            }
        }
    }

    fn remove(&mut self, waiting: &Waiting) {
        let Some(order) = self.orders.remove(&waiting.id) else { return };
        let Some(keys) = self.keys.get_mut(waiting.db) else { return };
        for key in &waiting.block.keys {
            if let Some(queue) = keys.get_mut(key) {
                queue.places.remove(&order);
                if queue.places.is_empty() {
                    keys.remove(key);
                }
            }
        }
    }

    /// True while the command is registered here.
    pub(super) fn has(&self, waiting: &Waiting) -> bool {
        self.orders.contains_key(&waiting.id)
    }

    /// Notes what was changed.
    pub fn touch(&mut self, touched: Touched<'_>) {
        match touched {
            Touched::Key(db, key, _) => self.mark(db, key),
            Touched::Database(db) => self.mark_all(db),
            Touched::Swapped(a, b) => {
                self.mark_all(a);
                self.mark_all(b);
            }
        }
    }

    fn mark(&mut self, db: usize, key: &[u8]) {
        let queue = self.keys.get_mut(db).and_then(|keys| keys.get_mut(key));
        if let Some(queue) = queue.filter(|queue| !queue.is_ready) {
            queue.is_ready = true;
            self.ready.push_back((db, key.to_vec()));
        }
    }

    fn mark_all(&mut self, db: usize) {
        for (key, queue) in self.keys.get_mut(db).into_iter().flatten() {
            if !queue.is_ready {
                queue.is_ready = true;
                self.ready.push_back((db, key.clone()));
            }
        }
    }

    /// The next changed key.
    pub(super) fn next_ready(&mut self) -> Option<(usize, Vec<u8>)> {
        let (db, key) = self.ready.pop_front()?;
        if let Some(queue) = self.keys.get_mut(db).and_then(|keys| keys.get_mut(&key)) {
            queue.is_ready = false;
        }
        Some((db, key))
    }

    /// The next command in a key's queue behind place `after`, and its place.
    pub(super) fn next_place(&self, db: usize, key: &[u8], after: u64) -> Option<(u64, &Place)> {
        let queue = self.keys.get(db)?.get(key)?;
        queue.places.range(after + 1..).next().map(|(order, place)| (*order, place))
    }
}

impl Shard {
    /// Puts a command into the queues of its keys that are of this shard.
    pub(super) fn register(&mut self, waiting: &Arc<Waiting>) {
        let (slots, index) = (self.shared.slots, self.index);
        self.blocked.queues.add(waiting, |key| slots.shard_of_key(key) == index);
        self.observers_changed();
    }

    /// Takes a command out of the queues of this shard.
    pub(super) fn unregister(&mut self, waiting: &Waiting) {
        self.blocked.queues.remove(waiting);
        self.observers_changed();
    }
}
