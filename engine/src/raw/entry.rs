//! One key with its value and expiry: one allocation behind one tagged pointer.
//!
//! An `Entry` is a word: 16 hash bits, a 48-bit address, the snapshot bit. The table's slots are entries, so that `&mut Entry`
//! points into the index, and an entry that has to move to a larger block stays where it is known.
//! Invariant: the tag bits belong to the table; an entry outside of a table has none.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "strings are told from collections, whichever those are"
)]

use std::fmt;
use std::ptr::NonNull;

use super::class::size_class;
use super::layout::{
    ACCESS_SHIFT, Block, EXPIRES, INLINE_LEN_MAX, KIND_HEAP, KIND_INLINE, KIND_INT, KIND_MASK, RAW,
};
use crate::types::{Hash, List, Set, Stream, Value, ValueMut, ValueRef, ZSet, with_types};

const ADDRESS: usize = 0x0000_ffff_ffff_fff8;
const TAG_SHIFT: u32 = 48;
const SNAPSHOT_BIT: usize = 1;

/// A key with its value and optional expiry.
///
/// Do not overwrite one inside a database (`*entry = ...`): it would be lost to lookups. `Db::put` replaces.
#[repr(transparent)]
pub struct Entry {
    word: NonNull<u8>,
}

const _: () = {
    const fn sendable<T: Send>() {}
    sendable::<Value>();
};
// SAFETY: an entry owns its block and its value alone, and every kind of value is `Send` (checked above).
unsafe impl Send for Entry {}

impl Entry {
    /// An entry of any value.
    pub fn new(key: &[u8], value: Value, expire_at_ms: Option<i64>) -> Entry {
        Entry::build(key, value, expire_at_ms, 0)
    }
    /// An entry of a string; an integer in canonical form is kept as one.
    pub fn new_str(key: &[u8], bytes: &[u8], expire_at_ms: Option<i64>) -> Entry {
        Entry::build_str(key, bytes, expire_at_ms, 0)
    }
    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        let (at, len) = self.block().key();
        // SAFETY: the key lies in the block that this entry owns, and it is never written after it was made.
        unsafe { std::slice::from_raw_parts(at, len) }
    }
    /// When it expires, in ms since 1970.
    #[inline]
    pub fn expire_at_ms(&self) -> Option<i64> {
        self.block().expire_at_ms()
    }
    /// The same entry with another expiry, or none.
    #[must_use]
    pub fn with_expire_at_ms(mut self, at: Option<i64>) -> Entry {
        self.set_expire_at_ms(at);
        self
    }
    /// Sets or removes the expiry. Entries in a table change it through the table, which counts expiries.
    pub(super) fn set_expire_at_ms(&mut self, at: Option<i64>) {
        match (at, self.expire_at_ms()) {
            (Some(at), Some(_)) => self.block().write_expire_at_ms(at),
            (None, None) => {}
            _ => self.rebuild_with_expire(at),
        }
    }
    /// Name in OBJECT ENCODING. A short string that was changed in place is `raw`, as in Redis.
    pub fn encoding(&self) -> &'static str {
        let head = self.block().head();
        if head.kind() == KIND_INLINE && head.meta & RAW != 0 {
            return "raw";
        }
        self.value().encoding()
    }
    /// The 24 bits that the eviction policy keeps: seconds for LRU; minutes and a counter for LFU.
    #[inline]
    pub fn access(&self) -> u32 {
        self.block().head().meta >> ACCESS_SHIFT
    }
    /// Sets the 24 access bits.
    #[inline]
    pub fn set_access(&mut self, access: u32) {
        let meta = self.block().head().meta & ((1 << ACCESS_SHIFT) - 1);
        self.block().set_meta(meta | (access << ACCESS_SHIFT));
    }
    /// Replaces the value.
    pub fn set_value(&mut self, value: Value) {
        if let Value::Bytes(bytes) = &value
            && bytes.len() <= INLINE_LEN_MAX
        {
            return self.set_bytes(bytes);
        }
        if self.kind() == KIND_INLINE {
            let new = Entry::build(self.key(), value, self.expire_at_ms(), self.kept_meta());
            return self.become_block_of(new);
        }
        drop(self.take_value());
        self.write_word(value);
    }
    /// Replaces the value by a string; an integer in canonical form is kept as one.
    #[inline]
    pub fn set_str(&mut self, bytes: &[u8]) {
        match crate::num::parse_i64(bytes) {
            Some(n) => self.set_int(n),
            None => self.set_bytes(bytes),
        }
    }
    /// Replaces the value by an integer.
    pub fn set_int(&mut self, value: i64) {
        if self.kind() == KIND_INT {
            self.block().set_int(value);
        } else {
            self.set_value(Value::Int(value));
        }
    }
    /// Appends to a string (an integer is written out first); the new length in bytes. 0 when it is no string.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let Some(len) = self.str_len() else { return 0 };
        let new_len = len.saturating_add(bytes.len());
        self.reserve(new_len);
        if let Some(buf) = self.heap_mut() {
            buf.extend_from_slice(bytes);
        } else {
            self.block().write_inline(len, bytes);
            self.block().set_inline_len(new_len);
        }
        new_len
    }
    /// A string's bytes to be changed in place, grown with zeros to at least `len` bytes. Empty when it is no string.
    pub fn bytes_mut(&mut self, len: usize) -> &mut [u8] {
        let Some(old_len) = self.str_len() else { return &mut [] };
        self.reserve(len.max(old_len));
        if self.kind() == KIND_HEAP {
            let Some(buf) = self.heap_mut() else { return &mut [] };
            if buf.len() < len {
                buf.resize(len, 0);
            }
            return buf;
        }
        let block = self.block();
        if len > old_len {
            // SAFETY: `reserve` made the capacity at least `len`.
            unsafe { block.inline_at().add(old_len).write_bytes(0, len - old_len) }
            block.set_inline_len(len);
        }
        // SAFETY: the kind is inline; its bytes are written up to its length; `&mut self` keeps others away.
        unsafe { std::slice::from_raw_parts_mut(block.inline_at(), block.inline().0) }
    }
    /// Key, value and expiry, taken apart.
    pub fn into_parts(mut self) -> (Vec<u8>, Value, Option<i64>) {
        let (key, at) = (self.key().to_vec(), self.expire_at_ms());
        let value = self.take_value();
        (key, value, at)
    }
    /// Bytes held, the entry itself included.
    pub fn memory_bytes(&self) -> usize {
        let outside = match self.heap() {
            Some(buf) => size_class(buf.capacity()) + size_class(size_of::<Vec<u8>>()),
            None => self.value().memory_bytes(),
        };
        size_class(self.block().size()) + outside
    }

    // ---- the tag bits, for the table

    #[inline]
    pub(super) fn tag(&self) -> u16 {
        #[expect(clippy::cast_possible_truncation, reason = "the top 16 of 64 bits")]
        let tag = (self.word.as_ptr().addr() >> TAG_SHIFT) as u16;
        tag
    }
    #[inline]
    pub(super) fn set_tag(&mut self, tag: u16) {
        self.set_bits(usize::from(tag) << TAG_SHIFT | self.bits() & SNAPSHOT_BIT);
    }
    /// The snapshot bit.
    #[inline]
    pub(super) fn mark(&self) -> bool {
        self.bits() & SNAPSHOT_BIT != 0
    }
    #[inline]
    pub(super) fn set_mark(&mut self, mark: bool) {
        self.set_bits(self.bits() & !SNAPSHOT_BIT | usize::from(mark));
    }
    pub(super) fn without_tags(mut self) -> Entry {
        self.set_bits(0);
        self
    }
    /// The address of its block: to prefetch, and to know an entry by that does not change meanwhile.
    pub(crate) fn address(&self) -> *const u8 {
        self.block().0
    }

    #[inline]
    fn block(&self) -> Block {
        Block(self.word.as_ptr().map_addr(|a| a & ADDRESS))
    }
    #[inline]
    fn bits(&self) -> usize {
        self.word.as_ptr().addr() & !ADDRESS
    }
    #[inline]
    fn set_bits(&mut self, bits: usize) {
        self.set_word(self.block(), bits);
    }
    #[inline]
    fn set_word(&mut self, block: Block, bits: usize) {
        let word = block.0.map_addr(|a| a | bits);
        // SAFETY: a block's address is not null, and bits were only added.
        self.word = unsafe { NonNull::new_unchecked(word) };
    }
    fn of_block(block: Block) -> Entry {
        // SAFETY: `Block::new` gives no null.
        Entry { word: unsafe { NonNull::new_unchecked(block.0) } }
    }

    // ---- strings

    #[inline]
    fn kind(&self) -> u32 {
        self.block().head().kind()
    }
    fn set_kind(&mut self, kind: u32) {
        self.block().set_meta(self.block().head().meta & !(KIND_MASK | RAW) | kind);
    }
    /// Metadata that outlives the value.
    fn kept_meta(&self) -> u32 {
        self.block().head().meta & !(KIND_MASK | RAW | EXPIRES)
    }
    fn heap(&self) -> Option<&Vec<u8>> {
        if self.kind() != KIND_HEAP {
            return None;
        }
        // SAFETY: the kind says that the word is a `Box<Vec<u8>>` which this entry owns.
        Some(unsafe { &*self.block().pointer::<Vec<u8>>() })
    }
    fn heap_mut(&mut self) -> Option<&mut Vec<u8>> {
        if self.kind() != KIND_HEAP {
            return None;
        }
        // SAFETY: the kind says that the word is a `Box<Vec<u8>>` which this entry owns.
        Some(unsafe { &mut *self.block().pointer::<Vec<u8>>() })
    }
    fn str_len(&self) -> Option<usize> {
        match self.value() {
            ValueRef::Int(n) => Some(itoa::Buffer::new().format(n).len()),
            ValueRef::Bytes(bytes) => Some(bytes.len()),
            ValueRef::List(_)
            | ValueRef::Set(_)
            | ValueRef::Hash(_)
            | ValueRef::ZSet(_)
            | ValueRef::Stream(_) => None,
        }
    }
    /// Makes a string of bytes that may grow to `len` without another block, and marks it as changed in place.
    fn reserve(&mut self, len: usize) {
        let fits = self.kind() == KIND_HEAP
            || (self.kind() == KIND_INLINE && len <= self.block().inline().1);
        if !fits {
            let mut scratch = itoa::Buffer::new();
            let value = self.value();
            let bytes = value.str_bytes(&mut scratch).unwrap_or_default();
            let wanted = len.max(bytes.len());
            // Half as much again, so that a string built by appending costs amortised O(1) a byte.
            let roomy = wanted.saturating_add(wanted / 2);
            let (at, meta) = (self.expire_at_ms(), self.kept_meta());
            let new = if wanted <= INLINE_LEN_MAX {
                Entry::inline_of(self.key(), bytes, at, meta, roomy.min(INLINE_LEN_MAX))
            } else {
                let mut buf = Vec::with_capacity(roomy);
                buf.extend_from_slice(bytes);
                Entry::word_of(self.key(), Value::Bytes(buf), at, meta)
            };
            self.become_block_of(new);
        }
        self.block().set_meta(self.block().head().meta | RAW);
    }
    #[inline]
    fn set_bytes(&mut self, bytes: &[u8]) {
        if self.kind() == KIND_INLINE {
            let block = self.block();
            let (_, capacity) = block.inline();
            // A block of more than twice the need is given back.
            if bytes.len() <= capacity && capacity <= 64 + 2 * bytes.len() {
                block.write_inline(0, bytes);
                block.set_inline_len(bytes.len());
                block.set_meta(block.head().meta & !RAW);
                return;
            }
        }
        let new = Entry::bytes_of(self.key(), bytes, self.expire_at_ms(), self.kept_meta());
        self.become_block_of(new);
    }

    // ---- making and moving blocks

    fn build_str(key: &[u8], bytes: &[u8], at: Option<i64>, meta: u32) -> Entry {
        match crate::num::parse_i64(bytes) {
            Some(n) => Entry::build(key, Value::Int(n), at, meta),
            None => Entry::bytes_of(key, bytes, at, meta),
        }
    }
    fn build(key: &[u8], value: Value, at: Option<i64>, meta: u32) -> Entry {
        match value {
            Value::Bytes(buf) if buf.len() <= INLINE_LEN_MAX => {
                Entry::inline_of(key, &buf, at, meta, buf.len())
            }
            value => Entry::word_of(key, value, at, meta),
        }
    }
    /// An entry of any value but a short string.
    fn word_of(key: &[u8], value: Value, at: Option<i64>, meta: u32) -> Entry {
        let mut entry = Entry::of_block(Block::new(key, at, meta | KIND_INT, None));
        entry.write_word(value);
        entry
    }
    fn bytes_of(key: &[u8], bytes: &[u8], at: Option<i64>, meta: u32) -> Entry {
        if bytes.len() <= INLINE_LEN_MAX {
            Entry::inline_of(key, bytes, at, meta, bytes.len())
        } else {
            Entry::word_of(key, Value::Bytes(bytes.to_vec()), at, meta)
        }
    }
    fn inline_of(key: &[u8], bytes: &[u8], at: Option<i64>, meta: u32, capacity: usize) -> Entry {
        let block = Block::new(key, at, meta | KIND_INLINE, Some(capacity.max(bytes.len())));
        block.write_inline(0, bytes);
        block.set_inline_len(bytes.len());
        Entry::of_block(block)
    }
    fn rebuild_with_expire(&mut self, at: Option<i64>) {
        let (kept, raw) = (self.kept_meta(), self.block().head().meta & RAW);
        let new = if self.kind() == KIND_INLINE {
            let ValueRef::Bytes(bytes) = self.value() else { return };
            Entry::inline_of(self.key(), bytes, at, kept | raw, bytes.len())
        } else {
            let value = self.take_value();
            Entry::word_of(self.key(), value, at, kept)
        };
        self.become_block_of(new);
    }
    /// Takes over another entry's block, keeping the own tag bits; the former block and value are dropped.
    fn become_block_of(&mut self, other: Entry) {
        let (mine, bits) = (self.block(), self.bits());
        self.set_word(other.block(), bits);
        let mut other = other;
        other.set_word(mine, 0);
    }
}

impl Drop for Entry {
    #[inline]
    fn drop(&mut self) {
        if self.kind() > KIND_INLINE {
            drop(self.take_value());
        }
        // SAFETY: the entry owned the block, and is gone.
        unsafe { self.block().free() }
    }
}

impl Clone for Entry {
    fn clone(&self) -> Entry {
        let raw = if self.kind() == KIND_INLINE { self.block().head().meta & RAW } else { 0 };
        let meta = self.kept_meta() | raw;
        match self.value() {
            ValueRef::Bytes(bytes) => Entry::bytes_of(self.key(), bytes, self.expire_at_ms(), meta),
            value => Entry::build(self.key(), value.to_value(), self.expire_at_ms(), meta),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key().escape_ascii().to_string())
            .field("value", &self.value())
            .field("expire_at_ms", &self.expire_at_ms())
            .finish()
    }
}

macro_rules! kinds {
    ($($variant:ident),* $(,)?) => {
        /// Kinds as the header has them; the first three are those of `layout`.
        #[repr(u32)]
        #[allow(dead_code, reason = "the first three hold the places of the string kinds")]
        enum Kind { Int, Inline, Heap, $($variant),* }
        const _: () = assert!(0 $(+ { let _ = Kind::$variant; 1 })* + 3 <= KIND_MASK as usize + 1);
        // The kinds of one word hold pointers from boxes.
        const _: () = assert!(Kind::Heap as u32 == KIND_HEAP);

        impl Entry {
            /// The value.
            #[inline]
            pub fn value(&self) -> ValueRef<'_> {
                let block = self.block();
                match block.head().kind() {
                    KIND_INT => ValueRef::Int(block.int()),
                    KIND_INLINE => {
                        // SAFETY: the kind is inline, so its bytes are written up to its length.
                        let bytes = unsafe {
                            std::slice::from_raw_parts(block.inline_at(), block.inline().0)
                        };
                        ValueRef::Bytes(bytes)
                    }
                    // SAFETY: the kind says that the word is a `Box<Vec<u8>>` which this entry owns.
                    KIND_HEAP => ValueRef::Bytes(unsafe { &*block.pointer::<Vec<u8>>() }),
                    $(kind if kind == Kind::$variant as u32 => {
                        // SAFETY: the kind says that the word is a box of this type, which this entry owns.
                        ValueRef::$variant(unsafe { &*block.pointer::<$variant>() })
                    })*
                    _ => unreachable!("kinds are written from `Kind` only"),
                }
            }
            /// The collection in it, to be changed.
            pub fn value_mut(&mut self) -> ValueMut<'_> {
                let block = self.block();
                match block.head().kind() {
                    $(kind if kind == Kind::$variant as u32 => {
                        // SAFETY: the kind says that the word is a box of this type; `&mut self` keeps others away.
                        ValueMut::$variant(unsafe { &mut *block.pointer::<$variant>() })
                    })*
                    _ => ValueMut::Str,
                }
            }
            /// Writes a value of one word, and its kind. The former value must have been taken; short strings are not for here.
            fn write_word(&mut self, value: Value) {
                let block = self.block();
                let kind = match value {
                    Value::Int(n) => {
                        block.set_int(n);
                        KIND_INT
                    }
                    Value::Bytes(buf) => {
                        block.set_pointer(Box::into_raw(Box::new(buf)));
                        KIND_HEAP
                    }
                    $(Value::$variant(object) => {
                        block.set_pointer(Box::into_raw(object));
                        Kind::$variant as u32
                    })*
                };
                self.set_kind(kind);
            }
            /// Takes the value out. One of a word leaves the integer 0 behind.
            fn take_value(&mut self) -> Value {
                let block = self.block();
                let value = match block.head().kind() {
                    KIND_INT => Value::Int(block.int()),
                    KIND_INLINE => return self.value().to_value(),
                    // SAFETY: the pointer came from a box of this type; the word is overwritten below.
                    KIND_HEAP => Value::Bytes(*unsafe { Box::from_raw(block.pointer::<Vec<u8>>()) }),
                    $(kind if kind == Kind::$variant as u32 => {
                        // SAFETY: the pointer came from a box of this type; the word is overwritten below.
                        Value::$variant(unsafe { Box::from_raw(block.pointer::<$variant>()) })
                    })*
                    _ => unreachable!("kinds are written from `Kind` only"),
                };
                block.set_int(0);
                self.set_kind(KIND_INT);
                value
            }
        }
    };
}
with_types!(kinds);
