//! Bytes that survive: the log, its recovery, and the disk they stand on.
//!
//! ```text
//!   server ──push──> log::LogWriter ──WriteRequest──> the server's own ring ──write_done──> watermarks ──> replies leave
//!   start-up ──> log::recover ──> base snapshot + frames in GSN order ──> the engine
//! ```
//!
//! Invariant: this crate knows no command, socket or async runtime. State machines are driven by their caller; sequences
//! are plain `async fn` over a [`disk::Disk`], so that a simulator can stand in for the kernel.

pub mod archive;
pub mod crypt;
pub mod disk;
mod hex;
pub mod import;
pub mod install;
pub mod log;
pub mod rdb;
