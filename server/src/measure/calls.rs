//! What commands cost: calls, time, failures and the distribution of latencies, a cell a command.

use hdrhistogram::Histogram;

use crate::table::{Entry, Table};

/// The longest latency that is told apart, in ns.
const LATENCY_MAX_NS: u64 = 1_000_000_000;
/// Significant digits of a latency.
const LATENCY_DIGITS: u8 = 2;

/// One command's cell.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// Times it ran.
    pub calls: u64,
    /// Time it took in all, in ns.
    pub ns: u64,
    /// Times it was refused before it ran.
    pub rejected: u64,
    /// Times it ran and failed.
    pub failed: u64,
    /// Latencies in ns; there after the first one that was tracked.
    pub latency: Option<Box<Histogram<u64>>>,
}

impl Calls {
    /// True when there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.calls == 0 && self.rejected == 0 && self.failed == 0
    }

    /// Microseconds a call, on average.
    pub fn usec_per_call(&self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.ns as f64 / 1000.0 / self.calls as f64 }
    }

    fn add(&mut self, other: &Calls) {
        self.calls += other.calls;
        self.ns += other.ns;
        self.rejected += other.rejected;
        self.failed += other.failed;
        match (&mut self.latency, &other.latency) {
            (Some(mine), Some(theirs)) => {
                // Both have the same bounds.
                let _fits = mine.add(&**theirs);
            }
            (mine @ None, Some(theirs)) => *mine = Some(theirs.clone()),
            (_, None) => {}
        }
    }
}

/// The cells of all commands, by [`Entry::id`].
#[derive(Clone, Debug, Default)]
pub struct CallTable {
    cells: Vec<Calls>,
}

impl CallTable {
    /// Empty cells for the commands of `table`.
    pub fn new(table: &Table) -> CallTable {
        CallTable { cells: vec![Calls::default(); table.entries().count()] }
    }

    /// Sets everything back to zero.
    pub fn reset(&mut self) {
        self.cells.iter_mut().for_each(|cell| *cell = Calls::default());
    }

    /// Forgets the latencies of one command.
    pub fn forget_latency(&mut self, entry: &Entry) {
        if let Some(cell) = self.cells.get_mut(usize::from(entry.id)) {
            cell.latency = None;
        }
    }

    /// A command has run.
    #[inline]
    pub fn note(&mut self, entry: &Entry, ns: u64, failed: bool, tracked: bool) {
        let Some(cell) = self.cells.get_mut(usize::from(entry.id)) else { return };
        cell.calls += 1;
        cell.ns += ns;
        cell.failed += u64::from(failed);
        if tracked {
            match &mut cell.latency {
                Some(latency) => latency.saturating_record(ns.max(1)),
                none => *none = first_latency(ns.max(1)),
            }
        }
    }

    /// A command that had run so far as to wait has ended.
    pub fn note_end(&mut self, entry: &Entry, ns: u64, failed: bool) {
        if let Some(cell) = self.cells.get_mut(usize::from(entry.id)) {
            cell.ns += ns;
            cell.failed += u64::from(failed);
        }
    }

    /// A command was refused before it ran.
    pub fn note_rejected(&mut self, entry: &Entry) {
        if let Some(cell) = self.cells.get_mut(usize::from(entry.id)) {
            cell.rejected += 1;
        }
    }

    /// A command's cell.
    pub fn of(&self, entry: &Entry) -> Option<&Calls> {
        self.cells.get(usize::from(entry.id))
    }

    /// Adds another shard's.
    pub fn add(&mut self, other: &CallTable) {
        if self.cells.is_empty() {
            self.cells = vec![Calls::default(); other.cells.len()];
        }
        self.cells.iter_mut().zip(&other.cells).for_each(|(cell, other)| cell.add(other));
    }
}

#[cold]
fn first_latency(ns: u64) -> Option<Box<Histogram<u64>>> {
    let mut latency = Histogram::new_with_bounds(1, LATENCY_MAX_NS, LATENCY_DIGITS).ok()?;
    latency.saturating_record(ns);
    Some(Box::new(latency))
}
