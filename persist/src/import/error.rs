//! What keeps something from being imported, where, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::rdb::RdbError;

/// An import that failed. `Display` names the file, the byte and the way out.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// RDB data that cannot be loaded.
    #[error(transparent)]
    Rdb(#[from] RdbError),
    /// Anything else.
    #[error("{}: {fault} (at byte {offset}); {}", path.display(), fault.way_out())]
    File {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong.
        fault: ImportFault,
    },
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ImportFault {
    /// The operating system refused.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Neither AOF nor RDB.
    #[error("neither an append-only file nor an RDB file")]
    Unknown,
    /// A directory without exactly one manifest.
    #[error("{0} manifests in the directory")]
    Manifests(usize),
    /// A manifest's line that makes no sense.
    #[error("line {line} of the manifest: {what}")]
    Manifest {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Not RESP.
    #[error("broken command: {0}")]
    Command(&'static str),
    /// The file ends within a command or a transaction.
    #[error("the file ends within a command or a transaction")]
    Truncated {
        /// Whether it is the last file, so that this could be allowed.
        is_last: bool,
    },
    /// RDB data where only commands may be.
    #[error("an incremental file holds RDB data")]
    RdbInIncrement,
    /// Whoever receives gave up.
    #[error("{0}")]
    Stopped(String),
}

impl ImportFault {
    pub(super) fn at(self, path: &Path, offset: u64) -> ImportError {
        ImportError::File { path: path.to_owned(), offset, fault: self }
    }

    fn way_out(&self) -> &'static str {
        match self {
            ImportFault::Io(_) => "check that it is there and readable",
            ImportFault::Unknown => {
                "name a dump.rdb, an append-only file, or the directory of one with its manifest"
            }
            ImportFault::Manifests(_) => "name the manifest itself",
            ImportFault::Manifest { .. } => "check that the directory was copied whole",
            ImportFault::Truncated { is_last: true } => {
                "set `aof-load-truncated yes` to go on without the unfinished end"
            }
            ImportFault::Command(_) | ImportFault::Truncated { is_last: false } => {
                "the file is damaged: take it from a backup, or cut it there with redis-check-aof --fix and lose \
                 what follows"
            }
            ImportFault::RdbInIncrement => "check the manifest's order and types",
            ImportFault::Stopped(_) => "nothing was changed on disk",
        }
    }
}
