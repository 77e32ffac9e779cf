//! All keys of a database: counting, SCAN, walks and a random key.

use super::db::is_due;
use super::{Db, next_random};
use crate::raw::{Entry, Table};

/// Steps of a scan for each key asked for, so that it ends soon in a table that is almost empty.
const STEPS_PER_KEY: usize = 10;
/// Picks of RANDOMKEY that may turn out to be expired.
const RANDOM_TRIES: usize = 100;

impl Db<'_> {
    /// Number of keys, expired ones that were not noticed yet included.
    pub fn len(&self) -> usize {
        self.table().map_or(0, Table::len)
    }
    /// True when there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Number of keys that have an expiry.
    pub fn expires_len(&self) -> usize {
        self.table().map_or(0, Table::expires_len)
    }
    /// Sum of the times to live of all keys that have one, in ms; negative for those whose time is up.
    pub fn ttl_sum_ms(&self) -> i128 {
        let expires = i128::try_from(self.expires_len()).unwrap_or(i128::MAX);
        let sum = self.table().map_or(0, Table::expire_sum_ms);
        sum - expires * i128::from(self.now_ms)
    }
    /// Bytes that the key index takes.
    pub fn index_bytes(&self) -> usize {
        self.table().map_or(0, Table::memory_bytes)
    }
    /// One step of a scan: calls `each` for some live entries, about `count` or more, and returns the next cursor, 0 at the end.
    /// A key that is there from the first to the last step is given at least once. Cursors stay below 2^38.
    pub fn scan(&mut self, cursor: u64, count: usize, each: &mut dyn FnMut(&Entry)) -> u64 {
        let (now, mode) = (self.now_ms, self.mode);
        let Some(table) = self.table() else { return 0 };
        let mut cursor = cursor;
        let (mut seen, mut due) = (0, Vec::new());
        for _ in 0..count.max(1).saturating_mul(STEPS_PER_KEY) {
            cursor = table.step(cursor, &mut |entry| {
                seen += 1;
                if is_due(entry, now, mode) {
                    due.push(entry.key().to_vec());
                } else {
                    each(entry);
                }
            });
            if cursor == 0 || seen >= count {
                break;
            }
        }
        for key in due {
            // Removed by the look at it.
            self.peek(&key);
        }
        cursor
    }
    /// Every live entry, in no particular order.
    pub fn for_each(&mut self, each: &mut dyn FnMut(&Entry)) {
        let (now, mode) = (self.now_ms, self.mode);
        let Some(table) = self.table() else { return };
        table.for_each(&mut |entry| {
            if !is_due(entry, now, mode) {
                each(entry);
            }
        });
    }
    /// A live key picked at random, each with about the same chance.
    pub fn random_key(&mut self) -> Option<Vec<u8>> {
        for _ in 0..RANDOM_TRIES {
            let key = self.random_entry()?.key().to_vec();
            if self.contains(&key) {
                return Some(key);
            }
        }
        // Nearly all are expired: the first live one.
        let (now, mode) = (self.now_ms, self.mode);
        let table = self.table()?;
        let mut cursor = 0;
        loop {
            let mut found = None;
            cursor = table.step(cursor, &mut |entry| {
                if !is_due(entry, now, mode) {
                    found.get_or_insert_with(|| entry.key().to_vec());
                }
            });
            if found.is_some() || cursor == 0 {
                return found;
            }
        }
    }
    /// An entry picked at random, expired or not.
    pub fn random_entry(&mut self) -> Option<&Entry> {
        let ks = &mut *self.ks;
        let table = &ks.dbs.get(self.index)?.table;
        table.random(&mut || next_random(&mut ks.rng))
    }
}
