//! The server: engine, persistence and network tied together.

pub mod config;
