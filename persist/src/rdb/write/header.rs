//! What stands before the blocks: magic, AUX fields, function libraries and sizes.

use ringstone_engine::serial::{RdbWriter, crc64};

use super::pad;
use crate::rdb::opcode::{AUX, FUNCTION2, MAGIC, MAGIC_NEWER, RESIZEDB, SELECTDB};

/// The Redis version that the files claim, so that Redis of that version and its tools trust them.
const REDIS_VERSION: &str = "7.0.15";

/// Sizes of a database; a hint for loaders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DbSize {
    /// The database.
    pub db: u32,
    /// Its keys.
    pub keys: u64,
    /// Its keys with an expiry.
    pub expires: u64,
}

/// What the header says.
#[derive(Clone, Debug, Default)]
pub struct Header<'a> {
    /// When the snapshot was cut, in seconds since 1970.
    pub created_s: u64,
    /// Bytes held by the server.
    pub used_memory_bytes: u64,
    /// True for the base of a log, where expired keys stay until the log says otherwise.
    pub is_aof_base: bool,
    /// True when there are types that Redis 7.0 does not know: hashes whose fields expire.
    pub has_newer_types: bool,
    /// Function libraries, each as FUNCTION2 holds it: the library's code.
    pub functions: &'a [Vec<u8>],
    /// Sizes of the databases that hold keys.
    pub db_sizes: &'a [DbSize],
    /// More AUX fields (`repl-id`, `repl-offset`, `repl-stream-db`).
    pub aux: &'a [(&'a str, &'a [u8])],
}

/// The header's bytes with their sum.
#[derive(Clone, Debug)]
pub struct HeaderBlock {
    /// To be written at offset 0.
    pub bytes: Vec<u8>,
    pub(super) crc64: u64,
}

impl Header<'_> {
    /// The bytes, filled up to whole pages.
    pub fn encode(&self) -> HeaderBlock {
        let mut out = RdbWriter::default();
        out.raw(if self.has_newer_types { MAGIC_NEWER } else { MAGIC });
        aux(&mut out, b"redis-ver", REDIS_VERSION.as_bytes());
        aux(&mut out, b"redis-bits", b"64");
        aux(&mut out, b"ctime", self.created_s.to_string().as_bytes());
        aux(&mut out, b"used-mem", self.used_memory_bytes.to_string().as_bytes());
        for (name, value) in self.aux {
            aux(&mut out, name.as_bytes(), value);
        }
        aux(&mut out, b"aof-base", if self.is_aof_base { b"1" } else { b"0" });
        for library in self.functions {
            out.byte(FUNCTION2);
            out.string(library);
        }
        for size in self.db_sizes {
            out.byte(SELECTDB);
            out.length(u64::from(size.db));
            out.byte(RESIZEDB);
            out.length(size.keys);
            out.length(size.expires);
        }
        let mut bytes = out.buf;
        pad(&mut bytes);
        let crc64 = crc64::checksum(&bytes);
        HeaderBlock { bytes, crc64 }
    }
}

/// Appends an AUX field.
pub(super) fn aux(out: &mut RdbWriter, name: &[u8], value: &[u8]) {
    out.byte(AUX);
    out.string(name);
    out.string(value);
}
