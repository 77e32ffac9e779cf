//! The RDB file: a standard Redis snapshot that all shards write, and load, in parallel.
//!
//! ```text
//!   shards ──blocks──> write::BlockWriter ──> file <── write::{Header, tail}        file ──> RdbFile ──spans──> N threads ──> Sink
//!                                                               (any Redis or Valkey file is loaded this way)
//! ```
//!
//! The layout is drawn in `docs/formats.md`.
//!
//! Invariant: a file that was written here is a valid RDB file of version 10 for Redis 7.0, without our index too.
//! Invariant: every byte that is loaded was part of the sum that the file's CRC-64 was compared with.

mod error;
mod file;
mod index;
mod load;
pub mod opcode;
mod scan;
pub mod write;

pub use error::{RdbError, RdbFault};
pub use file::{RdbFile, Span};
pub use index::{BlockEntry, Index};
pub use load::{Expired, LoadOptions, Loaded, Sink, Summary};
pub use scan::{Item, RawEntry, Scanner};
