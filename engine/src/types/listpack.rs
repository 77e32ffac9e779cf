//! A listpack in Redis's exact byte layout, so that small collections go to and from RDB as they are.
//!
//! ```text
//! total_bytes:u32le  count:u16le (65535 = unknown)  ( encoding+data  backlen )*  0xFF
//!
//! 0xxxxxxx             integer 0..127                  10xxxxxx             string of 0..63 bytes
//! 110xxxxx +1          13-bit integer                  1110xxxx +1          string of up to 4095 bytes
//! F1 F2 F3 F4          16, 24, 32, 64-bit integer      F0 +4                string of up to 4 GiB
//! ```
//!
//! `backlen` is the length of encoding+data in groups of 7 bits, written so that it can be read backwards.
//!
//! Invariant: the bytes are well formed. Foreign bytes come in through [`Listpack::from_bytes`] only, which walks all of
//! them; everything else here relies on it.
//! Invariant: a [`Pos`] is the offset of an element. A change invalidates every position at or behind it.

#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the layout is validated once, and a listpack is at most 1 GiB"
)]

mod encoding;

use crate::num::parse_i64;
use encoding::{Encoded, backlen_len, check_entry, put_backlen};

const HEADER_LEN: usize = 6;
const END: u8 = 0xff;
const COUNT_UNKNOWN: usize = u16::MAX as usize;

/// The longest listpack that grows any further, in bytes.
pub const LEN_BYTES_MAX: usize = 1 << 30;

/// A listpack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listpack(Vec<u8>);

/// An element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Item<'a> {
    /// Stored as an integer.
    Int(i64),
    /// Stored as bytes.
    Str(&'a [u8]),
}

/// Where an element lies: its byte offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos(usize);

/// Why bytes are not a listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("broken listpack at byte {at}")]
pub struct BadListpack {
    /// Offset in the bytes that were given.
    pub at: usize,
}

impl<'a> Item<'a> {
    /// The item that `bytes` are stored as: an integer when they are one in canonical form.
    pub fn of(bytes: &'a [u8]) -> Item<'a> {
        parse_i64(bytes).map_or(Item::Str(bytes), Item::Int)
    }

    /// The element as text, an integer written out into `scratch`.
    pub fn bytes<'s>(self, scratch: &'s mut itoa::Buffer) -> &'s [u8]
    where
        'a: 's,
    {
        match self {
            Item::Int(n) => scratch.format(n).as_bytes(),
            Item::Str(bytes) => bytes,
        }
    }

    /// Appends the element as text.
    pub fn write_to(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes(&mut itoa::Buffer::new()));
    }

    /// The element as owned text.
    pub fn to_vec(self) -> Vec<u8> {
        self.bytes(&mut itoa::Buffer::new()).to_vec()
    }

    /// The element as an integer, if it is one in canonical form.
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Item::Int(n) => Some(n),
            Item::Str(bytes) => parse_i64(bytes),
        }
    }

    /// Length of the text, in bytes.
    pub fn text_len(self) -> usize {
        match self {
            Item::Int(n) => itoa::Buffer::new().format(n).len(),
            Item::Str(bytes) => bytes.len(),
        }
    }

    /// Bytes that the element takes in a listpack.
    pub fn encoded_len(self) -> usize {
        let len = Encoded::of(self).len();
        len + backlen_len(len)
    }
}

/// A needle with its integer form worked out once, for many comparisons.
#[derive(Clone, Copy, Debug)]
pub struct Needle<'a> {
    bytes: &'a [u8],
    int: Option<i64>,
}

impl<'a> Needle<'a> {
    /// The element to look for.
    pub fn new(bytes: &'a [u8]) -> Self {
        Needle { bytes, int: parse_i64(bytes) }
    }
    /// True when `item` is that element.
    pub fn matches(&self, item: Item<'_>) -> bool {
        match item {
            Item::Int(n) => self.int == Some(n),
            Item::Str(s) => s == self.bytes,
        }
    }
}

impl Default for Listpack {
    fn default() -> Self {
        Listpack::new()
    }
}

impl Listpack {
    /// An empty listpack.
    pub fn new() -> Self {
        Listpack::with_capacity(0)
    }

    /// An empty listpack with room for `bytes` of encoded elements.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut buf = Vec::with_capacity(HEADER_LEN + 1 + bytes);
        buf.extend_from_slice(&[HEADER_LEN as u8 + 1, 0, 0, 0, 0, 0, END]);
        Listpack(buf)
    }

    /// Takes bytes from a file or a client after checking all of them.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Listpack, BadListpack> {
        let end = bytes.len().wrapping_sub(1);
        if bytes.len() <= HEADER_LEN || bytes.len() > LEN_BYTES_MAX || bytes[end] != END {
            return Err(BadListpack { at: end.min(bytes.len()) });
        }
        let list = Listpack(bytes);
        if list.u32_at(0) != list.0.len() {
            return Err(BadListpack { at: 0 });
        }
        let (mut at, mut count) = (HEADER_LEN, 0);
        while at < end {
            at = check_entry(&list.0[..end], at).ok_or(BadListpack { at })?;
            count += 1;
        }
        let stored = list.stored_count();
        if stored != COUNT_UNKNOWN && stored != count {
            return Err(BadListpack { at: 4 });
        }
        Ok(list)
    }

    /// The bytes, as they go into an RDB file.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Number of elements; O(n) from 65535 on.
    pub fn len(&self) -> usize {
        match self.stored_count() {
            COUNT_UNKNOWN => self.positions().count(),
            count => count,
        }
    }

    /// True when there is no element.
    pub fn is_empty(&self) -> bool {
        self.0.len() == HEADER_LEN + 1
    }

    /// Length in bytes, header and end included.
    pub fn byte_len(&self) -> usize {
        self.0.len()
    }

    /// Bytes held on the heap.
    pub fn memory_bytes(&self) -> usize {
        self.0.capacity()
    }

    /// True when elements of `bytes` of text in all can still be added (as Redis's `lpSafeToAdd`).
    pub fn fits(&self, bytes: usize) -> bool {
        self.0.len().saturating_add(bytes) <= LEN_BYTES_MAX
    }

    /// Gives spare room back to the allocator.
    pub fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    // ---- reading

    /// The elements in order, from both ends.
    pub fn iter(&self) -> Iter<'_> {
        Iter { list: self, front: HEADER_LEN, back: self.end() }
    }

    /// The elements from `from` on; none: no elements.
    pub fn iter_from(&self, from: Option<Pos>) -> Iter<'_> {
        Iter { list: self, front: from.map_or(self.end(), |p| p.0), back: self.end() }
    }

    /// The elements up to and with `to`; none: no elements.
    pub fn iter_to(&self, to: Option<Pos>) -> Iter<'_> {
        let back = to.map_or(HEADER_LEN, |p| p.0 + self.entry_len(p.0));
        Iter { list: self, front: HEADER_LEN, back }
    }

    /// The positions of the elements in order.
    pub fn positions(&self) -> impl Iterator<Item = Pos> + '_ {
        std::iter::successors(self.first(), |pos| self.next(*pos))
    }

    /// The element at `pos`.
    pub fn get(&self, pos: Pos) -> Item<'_> {
        self.decode(pos.0).0
    }

    /// Position of the first element.
    pub fn first(&self) -> Option<Pos> {
        self.pos_at(HEADER_LEN)
    }

    /// Position of the last element.
    pub fn last(&self) -> Option<Pos> {
        self.prev(Pos(self.end()))
    }

    /// Position of the element behind `pos`.
    pub fn next(&self, pos: Pos) -> Option<Pos> {
        self.pos_at(pos.0 + self.entry_len(pos.0))
    }

    /// Position of the element before `pos`.
    pub fn prev(&self, pos: Pos) -> Option<Pos> {
        (pos.0 > HEADER_LEN).then(|| Pos(self.before(pos.0)))
    }

    /// Position of the element number `index`, negative: from the end. Walks from the nearer end.
    pub fn seek(&self, index: i64) -> Option<Pos> {
        let len = self.len() as i64;
        let index = if index < 0 { index + len } else { index };
        if index < 0 || index >= len {
            return None;
        }
        if index <= len / 2 {
            let mut pos = self.first()?;
            for _ in 0..index {
                pos = self.next(pos)?;
            }
            Some(pos)
        } else {
            let mut pos = self.last()?;
            for _ in index..len - 1 {
                pos = self.prev(pos)?;
            }
            Some(pos)
        }
    }

    /// Position of the first element that equals `bytes`, where `skip` elements are passed over after each one compared
    /// (1 looks at the keys of pairs).
    pub fn find(&self, bytes: &[u8], skip: usize) -> Option<Pos> {
        let needle = Needle::new(bytes);
        let mut pos = self.first()?;
        loop {
            if needle.matches(self.get(pos)) {
                return Some(pos);
            }
            for _ in 0..=skip {
                pos = self.next(pos)?;
            }
        }
    }

    // ---- changing

    /// Appends an element. Callers keep to [`Listpack::fits`].
    pub fn push_back(&mut self, bytes: &[u8]) {
        self.push_back_item(Item::of(bytes));
    }

    /// Appends an element.
    pub fn push_back_item(&mut self, item: Item<'_>) {
        let encoded = Encoded::of(item);
        let add = encoded.len() + backlen_len(encoded.len());
        self.reserve(add);
        self.0.pop();
        self.0.extend_from_slice(encoded.head());
        self.0.extend_from_slice(encoded.body);
        let mut tail = [0; 5];
        let tail_len = put_backlen(&mut tail, encoded.len());
        self.0.extend_from_slice(&tail[..tail_len]);
        self.0.push(END);
        self.changed(1, 0);
    }

    /// Puts an element first. Callers keep to [`Listpack::fits`].
    pub fn push_front(&mut self, bytes: &[u8]) {
        self.splice(HEADER_LEN, 0, Item::of(bytes));
        self.changed(1, 0);
    }

    /// Puts an element before the one at `pos`; its position.
    pub fn insert_before(&mut self, pos: Pos, bytes: &[u8]) -> Pos {
        self.insert_item_before(pos, Item::of(bytes))
    }

    /// Puts an element before the one at `pos`; its position.
    pub fn insert_item_before(&mut self, pos: Pos, item: Item<'_>) -> Pos {
        self.splice(pos.0, 0, item);
        self.changed(1, 0);
        pos
    }

    /// Puts an element behind the one at `pos`; its position.
    pub fn insert_after(&mut self, pos: Pos, bytes: &[u8]) -> Pos {
        self.insert_item_before(Pos(pos.0 + self.entry_len(pos.0)), Item::of(bytes))
    }

    /// Replaces the element at `pos`, which stays its position.
    pub fn replace(&mut self, pos: Pos, bytes: &[u8]) {
        self.replace_item(pos, Item::of(bytes));
    }

    /// Replaces the element at `pos`, which stays its position.
    pub fn replace_item(&mut self, pos: Pos, item: Item<'_>) {
        let old = self.entry_len(pos.0);
        self.splice(pos.0, old, item);
        self.changed(0, 0);
    }

    /// Removes the element at `pos`; the position of the one behind it.
    pub fn remove(&mut self, pos: Pos) -> Option<Pos> {
        self.remove_range(pos, 1)
    }

    /// Removes `n` elements (or as many as there are) from `pos` on; the position of the one behind them.
    pub fn remove_range(&mut self, pos: Pos, n: usize) -> Option<Pos> {
        let (mut to, mut removed) = (pos.0, 0);
        while removed < n && to < self.end() {
            to += self.entry_len(to);
            removed += 1;
        }
        self.0.copy_within(to.., pos.0);
        self.0.truncate(self.0.len() - (to - pos.0));
        if self.0.capacity() > 4 * self.0.len() + 256 {
            self.0.shrink_to(2 * self.0.len());
        }
        self.changed(0, removed);
        self.pos_at(pos.0)
    }

    /// Appends all elements of `other`.
    pub fn append(&mut self, other: &Listpack) {
        let counts = (self.stored_count(), other.stored_count());
        let added = &other.0[HEADER_LEN..];
        self.reserve(added.len());
        self.0.pop();
        self.0.extend_from_slice(added);
        if counts.1 == COUNT_UNKNOWN {
            self.set_count(COUNT_UNKNOWN);
        }
        self.changed(counts.1, 0);
    }

    /// Cuts the listpack in front of `pos`; the elements from there on.
    pub fn split_off(&mut self, pos: Pos) -> Listpack {
        let moved = self.0.len() - 1 - pos.0;
        let mut tail = Listpack::with_capacity(moved);
        tail.0.pop();
        tail.0.extend_from_slice(&self.0[pos.0..]);
        tail.set_count(COUNT_UNKNOWN);
        tail.changed(0, 0);
        let count = tail.len();
        tail.set_count(count);
        self.0.truncate(pos.0);
        self.0.push(END);
        self.changed(0, count);
        tail
    }

    // ---- layout

    fn end(&self) -> usize {
        self.0.len() - 1
    }

    fn pos_at(&self, at: usize) -> Option<Pos> {
        (at < self.end()).then_some(Pos(at))
    }

    fn u32_at(&self, at: usize) -> usize {
        let b = &self.0[at..at + 4];
        u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize
    }

    fn stored_count(&self) -> usize {
        usize::from(u16::from_le_bytes([self.0[4], self.0[5]]))
    }

    fn set_count(&mut self, count: usize) {
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        self.0[4..6].copy_from_slice(&count.to_le_bytes());
    }

    /// Rewrites the header after elements came and went. A count that is not known becomes known again once a removal
    /// may have brought it below 65535, as that needs a walk only then.
    fn changed(&mut self, added: usize, removed: usize) {
        let total = self.0.len() as u32;
        self.0[..4].copy_from_slice(&total.to_le_bytes());
        if added == removed {
            return;
        }
        let count = match self.stored_count() {
            COUNT_UNKNOWN if removed > 0 && self.0.len() < COUNT_UNKNOWN * 2 + HEADER_LEN + 1 => {
                self.positions().count()
            }
            COUNT_UNKNOWN => COUNT_UNKNOWN,
            count => count + added - removed,
        };
        self.set_count(count);
    }

    /// Makes room for `add` bytes: a quarter more than needed, as these buffers are many and mostly small.
    fn reserve(&mut self, add: usize) {
        let need = self.0.len() + add;
        assert!(need <= u32::MAX as usize, "a listpack outgrew its header");
        if need > self.0.capacity() {
            let spare = (need / 4).min(4096);
            self.0.reserve_exact(add + spare);
        }
    }

    /// Replaces `old` bytes at `at` by an element.
    fn splice(&mut self, at: usize, old: usize, item: Item<'_>) {
        let encoded = Encoded::of(item);
        let new = encoded.len() + backlen_len(encoded.len());
        let before = self.0.len();
        if new > old {
            self.reserve(new - old);
            self.0.resize(before + new - old, 0);
        }
        self.0.copy_within(at + old..before, at + new);
        self.0.truncate(before + new - old);
        let (head, body) = (encoded.head(), encoded.body);
        let out = &mut self.0[at..at + new];
        out[..head.len()].copy_from_slice(head);
        out[head.len()..encoded.len()].copy_from_slice(body);
        put_backlen(&mut out[encoded.len()..], encoded.len());
    }

    /// Length of the element at `at`, its backlen included.
    fn entry_len(&self, at: usize) -> usize {
        let len = match self.0[at] {
            0x00..=0x7f => 1,
            b @ 0x80..=0xbf => 1 + usize::from(b & 0x3f),
            0xc0..=0xdf => 2,
            b @ 0xe0..=0xef => 2 + (usize::from(b & 0x0f) << 8 | usize::from(self.0[at + 1])),
            0xf0 => 5 + self.u32_at(at + 1),
            0xf1 => 3,
            0xf2 => 4,
            0xf3 => 5,
            _ => 9,
        };
        len + backlen_len(len)
    }

    /// The element at `at` and its length, backlen included.
    fn decode(&self, at: usize) -> (Item<'_>, usize) {
        let b = &self.0[at..];
        let (item, len) = match b[0] {
            n @ 0x00..=0x7f => (Item::Int(i64::from(n)), 1),
            n @ 0x80..=0xbf => {
                let len = 1 + usize::from(n & 0x3f);
                return (Item::Str(&b[1..len]), len + 1);
            }
            n @ 0xc0..=0xdf => {
                let raw = u16::from(n & 0x1f) << 8 | u16::from(b[1]);
                (Item::Int(i64::from((raw << 3).cast_signed() >> 3)), 2)
            }
            n @ 0xe0..=0xef => {
                let len = usize::from(n & 0x0f) << 8 | usize::from(b[1]);
                (Item::Str(&b[2..2 + len]), 2 + len)
            }
            0xf0 => {
                let len = self.u32_at(at + 1);
                (Item::Str(&b[5..5 + len]), 5 + len)
            }
            0xf1 => (Item::Int(i64::from(i16::from_le_bytes([b[1], b[2]]))), 3),
            0xf2 => (Item::Int(i64::from(i32::from_le_bytes([0, b[1], b[2], b[3]]) >> 8)), 4),
            0xf3 => (Item::Int(i64::from(i32::from_le_bytes([b[1], b[2], b[3], b[4]]))), 5),
            _ => {
                let n = [b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8]];
                (Item::Int(i64::from_le_bytes(n)), 9)
            }
        };
        (item, len + backlen_len(len))
    }

    /// Where the element that ends in front of `at` begins.
    fn before(&self, at: usize) -> usize {
        let (mut len, mut shift, mut i) = (0usize, 0, at - 1);
        loop {
            len |= usize::from(self.0[i] & 0x7f) << shift;
            if self.0[i] & 0x80 == 0 {
                return i - len;
            }
            (shift, i) = (shift + 7, i - 1);
        }
    }
}

/// Double-ended iterator over elements.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    list: &'a Listpack,
    front: usize,
    back: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;
    fn next(&mut self) -> Option<Item<'a>> {
        if self.front >= self.back {
            return None;
        }
        let (item, len) = self.list.decode(self.front);
        self.front += len;
        Some(item)
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.front >= self.back {
            return None;
        }
        self.back = self.list.before(self.back);
        Some(self.list.decode(self.back).0)
    }
}

#[cfg(test)]
mod tests;
