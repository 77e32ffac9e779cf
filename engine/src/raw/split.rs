//! Growth: one segment becomes two, the directory doubles when it must.
//!
//! Entries keep their bucket and slot in a split, since those follow from the 16 tag bits: half of them move to the same place of the
//! new segment. Only here are keys hashed again.

use std::ptr::NonNull;

use super::hash::KeyHasher;
use super::segment::Segment;
use super::table::{PREFIX_BITS, Table, prefetch, prefix_of};

/// The directory may be this many times larger than segments need, so that colliding keys cannot blow it up. Hashes that are
/// random need a factor of 2 to 4.
const DIRECTORY_SLACK: usize = 16;

impl Table {
    /// Splits the segment at `index` in two; false when it must become a chain instead.
    pub(super) fn split(&mut self, hasher: &KeyHasher, index: usize) -> bool {
        let Some(depth) = self.segment(index).map(|s| s.depth) else { return false };
        let mut index = index;
        if depth == self.depth {
            if !self.may_double() {
                return false;
            }
            self.double();
            index *= 2;
        }
        let Some(upper) = self.divide(hasher, index, depth) else { return false };
        self.segments += chain_len(&upper);
        let run = 1usize << (self.depth - depth);
        let start = index & !(run - 1);
        let upper = NonNull::from(Box::leak(upper));
        for slot in self.directory.iter_mut().skip(start + run / 2).take(run / 2) {
            *slot = upper;
        }
        true
    }
    fn may_double(&self) -> bool {
        self.depth < PREFIX_BITS && 2 << self.depth <= DIRECTORY_SLACK * (self.segments + 1)
    }
    fn double(&mut self) {
        self.directory = self.directory.iter().flat_map(|at| [*at, *at]).collect();
        self.depth += 1;
    }
    /// Moves the entries of which the next hash bit is 1 into a new chain.
    fn divide(&mut self, hasher: &KeyHasher, index: usize, depth: u8) -> Option<Box<Segment>> {
        let mut upper: Vec<Box<Segment>> = Vec::new();
        let mut next = self.segment_mut(index);
        while let Some(lower) = next {
            let mut to = Segment::new(depth + 1);
            lower.depth = depth + 1;
            // The keys lie all over the memory: ask for all of them first.
            lower.entries().for_each(|(_, entry)| prefetch(entry.address()));
            let moving: Vec<(usize, usize)> = lower
                .entries()
                .filter(|(_, e)| prefix_of(hasher.hash(e.key())) << depth >> (PREFIX_BITS - 1) == 1)
                .map(|(at, _)| at)
                .collect();
            for (bucket, slot) in moving {
                if let Some(entry) = lower.take(bucket, slot) {
                    to.put((bucket, slot), entry);
                }
            }
            upper.push(to);
            next = lower.next.as_deref_mut();
        }
        // Links that became empty go, the head stays.
        let dropped = self.segment_mut(index).map_or(0, drop_empty_links);
        self.segments = self.segments.saturating_sub(dropped);
        upper.into_iter().rev().reduce(|tail, mut segment| {
            segment.next = if tail.len() == 0 && tail.next.is_none() { None } else { Some(tail) };
            segment
        })
    }
}

fn chain_len(head: &Segment) -> usize {
    let mut len = 1;
    let mut at = head;
    while let Some(next) = at.next.as_deref() {
        len += 1;
        at = next;
    }
    len
}

fn drop_empty_links(head: &mut Segment) -> usize {
    let mut dropped = 0;
    let mut at = head;
    loop {
        while at.next.as_ref().is_some_and(|next| next.len() == 0) {
            at.next = at.next.take().and_then(|mut empty| empty.next.take());
            dropped += 1;
        }
        match at.next.as_deref_mut() {
            Some(next) => at = next,
            None => return dropped,
        }
    }
}
