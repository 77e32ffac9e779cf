//! One shard of Ringstone: its data and the commands that act on it.
//!
//! ```text
//!   Args ──> cmd::<family>::<name>::run(Ctx) ──> Reply      what the client sees
//!                      │        │
//!                 keyspace::Db  └──────────────> Effects    what the log stores
//!                      │
//!                raw::Table of raw::Entry
//! ```
//!
//! Invariant: this crate knows no network, disk, clock, thread, async runtime or wire format. Time and randomness are
//! arguments, replies go into a [`Reply`] sink, changes go into [`Effects`].

pub mod args;
pub mod cmd;
pub mod effect;
pub mod error;
pub mod geo;
pub mod glob;
pub mod hll;
pub mod keyspace;
pub mod notes;
pub mod num;
pub mod raw;
pub mod reply;
pub mod serial;
pub mod types;

pub use args::{ArgBuf, Args, Span};
pub use effect::Effects;
pub use error::{CmdResult, Error};
pub use keyspace::{Ctx, Db, Keyspace};
pub use reply::{Reply, Tree};
