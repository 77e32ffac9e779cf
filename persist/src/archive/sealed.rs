//! An archive whose objects are encrypted, over any directory of objects.
//!
//! ```text
//!   ObjectWriter ──> units of 256 KiB, sealed ──> foot ──> DirStore        (crypt::container)
//!   ObjectReader <── units, opened one by one <── the file, mapped         in clear where it was archived so
//! ```
//!
//! Names stay in clear: GSNs, epochs and times.
//!
//! Invariant: no byte of an object reaches the inner store before it is sealed, when the keyring says that what is written is
//! to be sealed.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use super::store::{DirStore, Put, Store, Stored};
use crate::crypt::{FileSealer, Keyring, Purpose, SealedFile, Unit, sealed_with};
use crate::disk::map::MappedFile;

/// Bytes that are sealed at once.
const UNIT_BYTES: usize = 256 << 10;

/// A directory of objects with the keys for them; without keys, of objects in clear.
#[derive(Clone)]
pub struct SealedStore {
    inner: DirStore,
    keyring: Keyring,
}

impl SealedStore {
    /// The objects in a directory, as this keyring seals and opens them.
    pub fn new(inner: DirStore, keyring: Keyring) -> Self {
        SealedStore { inner, keyring }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.inner.root().join(name)
    }
}

impl Store for SealedStore {
    fn list(&self) -> io::Result<Vec<Stored>> {
        self.inner.list()
    }

    fn put(&self, name: &str) -> io::Result<Box<dyn Put>> {
        let mut inner = self.inner.put(name)?;
        if !self.keyring.seals() {
            return Ok(inner);
        }
        let sealer =
            FileSealer::new(&self.keyring, Purpose::Archive, name).map_err(io::Error::other)?;
        inner.write_all(sealer.header())?;
        Ok(Box::new(SealedPut { inner, sealer, units: Vec::new(), unit: Vec::new(), at: 0 }))
    }

    fn get(&self, name: &str) -> io::Result<Box<dyn Read>> {
        let path = self.path(name);
        if sealed_with(&path)?.is_none() {
            return self.inner.get(name);
        }
        let map = MappedFile::open(&path)?;
        let file = SealedFile::open(&path, map, &self.keyring, Purpose::Archive);
        let file = file.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        Ok(Box::new(SealedGet { file, at: 0, unit: Vec::new(), read: 0 }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }
}

struct SealedPut {
    inner: Box<dyn Put>,
    sealer: FileSealer,
    units: Vec<Unit>,
    unit: Vec<u8>,
    at: u64,
}

impl SealedPut {
    fn seal(&mut self) -> io::Result<()> {
        if self.unit.is_empty() {
            return Ok(());
        }
        let unit = self.sealer.seal(self.at, &mut self.unit).map_err(io::Error::other)?;
        self.inner.write_all(&self.unit)?;
        self.at += self.unit.len() as u64;
        self.units.push(unit);
        self.unit.clear();
        Ok(())
    }
}

impl Write for SealedPut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(UNIT_BYTES - self.unit.len());
        self.unit.extend_from_slice(bytes.get(..n).unwrap_or_default());
        if self.unit.len() == UNIT_BYTES {
            self.seal()?;
        }
        Ok(n)
    }
    /// A unit is sealed when it is full: what is left of one waits for the end.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Put for SealedPut {
    fn commit(mut self: Box<Self>) -> io::Result<()> {
        self.seal()?;
        let SealedPut { mut inner, sealer, units, .. } = *self;
        let (_, foot) = sealer.foot(units).map_err(io::Error::other)?;
        inner.write_all(&foot)?;
        inner.commit()
    }
}

struct SealedGet {
    file: SealedFile,
    at: u64,
    unit: Vec<u8>,
    read: usize,
}

impl Read for SealedGet {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.read == self.unit.len() {
            let next = self.file.unit_at(self.at);
            let next = next.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
            let Some((offset, unit)) = next else { return Ok(0) };
            self.at = offset + unit.len() as u64;
            (self.unit, self.read) = (unit, 0);
        }
        let left = self.unit.get(self.read..).unwrap_or_default();
        let n = left.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), left.get(..n)) {
            to.copy_from_slice(from);
        }
        self.read += n;
        Ok(n)
    }
}
