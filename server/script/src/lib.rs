//! The Lua interpreter of scripts and functions: sandbox, libraries, and the conversion of values in both directions.
//!
//! ```text
//!   Interpreter::start(Job) ──> fiber: Lua runs ──> Step::Done
//!                                  │ redis.call, a tick of the clock ...
//!                                  └──> Step::Ask ──> whoever drives it ──> Interpreter::answer ──> Lua goes on
//! ```
//!
//! A script runs on a stack of its own and stops there wherever it asks for something, so that who drives it holds no borrow
//! meanwhile and may take its time.
//!
//! Invariant: this crate knows no server, network, disk or clock. A script reaches nothing but what it asks for, cannot change what
//! outlives it, and cannot bring the process down; whatever it does ends as a reply or as an error.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "values of Lua and errors of mlua: of all kinds there are, one or two matter at a time"
)]

mod api;
mod bit;
mod cjson;
mod cmsgpack;
mod convert;
mod functions;
mod interpreter;
mod machine;
mod number;
mod pack;
mod random;
mod raw;
mod sandbox;
pub mod shebang;
mod value;

pub use functions::FunctionRow;
pub use interpreter::{Answer, Ask, Code, Done, Interpreter, Job, Kind, Step, Words};
pub use shebang::ScriptFlags;

/// The SHA-1 of `bytes` in hexadecimal, by which scripts are named.
pub fn sha1_hex(bytes: &[u8]) -> String {
    use sha1::Digest;
    use std::fmt::Write;
    let mut hex = String::with_capacity(40);
    for byte in sha1::Sha1::digest(bytes) {
        // Writing to a string does not fail.
        let _infallible = write!(hex, "{byte:02x}");
    }
    hex
}
