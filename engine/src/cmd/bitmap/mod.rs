//! The bitmap family: strings as arrays of bits, the highest bit of the first byte being bit 0.

use super::Command;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Db};
use crate::num::parse_i64;
use crate::types::Value;

pub mod bitcount;
pub mod bitfield;
pub mod bitop;
pub mod bitpos;
pub mod getbit;
mod range;
pub mod setbit;

/// The family's commands.
pub const COMMANDS: &[&Command] = &[
    &setbit::SETBIT,
    &getbit::GETBIT,
    &bitcount::BITCOUNT,
    &bitpos::BITPOS,
    &bitop::BITOP,
    &bitfield::BITFIELD,
    &bitfield::BITFIELD_RO,
];

/// Reads a bit's position; `#n` counts fields of `bits` bits, where they are given.
fn parse_offset(db: &Db<'_>, text: &[u8], bits: Option<usize>) -> Result<usize, Error> {
    let invalid = Error::text("ERR bit offset is not an integer or out of range");
    let (text, unit) = match (text, bits) {
        ([b'#', rest @ ..], Some(bits)) => (rest, bits),
        _ => (text, 1),
    };
    let offset = parse_i64(text).and_then(|at| usize::try_from(at).ok()?.checked_mul(unit));
    offset.filter(|at| at / 8 < db.limits().string_len_max).ok_or(invalid)
}

/// The string's bytes, copied where they are an integer; nothing without the key.
fn read<T>(db: &mut Db<'_>, key: &[u8], look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Error> {
    let Some(entry) = db.get(key) else { return Ok(None) };
    let value = entry.value();
    Ok(Some(look(value.str_bytes(&mut itoa::Buffer::new())?)))
}

/// Makes the string at `key` at least `len` bytes long; true when it was not.
fn grow(db: &mut Db<'_>, key: &[u8], len: usize) -> Result<bool, Error> {
    let old_len = super::string::strlen::len_of(db.peek(key))?;
    if old_len.is_none() {
        db.set(key, Value::Bytes(vec![0; len]), None);
    } else if let Some(entry) = db.get_mut(key) {
        // An integer is written out even if it is long enough.
        entry.bytes_mut(len);
    }
    Ok(old_len.is_none_or(|old_len| old_len < len))
}

fn bit_at(bytes: &[u8], at: usize) -> bool {
    bytes.get(at / 8).is_some_and(|byte| byte & mask(at) != 0)
}

fn set_bit(bytes: &mut [u8], at: usize, on: bool) {
    if let Some(byte) = bytes.get_mut(at / 8) {
        if on { *byte |= mask(at) } else { *byte &= !mask(at) }
    }
}

fn mask(at: usize) -> u8 {
    0x80 >> (at % 8)
}

/// Stores the result of an operation over whole strings; an empty one removes the key.
fn store(db: &mut Db<'_>, key: &[u8], bytes: Vec<u8>) -> CmdResult {
    if bytes.is_empty() {
        super::generic::delete(db, key);
        return Ok(());
    }
    // Should the key be there although its time is up, its DEL is recorded by this look, before what is recorded next.
    db.contains(key);
    db.effect(super::string::set::OPCODE, &[key, &bytes]);
    db.set(key, Value::Bytes(bytes), None);
    if let Some(entry) = db.get_mut(key) {
        // For OBJECT ENCODING: a result is `raw`, however short it is.
        entry.bytes_mut(0);
    }
    db.notify(Classes::STRING, "set", key);
    Ok(())
}
