//! What goes wrong with an archive.

use std::io;

/// Why something cannot be archived or restored.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The archive, or the disk, failed.
    #[error("{what}: {error}")]
    Io {
        /// Which file, and what was done.
        what: String,
        /// The error.
        error: io::Error,
    },
    /// A file of the archive is not as it was written.
    #[error("{name} in the archive is damaged: {reason}")]
    Damaged {
        /// The object.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The log does not hold what it must.
    #[error("GSN {0} is durable but not to be found in the log")]
    NotInLog(u64),
    /// The archive has the same log's later life.
    #[error(
        "the archive knows another history of this log: its epoch {0} is in there already; the log was put back from a copy. \
         Give it another log-archive-dir, or move the old one away"
    )]
    OtherHistory(u32),
    /// The archive does not hold what was asked for.
    #[error("{0}")]
    NotThere(String),
}

impl ArchiveError {
    pub(super) fn io(what: impl Into<String>, error: io::Error) -> Self {
        ArchiveError::Io { what: what.into(), error }
    }

    pub(super) fn damaged(name: impl Into<String>, reason: impl Into<String>) -> Self {
        ArchiveError::Damaged { name: name.into(), reason: reason.into() }
    }
}
