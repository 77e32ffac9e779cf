//! The payload of DUMP and RESTORE: type, value, and a footer of RDB version (u16) and CRC-64, little-endian.

use super::{LoadFault, RDB_TYPE_STREAM_LISTPACKS_2, RdbReader, RdbWriter, crc64, load_value};
use crate::error::Error;
use crate::types::{EncodingLimits, Value, ValueRef};

/// The RDB version that payloads are written with, and that of types which Redis 7.0 does not know.
pub const DUMP_VERSION: u16 = 10;
const DUMP_VERSION_NEWER: u16 = 12;
/// The newest RDB version whose payloads are read, as long as their type is known.
pub const DUMP_VERSION_MAX: u16 = 12;
const CRC_LEN: usize = 8;

/// The payload of a value.
pub fn dump_payload(value: ValueRef<'_>) -> Vec<u8> {
    let mut out = RdbWriter::default();
    out.byte(value.rdb_type());
    value.save(&mut out);
    let newer = value.rdb_type() > RDB_TYPE_STREAM_LISTPACKS_2;
    out.raw(&(if newer { DUMP_VERSION_NEWER } else { DUMP_VERSION }).to_le_bytes());
    let sum = crc64::checksum(&out.buf);
    out.raw(&sum.to_le_bytes());
    out.buf
}

/// The value of a payload. [`Error::BadDump`] when the footer is wrong, [`Error::BadData`] when what it vouches for is.
pub fn restore_payload(payload: &[u8], limits: &EncodingLimits) -> Result<Value, Error> {
    let (summed, sum) = payload.split_last_chunk::<CRC_LEN>().ok_or(Error::BadDump)?;
    let (body, version) = summed.split_last_chunk::<2>().ok_or(Error::BadDump)?;
    if u16::from_le_bytes(*version) > DUMP_VERSION_MAX
        || u64::from_le_bytes(*sum) != crc64::checksum(summed)
    {
        return Err(Error::BadDump);
    }
    let mut reader = RdbReader::new(body);
    let value = reader
        .byte()
        .and_then(|rdb_type| match rdb_type {
            // Our own numbers for other dialects' types are no types of a payload.
            128.. => Err(reader.fault(LoadFault::UnknownType(rdb_type))),
            _ => load_value(rdb_type, &mut reader, limits),
        })
        .map_err(|_| Error::BadData)?;
    if reader.is_at_end() { Ok(value) } else { Err(Error::BadData) }
}
