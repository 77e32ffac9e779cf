//! How an entry's bytes lie, and the raw reads and writes of them.
//!
//! ```text
//! key_len:u32  meta:u32  [expire_at_ms:i64]  key  value
//!              meta = kind:4  expires:1  raw:1  -:2  access:24
//! value: Int     i64
//!        Inline  len:u16  capacity:u16  bytes             (up to INLINE_LEN_MAX)
//!        Heap    *mut Vec<u8>      collections  *mut T    (each from a Box)
//! ```
//!
//! Invariant: a block's size follows from its header (and `capacity` of an inline string) alone.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::class::size_class;

/// The longest string that lies in the entry itself, in bytes.
pub(super) const INLINE_LEN_MAX: usize = 1024;
/// Bytes before an inline string: its length and capacity.
const INLINE_HEAD: usize = 4;
const HEAD: usize = 8;
const WORD: usize = 8;
/// Blocks up to this size are filled up to their class.
const CLASS_FILL_MAX: usize = 4096;

pub(super) const KIND_MASK: u32 = 0xf;
pub(super) const EXPIRES: u32 = 0x10;
/// The string was changed in place: OBJECT ENCODING says `raw` however short it is.
pub(super) const RAW: u32 = 0x20;
pub(super) const ACCESS_SHIFT: u32 = 8;

/// Kinds of values; collections follow from 3 on, in the order of the rows of `types!`.
pub(super) const KIND_INT: u32 = 0;
pub(super) const KIND_INLINE: u32 = 1;
pub(super) const KIND_HEAP: u32 = 2;

/// An entry's header.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) key_len: u32,
    pub(super) meta: u32,
}

impl Head {
    /// Offset of the key.
    #[inline]
    pub(super) fn key_at(self) -> usize {
        HEAD + ((self.meta & EXPIRES) >> 1) as usize
    }
    /// Offset of the value.
    #[inline]
    pub(super) fn value_at(self) -> usize {
        self.key_at() + self.key_len as usize
    }
    #[inline]
    pub(super) fn kind(self) -> u32 {
        self.meta & KIND_MASK
    }
}

/// The address of an entry's block. Copying it copies no ownership.
#[derive(Clone, Copy)]
pub(super) struct Block(pub(super) *mut u8);

impl Block {
    /// A new block with header, expiry and key written; the value is the caller's to write. `inline` is the wanted
    /// capacity of an inline string, `None` for values of one word.
    pub(super) fn new(
        key: &[u8],
        expire_at_ms: Option<i64>,
        meta: u32,
        inline: Option<usize>,
    ) -> Block {
        // A key is a command's argument and those are limited far below 4 GiB.
        let key_len = u32::try_from(key.len()).unwrap_or(u32::MAX);
        let expires = if expire_at_ms.is_some() { EXPIRES } else { 0 };
        let head = Head { key_len, meta: (meta & !EXPIRES) | expires };
        let size = match inline {
            None => head.value_at() + WORD,
            Some(len) => {
                let size = head.value_at() + INLINE_HEAD + len;
                if size <= CLASS_FILL_MAX { size_class(size) } else { size }
            }
        };
        let layout = layout(size);
        // SAFETY: the size is at least HEAD + WORD or HEAD + INLINE_HEAD, never 0.
        let Some(at) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let block = Block(at.as_ptr());
        // SAFETY: the block is `size` bytes, which hold header, expiry when flagged, and key; it is aligned to 8.
        unsafe {
            block.0.cast::<Head>().write(head);
            if let Some(at) = expire_at_ms {
                block.0.add(HEAD).cast::<i64>().write(at);
            }
            block.0.add(head.key_at()).copy_from_nonoverlapping(key.as_ptr(), key_len as usize);
        }
        if inline.is_some() {
            let capacity = size - head.value_at() - INLINE_HEAD;
            block.set_inline(0, u16::try_from(capacity).unwrap_or(u16::MAX));
        }
        block
    }

    #[inline]
    pub(super) fn head(self) -> Head {
        // SAFETY: a block starts with its header, and is aligned to 8.
        unsafe { self.0.cast::<Head>().read() }
    }
    #[inline]
    pub(super) fn set_meta(self, meta: u32) {
        // SAFETY: a block starts with its header; whoever calls owns the entry mutably.
        unsafe { (&raw mut (*self.0.cast::<Head>()).meta).write(meta) }
    }
    #[inline]
    pub(super) fn expire_at_ms(self) -> Option<i64> {
        if self.head().meta & EXPIRES == 0 {
            return None;
        }
        // SAFETY: flagged, so the 8 bytes after the header are the expiry.
        Some(unsafe { self.0.add(HEAD).cast::<i64>().read() })
    }
    /// Overwrites the expiry that is there.
    pub(super) fn write_expire_at_ms(self, at: i64) {
        if self.head().meta & EXPIRES != 0 {
            // SAFETY: flagged, so the 8 bytes after the header are the expiry.
            unsafe { self.0.add(HEAD).cast::<i64>().write(at) }
        }
    }
    /// Address and length of the key.
    #[inline]
    pub(super) fn key(self) -> (*const u8, usize) {
        let head = self.head();
        // SAFETY: the key lies within the block.
        (unsafe { self.0.add(head.key_at()) }, head.key_len as usize)
    }

    /// The value of a one-word kind: an integer's bits.
    #[inline]
    pub(super) fn int(self) -> i64 {
        // SAFETY: callers checked that the kind is one word; it may lie unaligned behind the key.
        unsafe { self.0.add(self.head().value_at()).cast::<i64>().read_unaligned() }
    }
    pub(super) fn set_int(self, value: i64) {
        // SAFETY: as in `int`; the caller owns the entry mutably.
        unsafe { self.0.add(self.head().value_at()).cast::<i64>().write_unaligned(value) }
    }
    /// The value of a one-word kind: a pointer from a box.
    #[inline]
    pub(super) fn pointer<T>(self) -> *mut T {
        // SAFETY: as in `int`.
        unsafe { self.0.add(self.head().value_at()).cast::<*mut T>().read_unaligned() }
    }
    pub(super) fn set_pointer<T>(self, value: *mut T) {
        // SAFETY: as in `set_int`.
        unsafe { self.0.add(self.head().value_at()).cast::<*mut T>().write_unaligned(value) }
    }

    /// Length and capacity of the inline string.
    #[inline]
    pub(super) fn inline(self) -> (usize, usize) {
        // SAFETY: callers checked that the kind is inline.
        let [len, capacity] =
            unsafe { self.0.add(self.head().value_at()).cast::<[u16; 2]>().read_unaligned() };
        (usize::from(len), usize::from(capacity))
    }
    fn set_inline(self, len: u16, capacity: u16) {
        // SAFETY: the kind is inline; the caller owns the entry mutably.
        unsafe {
            self.0.add(self.head().value_at()).cast::<[u16; 2]>().write_unaligned([len, capacity]);
        }
    }
    /// Sets the inline string's length, up to its capacity; what lies beyond the old length must have been written.
    pub(super) fn set_inline_len(self, len: usize) {
        let (_, capacity) = self.inline();
        // Both fit: the capacity came from a `u16`.
        let len = u16::try_from(len.min(capacity)).unwrap_or(u16::MAX);
        self.set_inline(len, u16::try_from(capacity).unwrap_or(u16::MAX));
    }
    /// Address of the inline string.
    #[inline]
    pub(super) fn inline_at(self) -> *mut u8 {
        // SAFETY: the kind is inline, so that the bytes follow its head.
        unsafe { self.0.add(self.head().value_at() + INLINE_HEAD) }
    }
    /// Writes `bytes` at `offset` of the inline string, cut at its capacity.
    pub(super) fn write_inline(self, offset: usize, bytes: &[u8]) {
        let (_, capacity) = self.inline();
        let len = bytes.len().min(capacity.saturating_sub(offset));
        if len == 0 {
            return;
        }
        // SAFETY: `offset + len` is within the capacity; `bytes` is borrowed apart from this block, which is owned mutably.
        unsafe { self.inline_at().add(offset).copy_from_nonoverlapping(bytes.as_ptr(), len) }
    }

    /// Bytes of the block.
    pub(super) fn size(self) -> usize {
        let head = self.head();
        let value = if head.kind() == KIND_INLINE { INLINE_HEAD + self.inline().1 } else { WORD };
        head.value_at() + value
    }
    /// Gives the block back, without dropping what its value points to.
    ///
    /// # Safety
    /// Nobody uses the block afterwards.
    pub(super) unsafe fn free(self) {
        // SAFETY: the block came from `alloc` with this very size and alignment; the caller gives it up.
        unsafe { dealloc(self.0, layout(self.size())) }
    }
}

fn layout(size: usize) -> Layout {
    match Layout::from_size_align(size, align_of::<Head>().max(WORD)) {
        Ok(layout) => layout,
        // More than half of the address space.
        Err(_) => handle_alloc_error(Layout::new::<Head>()),
    }
}
