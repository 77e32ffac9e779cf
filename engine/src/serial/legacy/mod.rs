//! Layouts that Redis wrote before version 7 and that are only read any more.
//!
//! Invariant: a decoder checks every offset against its input, and its elements point into that input.

mod ziplist;
mod zipmap;

pub use ziplist::elements as ziplist;
pub use zipmap::{Pair, pairs as zipmap};

/// Why a layout cannot be read: the byte at which it contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Offset in the layout.
    pub at: usize,
}
