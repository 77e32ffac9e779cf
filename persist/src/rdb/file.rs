//! An RDB file that is open for loading.

use std::path::{Path, PathBuf};

use super::error::{RdbError, RdbFault};
use super::index::{Index, TRAILER_LEN};
use super::opcode::{AUX_INDEX, EOF, MAGIC_LEN, REDIS_VERSION_MAX, VALKEY_VERSION};
use super::scan::{Dialect, Item, Scanner};
use crate::disk::map::MappedFile;

/// EOF and CRC-64.
pub(crate) const END_LEN: usize = 9;
/// From which version on a CRC-64 stands at the end.
const CRC_VERSION_MIN: u32 = 5;

/// A part of the file that begins at an opcode and ends before one, so that it can be loaded by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
    /// The database that its first key belongs to, unless it says otherwise.
    pub db: u32,
    /// CRC-64 over it, where the index says so.
    pub crc64: Option<u64>,
    /// The shard that wrote it, where the index says so.
    pub shard: Option<u32>,
}

/// An RDB file.
#[derive(Debug)]
pub struct RdbFile {
    path: PathBuf,
    map: MappedFile,
    version: u32,
    dialect: Dialect,
    index: Option<Index>,
}

impl RdbFile {
    /// Opens a file of which all is RDB data. Checks magic and version only; loading checks the rest.
    pub fn open(path: &Path) -> Result<RdbFile, RdbError> {
        let map = MappedFile::open(path).map_err(|error| RdbFault::from(error).at(path, 0))?;
        RdbFile::from_map(path, map)
    }

    /// The same for a file's bytes that are in memory already; `path` is for messages.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<RdbFile, RdbError> {
        RdbFile::from_map(path, MappedFile::from_bytes(bytes))
    }

    pub(crate) fn from_map(path: &Path, map: MappedFile) -> Result<RdbFile, RdbError> {
        let (version, dialect) = magic(map.bytes()).map_err(|fault| fault.at(path, 0))?;
        let index = find_index(map.bytes());
        Ok(RdbFile { path: path.to_owned(), map, version, dialect, index })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The format's version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// All bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        self.map.bytes()
    }

    /// The index of blocks, when the file was written here and its index is whole.
    pub fn index(&self) -> Option<&Index> {
        self.index.as_ref()
    }

    /// A scanner over the data behind magic and version.
    pub(crate) fn scanner(&self) -> Scanner<'_> {
        Scanner::new(self.slice(MAGIC_LEN as u64, None), self.dialect, 0)
    }

    /// A scanner over a part.
    pub(crate) fn scanner_of(&self, span: &Span) -> Scanner<'_> {
        Scanner::new(self.slice(span.offset, Some(span.len)), self.dialect, span.db)
    }

    /// True when the file says that it is the base of a log, or the preamble of one: its expired keys are to be kept.
    pub fn is_aof_base(&self) -> bool {
        let mut scanner = self.scanner();
        while let Ok(Item::Aux(name, value)) = scanner.item() {
            if matches!(&*name, b"aof-base" | b"aof-preamble") && &*value == b"1" {
                return true;
            }
        }
        false
    }

    pub(crate) fn has_crc(&self) -> bool {
        self.version >= CRC_VERSION_MIN
    }

    /// Bytes from `offset` on, as far as there are any.
    pub(crate) fn slice(&self, offset: u64, len: Option<u64>) -> &[u8] {
        let bytes = self.bytes();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let rest = bytes.get(start..).unwrap_or_default();
        let len = len.and_then(|len| usize::try_from(len).ok()).unwrap_or(rest.len());
        rest.get(..len).unwrap_or(rest)
    }

    /// The error that whoever owns the keys reports when a key of this file was there already.
    pub fn duplicate_key(&self, db: u32, key: &[u8], offset: u64) -> RdbError {
        RdbFault::DuplicateKey { db, key: key.to_vec() }.at(&self.path, offset)
    }
}

/// Version and dialect of RDB data.
pub(crate) fn magic(bytes: &[u8]) -> Result<(u32, Dialect), RdbFault> {
    let magic = bytes.first_chunk::<MAGIC_LEN>().ok_or(RdbFault::NotRdb)?;
    let (dialect, digits) = match magic {
        [b'R', b'E', b'D', b'I', b'S', digits @ ..] => (Dialect::Redis, &digits[..]),
        [b'V', b'A', b'L', b'K', b'E', b'Y', digits @ ..] => (Dialect::Valkey, &digits[..]),
        _ => return Err(RdbFault::NotRdb),
    };
    let version = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or(RdbFault::NotRdb)?;
    let known = match dialect {
        Dialect::Redis => (1..=REDIS_VERSION_MAX).contains(&version),
        Dialect::Valkey => version == VALKEY_VERSION,
    };
    if known { Ok((version, dialect)) } else { Err(RdbFault::Version(version)) }
}

/// Our index, when there is one that describes this very file.
fn find_index(bytes: &[u8]) -> Option<Index> {
    let index_end = bytes.len().checked_sub(END_LEN)?;
    if bytes.len() < MAGIC_LEN + TRAILER_LEN || bytes.get(index_end) != Some(&EOF) {
        return None;
    }
    let (index, _) = Index::decode_end(bytes.get(..index_end)?)?;
    let tail_offset =
        index.blocks.last().map_or(index.header_len, |b| b.offset.saturating_add(b.len));
    if !index.covers(tail_offset) {
        return None;
    }
    // The tail must read as padding, index and end, so that no key hides between the blocks and the index.
    let tail = bytes.get(usize::try_from(tail_offset).ok()?..)?;
    let mut scanner = Scanner::new(tail, Dialect::Redis, 0);
    let mut indexes = 0;
    loop {
        match scanner.item().ok()? {
            Item::Aux(name, _) => indexes += usize::from(&*name == AUX_INDEX),
            Item::End => break,
            Item::Entry(_) | Item::Function(_) | Item::DbSize(..) | Item::Skipped => return None,
        }
    }
    (indexes == 1 && tail.len() - scanner.at() == END_LEN - 1).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        assert_eq!(magic(b"REDIS0001").unwrap(), (1, Dialect::Redis));
        assert_eq!(magic(b"REDIS0012...").unwrap(), (12, Dialect::Redis));
        assert_eq!(magic(b"VALKEY080").unwrap(), (80, Dialect::Valkey));
        assert!(matches!(magic(b"REDIS0013"), Err(RdbFault::Version(13))));
        assert!(matches!(magic(b"REDIS0000"), Err(RdbFault::Version(0))));
        assert!(matches!(magic(b"VALKEY081"), Err(RdbFault::Version(81))));
        for wrong in [&b"REDIS"[..], b"", b"REDIS+010", b"*3\r\n$3\r\nSET"] {
            assert!(matches!(magic(wrong), Err(RdbFault::NotRdb)));
        }
    }
}
