//! The key index of one database: an extendible directory of segments.
//!
//! The directory is indexed by the top bits of the hash, so a segment of fewer bits fills an aligned run of directory slots. Growth splits
//! one segment; the directory doubles when a segment has as many bits as it has. Segments are not merged again when keys go: a
//! database that shrank keeps its index (11 bytes for each key that it once held) until FLUSHDB swaps the table.
//!
//! Invariant: every directory slot points to a live segment, the same for its whole run; the table owns them.
//! Invariant: between snapshots the mark of every entry equals `parity`.

use std::ptr::NonNull;

use super::entry::Entry;
use super::hash::KeyHasher;
use super::segment::Segment;

/// Directory bits; also the bits of a hash prefix in cursors.
pub(super) const PREFIX_BITS: u8 = 32;

/// Where an entry lies. Valid until the next insertion; a stale one gives another entry or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) index: u32,
    pub(super) chain: u32,
    pub(super) bucket: u8,
    pub(super) slot: u8,
}

/// An index of entries by key.
#[derive(Default)]
pub struct Table {
    pub(super) directory: Vec<NonNull<Segment>>,
    pub(super) depth: u8,
    pub(super) segments: usize,
    pub(super) len: usize,
    pub(super) expires: usize,
    /// Sum of the times at which entries expire, in ms since 1970.
    expire_sum_ms: i128,
    parity: bool,
}

// SAFETY: the table owns its segments and their entries alone, and entries are `Send`.
unsafe impl Send for Table {}

#[inline]
pub(super) fn tag_of(hash: u64) -> u16 {
    #[expect(clippy::cast_possible_truncation, reason = "the lowest 16 bits are meant")]
    let tag = hash as u16;
    tag
}

#[inline]
pub(super) fn prefix_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

impl Table {
    /// An empty table; nothing is allocated before the first insertion.
    pub fn new() -> Table {
        Table::default()
    }
    /// An empty table to take this one's place.
    pub fn successor(&self) -> Table {
        let mut table = Table::default();
        table.parity = self.parity;
        table
    }
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.len
    }
    /// True when there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Sum of the times at which entries expire, in ms since 1970.
    pub fn expire_sum_ms(&self) -> i128 {
        self.expire_sum_ms
    }
    /// Counts an entry's expiry, if it has one.
    fn count_expiry(&mut self, at_ms: Option<i64>) {
        if let Some(at_ms) = at_ms {
            self.expires += 1;
            self.expire_sum_ms += i128::from(at_ms);
        }
    }
    /// Takes it out of the count.
    fn uncount_expiry(&mut self, at_ms: Option<i64>) {
        if let Some(at_ms) = at_ms {
            self.expires -= 1;
            self.expire_sum_ms -= i128::from(at_ms);
        }
    }
    /// Number of entries that have an expiry.
    pub fn expires_len(&self) -> usize {
        self.expires
    }
    /// Bytes of the index itself.
    pub fn memory_bytes(&self) -> usize {
        self.segments * size_of::<Segment>() + self.directory.capacity() * size_of::<usize>()
    }

    // ---- lookup

    #[inline]
    pub(super) fn index_of(&self, prefix: u32) -> usize {
        ((u64::from(prefix) << self.depth) >> PREFIX_BITS) as usize
    }
    #[inline]
    pub(super) fn segment(&self, index: usize) -> Option<&Segment> {
        let at = self.directory.get(index)?;
        // SAFETY: directory slots point to live segments (table invariant), which change through `&mut self` only.
        Some(unsafe { at.as_ref() })
    }
    #[inline]
    pub(super) fn segment_mut(&mut self, index: usize) -> Option<&mut Segment> {
        let at = self.directory.get_mut(index)?;
        // SAFETY: as in `segment`; `&mut self` is borrowed as long as the segment.
        Some(unsafe { at.as_mut() })
    }
    /// The place of `key`, whose hash is `hash`.
    #[inline]
    pub fn locate(&self, hash: u64, key: &[u8]) -> Option<Place> {
        let index = self.index_of(prefix_of(hash));
        let tag = tag_of(hash);
        let mut segment = self.segment(index)?;
        let mut chain = 0;
        loop {
            if let Some(found) = segment.find(tag, key) {
                return Some(place(index, chain, found));
            }
            segment = segment.next.as_deref()?;
            chain += 1;
        }
    }
    /// The entry at a place.
    #[inline]
    pub fn at(&self, place: Place) -> Option<&Entry> {
        let mut segment = self.segment(place.index as usize)?;
        for _ in 0..place.chain {
            segment = segment.next.as_deref()?;
        }
        segment.slot(place.bucket.into(), place.slot.into())
    }
    /// The entry at a place, to be changed.
    #[inline]
    pub fn at_mut(&mut self, place: Place) -> Option<&mut Entry> {
        self.link_mut(place)?.slot_mut(place.bucket.into(), place.slot.into())
    }
    #[inline]
    fn link_mut(&mut self, place: Place) -> Option<&mut Segment> {
        let mut segment = self.segment_mut(place.index as usize)?;
        for _ in 0..place.chain {
            segment = segment.next.as_deref_mut()?;
        }
        Some(segment)
    }
    /// The entry of `key`.
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        self.at(self.locate(hash, key)?)
    }
    /// Asks for the cache lines in which a key of this hash would lie. Worth it when several lookups follow one another.
    pub fn prefetch(&self, hash: u64) {
        if let Some(segment) = self.segment(self.index_of(prefix_of(hash))) {
            prefetch(segment.bucket_address(tag_of(hash)));
            prefetch(segment.neighbour_address(tag_of(hash)));
        }
    }

    /// Asks for the entries that a key of this hash may be, worth it some time after [`Table::prefetch`] of the same
    /// hash and some time before the lookup.
    pub fn prefetch_entry(&self, hash: u64) {
        if let Some(segment) = self.segment(self.index_of(prefix_of(hash))) {
            let tag = tag_of(hash);
            for entry in segment.likely(tag) {
                let at = entry.address();
                // Key and small value lie in two lines mostly; a store into one that is not there holds all later stores up.
                prefetch(at);
                prefetch(at.wrapping_add(64));
            }
        }
    }

    // ---- change

    /// Stores an entry whose key is not there (`hash` is that key's). It is born saved, as far as a snapshot is concerned.
    pub fn insert(&mut self, hasher: &KeyHasher, hash: u64, mut entry: Entry) -> Place {
        entry.set_tag(tag_of(hash));
        entry.set_mark(self.parity);
        self.len += 1;
        self.count_expiry(entry.expire_at_ms());
        if self.directory.is_empty() {
            self.directory.push(NonNull::from(Box::leak(Segment::new(0))));
            self.segments = 1;
        }
        loop {
            let index = self.index_of(prefix_of(hash));
            match self.insert_in_chain(index, entry) {
                Ok(place) => return place,
                Err(back) => entry = back,
            }
            if !self.split(hasher, index) {
                self.lengthen(index);
            }
        }
    }
    fn insert_in_chain(&mut self, index: usize, mut entry: Entry) -> Result<Place, Entry> {
        let mut chain = 0;
        let mut next = self.segment_mut(index);
        while let Some(segment) = next {
            match segment.insert(entry) {
                Ok(found) => return Ok(place(index, chain, found)),
                Err(back) => entry = back,
            }
            next = segment.next.as_deref_mut();
            chain += 1;
        }
        Err(entry)
    }
    /// Appends an empty segment to a chain.
    fn lengthen(&mut self, index: usize) {
        let Some(mut segment) = self.segment_mut(index) else { return };
        let depth = segment.depth;
        while segment.next.is_some() {
            let Some(next) = segment.next.as_deref_mut() else { return };
            segment = next;
        }
        segment.next = Some(Segment::new(depth));
        self.segments += 1;
    }
    /// Takes an entry out. Other places stay valid.
    pub fn remove(&mut self, place: Place) -> Option<Entry> {
        let entry = self.link_mut(place)?.take(place.bucket.into(), place.slot.into())?;
        self.len -= 1;
        self.uncount_expiry(entry.expire_at_ms());
        Some(entry.without_tags())
    }
    /// Puts `entry` where another one of the same key is, and gives that one out. The new one counts as saved.
    pub fn replace(&mut self, place: Place, mut entry: Entry) -> Option<Entry> {
        let parity = self.parity;
        let tag = self.at(place)?.tag();
        let old = self.remove(place)?;
        entry.set_tag(tag);
        entry.set_mark(parity);
        self.len += 1;
        self.count_expiry(entry.expire_at_ms());
        self.link_mut(place)?.put((place.bucket.into(), place.slot.into()), entry);
        Some(old)
    }
    /// Sets or removes the expiry of the entry at a place.
    pub fn set_expire_at_ms(&mut self, place: Place, at: Option<i64>) {
        let Some(segment) = self.link_mut(place) else { return };
        let Some(entry) = segment.slot_mut(place.bucket.into(), place.slot.into()) else { return };
        let before = entry.expire_at_ms();
        entry.set_expire_at_ms(at);
        if let Some(at) = at {
            segment.expire_min_ms = segment.expire_min_ms.min(at);
        }
        match (before.is_some(), at.is_some()) {
            (false, true) => segment.expires += 1,
            (true, false) => segment.expires -= 1,
            _ => {}
        }
        self.uncount_expiry(before);
        self.count_expiry(at);
    }

    // ---- the snapshot bit

    /// Makes every entry count as not saved.
    pub fn flip(&mut self) {
        self.parity = !self.parity;
    }
    /// Whether the running snapshot has still to save this entry of the table.
    #[inline]
    pub fn is_unsaved(&self, entry: &Entry) -> bool {
        entry.mark() != self.parity
    }
    /// What entries are marked with when they are saved.
    pub(super) fn parity(&self) -> bool {
        self.parity
    }
    /// Marks the entry at a place as saved.
    pub fn set_saved(&mut self, place: Place) {
        let parity = self.parity;
        if let Some(entry) = self.at_mut(place) {
            entry.set_mark(parity);
        }
    }

    /// Frees the run of the last segment; it must be empty.
    pub(super) fn pop_segment(&mut self) {
        let Some(last) = self.directory.last().copied() else { return };
        // SAFETY: the whole run of this segment is at the end of the directory and goes away here, so it is freed once.
        let segment = unsafe { Box::from_raw(last.as_ptr()) };
        let run = 1usize << (self.depth - segment.depth);
        self.directory.truncate(self.directory.len().saturating_sub(run));
        let mut next = Some(segment);
        // One by one, as dropping a long chain would recurse.
        while let Some(mut segment) = next {
            next = segment.next.take();
            self.segments = self.segments.saturating_sub(1);
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        while !self.directory.is_empty() {
            self.pop_segment();
        }
    }
}

#[inline]
fn place(index: usize, chain: u32, (bucket, slot): (usize, usize)) -> Place {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most 32 directory bits, 63 buckets, 8 slots"
    )]
    Place { index: index as u32, chain, bucket: bucket as u8, slot: slot as u8 }
}

/// Asks for a cache line.
#[inline]
pub(super) fn prefetch(at: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch never faults, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}
