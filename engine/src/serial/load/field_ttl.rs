//! Hashes whose fields expire (Redis 7.4, Valkey 9). Fields whose time has passed are loaded as well: they go with the first look
//! at them, and are recorded then.
//!
//! ```text
//! 22  count ( ttl field value )*                     ttl: ms since 1970, 0: none
//! 24  min_expire:i64  count ( ttl field value )*     ttl: ms after min_expire, and 1; 0: none
//! 23  listpack ( field value ttl )*                  ttl: ms since 1970, 0: none
//! 25  min_expire:i64  listpack ( field value ttl )*
//! Valkey 22  count ( field value expire_at:i64 )*    -1: none
//! ```

use super::{finish, listpack, set_field, twice};
use crate::serial::rdb_type::*;
use crate::serial::{LoadError, RdbReader};
use crate::types::{EncodingLimits, Hash, Value};

pub(super) fn load(
    rdb_type: u8,
    reader: &mut RdbReader<'_>,
    limits: &EncodingLimits,
) -> Result<Value, LoadError> {
    match rdb_type {
        RDB_TYPE_HASH_LISTPACK_EX => {
            reader.ms_time()?;
            packed(reader, limits)
        }
        RDB_TYPE_HASH_LISTPACK_EX_PRE_GA => packed(reader, limits),
        RDB_TYPE_VALKEY_HASH_2 => valkey(reader, limits),
        RDB_TYPE_HASH_METADATA => {
            let earliest = reader.ms_time()?;
            plain(reader, limits, earliest.checked_sub(1))
        }
        _ => plain(reader, limits, Some(0)),
    }
}

/// Times are counted from `base`.
fn plain(
    reader: &mut RdbReader<'_>,
    limits: &EncodingLimits,
    base: Option<i64>,
) -> Result<Value, LoadError> {
    let mut hash = Hash::new(limits);
    for _ in 0..reader.count()? {
        let ttl = reader.length()?;
        let field = reader.string()?;
        let value = reader.string()?;
        set_field(&mut hash, &field, &value, limits).ok_or_else(|| twice(reader))?;
        if ttl > 0 {
            let at_ms = base.and_then(|base| base.checked_add_unsigned(ttl));
            set_time(&mut hash, &field, at_ms, reader)?;
        }
    }
    finish(reader, hash)
}

fn packed(reader: &mut RdbReader<'_>, limits: &EncodingLimits) -> Result<Value, LoadError> {
    let packed = listpack(reader)?;
    let mut hash = Hash::new(limits);
    let (mut field_text, mut value_text) = (itoa::Buffer::new(), itoa::Buffer::new());
    let mut items = packed.iter();
    while let Some(field) = items.next() {
        let (Some(value), Some(ttl)) = (items.next(), items.next()) else {
            return Err(reader.corrupt("hash"));
        };
        let (field, value) = (field.bytes(&mut field_text), value.bytes(&mut value_text));
        set_field(&mut hash, field, value, limits).ok_or_else(|| twice(reader))?;
        if ttl.as_i64() != Some(0) {
            set_time(&mut hash, field, ttl.as_i64(), reader)?;
        }
    }
    finish(reader, hash)
}

fn valkey(reader: &mut RdbReader<'_>, limits: &EncodingLimits) -> Result<Value, LoadError> {
    let mut hash = Hash::new(limits);
    for _ in 0..reader.count()? {
        let field = reader.string()?;
        let value = reader.string()?;
        let at_ms = reader.ms_time()?;
        set_field(&mut hash, &field, &value, limits).ok_or_else(|| twice(reader))?;
        if at_ms != -1 {
            set_time(&mut hash, &field, Some(at_ms), reader)?;
        }
    }
    finish(reader, hash)
}

fn set_time(
    hash: &mut Hash,
    field: &[u8],
    at_ms: Option<i64>,
    reader: &RdbReader<'_>,
) -> Result<(), LoadError> {
    let at_ms = at_ms.filter(|at_ms| *at_ms >= 0);
    let at_ms = at_ms.ok_or_else(|| reader.corrupt("hash: the time of a field"))?;
    hash.set_time(field, Some(at_ms));
    Ok(())
}
