//! Up to which GSN everything is written, and up to which everything is durable, over all shards.
//!
//! ```text
//!   shard                                         reader (any shard)
//!   1 slot := lower bound (the counter)           1 next := counter
//!   2 gsn  := counter.fetch_add(1)                2 min over all slots, and next
//!   3 ... push, write ...                         => every GSN below the minimum is done
//!   4 slot := lowest GSN not done, or none
//! ```
//!
//! Invariant: a slot is written by its own shard's thread only, and at any time holds at most the lowest GSN that the
//! shard took and has not finished. A GSN below the counter that a reader saw was taken by a shard whose slot already
//! held a bound at or below it (1 before 2), and the reader looks at slots after the counter. So a GSN can be missed by
//! neither. The loom test in `persist/loom` drives this file as it is.

use super::atomic::{AtomicU64, Ordering};

/// A slot's value when its shard has nothing outstanding.
const NONE: u64 = u64::MAX;

/// One shard's slot, alone on its cache lines.
#[derive(Debug)]
#[repr(align(128))]
struct Slot {
    written_below: AtomicU64,
    synced_below: AtomicU64,
}

/// The counter of GSNs and all shards' slots; shared by reference or `Arc`.
#[derive(Debug)]
pub struct Watermarks {
    next: Padded,
    slots: Vec<Slot>,
}

#[derive(Debug)]
#[repr(align(128))]
struct Padded(AtomicU64);

impl Watermarks {
    /// Slots for `shards` shards; the first GSN taken will be `next_gsn`, and all below it count as durable.
    pub fn new(shards: usize, next_gsn: u64) -> Self {
        let slot =
            || Slot { written_below: AtomicU64::new(NONE), synced_below: AtomicU64::new(NONE) };
        Watermarks {
            next: Padded(AtomicU64::new(next_gsn)),
            slots: (0..shards).map(|_| slot()).collect(),
        }
    }

    /// Takes the next GSN for `shard`, on that shard's thread. The frame must be pushed to the shard's log before its
    /// next [`Watermarks::publish`].
    pub fn take_gsn(&self, shard: usize) -> u64 {
        let lower = self.next.0.load(Ordering::SeqCst);
        if let Some(slot) = self.slots.get(shard) {
            for cell in [&slot.written_below, &slot.synced_below] {
                if lower < cell.load(Ordering::Relaxed) {
                    cell.store(lower, Ordering::SeqCst);
                }
            }
        }
        self.next.0.fetch_add(1, Ordering::SeqCst)
    }

    /// Has the numbers go on at `next_gsn`, where they are not there yet; all below counts as durable. Only while no shard
    /// logs anything.
    pub fn go_on_at(&self, next_gsn: u64) {
        self.next.0.fetch_max(next_gsn, Ordering::SeqCst);
    }

    /// Publishes what the shard's log has outstanding: the lowest GSN not yet written, and not yet durable.
    pub fn publish(&self, shard: usize, written_below: Option<u64>, synced_below: Option<u64>) {
        if let Some(slot) = self.slots.get(shard) {
            slot.written_below.store(written_below.unwrap_or(NONE), Ordering::SeqCst);
            slot.synced_below.store(synced_below.unwrap_or(NONE), Ordering::SeqCst);
        }
    }

    /// Every GSN up to this one is written: a reply may leave in `everysec` and `no`.
    pub fn written(&self) -> u64 {
        self.done(|slot| &slot.written_below)
    }

    /// Every GSN up to this one is durable: a reply may leave in `always`; goes into frames as `durable_gsn`.
    pub fn synced(&self) -> u64 {
        self.done(|slot| &slot.synced_below)
    }

    /// The GSN that will be taken next.
    pub fn next_gsn(&self) -> u64 {
        self.next.0.load(Ordering::SeqCst)
    }

    fn done(&self, cell: impl Fn(&Slot) -> &AtomicU64) -> u64 {
        let next = self.next.0.load(Ordering::SeqCst);
        let lowest = self.slots.iter().map(|slot| cell(slot).load(Ordering::SeqCst)).min();
        next.min(lowest.unwrap_or(NONE)).saturating_sub(1)
    }
}
