//! Judges of what clients saw together. Pure: no server, no clock.

pub mod appends;
pub mod linear;
