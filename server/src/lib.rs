//! The server: engine, persistence and network tied together.

pub mod checks;
pub mod config;
pub mod log;

/// The only door to glommio, io-uring and libc.
pub mod rt {
    pub mod limits;
    pub mod localtime;
}
