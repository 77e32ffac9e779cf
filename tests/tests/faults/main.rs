//! What the server does when its disk, or its process, fails: at every step, and as section 5 of the design says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests"
)]

mod errors;
mod ring;
mod steps;
