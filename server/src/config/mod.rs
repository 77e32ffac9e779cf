//! Configuration: one table of parameters, and everything that follows from it.
//!
//! ```text
//!   ringstone.conf ─┐                                       ┌─> Config      plain fields, what shards read
//!   standard input ─┼─> file, cli ──> params (the table) ───┤
//!   command line   ─┘                        │              └─> ConfigStore CONFIG GET, SET, REWRITE
//!                                            └─> docs        docs/config.md, ringstone.conf
//! ```
//!
//! Invariant: a parameter is one row of [`params`]; nothing else names it. Every row is acted on by the server. What
//! Redis knows and Ringstone does not do stands in [`unsupported`] with a reason and is never silently accepted.
//! This folder names nothing of the server outside of itself, so that the fuzzer can take it alone.

pub mod cli;
pub mod docs;
pub mod error;
pub mod file;
pub mod kind;
pub mod params;
pub mod rewrite;
pub mod store;
pub mod types;
pub mod unsupported;

pub use cli::{Action, CommandLine};
pub use error::{ConfigError, Place, SetError, Warning};
pub use file::{Loaded, UserLine, load};
pub use params::{Config, PARAMS, Param, When};
pub use store::{Change, ConfigStore};
