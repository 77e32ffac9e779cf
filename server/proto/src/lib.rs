//! Wire formats: bytes to frames and back.
//!
//! Invariant: this crate does no I/O, knows no other crate of the workspace, reads no clock. A decoder never panics on
//! any input and holds no more than a few words per connection; what it allocates is bounded by bytes received.

pub mod resp;
