//! What can be wrong with something sealed. Each text names the file, and the way out where there is one.

use super::KeyId;

/// Something that cannot be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptError {
    /// Its master key is not among those that are known.
    #[error(
        "{what} is encrypted under the master key {id}, which {source_name} does not hold: add that key to it as a further line"
    )]
    UnknownKey {
        /// The file.
        what: String,
        /// The master key's id.
        id: KeyId,
        /// Where the known keys came from.
        source_name: String,
    },
    /// No master key is known at all.
    #[error(
        "{what} is encrypted under the master key {id}, and no key is configured: set encryption-key-file, \
         encryption-key-env or encryption-key-command"
    )]
    NoKey {
        /// The file.
        what: String,
        /// The master key's id.
        id: KeyId,
    },
    /// A key that is wrapped under a master key that is known does not come out: the bytes are not what was written.
    #[error(
        "{what}: the data key under master key {id} does not authenticate; the file was changed or damaged: restore it"
    )]
    Wrapped {
        /// The file.
        what: String,
        /// The master key's id.
        id: KeyId,
    },
    /// A MAC does not fit.
    #[error(
        "{what}: the MAC under master key {id} does not fit; the file was changed or damaged: restore it"
    )]
    Mac {
        /// The file.
        what: String,
        /// The master key's id.
        id: KeyId,
    },
    /// Bytes that are not those that were sealed.
    #[error(
        "{what} does not authenticate at byte {offset}; the file was changed or damaged: restore it from a backup"
    )]
    Changed {
        /// The file.
        what: String,
        /// Where.
        offset: u64,
    },
    /// A frame of a log that is not what was sealed.
    #[error(
        "the frame at {0} does not authenticate; the file was changed or damaged: restore it from a backup"
    )]
    Frame(String),
    /// A frame of a log whose data key is not in MANIFEST.
    #[error(
        "the frame at {what} is encrypted with data key {number} of epoch {epoch}, which MANIFEST does not name: it is of another \
         log, or MANIFEST is an old one; restore the files that belong together"
    )]
    NoDataKey {
        /// The frame's place.
        what: String,
        /// Its epoch.
        epoch: u32,
        /// The number of its data key in the epoch.
        number: u16,
    },
    /// Not laid out as a sealed file.
    #[error("{what}: {why}; the file was cut, changed or damaged: restore it from a backup")]
    Layout {
        /// The file.
        what: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The system has no random bytes, or the cipher refuses a length.
    #[error("the cipher refuses: {0}")]
    Cipher(&'static str),
    /// A key is needed to write.
    #[error("{0} is to be encrypted, and no key is configured")]
    NothingToSealWith(String),
}
