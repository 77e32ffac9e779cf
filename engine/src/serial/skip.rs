//! Passes over a value without building it, so that a file can be cut into parts that are decoded elsewhere.

use super::rdb_type::*;
use super::{LoadError, LoadFault, RdbReader};

/// Bytes of a stream ID, as pending entries have it.
const STREAM_ID_LEN: usize = 16;

/// Passes over a value of type `rdb_type`.
pub fn skip_value(rdb_type: u8, reader: &mut RdbReader<'_>) -> Result<(), LoadError> {
    match rdb_type {
        RDB_TYPE_STRING
        | RDB_TYPE_HASH_ZIPMAP
        | RDB_TYPE_LIST_ZIPLIST
        | RDB_TYPE_SET_INTSET
        | RDB_TYPE_ZSET_ZIPLIST
        | RDB_TYPE_HASH_ZIPLIST
        | RDB_TYPE_HASH_LISTPACK
        | RDB_TYPE_ZSET_LISTPACK
        | RDB_TYPE_SET_LISTPACK
        | RDB_TYPE_HASH_LISTPACK_EX_PRE_GA => reader.skip_string(),
        RDB_TYPE_LIST | RDB_TYPE_SET | RDB_TYPE_LIST_QUICKLIST => {
            each(reader, RdbReader::skip_string)
        }
        RDB_TYPE_HASH => each(reader, |r| {
            r.skip_string()?;
            r.skip_string()
        }),
        RDB_TYPE_ZSET => each(reader, |r| {
            r.skip_string()?;
            r.text_double().map(drop)
        }),
        RDB_TYPE_ZSET_2 => each(reader, |r| {
            r.skip_string()?;
            r.double().map(drop)
        }),
        RDB_TYPE_LIST_QUICKLIST_2 => each(reader, |r| {
            r.length()?;
            r.skip_string()
        }),
        RDB_TYPE_STREAM_LISTPACKS | RDB_TYPE_STREAM_LISTPACKS_2 | RDB_TYPE_STREAM_LISTPACKS_3 => {
            stream(rdb_type, reader)
        }
        RDB_TYPE_HASH_METADATA_PRE_GA => each(reader, field_with_ttl),
        RDB_TYPE_HASH_METADATA => {
            reader.ms_time()?;
            each(reader, field_with_ttl)
        }
        RDB_TYPE_HASH_LISTPACK_EX => {
            reader.ms_time()?;
            reader.skip_string()
        }
        RDB_TYPE_VALKEY_HASH_2 => each(reader, |r| {
            r.skip_string()?;
            r.skip_string()?;
            r.ms_time().map(drop)
        }),
        RDB_TYPE_MODULE_2 => {
            reader.length()?;
            skip_module(reader)
        }
        _ => Err(reader.fault(LoadFault::UnknownType(rdb_type))),
    }
}

/// Passes over what a module wrote, up to its end mark; the module's id was read before.
pub fn skip_module(reader: &mut RdbReader<'_>) -> Result<(), LoadError> {
    loop {
        match reader.length()? {
            0 => return Ok(()),
            1 | 2 => reader.length().map(drop)?,
            3 => reader.bytes(4).map(drop)?,
            4 => reader.bytes(8).map(drop)?,
            5 => reader.skip_string()?,
            _ => return Err(reader.corrupt("module value")),
        }
    }
}

fn each<'a>(
    reader: &mut RdbReader<'a>,
    skip: impl Fn(&mut RdbReader<'a>) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    for _ in 0..reader.count()? {
        skip(reader)?;
    }
    Ok(())
}

fn field_with_ttl(reader: &mut RdbReader<'_>) -> Result<(), LoadError> {
    reader.length()?;
    reader.skip_string()?;
    reader.skip_string()
}

fn stream(rdb_type: u8, reader: &mut RdbReader<'_>) -> Result<(), LoadError> {
    let with_offsets = rdb_type != RDB_TYPE_STREAM_LISTPACKS;
    let with_active_time = rdb_type == RDB_TYPE_STREAM_LISTPACKS_3;
    each(reader, |r| {
        r.skip_string()?;
        r.skip_string()
    })?;
    // Length and last id; first id, greatest deleted id and entries added.
    for _ in 0..if with_offsets { 8 } else { 3 } {
        reader.length()?;
    }
    each(reader, |r| {
        r.skip_string()?;
        for _ in 0..if with_offsets { 3 } else { 2 } {
            r.length()?;
        }
        each(r, |r| {
            r.bytes(STREAM_ID_LEN)?;
            r.ms_time()?;
            r.length().map(drop)
        })?;
        each(r, |r| {
            r.skip_string()?;
            r.ms_time()?;
            if with_active_time {
                r.ms_time()?;
            }
            each(r, |r| r.bytes(STREAM_ID_LEN).map(drop))
        })
    })
}
