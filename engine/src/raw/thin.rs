//! A byte string in one allocation behind a thin pointer, for tables that hold millions of them.
//!
//! ```text
//! len <= 253:  len:u8 bytes        below 4 GiB:  254 len:u32 bytes        else:  255 len:u64 bytes
//! ```
//!
//! Invariant: the allocation's size follows from its head alone.
#![allow(unsafe_code, reason = "the length lies in the allocation, where no safe type can put it")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::NonNull;

/// An immutable byte string of 8 bytes plus one allocation.
pub struct Thin(NonNull<u8>);

// SAFETY: the allocation is owned by this value alone and never changes.
unsafe impl Send for Thin {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Thin {}

impl Thin {
    /// A copy of `parts`, one after the other.
    pub fn concat(parts: &[&[u8]]) -> Thin {
        let len: usize = parts.iter().map(|p| p.len()).sum();
        let mut head = [0; 9];
        let head = head_of(len, &mut head);
        let layout = layout(head.len() + len);
        // SAFETY: the size is at least that of the head, so not 0.
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        let mut at = start;
        for part in std::iter::once(&head).chain(parts) {
            // SAFETY: head and parts add up to the size allocated, and a new allocation overlaps with nothing.
            unsafe { at.as_ptr().copy_from_nonoverlapping(part.as_ptr(), part.len()) };
            // SAFETY: `at` moves over what was just written, at most to the allocation's end.
            at = unsafe { at.add(part.len()) };
        }
        Thin(start)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        let (head, len) = self.head();
        // SAFETY: the allocation has `head + len` bytes.
        let start = unsafe { self.0.as_ptr().add(head) };
        // SAFETY: all `len` bytes behind the head were written, and they live as long as `self`.
        unsafe { std::slice::from_raw_parts(start, len) }
    }

    /// Bytes asked of the allocator.
    pub fn alloc_bytes(&self) -> usize {
        let (head, len) = self.head();
        head + len
    }

    /// Length of the head and of the bytes behind it.
    fn head(&self) -> (usize, usize) {
        let at = self.0.as_ptr();
        // SAFETY: every allocation has at least one byte, which was written.
        let first = unsafe { at.read() };
        match first {
            254 => {
                // SAFETY: a first byte of 254 says that 4 more were written.
                let len = unsafe { at.add(1).cast::<[u8; 4]>().read() };
                (5, u32::from_le_bytes(len) as usize)
            }
            255 => {
                // SAFETY: a first byte of 255 says that 8 more were written.
                let len = unsafe { at.add(1).cast::<[u8; 8]>().read() };
                (9, usize::from_le_bytes(len))
            }
            len => (1, usize::from(len)),
        }
    }
}

fn head_of(len: usize, head: &mut [u8; 9]) -> &[u8] {
    match (u8::try_from(len), u32::try_from(len)) {
        (Ok(short @ ..=253), _) => {
            head[0] = short;
            &head[..1]
        }
        (_, Ok(long)) => {
            head[0] = 254;
            head[1..5].copy_from_slice(&long.to_le_bytes());
            &head[..5]
        }
        _ => {
            head[0] = 255;
            head[1..].copy_from_slice(&len.to_le_bytes());
            head
        }
    }
}

fn layout(size: usize) -> Layout {
    match Layout::array::<u8>(size) {
        Ok(layout) => layout,
        Err(_) => handle_alloc_error(Layout::new::<u8>()),
    }
}

impl Drop for Thin {
    fn drop(&mut self) {
        let layout = layout(self.alloc_bytes());
        // SAFETY: allocated in `concat` with this very layout, and freed only here.
        unsafe { dealloc(self.0.as_ptr(), layout) }
    }
}

impl Clone for Thin {
    fn clone(&self) -> Self {
        Thin::concat(&[self.bytes()])
    }
}

impl fmt::Debug for Thin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_every_head_come_back() {
        for len in [0, 1, 253, 254, 255, 70_000] {
            let bytes = vec![7; len];
            let thin = Thin::concat(&[&bytes[..len / 2], &bytes[len / 2..]]);
            assert_eq!(thin.bytes(), bytes);
            assert_eq!(thin.clone().bytes(), bytes);
            assert_eq!(thin.alloc_bytes(), len + if len < 254 { 1 } else { 5 });
        }
    }
}
