//! Writing one RDB file by all shards at once. Pure: whoever drives it does the I/O.
//!
//! ```text
//! coordinator   header_block ──> write at 0;  offsets = AtomicU64::new(header.len)
//! each shard    loop { take block; seal_block; offset = offsets.fetch_add(len); write there; keep the BlockEntry }
//! coordinator   tail(header, all BlockEntries) ──> write at offsets; fdatasync; rename; fsync the directory
//! ```
//!
//! Invariant: every length written is a multiple of [`ALIGN_BYTES`](super::opcode::ALIGN_BYTES), so all I/O may be
//! direct; aligning memory is the driver's business.

mod block;
mod header;
mod tail;

pub use block::{BlockWriter, pad};
pub use header::{DbSize, Header, HeaderBlock};
pub use tail::{TailError, tail};
