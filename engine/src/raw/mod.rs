//! The only place of the engine with `unsafe`: entries and the key index, and the door to C.
//!
//! ```text
//! Table   directory by the top hash bits ──> Segment (4 KiB) ──> bucket of 8 slots ──> Entry: header, expiry?, key, value
//! slot    [ 16 hash bits | 48-bit address | snapshot bit ]     a slot IS an `Entry` with its tag bits set
//! ```
//!
//! Invariant: probing, choosing a bucket and scanning read slots only; a key is read when 16 hash bits agree, and in a split.
#![allow(unsafe_code, reason = "tagged thin pointers, segments shared by directory slots, C calls")]

mod class;
mod entry;
mod hash;
mod layout;
mod long_double;
mod segment;
mod split;
mod table;
#[cfg(test)]
mod tests;
mod thin;
mod walk;

pub use class::size_class;
pub use entry::Entry;
pub use hash::KeyHasher;
pub use long_double::LongDouble;
pub(crate) use long_double::strtod;
pub use table::{Place, Table};
pub use thin::Thin;
pub use walk::Drain;
