//! A segment: 4096 bytes of slots that share the top `depth` bits of their keys' hashes.
//!
//! ```text
//! header 64 bytes | 59 home buckets of 8 slots | 4 stash buckets        a bucket is one cache line
//! ```
//! A key lies in its home bucket, or in the next one, or in the stash with its home's bit set in `marks`; when none has room, in
//! the next segment of the chain. The home bucket follows from the 16 hash bits in the slot.
//! Invariant: an entry never moves to another slot of its segment, and removing one leaves nothing behind.
#![allow(clippy::indexing_slicing, reason = "bucket < BUCKETS and slot < SLOTS everywhere")]

use super::entry::Entry;

pub(super) const SLOTS: usize = 8;
pub(super) const HOMES: usize = 59;
pub(super) const BUCKETS: usize = 63;

#[repr(C, align(64))]
pub(super) struct Segment {
    /// More keys of the same hash bits, when a split would not part them.
    pub(super) next: Option<Box<Segment>>,
    /// Home buckets of which an entry lies in the stash.
    marks: u64,
    /// No entry expires before it; not exact after removals.
    pub(super) expire_min_ms: i64,
    len: u32,
    /// Entries with an expiry.
    pub(super) expires: u32,
    /// Hash bits that all entries share.
    pub(super) depth: u8,
    buckets: [[Option<Entry>; SLOTS]; BUCKETS],
}

const _: () = assert!(size_of::<Segment>() == 4096);
const _: () = assert!(size_of::<Option<Entry>>() == 8);

/// The home bucket of a key by its 16 hash bits.
#[inline]
pub(super) fn home(tag: u16) -> usize {
    (usize::from(tag) * HOMES) >> 16
}

#[inline]
fn neighbour(home: usize) -> usize {
    if home + 1 == HOMES { 0 } else { home + 1 }
}

fn free_slot(bucket: &[Option<Entry>; SLOTS]) -> (usize, usize) {
    let mut free = 0;
    let mut first = SLOTS;
    for (i, slot) in bucket.iter().enumerate().rev() {
        if slot.is_none() {
            free += 1;
            first = i;
        }
    }
    (free, first)
}

impl Segment {
    pub(super) fn new(depth: u8) -> Box<Segment> {
        // SAFETY: all zeros is a valid segment: no next, numbers 0, and `None` in each slot (a null pointer).
        let mut segment = unsafe { Box::<Segment>::new_zeroed().assume_init() };
        segment.depth = depth;
        segment.expire_min_ms = i64::MAX;
        segment
    }
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }
    #[inline]
    pub(super) fn slot(&self, bucket: usize, slot: usize) -> Option<&Entry> {
        self.buckets.get(bucket)?.get(slot)?.as_ref()
    }
    #[inline]
    pub(super) fn slot_mut(&mut self, bucket: usize, slot: usize) -> Option<&mut Entry> {
        self.buckets.get_mut(bucket)?.get_mut(slot)?.as_mut()
    }
    /// The address of a home bucket, to prefetch.
    pub(super) fn bucket_address(&self, tag: u16) -> *const u8 {
        self.buckets[home(tag)].as_ptr().cast()
    }

    /// The address of the bucket that a home bucket's keys overflow to first.
    pub(super) fn neighbour_address(&self, tag: u16) -> *const u8 {
        self.buckets[neighbour(home(tag))].as_ptr().cast()
    }
    /// The entries of these hash bits outside of the stash: a key of them is most likely one of those.
    pub(super) fn likely(&self, tag: u16) -> impl Iterator<Item = &Entry> {
        let home = home(tag);
        [home, neighbour(home)]
            .into_iter()
            .flat_map(|bucket| self.buckets[bucket].iter().flatten())
            .filter(move |entry| entry.tag() == tag)
    }

    /// Where `key` lies in this segment.
    #[inline]
    pub(super) fn find(&self, tag: u16, key: &[u8]) -> Option<(usize, usize)> {
        let home = home(tag);
        for bucket in [home, neighbour(home)] {
            if let Some(slot) = self.probe(bucket, tag, key) {
                return Some((bucket, slot));
            }
        }
        if self.marks >> home & 1 == 0 {
            return None;
        }
        (HOMES..BUCKETS).find_map(|b| self.probe(b, tag, key).map(|slot| (b, slot)))
    }
    #[inline]
    fn probe(&self, bucket: usize, tag: u16, key: &[u8]) -> Option<usize> {
        for (i, slot) in self.buckets[bucket].iter().enumerate() {
            if let Some(entry) = slot
                && entry.tag() == tag
                && entry.key() == key
            {
                return Some(i);
            }
        }
        None
    }

    /// Stores an entry whose key is not there; gives it back when there is no room for it.
    pub(super) fn insert(&mut self, entry: Entry) -> Result<(usize, usize), Entry> {
        let home = home(entry.tag());
        let next = neighbour(home);
        let (home_free, home_slot) = free_slot(&self.buckets[home]);
        let (next_free, next_slot) = free_slot(&self.buckets[next]);
        let place = if home_free == 0 && next_free == 0 {
            let Some(place) = (HOMES..BUCKETS).find_map(|b| {
                let (free, slot) = free_slot(&self.buckets[b]);
                (free > 0).then_some((b, slot))
            }) else {
                return Err(entry);
            };
            place
        } else if home_free >= next_free {
            (home, home_slot)
        } else {
            (next, next_slot)
        };
        self.put(place, entry);
        Ok(place)
    }
    /// Stores an entry in a free slot in which it may lie.
    pub(super) fn put(&mut self, (bucket, slot): (usize, usize), entry: Entry) {
        if bucket >= HOMES {
            self.marks |= 1 << home(entry.tag());
        }
        self.len += 1;
        if let Some(at) = entry.expire_at_ms() {
            self.expires += 1;
            self.expire_min_ms = self.expire_min_ms.min(at);
        }
        debug_assert!(self.buckets[bucket][slot].is_none());
        self.buckets[bucket][slot] = Some(entry);
    }
    /// Takes the entry of a slot out; it keeps its tag bits.
    pub(super) fn take(&mut self, bucket: usize, slot: usize) -> Option<Entry> {
        let entry = self.buckets.get_mut(bucket)?.get_mut(slot)?.take()?;
        self.len -= 1;
        if entry.expire_at_ms().is_some() {
            self.expires -= 1;
        }
        if self.expires == 0 {
            self.expire_min_ms = i64::MAX;
        }
        if bucket >= HOMES {
            let home_of_entry = home(entry.tag());
            let more = self.buckets[HOMES..]
                .iter()
                .flatten()
                .flatten()
                .any(|e| home(e.tag()) == home_of_entry);
            if !more {
                self.marks &= !(1 << home_of_entry);
            }
        }
        Some(entry)
    }

    /// The slots of which the home bucket is `home`, this segment of the chain only.
    pub(super) fn for_home(&self, at: usize, each: &mut dyn FnMut(&Entry)) {
        let stash = if self.marks >> at & 1 != 0 { HOMES..BUCKETS } else { 0..0 };
        for bucket in [at, neighbour(at)].into_iter().chain(stash) {
            let mine = self.buckets[bucket].iter().flatten().filter(|e| home(e.tag()) == at);
            mine.for_each(&mut *each);
        }
    }
    /// The same, to be changed.
    pub(super) fn for_home_mut(&mut self, at: usize, each: &mut dyn FnMut(&mut Entry)) {
        let stash = if self.marks >> at & 1 != 0 { HOMES..BUCKETS } else { 0..0 };
        for bucket in [at, neighbour(at)].into_iter().chain(stash) {
            let mine = self.buckets[bucket].iter_mut().flatten().filter(|e| home(e.tag()) == at);
            mine.for_each(&mut *each);
        }
    }
    /// All entries of this segment of the chain, with their places.
    pub(super) fn entries(&self) -> impl Iterator<Item = ((usize, usize), &Entry)> {
        self.buckets.iter().enumerate().flat_map(|(b, bucket)| {
            bucket.iter().enumerate().filter_map(move |(s, e)| Some(((b, s), e.as_ref()?)))
        })
    }
}
