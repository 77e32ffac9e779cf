//! The primary's side of replication: one stream of commands, replicas that follow it, and what is kept of it for those that
//! come back.
//!
//! ```text
//!   shards ── chunks, numbered ──> Merge ── in order ──> Stream ── fresh bytes ──> replicas
//!                                                          └────> Backlog ── PSYNC ──> who comes back
//! ```

mod backlog;
mod chunk;
mod merge;
mod source;

pub use backlog::Backlog;
pub use chunk::{Chunk, write_command};
pub use merge::Merge;
pub use source::{Counters, Negotiated, Replica, Source, Stage};
