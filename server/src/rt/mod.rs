//! The only door to glommio, io-uring and libc.
#![allow(
    unsafe_code,
    reason = "this folder is where system calls live; every block says why it is sound"
)]

pub mod allocator;
pub mod clock;
pub mod daemon;
pub mod exchange;
pub mod exec;
pub mod file;
pub mod limits;
pub mod localtime;
pub mod mesh;
pub mod oneshot;
pub mod priority;
pub mod ring;
pub mod signal;
pub mod socket;
pub mod ticks;
