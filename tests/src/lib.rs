//! What the suites share: a server to start and stop, a tiny client, the crash loop with its oracle, random commands, the
//! simulator.
//!
//! ```text
//!   tests/tests/*.rs ──> server (a real process)  ──> resp (bytes over TCP)
//!   tests/tests/programs ──> programs (Python, Node.js) ──> server
//!   xtask crash      ──> crash (faults, clients, judges) ──> server, resp, power (FUSE)
//!   xtask power      ──> power::{record, check}   ──> server, resp
//!   xtask corrupt    ──> corrupt                 ──> server; persist's recovery and loader, in this process
//!   xtask pitr       ──> pitr                    ──> server, resp
//!   xtask race       ──> server, resp
//!   xtask differ     ──> differ                  ──> generate, server, resp
//!   fuzz targets     ──> generate (commands)
//! ```
//!
//! Invariant: nobody but xtask and the fuzz targets, leaves themselves, imports this crate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test harness fails by panicking, and tells what it does"
)]

pub mod corrupt;
pub mod crash;
pub mod differ;
pub mod generate;
pub mod pitr;
pub mod power;
pub mod programs;
pub mod resp;
pub mod script;
pub mod server;
pub mod sim;
