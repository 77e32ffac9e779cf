//! An RDB file that is open for loading.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::error::{RdbError, RdbFault};
use super::index::{Index, TRAILER_LEN};
use super::opcode::{AUX_INDEX, EOF, MAGIC_LEN, REDIS_VERSION_MAX, VALKEY_VERSION};
use super::scan::{Dialect, Item, Scanner};
use crate::crypt::{CryptError, Keyring, Purpose, SealedFile, is_sealed};
use crate::disk::map::MappedFile;

/// EOF and CRC-64.
pub(crate) const END_LEN: usize = 9;
/// How much is copied at once.
const COPY_LEN: u64 = 1 << 20;
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
    source: Source,
    version: u32,
    dialect: Dialect,
    index: Option<Index>,
}

/// Where the RDB data is.
#[derive(Debug)]
enum Source {
    /// The file itself.
    Clear(MappedFile),
    /// What is sealed in it. Offsets are those of the content.
    Sealed(SealedFile),
}

impl Source {
    fn len(&self) -> u64 {
        match self {
            Source::Clear(map) => map.bytes().len() as u64,
            Source::Sealed(file) => file.len(),
        }
    }

    /// Bytes from `offset` on, as far as there are any.
    fn slice(&self, offset: u64, len: u64) -> Result<Cow<'_, [u8]>, CryptError> {
        let map = match self {
            Source::Clear(map) => map,
            Source::Sealed(file) => return file.read(offset, len).map(Cow::Owned),
        };
        let bytes = map.bytes();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let rest = bytes.get(start..).unwrap_or_default();
        let len = usize::try_from(len).unwrap_or(rest.len());
        Ok(Cow::Borrowed(rest.get(..len).unwrap_or(rest)))
    }

    /// Our index, when there is one that describes this very file.
    fn index(&self) -> Result<Option<Index>, CryptError> {
        match self {
            Source::Clear(map) => Ok(find_index(map.bytes(), 0)),
            // The tail was written, and so sealed, in one piece.
            Source::Sealed(file) => {
                let tail = file.unit_at(file.len().saturating_sub(1))?;
                Ok(tail.and_then(|(offset, tail)| find_index(&tail, offset)))
            }
        }
    }
}

impl RdbFile {
    /// Opens a file of which all is RDB data, in clear. Checks magic and version only; loading checks the rest.
    pub fn open(path: &Path) -> Result<RdbFile, RdbError> {
        RdbFile::open_with(path, &Keyring::default())
    }

    /// The same where it may be a sealed file.
    pub fn open_with(path: &Path, keyring: &Keyring) -> Result<RdbFile, RdbError> {
        let map = MappedFile::open(path).map_err(|error| RdbFault::from(error).at(path, 0))?;
        if !is_sealed(map.bytes()) {
            return RdbFile::from_map(path, map);
        }
        let failed = |error| RdbFault::from(error).at(path, 0);
        let file = SealedFile::open(path, map, keyring, Purpose::Snapshot).map_err(failed)?;
        let file = RdbFile::from_source(path, Source::Sealed(file))?;
        if file.index.is_none() {
            return Err(RdbFault::NoIndex.at(path, file.len()));
        }
        Ok(file)
    }

    /// The same for a file's bytes that are in memory already; `path` is for messages.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<RdbFile, RdbError> {
        RdbFile::from_map(path, MappedFile::from_bytes(bytes))
    }

    pub(crate) fn from_map(path: &Path, map: MappedFile) -> Result<RdbFile, RdbError> {
        RdbFile::from_source(path, Source::Clear(map))
    }

    fn from_source(path: &Path, source: Source) -> Result<RdbFile, RdbError> {
        let sealed = |error| RdbFault::from(error).at(path, 0);
        let head = source.slice(0, MAGIC_LEN as u64).map_err(sealed)?;
        let (version, dialect) = magic(&head).map_err(|fault| fault.at(path, 0))?;
        let index = source.index().map_err(sealed)?;
        Ok(RdbFile { path: path.to_owned(), source, version, dialect, index })
    }

    /// True when the RDB data is encrypted in the file.
    pub fn is_sealed(&self) -> bool {
        matches!(self.source, Source::Sealed(_))
    }

    /// Writes the RDB data to `out`, in clear.
    pub fn copy_to(&self, out: &mut dyn std::io::Write) -> Result<(), RdbError> {
        let mut at = 0;
        while at < self.len() {
            let piece = self.slice(at, COPY_LEN)?;
            out.write_all(&piece).map_err(|error| RdbFault::from(error).at(&self.path, at))?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The format's version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Length of the RDB data, and of what follows it, in bytes.
    pub fn len(&self) -> u64 {
        self.source.len()
    }

    /// True when there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index of blocks, when the file was written here and its index is whole.
    pub fn index(&self) -> Option<&Index> {
        self.index.as_ref()
    }

    /// A scanner over bytes of this file.
    pub(crate) fn scanner_of<'a>(&self, bytes: &'a [u8], db: u32) -> Scanner<'a> {
        Scanner::new(bytes, self.dialect, db)
    }

    /// True when the file says that it is the base of a log, or the preamble of one: its expired keys are to be kept.
    pub fn is_aof_base(&self) -> bool {
        let magic_len = MAGIC_LEN as u64;
        let header_len = self.index().map_or(self.len(), |index| index.header_len);
        let Ok(header) = self.slice(magic_len, header_len.saturating_sub(magic_len)) else {
            return false;
        };
        let mut scanner = self.scanner_of(&header, 0);
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
    pub(crate) fn slice(&self, offset: u64, len: u64) -> Result<Cow<'_, [u8]>, RdbError> {
        let bytes = self.source.slice(offset, len);
        bytes.map_err(|error| RdbFault::from(error).at(&self.path, offset))
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

/// Our index, when there is one that describes this very file. `bytes` are its end, from offset `from` on, where the tail
/// begins at the latest.
fn find_index(bytes: &[u8], from: u64) -> Option<Index> {
    let index_end = bytes.len().checked_sub(END_LEN)?;
    if bytes.len() < TRAILER_LEN || bytes.get(index_end) != Some(&EOF) {
        return None;
    }
    let (index, _) = Index::decode_end(bytes.get(..index_end)?)?;
    let tail_offset =
        index.blocks.last().map_or(index.header_len, |b| b.offset.saturating_add(b.len));
    if !index.covers(tail_offset) {
        return None;
    }
    // The tail must read as padding, index and end, so that no key hides between the blocks and the index.
    let tail = bytes.get(usize::try_from(tail_offset.checked_sub(from)?).ok()?..)?;
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
