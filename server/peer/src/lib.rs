//! Which shard, and later which node, owns a key; and how replicas follow a primary.
//!
//! Invariant: pure state machines and tables; no I/O, no clock, no other crate of the workspace.

pub mod replication;
pub mod slot;

pub use slot::{SLOTS, SlotMap, key_slot};
