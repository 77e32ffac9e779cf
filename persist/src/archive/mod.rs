//! The archive: compressed copies of the log and its bases, from which any instant can be restored.
//!
//! ```text
//!   segments ──> Collector ──frames of all shards in GSN order──> objects of a Store ──> Catalog ──> Plan ──> restore
//!   base ───────────┘             retention removes the oldest <──┘
//! ```
//!
//! An object holds frames `first..=last` of all shards, without a gap, or a base, or the fact that an epoch began. Its name says
//! so; listing names is all it takes to know which instants there are. The bytes are drawn in `docs/formats.md`.
//!
//! Invariant: only what was durable in the log gets here, and nothing here is changed, only added and removed.
//! Invariant: frames count up to where a later epoch begins. What a start gave up on the operator's word does not come back.
//! Invariant: what is restored is the effects of GSN 1..=G for one G, or nothing.

mod catalog;
mod collect;
mod error;
mod names;
mod object;
mod restore;
mod retention;
mod sealed;
mod store;
mod stream;

pub use catalog::{Catalog, History, Instants, Plan, Target};
pub use collect::{Collected, Collector, Lost};
pub use error::ArchiveError;
pub use names::{BaseName, EpochName, FramesName, ObjectName};
pub use object::{ObjectReader, ObjectWriter};
pub use restore::{RestoreOptions, Restored, restore};
pub use retention::{Retention, prune};
pub use sealed::SealedStore;
pub use store::{DirStore, Put, Store, Stored};

#[cfg(test)]
mod tests;
