//! The generic family: what does not care about a key's type.

use super::Command;
use crate::args::Args;
use crate::error::{Error, word};
use crate::keyspace::{Classes, Db, Mode, OPCODE_DEL};
use crate::types::Value;

pub mod copy;
pub mod dbsize;
pub mod del;
pub mod dump;
pub mod exists;
pub mod expire;
pub mod flush;
pub mod keys;
pub mod memory;
pub mod move_key;
pub mod object;
pub mod persist;
pub mod randomkey;
pub mod rename;
pub mod restore;
pub mod scan;
pub mod sort;
pub mod swapdb;
pub mod touch;
pub mod ttl;
pub mod type_name;

/// The family's commands.
pub const COMMANDS: &[&Command] = &[
    &del::DEL,
    &del::UNLINK,
    &exists::EXISTS,
    &type_name::TYPE,
    &touch::TOUCH,
    &keys::KEYS,
    &scan::SCAN,
    &randomkey::RANDOMKEY,
    &rename::RENAME,
    &rename::RENAMENX,
    &copy::COPY,
    &move_key::MOVE,
    &swapdb::SWAPDB,
    &expire::EXPIRE,
    &expire::PEXPIRE,
    &expire::EXPIREAT,
    &expire::PEXPIREAT,
    &ttl::TTL,
    &ttl::PTTL,
    &ttl::EXPIRETIME,
    &ttl::PEXPIRETIME,
    &persist::PERSIST,
    &object::OBJECT,
    &dbsize::DBSIZE,
    &flush::FLUSHDB,
    &flush::FLUSHALL,
    &memory::MEMORY,
    &dump::DUMP,
    &restore::RESTORE,
    &sort::SORT,
    &sort::SORT_RO,
];

/// True when a key that expires at `at_ms` is gone at once. Never in replay, where expiry removes nothing by itself.
pub(crate) fn is_past(db: &Db<'_>, at_ms: i64) -> bool {
    db.mode() == Mode::Live && at_ms <= db.now_ms()
}

/// Removes a key and records it; false when it was not there.
pub fn delete(db: &mut Db<'_>, key: &[u8]) -> bool {
    let removed = db.remove(key);
    if removed {
        db.effect(OPCODE_DEL, &[key]);
        db.notify(Classes::GENERIC, "del", key);
    }
    removed
}

/// Gives a key that is there its expiry, and records it. A time that has passed removes the key.
pub(crate) fn expire_at(db: &mut Db<'_>, key: &[u8], at_ms: i64) {
    if is_past(db, at_ms) {
        delete(db, key);
    } else if db.set_expire_at_ms(key, Some(at_ms)) {
        let mut digits = itoa::Buffer::new();
        db.effect(expire::OPCODE, &[key, digits.format(at_ms).as_bytes()]);
        db.notify(Classes::GENERIC, "expire", key);
    }
}

/// Takes the expiry of a key that has one, and records it.
pub(crate) fn persist(db: &mut Db<'_>, key: &[u8]) {
    if db.set_expire_at_ms(key, None) {
        db.effect(persist::OPCODE, &[key]);
        db.notify(Classes::GENERIC, "persist", key);
    }
}

/// Stores a value that another key had, in place of what was there; a string that was `raw` there (OBJECT ENCODING) is `raw` here.
fn store_moved(db: &mut Db<'_>, key: &[u8], value: Value, expire_at_ms: Option<i64>, raw: bool) {
    // A key whose value is replaced in this way counts as a new one.
    db.remove(key);
    db.set(key, value, expire_at_ms);
    if raw && let Some(entry) = db.get_mut(key) {
        entry.bytes_mut(0);
    }
}

/// The answer to a subcommand that a container does not have.
fn unknown_subcommand(args: Args<'_>) -> Error {
    // Redis shows the first 128 bytes.
    let sub = args.at(1).get(..128).unwrap_or(args.at(1));
    Error::UnknownSubcommand(word(sub), word(args.at(0)).to_ascii_uppercase())
}

/// An integer that fits 32 bits, as Redis reads a database's index.
fn parse_int(text: &[u8]) -> Option<i64> {
    crate::num::parse_i64(text).filter(|int| i32::try_from(*int).is_ok())
}
