//! Access control: who may run which command on which keys and channels.
//!
//! ```text
//!   rules (`+get ~a:* >secret`) ─> User: flags, passwords, a root Selector and more of them
//!                                   Selector: commands (bits over the table), key patterns, channel patterns
//!   Users: all of them, immutable once shared: a change makes a new set, which every shard takes over
//! ```
//!
//! A command may run when one selector alone allows all of it: the command, every key, every channel.
//!
//! Invariant: nothing here reads a file, a clock or a socket, or knows a connection.

mod channels;
mod check;
mod commands;
mod describe;
mod log;
mod password;
mod rules;
mod selector;
mod source;
mod user;
mod users;

pub use check::{Denied, Reason};
pub use commands::{CommandSet, in_category};
pub use log::{AclLog, Context, Happening, LogEntry};
pub use rules::{RuleError, SetUserError};
pub use selector::{KeyPattern, Selector};
pub use source::{ConfiguredUser, FromConfig, from_config, from_file};
pub use user::{Sanitize, User};
pub use users::Users;

pub use crate::config::types::NewChannels;

#[cfg(test)]
mod tests;
