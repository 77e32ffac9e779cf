//! The active expiry cycle: keys that nobody asks for go as well when their time is up.
//!
//! It walks the segments of all databases in turn and goes on where it stopped. A segment knows the earliest expiry in it, so one
//! without due keys costs a look at its header. Removal leaves the same DEL as lazy expiry does.

use super::{Classes, Keyspace, OPCODE_DEL};
use crate::raw::Place;

/// Where the cycle goes on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ExpireCursor {
    db: usize,
    prefix: u32,
}

/// What a cycle did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpireReport {
    /// Entries read.
    pub examined: usize,
    /// Keys removed.
    pub expired: usize,
    /// The walk came to the end of the last database: there is no need for another cycle at once.
    pub done: bool,
}

impl Keyspace {
    /// Switches the active cycle on or off (DEBUG SET-ACTIVE-EXPIRE). Lazy expiry is always on.
    pub fn set_active_expire(&mut self, on: bool) {
        self.active_expire = on;
    }
    /// Whether the active cycle is on.
    pub fn active_expire(&self) -> bool {
        self.active_expire
    }
    /// Reads about `budget_keys` entries and removes those that are due, recording their DEL. Not to be called in replay.
    pub fn expire_cycle(&mut self, now_ms: i64, budget_keys: usize) -> ExpireReport {
        let mut report = ExpireReport::default();
        if !self.active_expire {
            report.done = true;
            return report;
        }
        let (fields, all) = self.expire_fields_cycle(now_ms, budget_keys);
        report.examined += fields;
        if !all {
            return report;
        }
        let mut due = Vec::new();
        let mut budget = budget_keys.saturating_sub(fields).max(1);
        while budget > 0 {
            let ExpireCursor { db: index, prefix } = self.expire_at;
            let Some(db) = self.dbs.get_mut(index) else {
                self.expire_at = ExpireCursor::default();
                report.done = true;
                break;
            };
            budget -= 1;
            let next = if db.table.expires_len() == 0 {
                None
            } else {
                // A look at a segment's header costs about as much as an entry.
                let (read, next) = db.table.collect_due(prefix, now_ms, budget.max(1), &mut due);
                report.examined += read;
                budget = if next.is_some() { 0 } else { budget.saturating_sub(read) };
                next
            };
            report.expired += due.len();
            for place in due.drain(..) {
                self.expire(index, place);
            }
            self.expire_at = match next {
                Some(prefix) => ExpireCursor { db: index, prefix },
                None => ExpireCursor { db: index + 1, prefix: 0 },
            };
        }
        report
    }
    fn expire(&mut self, index: usize, place: Place) {
        let Some(entry) = self.dbs.get(index).and_then(|d| d.table.at(place)) else { return };
        self.effects.note_lapse();
        self.effects.push(u32::try_from(index).unwrap_or(0), OPCODE_DEL, &[entry.key()]);
        self.events.push(Classes::EXPIRED, "expired", index, entry.key());
        self.stats.expired += 1;
        self.delete(index, place);
    }
}
