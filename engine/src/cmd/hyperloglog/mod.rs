//! The HyperLogLog family.
//!
//! Effects name one key and do not depend on parameters: PFADD is replayed without a limit of the sparse encoding, whatever
//! became dense is recorded as SET, and a cached estimate as SETRANGE.

use super::Command;
use super::string::{set, setrange};
use crate::error::Error;
use crate::hll::{self, Encoding};
use crate::keyspace::{Db, Mode};
use crate::types::Value;

pub mod pfadd;
pub mod pfcount;
pub mod pfdebug;
pub mod pfmerge;
pub mod pfselftest;

/// The family's commands.
pub const COMMANDS: &[&Command] = &[
    &pfadd::PFADD,
    &pfcount::PFCOUNT,
    &pfmerge::PFMERGE,
    &pfdebug::PFDEBUG,
    &pfselftest::PFSELFTEST,
];

/// The encoding of a string that is a HyperLogLog.
fn checked(bytes: &[u8]) -> Result<Encoding, Error> {
    hll::encoding(bytes).ok_or(Error::NotHll)
}

/// Lets `look` see the HyperLogLog at `key`, as an access that counts if `counts`; nothing without the key.
fn read<T>(
    db: &mut Db<'_>,
    key: &[u8],
    counts: bool,
    look: impl FnOnce(&[u8], Encoding) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let entry = if counts { db.get(key) } else { db.peek(key) };
    let Some(entry) = entry else { return Ok(None) };
    let value = entry.value();
    let mut scratch = itoa::Buffer::new();
    let bytes = value.str_bytes(&mut scratch)?;
    let encoding = checked(bytes)?;
    look(bytes, encoding).map(Some)
}

/// Up to which length a HyperLogLog stays sparse.
fn sparse_len_max(db: &Db<'_>) -> usize {
    match db.mode() {
        Mode::Live | Mode::Reading => db.limits().hll_sparse_max_bytes,
        Mode::Replay => usize::MAX,
    }
}

/// Stores the whole HyperLogLog, keeping when the key expires, and records it.
fn store(db: &mut Db<'_>, key: &[u8], bytes: Vec<u8>) {
    let keeps = db.peek(key).is_some_and(|entry| entry.expire_at_ms().is_some());
    let effect: [&[u8]; 3] = [key, &bytes, b"KEEPTTL"];
    db.effect(set::OPCODE, if keeps { &effect } else { effect.split_at(2).0 });
    keep(db, key, bytes);
}

/// Stores the whole HyperLogLog.
fn keep(db: &mut Db<'_>, key: &[u8], bytes: Vec<u8>) {
    if let Some(entry) = db.get_mut(key) {
        entry.set_value(Value::Bytes(bytes));
    } else {
        db.set(key, Value::Bytes(bytes), None);
    }
    if let Some(entry) = db.get_mut(key) {
        // For OBJECT ENCODING: it is `raw`, however short it is.
        entry.bytes_mut(0);
    }
}

/// Stores an estimate in the HyperLogLog at `key`, and records it.
fn keep_estimate(db: &mut Db<'_>, key: &[u8], estimate: u64) {
    let (at, field) = hll::cache_of(estimate);
    let Some(entry) = db.get_mut(key) else { return };
    if let Some(target) = entry.bytes_mut(0).get_mut(at..at + field.len()) {
        target.copy_from_slice(&field);
    }
    db.effect(setrange::OPCODE, &[key, itoa::Buffer::new().format(at).as_bytes(), &field]);
}
