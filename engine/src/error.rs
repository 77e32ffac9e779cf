//! Errors that a client sees. Every text of the wire stands here, so that one snapshot test pins them all.

use std::borrow::Cow;

use crate::cmd::blocking::Block;

/// What a command's `run` returns; its reply is already in the sink when it is `Ok`.
pub type CmdResult = Result<(), Error>;

/// An error reply. `Display` is the text on the wire, code first, without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The key holds another type.
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    /// An option that does not fit.
    #[error("ERR syntax error")]
    Syntax,
    /// Not a 64-bit signed integer.
    #[error("ERR value is not an integer or out of range")]
    NotInteger,
    /// Not a float.
    #[error("ERR value is not a valid float")]
    NotFloat,
    /// A sum that does not fit 64 bits.
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    /// A result that is NaN or infinite.
    #[error("ERR increment would produce NaN or Infinity")]
    NanOrInfinity,
    /// The key must exist.
    #[error("ERR no such key")]
    NoSuchKey,
    /// A string above proto-max-bulk-len.
    #[error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")]
    StringTooLong,
    /// A time that is not positive or does not fit.
    #[error("ERR invalid expire time in '{0}' command")]
    InvalidExpire(&'static str),
    /// A count that must be positive.
    #[error("ERR value is out of range, must be positive")]
    NotPositive,
    /// A number beyond its range.
    #[error("ERR value is out of range")]
    OutOfRange,
    /// Wrong number of arguments.
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(Cow<'static, str>),
    /// No such subcommand.
    #[error("ERR unknown subcommand '{0}'. Try {1} HELP.")]
    UnknownSubcommand(String, String),
    /// A database index that does not exist.
    #[error("ERR DB index is out of range")]
    DbIndex,
    /// Source and destination are the same.
    #[error("ERR source and destination objects are the same")]
    SameObject,
    /// RESTORE onto a key that is there.
    #[error("BUSYKEY Target key name already exists.")]
    BusyKey,
    /// RESTORE of bytes that are not a dump.
    #[error("ERR DUMP payload version or checksum are wrong")]
    BadDump,
    /// RESTORE of a dump whose content is broken.
    #[error("ERR Bad data format")]
    BadData,
    /// An index outside of a list.
    #[error("ERR index out of range")]
    IndexRange,
    /// A range bound that is not a float.
    #[error("ERR min or max is not a float")]
    MinMaxNotFloat,
    /// A range bound that is not a lexicographic one.
    #[error("ERR min or max not valid string range item")]
    MinMaxNotLex,
    /// SCAN's cursor is not a number.
    #[error("ERR invalid cursor")]
    InvalidCursor,
    /// An offset beyond the longest string.
    #[error("ERR offset is out of range")]
    OffsetRange,
    /// A string that is no HyperLogLog.
    #[error("WRONGTYPE Key is not a valid HyperLogLog string value.")]
    NotHll,
    /// A HyperLogLog whose registers are not 16384.
    #[error("INVALIDOBJ Corrupted HLL object detected")]
    CorruptHll,
    /// No error: the command found nothing to take and has to wait. Whoever runs commands lets the client wait, or settles it
    /// with [`without_waiting`](crate::cmd::blocking::without_waiting).
    #[error("ERR the command waits for keys")]
    WouldBlock(Box<Block>),
    /// Any other text, code first.
    #[error("{0}")]
    Text(Cow<'static, str>),
}

impl Error {
    /// An error with a fixed text, code first (`"ERR ..."`).
    pub const fn text(text: &'static str) -> Self {
        Error::Text(Cow::Borrowed(text))
    }

    /// An error with a text made at run time, code first. Line ends are replaced, as they would break the protocol.
    pub fn owned(text: String) -> Self {
        Error::Text(Cow::Owned(text.replace(['\r', '\n'], " ")))
    }

    /// The code, the text's first word (`ERR`, `WRONGTYPE` ...), which error statistics count by.
    pub fn code(&self) -> String {
        self.to_string().split(' ').next().unwrap_or("ERR").to_owned()
    }
}
