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

    /// The text as a client gets it: what came from a client with [`word`] has its own bytes again.
    pub fn wire(&self) -> Vec<u8> {
        let text = self.to_string();
        if text.chars().all(|char| kept_byte(char).is_none()) {
            return text.into_bytes();
        }
        let mut bytes = Vec::with_capacity(text.len());
        for char in text.chars() {
            match kept_byte(char) {
                Some(byte) => bytes.push(byte),
                None => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        bytes
    }

    /// The code, the text's first word (`ERR`, `WRONGTYPE` ...), which error statistics count by.
    pub fn code(&self) -> String {
        self.to_string().split(' ').next().unwrap_or("ERR").to_owned()
    }
}

/// What a client has sent, to stand within an error's text. Redis repeats the very bytes, up to the first zero, as strings of C
/// end there. Texts are strings here, so that bytes which are no UTF-8 are kept as code points of the last private plane until
/// [`Error::wire`].
pub fn word(bytes: &[u8]) -> String {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    any_bytes(bytes)
}

/// The same for bytes that do not end at a zero.
pub fn any_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let keep = |bytes: &[u8], text: &mut String| {
        text.extend(bytes.iter().filter_map(|byte| char::from_u32(KEPT_BYTES + u32::from(*byte))));
    };
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match kept_byte(char) {
                // Somebody sent such a code point itself.
                Some(_) => keep(char.encode_utf8(&mut [0; 4]).as_bytes(), &mut text),
                None => text.push(char),
            }
        }
        keep(chunk.invalid(), &mut text);
    }
    text
}

/// Where the code points begin that stand for single bytes; only those from 0x80 on are ever kept so.
const KEPT_BYTES: u32 = 0x0010_ff00;

fn kept_byte(char: char) -> Option<u8> {
    let byte = u32::from(char).checked_sub(KEPT_BYTES)?;
    u8::try_from(byte).ok().filter(|byte| *byte >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(bytes: &[u8]) -> Vec<u8> {
        Error::owned(format!("ERR '{}'", any_bytes(bytes))).wire()
    }

    #[test]
    fn errors_repeat_the_very_bytes_that_a_client_has_sent() {
        let own = "\u{10ff80}\u{10ffff}".as_bytes();
        for bytes in [
            &b"plain"[..],
            "gr\u{fc}\u{df}e".as_bytes(),
            b"d*j\x87\xc0",
            b"\xff\x00\x80",
            own,
            &own[1..],
        ] {
            assert_eq!(there_and_back(bytes), [b"ERR '", bytes, b"'"].concat());
        }
    }

    #[test]
    fn a_word_ends_where_a_string_of_c_does() {
        assert_eq!(word(b"ab\0cd"), "ab");
        assert_eq!(word(b"\0"), "");
    }
}
