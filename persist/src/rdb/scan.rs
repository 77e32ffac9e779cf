//! Reads RDB data opcode by opcode, keys without building their values.

use std::borrow::Cow;

use ringstone_engine::serial::skip::skip_module;
use ringstone_engine::serial::{
    LoadError, RDB_TYPE_HASH_METADATA_PRE_GA, RDB_TYPE_VALKEY_HASH_2, RdbReader, load_value,
    skip_value,
};
use ringstone_engine::types::{EncodingLimits, Value};

use super::error::RdbFault;
use super::opcode::*;

/// Who wrote the file: a few numbers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `REDIS0001` to `REDIS0012`.
    Redis,
    /// `VALKEY080`.
    Valkey,
}

/// A fault with its offset within the scanner's input.
#[derive(Debug)]
pub(crate) struct ScanError {
    pub(crate) at: usize,
    pub(crate) fault: RdbFault,
}

/// What stands in the data.
#[derive(Debug)]
pub enum Item<'a> {
    /// A key with its value.
    Entry(RawEntry<'a>),
    /// A field about the file.
    Aux(Cow<'a, [u8]>, Cow<'a, [u8]>),
    /// A function library's code.
    Function(Cow<'a, [u8]>),
    /// Sizes of a database: its keys, and those that expire.
    DbSize(u32, u64, u64),
    /// A hint of no use here was passed over.
    Skipped,
    /// The end; the CRC-64 follows from RDB version 5 on.
    End,
}

/// A key whose value is still encoded.
#[derive(Clone, Debug)]
pub struct RawEntry<'a> {
    /// The database.
    pub db: u32,
    /// The key.
    pub key: Cow<'a, [u8]>,
    /// When it expires, in ms since 1970.
    pub expire_at_ms: Option<i64>,
    /// Seconds since it was used, if known.
    pub idle_s: Option<u64>,
    /// How often it is used, if known.
    pub freq: Option<u8>,
    /// The value's type.
    pub rdb_type: u8,
    /// Where the value begins in the scanner's input.
    pub at: usize,
    body: &'a [u8],
}

impl RawEntry<'_> {
    /// Bytes of the encoded value.
    pub fn encoded_len(&self) -> usize {
        self.body.len()
    }

    /// Builds the value. The error's offset is within the scanner's input.
    pub fn decode(&self, limits: &EncodingLimits) -> Result<Value, LoadError> {
        let mut reader = RdbReader::new(self.body);
        load_value(self.rdb_type, &mut reader, limits)
            .map_err(|error| LoadError { at: self.at + error.at, ..error })
    }
}

/// A cursor over RDB data behind magic and version, or over a part that begins at an opcode.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    input: &'a [u8],
    reader: RdbReader<'a>,
    dialect: Dialect,
    db: u32,
}

#[derive(Default)]
struct Attributes {
    expire_at_ms: Option<i64>,
    idle_s: Option<u64>,
    freq: Option<u8>,
}

impl<'a> Scanner<'a> {
    /// At the start of `input`, keys belonging to database `db` until told otherwise.
    pub fn new(input: &'a [u8], dialect: Dialect, db: u32) -> Self {
        Scanner { input, reader: RdbReader::new(input), dialect, db }
    }

    /// Bytes read so far.
    pub fn at(&self) -> usize {
        self.reader.at()
    }

    /// The database that the next key belongs to.
    pub fn db(&self) -> u32 {
        self.db
    }

    /// True when nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.reader.is_at_end()
    }

    /// The next item.
    pub(crate) fn item(&mut self) -> Result<Item<'a>, ScanError> {
        let at = self.reader.at();
        self.read_item()
            .map_err(|error| ScanError { at: error.at, fault: RdbFault::structure(error) })?
            .map_err(|fault| ScanError { at, fault })
    }

    fn read_item(&mut self) -> Result<Result<Item<'a>, RdbFault>, LoadError> {
        let mut attributes = Attributes::default();
        loop {
            let opcode = self.reader.byte()?;
            let reader = &mut self.reader;
            let item = match opcode {
                EXPIRETIME => {
                    let seconds = i32::from_le_bytes(reader.array()?);
                    attributes.expire_at_ms = Some(i64::from(seconds) * 1000);
                    continue;
                }
                EXPIRETIME_MS => {
                    attributes.expire_at_ms = Some(reader.ms_time()?);
                    continue;
                }
                FREQ => {
                    attributes.freq = Some(reader.byte()?);
                    continue;
                }
                IDLE => {
                    attributes.idle_s = Some(reader.length()?);
                    continue;
                }
                EOF => Item::End,
                SELECTDB => {
                    let Ok(db) = u32::try_from(reader.length()?) else {
                        return Err(reader.corrupt("database number"));
                    };
                    self.db = db;
                    Item::Skipped
                }
                RESIZEDB => Item::DbSize(self.db, reader.length()?, reader.length()?),
                AUX => Item::Aux(reader.string()?, reader.string()?),
                FUNCTION2 => Item::Function(reader.string()?),
                MODULE_AUX => {
                    reader.length()?;
                    skip_module(reader)?;
                    Item::Skipped
                }
                SLOT_INFO => {
                    for _ in 0..3 {
                        reader.length()?;
                    }
                    Item::Skipped
                }
                FUNCTION_PRE_GA => {
                    return Ok(Err(RdbFault::Unsupported(
                        "functions as a release candidate of Redis 7.0 saved them cannot be loaded",
                    )));
                }
                SLOT_IMPORT => {
                    return Ok(Err(RdbFault::Unsupported(
                        "the file was saved while a slot was being imported; save again when the \
                         migration is over",
                    )));
                }
                rdb_type => return self.entry(rdb_type, attributes).map(Ok),
            };
            return Ok(Ok(item));
        }
    }

    fn entry(&mut self, rdb_type: u8, attributes: Attributes) -> Result<Item<'a>, LoadError> {
        let rdb_type = match (self.dialect, rdb_type) {
            (Dialect::Valkey, RDB_TYPE_HASH_METADATA_PRE_GA) => RDB_TYPE_VALKEY_HASH_2,
            (_, other) => other,
        };
        // An unknown type is found out before its key is read: what follows need not be one.
        if !is_value_type(rdb_type) {
            let fault = ringstone_engine::serial::LoadFault::UnknownType(rdb_type);
            return Err(LoadError { at: self.reader.at().saturating_sub(1), fault });
        }
        let key = self.reader.string()?;
        let at = self.reader.at();
        skip_value(rdb_type, &mut self.reader)?;
        let body = self.input.get(at..self.reader.at()).unwrap_or_default();
        let Attributes { expire_at_ms, idle_s, freq } = attributes;
        Ok(Item::Entry(RawEntry {
            db: self.db,
            key,
            expire_at_ms,
            idle_s,
            freq,
            rdb_type,
            at,
            body,
        }))
    }
}

fn is_value_type(rdb_type: u8) -> bool {
    matches!(rdb_type, 0..=7 | 9..=25 | RDB_TYPE_VALKEY_HASH_2)
}
