//! Walks: SCAN and the snapshot's traversal, all entries, a random one, those that are due, and freeing in slices.
//!
//! ```text
//! cursor = hash prefix:32  home bucket:6        in order of the hash prefix; 0 = start and end
//! ```
//! A split between two steps puts the upper half behind the lower one, to be walked from its first bucket: some entries come twice, none
//! is missed. What an entry's home bucket is never changes, whichever slot it lies in.

use super::entry::Entry;
use super::segment::{BUCKETS, HOMES, SLOTS, Segment};
use super::table::{PREFIX_BITS, Place, Table};

const HOME_BITS: u32 = 6;
/// Tries of a fair choice before the nearest entry must do.
const RANDOM_TRIES: usize = 128;

impl Table {
    /// One step of a walk: the entries of one home bucket. Returns the next cursor, 0 at the end.
    pub fn step(&self, cursor: u64, each: &mut dyn FnMut(&Entry)) -> u64 {
        let (prefix, at) = split_cursor(cursor);
        let Some(head) = self.segment(self.index_of(prefix)) else { return 0 };
        let mut link = Some(head);
        let mut empty = true;
        while let Some(segment) = link {
            if segment.len() > 0 {
                empty = false;
                segment.for_home(at, each);
            }
            link = segment.next.as_deref();
        }
        next_cursor(prefix, at, head.depth, empty)
    }
    /// The same, over entries to be saved: `each` gets those that the running snapshot has still to save, and they count as saved.
    pub fn step_unsaved(&mut self, cursor: u64, each: &mut dyn FnMut(&Entry)) -> u64 {
        let all = &mut |entry: &Entry| {
            each(entry);
            true
        };
        self.step_saving(cursor, all)
    }
    /// The same, but an entry counts as saved only when `each` says so. Others come again with the same cursor.
    pub fn step_saving(&mut self, cursor: u64, each: &mut dyn FnMut(&Entry) -> bool) -> u64 {
        let (prefix, at) = split_cursor(cursor);
        let (index, parity) = (self.index_of(prefix), self.parity());
        let Some(head) = self.segment_mut(index) else { return 0 };
        let depth = head.depth;
        let mut link = Some(head);
        let mut empty = true;
        while let Some(segment) = link {
            if segment.len() > 0 {
                empty = false;
                segment.for_home_mut(at, &mut |entry| {
                    if entry.mark() != parity && each(entry) {
                        entry.set_mark(parity);
                    }
                });
            }
            link = segment.next.as_deref_mut();
        }
        next_cursor(prefix, at, depth, empty)
    }
    /// All entries, in no particular order.
    pub fn for_each(&self, each: &mut dyn FnMut(&Entry)) {
        let mut index = 0;
        while let Some(head) = self.segment(index) {
            index += 1 << (self.depth - head.depth);
            let mut link = Some(head);
            while let Some(segment) = link {
                segment.entries().for_each(|(_, entry)| each(entry));
                link = segment.next.as_deref();
            }
        }
    }
    /// An entry picked at random: each with the same chance, unless the table is almost empty.
    pub fn random(&self, next: &mut dyn FnMut() -> u64) -> Option<&Entry> {
        if self.len == 0 {
            return None;
        }
        for _ in 0..RANDOM_TRIES {
            let bits = next();
            let index = low(bits) & (self.directory.len() - 1);
            let head = self.segment(index)?;
            // A segment of fewer bits stands in more directory slots; one of them counts.
            if index & ((1 << (self.depth - head.depth)) - 1) != 0 {
                continue;
            }
            let at = low(((bits >> PREFIX_BITS) * (BUCKETS * SLOTS) as u64) >> PREFIX_BITS);
            let mut link = Some(head);
            while let Some(segment) = link {
                if let Some(entry) = segment.slot(at / SLOTS, at % SLOTS) {
                    return Some(entry);
                }
                link = segment.next.as_deref();
            }
        }
        self.random_of_few(next)
    }
    /// From a random segment on, the first that has an entry; a random one of it.
    fn random_of_few(&self, next: &mut dyn FnMut() -> u64) -> Option<&Entry> {
        let slots = self.directory.len();
        let mut index = low(next()) & (slots - 1);
        for _ in 0..slots {
            let mut link = self.segment(index);
            while let Some(segment) = link {
                if segment.len() > 0 {
                    let nth = low(next()) % segment.len();
                    return segment.entries().nth(nth).map(|(_, entry)| entry);
                }
                link = segment.next.as_deref();
            }
            index = (index + 1) & (slots - 1);
        }
        None
    }
    /// Up to `wanted` entries from a random slot on, those that expire only if `expiring`.
    pub fn sample(
        &self,
        wanted: usize,
        expiring: bool,
        next: &mut dyn FnMut() -> u64,
        each: &mut dyn FnMut(&Entry),
    ) {
        let slots = self.directory.len();
        if slots == 0 || self.len == 0 || (expiring && self.expires_len() == 0) {
            return;
        }
        let (start, at) = (low(next()) & (slots - 1), low(next()) % (BUCKETS * SLOTS));
        let mut left = wanted;
        for step in 0..slots {
            let index = (start + step) & (slots - 1);
            let Some(head) = self.segment(index) else { return };
            // A segment of fewer bits stands in more directory slots; one of them counts, but the first of all does.
            if step > 0 && index & ((1 << (self.depth - head.depth)) - 1) != 0 {
                continue;
            }
            let mut link = Some(head);
            while let Some(segment) = link {
                if segment.len() > 0 && !(expiring && segment.expires == 0) {
                    for slot in (at..BUCKETS * SLOTS).chain(0..at) {
                        let Some(entry) = segment.slot(slot / SLOTS, slot % SLOTS) else {
                            continue;
                        };
                        if expiring && entry.expire_at_ms().is_none() {
                            continue;
                        }
                        each(entry);
                        left -= 1;
                        if left == 0 {
                            return;
                        }
                    }
                }
                link = segment.next.as_deref();
            }
        }
    }
    /// Looks for entries that are due by `now_ms` in the segments from `prefix` on, until `budget` is used up; places of all due
    /// entries of the segments that were looked through go to `due`. Returns how many entries were read and the prefix to go on
    /// with, `None` at the end. A segment in which nothing can be due costs 1.
    pub fn collect_due(
        &mut self,
        prefix: u32,
        now_ms: i64,
        budget: usize,
        due: &mut Vec<Place>,
    ) -> (usize, Option<u32>) {
        let mut prefix = prefix;
        let (mut cost, mut read) = (0, 0);
        while cost < budget {
            let index = self.index_of(prefix);
            let Some(mut segment) = self.segment_mut(index) else { return (read, None) };
            let depth = segment.depth;
            let mut chain = 0;
            loop {
                cost += 1;
                if segment.expires > 0 && segment.expire_min_ms <= now_ms {
                    read += segment.len();
                    cost += segment.len();
                    collect_due_of(segment, now_ms, index, chain, due);
                }
                let Some(next) = segment.next.as_deref_mut() else { break };
                segment = next;
                chain += 1;
            }
            match next_prefix(prefix, depth) {
                Some(next) => prefix = next,
                None => return (read, None),
            }
        }
        (read, Some(prefix))
    }
    /// Turns the table into something that is emptied in slices.
    pub fn into_drain(self) -> Drain {
        Drain { table: self, at: 0 }
    }
}

fn collect_due_of(
    segment: &mut Segment,
    now_ms: i64,
    index: usize,
    chain: u32,
    due: &mut Vec<Place>,
) {
    let mut min = i64::MAX;
    for ((bucket, slot), entry) in segment.entries() {
        let Some(at) = entry.expire_at_ms() else { continue };
        if at > now_ms {
            min = min.min(at);
        } else if let (Ok(index), Ok(bucket), Ok(slot)) =
            (u32::try_from(index), u8::try_from(bucket), u8::try_from(slot))
        {
            due.push(Place { index, chain, bucket, slot });
        }
    }
    // Whoever asked removes the due ones.
    segment.expire_min_ms = min;
}

/// A table that is no index any more, only entries to be freed.
pub struct Drain {
    table: Table,
    at: usize,
}

impl Drain {
    /// Entries left.
    pub fn len(&self) -> usize {
        self.table.len
    }
    /// True when nothing is left.
    pub fn is_empty(&self) -> bool {
        self.table.len == 0 && self.table.directory.is_empty()
    }
    /// Takes the next entry out; segments that become empty are freed on the way.
    pub fn pop(&mut self) -> Option<Entry> {
        loop {
            let index = self.table.directory.len().checked_sub(1)?;
            while self.at < BUCKETS * SLOTS {
                let (bucket, slot) = (self.at / SLOTS, self.at % SLOTS);
                let mut link = self.table.segment_mut(index);
                while let Some(segment) = link {
                    if let Some(entry) = segment.take(bucket, slot) {
                        self.table.len -= 1;
                        return Some(entry.without_tags());
                    }
                    link = segment.next.as_deref_mut();
                }
                self.at += 1;
            }
            self.at = 0;
            self.table.pop_segment();
        }
    }
}

fn split_cursor(cursor: u64) -> (u32, usize) {
    let home = low(cursor) & ((1 << HOME_BITS) - 1);
    let prefix = low(cursor >> HOME_BITS & u64::from(u32::MAX));
    // Cursors come from clients.
    (u32::try_from(prefix).unwrap_or(0), home.min(HOMES - 1))
}

fn next_cursor(prefix: u32, at: usize, depth: u8, empty: bool) -> u64 {
    if at + 1 < HOMES && !empty {
        return u64::from(prefix) << HOME_BITS | (at as u64 + 1);
    }
    next_prefix(prefix, depth).map_or(0, |next| u64::from(next) << HOME_BITS)
}

/// The prefix with which the next segment starts.
fn next_prefix(prefix: u32, depth: u8) -> Option<u32> {
    let span = 1u64 << (PREFIX_BITS - depth);
    u32::try_from((u64::from(prefix) & !(span - 1)) + span).ok()
}

fn low(value: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "callers mask or want any bits")]
    let value = value as usize;
    value
}
