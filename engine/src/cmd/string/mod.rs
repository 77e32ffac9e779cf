//! The string family.

use super::Command;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Db};
use crate::raw::Entry;
use crate::reply::Reply;
use crate::types::ValueRef;

pub mod append;
pub mod delifeq;
pub mod get;
pub mod getdel;
pub mod getex;
pub mod getrange;
pub mod getset;
pub mod incr;
pub mod incrbyfloat;
pub mod lcs;
pub mod mget;
pub mod mset;
pub mod msetex;
pub(in crate::cmd) mod options;
pub mod set;
pub mod setex;
pub mod setnx;
pub mod setrange;
pub mod strlen;

/// The family's commands.
pub const COMMANDS: &[&Command] = &[
    &set::SET,
    &setnx::SETNX,
    &setex::SETEX,
    &setex::PSETEX,
    &get::GET,
    &getset::GETSET,
    &getdel::GETDEL,
    &delifeq::DELIFEQ,
    &getex::GETEX,
    &append::APPEND,
    &strlen::STRLEN,
    &setrange::SETRANGE,
    &getrange::GETRANGE,
    &getrange::SUBSTR,
    &incr::INCR,
    &incr::DECR,
    &incr::INCRBY,
    &incr::DECRBY,
    &incrbyfloat::INCRBYFLOAT,
    &mget::MGET,
    &mset::MSET,
    &mset::MSETNX,
    &msetex::MSETEX,
    &lcs::LCS,
];

/// Answers with a string's content.
fn reply_str(reply: &mut dyn Reply, value: ValueRef<'_>) -> CmdResult {
    reply.bulk(value.str_bytes(&mut itoa::Buffer::new())?);
    Ok(())
}

/// Answers with the string at `key`, or null; an error when another type is there.
fn reply_get(db: &mut Db<'_>, reply: &mut dyn Reply, key: &[u8]) -> CmdResult {
    match db.get(key) {
        Some(entry) => reply_str(reply, entry.value()),
        None => {
            reply.null();
            Ok(())
        }
    }
}

/// Stores a string and records it as SET.
fn set_plain(db: &mut Db<'_>, key: &[u8], value: &[u8]) {
    db.set_str(key, value, None);
    db.effect(set::OPCODE, &[key, value]);
    db.notify(Classes::STRING, "set", key);
}

/// Stores a string that expires when what was there would have, and records it as SET.
fn set_keeping_ttl(db: &mut Db<'_>, key: &[u8], value: &[u8]) {
    let kept = db.peek(key).and_then(Entry::expire_at_ms);
    if kept.is_none() {
        return set_plain(db, key, value);
    }
    db.set_str(key, value, kept);
    db.effect(set::OPCODE, &[key, value, b"KEEPTTL"]);
    db.notify(Classes::STRING, "set", key);
}

/// True when exactly this string is at `key`; an error when another type is.
fn is_string(db: &mut Db<'_>, key: &[u8], wanted: &[u8]) -> Result<bool, Error> {
    match db.peek(key) {
        Some(entry) => Ok(entry.value().str_bytes(&mut itoa::Buffer::new())? == wanted),
        None => Ok(false),
    }
}

/// Stores a string that expires, and records it as SET with PXAT. One whose time has passed stays, as in Redis, until somebody
/// meets it: DBSIZE counts it, and clients that track keys are told when it goes.
fn set_expiring(db: &mut Db<'_>, key: &[u8], value: &[u8], at_ms: i64) {
    db.set_str(key, value, Some(at_ms));
    let mut digits = itoa::Buffer::new();
    db.effect(set::OPCODE, &[key, value, b"PXAT", digits.format(at_ms).as_bytes()]);
    db.notify(Classes::STRING, "set", key);
    db.notify(Classes::GENERIC, "expire", key);
}

/// An error when a string of `len + more` bytes would be longer than allowed.
fn check_len(db: &Db<'_>, len: usize, more: usize) -> CmdResult {
    let fits = len.checked_add(more).is_some_and(|total| total <= db.limits().string_len_max);
    if fits { Ok(()) } else { Err(Error::StringTooLong) }
}
