//! An object's bytes.
//!
//! ```text
//!   0 "RARC"   4 version u16   6 kind u16   8 crc u32   12 epoch u32   16 uuid, 16 bytes
//!  32 first_gsn u64   40 last_gsn u64   48 first_ms u64   56 last_ms u64   64 plain_bytes u64   72 shards u32   76 zeros to 128
//! 128 body: one zstd frame of plain_bytes bytes
//!  .. body_bytes u64   plain_crc u32   body_crc u32   crc u32 of these 16 bytes   "RARE"
//! ```
//!
//! The one place through which all bytes go that an archive gets or gives: what is to hold for all of them belongs here.
//!
//! Invariant: `finish` succeeds only when every byte was as it had been written.

use std::io::{self, Read, Write};

use super::error::ArchiveError;
use super::names::{BaseName, EpochName, FramesName, ObjectName};
use super::store::{Put, Store};
use crate::log::LogId;

pub(super) const HEADER_BYTES: usize = 128;
pub(super) const TRAILER_BYTES: usize = 24;
const MAGIC: &[u8; 4] = b"RARC";
const END_MAGIC: &[u8; 4] = b"RARE";
const VERSION: u16 = 1;
/// Of zstd: fast enough to keep up with any log on a fraction of a core.
const LEVEL: i32 = 1;

fn header(log: &LogId, name: &ObjectName, plain_bytes: u64) -> [u8; HEADER_BYTES] {
    let (kind, epoch, first, last, first_ms, last_ms, shards): (u16, _, _, _, _, _, u32) =
        match *name {
            ObjectName::Frames(FramesName { first_gsn, last_gsn, epoch, first_ms, last_ms }) => {
                (1, epoch, first_gsn, last_gsn, first_ms, last_ms, 0)
            }
            ObjectName::Base(BaseName { cut_gsn, epoch, time_ms }) => {
                (2, epoch, cut_gsn, cut_gsn, time_ms, time_ms, 0)
            }
            ObjectName::Epoch(EpochName { number, first_gsn, shards, time_ms }) => {
                (3, number, first_gsn, first_gsn, time_ms, time_ms, shards)
            }
        };
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&epoch.to_le_bytes());
    out.extend_from_slice(&log.uuid);
    for number in [first, last, first_ms, last_ms, plain_bytes] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&shards.to_le_bytes());
    out.resize(HEADER_BYTES, 0);
    let crc = crc32fast::hash(&out);
    if let Some(place) = out.get_mut(8..12) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
    out.try_into().unwrap_or([0; HEADER_BYTES])
}

/// Counts and sums what passes.
struct Summed<T> {
    inner: T,
    bytes: u64,
    crc: crc32fast::Hasher,
}

impl<T> Summed<T> {
    fn new(inner: T) -> Self {
        Summed { inner, bytes: 0, crc: crc32fast::Hasher::new() }
    }
    fn pass(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.crc.update(bytes);
    }
}

impl<T: Write> Write for Summed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.pass(bytes.get(..n).unwrap_or_default());
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Summed<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.pass(buf.get(..n).unwrap_or_default());
        Ok(n)
    }
}

/// An object being written. Take it to [`ObjectWriter::finish`], or it is given up.
pub struct ObjectWriter {
    name: String,
    plain: crc32fast::Hasher,
    plain_left: u64,
    body: zstd::Encoder<'static, Summed<Box<dyn Put>>>,
}

impl ObjectWriter {
    /// Begins the object of that name, whose content has `plain_bytes` bytes.
    pub fn begin(
        store: &dyn Store,
        log: &LogId,
        name: &ObjectName,
        plain_bytes: u64,
    ) -> Result<Self, ArchiveError> {
        let text = name.to_text(log);
        let open = || {
            let mut put = store.put(&text)?;
            put.write_all(&header(log, name, plain_bytes))?;
            zstd::Encoder::new(Summed::new(put), LEVEL)
        };
        let body = open().map_err(|error| ArchiveError::io(format!("archive {text}"), error))?;
        Ok(ObjectWriter {
            name: text,
            plain: crc32fast::Hasher::new(),
            plain_left: plain_bytes,
            body,
        })
    }

    /// Adds content.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.plain.update(bytes);
        let more = || io::Error::new(io::ErrorKind::InvalidData, "more bytes than were announced");
        self.plain_left = self
            .plain_left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| ArchiveError::io(format!("archive {}", self.name), more()))?;
        let written = self.body.write_all(bytes);
        written.map_err(|error| ArchiveError::io(format!("archive {}", self.name), error))
    }

    /// Makes the object durable; gives its length in bytes.
    pub fn finish(self) -> Result<u64, ArchiveError> {
        let ObjectWriter { name, plain, plain_left, body } = self;
        let end = || {
            if plain_left > 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "its content fell short"));
            }
            let Summed { inner: mut put, bytes, crc } = body.finish()?;
            put.write_all(&trailer(bytes, plain.finalize(), crc.finalize()))?;
            put.commit()?;
            Ok(bytes + (HEADER_BYTES + TRAILER_BYTES) as u64)
        };
        end().map_err(|error| ArchiveError::io(format!("archive {name}"), error))
    }
}

fn trailer(body_bytes: u64, plain_crc: u32, body_crc: u32) -> [u8; TRAILER_BYTES] {
    let mut out = Vec::with_capacity(TRAILER_BYTES);
    out.extend_from_slice(&body_bytes.to_le_bytes());
    out.extend_from_slice(&plain_crc.to_le_bytes());
    out.extend_from_slice(&body_crc.to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
    out.extend_from_slice(END_MAGIC);
    out.try_into().unwrap_or([0; TRAILER_BYTES])
}

/// Holds back the last bytes of a file, the trailer.
struct Body<R> {
    inner: R,
    held: Vec<u8>,
    at_end: bool,
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while !self.at_end && self.held.len() < TRAILER_BYTES + buf.len() {
            let from = self.held.len();
            self.held.resize(TRAILER_BYTES + buf.len().max(1), 0);
            let n = match self.inner.read(self.held.get_mut(from..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                read => {
                    let n = read?;
                    self.at_end = n == 0;
                    n
                }
            };
            self.held.truncate(from + n);
            if self.held.len() > TRAILER_BYTES {
                break;
            }
        }
        let n = self.held.len().saturating_sub(TRAILER_BYTES).min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), self.held.get(..n)) {
            to.copy_from_slice(from);
        }
        self.held.drain(..n);
        Ok(n)
    }
}

/// Unpacks a body, which is summed as it stands in the file.
type Decoder = zstd::Decoder<'static, io::BufReader<Summed<Body<Box<dyn Read>>>>>;

/// An object being read.
pub struct ObjectReader {
    name: String,
    plain_bytes: u64,
    plain: Summed<Decoder>,
}

impl ObjectReader {
    /// Opens an object; its header must say what its name says.
    pub fn open(store: &dyn Store, log: &LogId, name: &ObjectName) -> Result<Self, ArchiveError> {
        let text = name.to_text(log);
        let mut file = match store.get(&text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ArchiveError::damaged(text, "it is gone"));
            }
            got => got.map_err(|error| ArchiveError::io(format!("read {text}"), error))?,
        };
        let mut found = [0; HEADER_BYTES];
        match file.read_exact(&mut found) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(ArchiveError::damaged(text, "it is cut off"));
            }
            read => read.map_err(|error| ArchiveError::io(format!("read {text}"), error))?,
        }
        let plain_bytes =
            found.get(64..72).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
        if found.get(..4) == Some(MAGIC) && found.get(4..6) != Some(&VERSION.to_le_bytes()[..]) {
            return Err(ArchiveError::damaged(text, "a version that this release does not read"));
        }
        if found != header(log, name, plain_bytes) {
            return Err(ArchiveError::damaged(text, "its header is not what its name says"));
        }
        let body = Summed::new(Body { inner: file, held: Vec::new(), at_end: false });
        let decoder = zstd::Decoder::new(body)
            .map_err(|error| ArchiveError::io(format!("read {text}"), error))?
            .single_frame();
        Ok(ObjectReader { name: text, plain_bytes, plain: Summed::new(decoder) })
    }

    /// The length of the content in bytes, as its header says.
    pub fn plain_bytes(&self) -> u64 {
        self.plain_bytes
    }

    /// Content that is left to read.
    pub fn left_bytes(&self) -> u64 {
        self.plain_bytes.saturating_sub(self.plain.bytes)
    }

    /// Reads at most as many bytes as `buf` has; 0 at the end.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize, ArchiveError> {
        let len = usize::try_from(self.left_bytes()).unwrap_or(usize::MAX).min(buf.len());
        let name = &self.name;
        match self.plain.read(buf.get_mut(..len).unwrap_or_default()) {
            Ok(0) if len > 0 => Err(ArchiveError::damaged(name, "it is cut off")),
            Ok(n) => Ok(n),
            Err(error) if error.raw_os_error().is_some() => {
                Err(ArchiveError::io(format!("read {name}"), error))
            }
            Err(error) => Err(ArchiveError::damaged(name, error.to_string())),
        }
    }

    /// Fills `buf`.
    pub fn read_exact(&mut self, mut buf: &mut [u8]) -> Result<(), ArchiveError> {
        while !buf.is_empty() {
            let n = self.read(buf)?;
            if n == 0 {
                return Err(ArchiveError::damaged(&self.name, "its content ends too early"));
            }
            buf = buf.get_mut(n..).unwrap_or_default();
        }
        Ok(())
    }

    /// An error about this object's content.
    pub fn damaged(&self, reason: impl Into<String>) -> ArchiveError {
        ArchiveError::damaged(&self.name, reason)
    }

    /// Verifies the sums, once all was read.
    pub fn finish(mut self) -> Result<(), ArchiveError> {
        let name = self.name;
        // Nothing may follow, and the decoder takes its own end in by this read.
        match self.plain.read(&mut [0; 1]) {
            Ok(0) => {}
            Ok(_) => return Err(ArchiveError::damaged(name, "more content than was announced")),
            Err(error) => return Err(ArchiveError::damaged(name, error.to_string())),
        }
        let Summed { inner: decoder, bytes: plain_bytes, crc: plain_crc } = self.plain;
        let mut body = decoder.finish();
        let rest = io::copy(&mut body, &mut io::sink());
        rest.map_err(|error| ArchiveError::io(format!("read {name}"), error))?;
        let Summed { inner, bytes, crc } = body.into_inner();
        let expected = trailer(bytes, plain_crc.finalize(), crc.finalize());
        if plain_bytes != self.plain_bytes || inner.held != expected {
            return Err(ArchiveError::damaged(name, "its sums do not fit its bytes"));
        }
        Ok(())
    }
}
