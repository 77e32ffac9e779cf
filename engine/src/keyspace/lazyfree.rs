//! Freeing in slices: what is large waits here, so that no command and no flush stalls for the size of what it removed.

use std::collections::VecDeque;

use super::Keyspace;
use crate::raw::{Drain, Entry, Table};
use crate::types::Value;

/// Values above this many allocations are freed in slices (as Redis's `LAZYFREE_THRESHOLD`).
const EFFORT_INLINE_MAX: usize = 64;

/// What waits to be freed.
#[derive(Default)]
pub(super) struct LazyFree {
    values: VecDeque<Value>,
    tables: VecDeque<Drain>,
    pending: usize,
    freed: u64,
}

impl LazyFree {
    /// Frees an entry, at once when it is small.
    #[inline]
    pub(super) fn entry(&mut self, entry: Entry) {
        if entry.value().free_effort() > EFFORT_INLINE_MAX {
            self.values.push_back(entry.into_parts().1);
            self.pending += 1;
        }
    }
    /// Frees a table that is no index any more.
    pub(super) fn table(&mut self, table: Table) {
        if table.memory_bytes() > 0 {
            self.pending += table.len();
            self.tables.push_back(table.into_drain());
        }
    }
    fn free_some(&mut self, budget: usize) -> bool {
        let mut budget = budget.max(1);
        while budget > 0 {
            if let Some(value) = self.values.front_mut() {
                let effort = value.as_ref().free_effort();
                let rest_is_small = value.free_some(budget);
                budget = budget.saturating_sub(effort.max(1));
                if rest_is_small {
                    self.values.pop_front();
                    self.note_freed();
                }
            } else if let Some(drain) = self.tables.front_mut() {
                match drain.pop() {
                    None => drop(self.tables.pop_front()),
                    Some(entry) => {
                        budget -= 1;
                        if entry.value().free_effort() > EFFORT_INLINE_MAX {
                            // Counted as pending already.
                            self.values.push_back(entry.into_parts().1);
                        } else {
                            drop(entry);
                            self.note_freed();
                        }
                    }
                }
            } else {
                return false;
            }
        }
        !(self.values.is_empty() && self.tables.is_empty())
    }
    fn note_freed(&mut self) {
        self.pending = self.pending.saturating_sub(1);
        self.freed += 1;
    }
}

impl Keyspace {
    /// Frees about `budget` allocations of what waits; true when there is more. Also tidies up after an aborted snapshot.
    pub fn free_some(&mut self, budget: usize) -> bool {
        let normalising = self.snapshot_normalise(budget);
        self.lazyfree.free_some(budget) || normalising
    }
    /// Objects that wait to be freed (INFO `lazyfree_pending_objects`).
    pub fn lazyfree_pending_objects(&self) -> usize {
        self.lazyfree.pending
    }
    /// Objects that were freed in slices (INFO `lazyfreed_objects`).
    pub fn lazyfreed_objects(&self) -> u64 {
        self.lazyfree.freed
    }
    /// Sets the counter back (CONFIG RESETSTAT).
    pub fn reset_lazyfreed_objects(&mut self) {
        self.lazyfree.freed = 0;
    }
}
