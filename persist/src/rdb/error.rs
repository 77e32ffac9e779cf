//! What can be wrong with an RDB file, where, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use ringstone_engine::serial::{LoadError, LoadFault};

use crate::crypt::CryptError;

use super::opcode::{REDIS_VERSION_MAX, VALKEY_VERSION};

/// A file that cannot be loaded. `Display` names the file, the byte and the way out.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault} (at byte {offset}); {}", path.display(), fault.way_out())]
pub struct RdbError {
    /// The file.
    pub path: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// What is wrong.
    #[source]
    pub fault: RdbFault,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum RdbFault {
    /// The operating system refused.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Encrypted, and it cannot be opened.
    #[error("{0}")]
    Crypt(#[from] CryptError),
    /// Encrypted, and not written by all shards as a file with an index.
    #[error("its encrypted content has no index of blocks")]
    NoIndex,
    /// Neither `REDIS` nor `VALKEY` and a version.
    #[error("not an RDB file")]
    NotRdb,
    /// Written by a version that is not known here.
    #[error("RDB version {0} is not known")]
    Version(u32),
    /// The file ends too early.
    #[error("the file is cut off")]
    Truncated,
    /// There is something behind the end.
    #[error("{0} bytes follow the end of the RDB data")]
    Trailing(u64),
    /// The sum over all bytes is not what the file says.
    #[error("wrong CRC-64: the file says {expected:016x}, its bytes give {found:016x}")]
    Checksum {
        /// From the file.
        expected: u64,
        /// Over its bytes.
        found: u64,
    },
    /// A byte where an opcode or a value type should be.
    #[error("unknown opcode or value type {0}")]
    UnknownOpcode(u8),
    /// A known opcode that cannot be served.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A value that cannot be read.
    #[error("key {}: {fault}", key.escape_ascii())]
    Value {
        /// The value's key.
        key: Vec<u8>,
        /// What is wrong with the value.
        fault: LoadFault,
    },
    /// Something outside of a value that cannot be read.
    #[error("{0}")]
    Structure(LoadFault),
    /// A key that is there twice.
    #[error("key {} of database {db} is there twice", key.escape_ascii())]
    DuplicateKey {
        /// The database.
        db: u32,
        /// The key.
        key: Vec<u8>,
    },
    /// A database number that this server does not have.
    #[error("database {db} does not exist here")]
    NoSuchDb {
        /// The database.
        db: u32,
    },
    /// Whoever receives the keys gave up.
    #[error("loading was stopped: {0}")]
    Stopped(String),
}

impl RdbFault {
    /// What whoever reads the message can do.
    fn way_out(&self) -> String {
        match self {
            RdbFault::Io(_) => "check that it is there and readable".to_owned(),
            RdbFault::NotRdb => "check that the right file was named".to_owned(),
            RdbFault::Version(_) => format!(
                "versions up to {REDIS_VERSION_MAX} of Redis and {VALKEY_VERSION} of Valkey are read: \
                 save again with an older server, or upgrade this one"
            ),
            RdbFault::Unsupported(_) => "see docs/operating.md for what cannot be imported".to_owned(),
            RdbFault::Value { fault: LoadFault::Unsupported { .. }, .. } => {
                "remove the key at its source and save again".to_owned()
            }
            RdbFault::Trailing(_) => {
                "if it is an append-only file that begins with RDB data, import it as one".to_owned()
            }
            RdbFault::NoSuchDb { .. } => "raise `databases` and start again".to_owned(),
            RdbFault::Stopped(_) => "see the message before".to_owned(),
            RdbFault::Crypt(_) => "see docs/encryption.md".to_owned(),
            RdbFault::Truncated
            | RdbFault::NoIndex
            | RdbFault::Checksum { .. }
            | RdbFault::UnknownOpcode(_)
            | RdbFault::Value { .. }
            | RdbFault::Structure(_)
            | RdbFault::DuplicateKey { .. } => {
                "the file is damaged: take it from a backup or a replica, or move it aside to start without it"
                    .to_owned()
            }
        }
    }

    pub(crate) fn at(self, path: &Path, offset: u64) -> RdbError {
        RdbError { path: path.to_owned(), offset, fault: self }
    }

    /// From a fault outside of values.
    pub(crate) fn structure(error: LoadError) -> RdbFault {
        match error.fault {
            LoadFault::Truncated => RdbFault::Truncated,
            LoadFault::UnknownType(number) => RdbFault::UnknownOpcode(number),
            fault @ (LoadFault::Corrupt(_)
            | LoadFault::Unsupported { .. }
            | LoadFault::EmptyCollection) => RdbFault::Structure(fault),
        }
    }
}
