//! The command table as a whole: its rows agree with themselves and with a real Redis, its examples run, and every change
//! leaves an effect that repeats it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code, of which clippy only knows the parts marked as tests"
)]

mod blocking;
mod collections;
mod effects;
mod errors;
mod examples;
mod harness;
mod reference;
mod rows;
