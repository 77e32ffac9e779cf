//! Hashes whose fields expire (Redis 7.4, Valkey 9). Ringstone has no such fields: a hash is loaded when none of its
//! fields has an expiry, and refused by name else, since dropping an expiry would keep data that was to go.
//!
//! ```text
//! 22  count ( ttl field value )*                     ttl = 0: none
//! 24  min_expire:i64  count ( ttl field value )*     ttl = 0: none
//! 23  listpack ( field value ttl )*                  ttl = 0: none
//! 25  min_expire:i64  listpack ( field value ttl )*
//! Valkey 22  count ( field value expire_at:i64 )*    -1: none
//! ```

use super::{finish, listpack, set_field, twice};
use crate::serial::rdb_type::*;
use crate::serial::{LoadError, LoadFault, RdbReader};
use crate::types::listpack::Item;
use crate::types::{EncodingLimits, Hash, Value};

pub(super) fn load(
    rdb_type: u8,
    reader: &mut RdbReader<'_>,
    limits: &EncodingLimits,
) -> Result<Value, LoadError> {
    if matches!(rdb_type, RDB_TYPE_HASH_METADATA | RDB_TYPE_HASH_LISTPACK_EX) {
        reader.ms_time()?;
    }
    match rdb_type {
        RDB_TYPE_HASH_LISTPACK_EX | RDB_TYPE_HASH_LISTPACK_EX_PRE_GA => {
            packed(rdb_type, reader, limits)
        }
        RDB_TYPE_VALKEY_HASH_2 => valkey(reader, limits),
        _ => plain(rdb_type, reader, limits),
    }
}

fn plain(
    rdb_type: u8,
    reader: &mut RdbReader<'_>,
    limits: &EncodingLimits,
) -> Result<Value, LoadError> {
    let mut hash = Hash::new(limits);
    for _ in 0..reader.count()? {
        if reader.length()? != 0 {
            return Err(refused(rdb_type, reader));
        }
        let field = reader.string()?;
        let value = reader.string()?;
        set_field(&mut hash, &field, &value, limits).ok_or_else(|| twice(reader))?;
    }
    finish(reader, hash)
}

fn packed(
    rdb_type: u8,
    reader: &mut RdbReader<'_>,
    limits: &EncodingLimits,
) -> Result<Value, LoadError> {
    let packed = listpack(reader)?;
    let mut hash = Hash::new(limits);
    let (mut field_text, mut value_text) = (itoa::Buffer::new(), itoa::Buffer::new());
    let mut items = packed.iter();
    while let Some(field) = items.next() {
        let (Some(value), Some(ttl)) = (items.next(), items.next()) else {
            return Err(reader.corrupt("hash"));
        };
        if ttl != Item::Int(0) {
            return Err(refused(rdb_type, reader));
        }
        let (field, value) = (field.bytes(&mut field_text), value.bytes(&mut value_text));
        set_field(&mut hash, field, value, limits).ok_or_else(|| twice(reader))?;
    }
    finish(reader, hash)
}

fn valkey(reader: &mut RdbReader<'_>, limits: &EncodingLimits) -> Result<Value, LoadError> {
    let mut hash = Hash::new(limits);
    for _ in 0..reader.count()? {
        let field = reader.string()?;
        let value = reader.string()?;
        if reader.ms_time()? != -1 {
            return Err(refused(RDB_TYPE_VALKEY_HASH_2, reader));
        }
        set_field(&mut hash, &field, &value, limits).ok_or_else(|| twice(reader))?;
    }
    finish(reader, hash)
}

fn refused(rdb_type: u8, reader: &RdbReader<'_>) -> LoadError {
    let (number, name) = match rdb_type {
        RDB_TYPE_HASH_METADATA_PRE_GA => (22, "HASH_METADATA_PRE_GA"),
        RDB_TYPE_HASH_LISTPACK_EX_PRE_GA => (23, "HASH_LISTPACK_EX_PRE_GA"),
        RDB_TYPE_HASH_METADATA => (24, "HASH_METADATA"),
        RDB_TYPE_HASH_LISTPACK_EX => (25, "HASH_LISTPACK_EX"),
        _ => (22, "HASH_2 of Valkey"),
    };
    let why = "fields of a hash that expire are not supported";
    reader.fault(LoadFault::Unsupported { number, name, why })
}
