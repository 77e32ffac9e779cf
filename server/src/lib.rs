//! The server: engine, persistence and network tied together.
//!
//! ```text
//!   start ─> boot (files to keyspaces) ─> shard threads:  reactor ─> Shard::pass ─> flow (a request's path) ─> tx, snapshot
//! ```

pub mod acl;
mod archive;
pub mod ask;
pub mod blocked;
pub mod boot;
pub mod checks;
pub mod cmd;
pub mod config;
pub mod conn;
pub mod cron;
pub mod docs;
pub mod encryption;
pub mod failpoint;
pub mod flow;
pub mod keys;
pub mod limits;
pub mod listen;
pub mod log;
pub mod log_switch;
pub mod map;
pub mod measure;
pub mod memory;
pub mod migrate;
pub mod monitor;
pub mod msg;
pub mod observe;
pub mod offline;
pub mod pubsub;
pub mod reactor;
pub mod replication;
pub mod room;
pub mod rt;
pub mod script;
pub mod shard;
pub mod shared;
pub mod slab;
pub mod snapshot;
pub mod start;
pub mod stats;
pub mod table;
pub mod tracking;
pub mod tx;
pub mod users_file;

/// The version of Redis whose behaviour is offered, as clients look for it.
pub const REDIS_VERSION: &str = "7.0.15";
