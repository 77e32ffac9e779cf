//! Bytes of a connection to commands, incrementally.
//!
//! The caller keeps a connection's unread bytes and, while a command is incomplete, the spans pushed for it so far:
//!
//! ```text
//!   *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$900000\r\n....        first call: pushes (8,3) (17,1), Incomplete
//!   ^ start of the command              ^ bytes so far
//!   *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$900000\r\n........    next call, same start: pushes (30,900000), Command
//! ```
//!
//! So after [`Decoded::Incomplete`] call again with a buffer that still begins where the command begins (it may have
//! moved in memory) and keep the spans; after any other answer drop `consumed` bytes and start with no spans. A big
//! command is not scanned again with every packet: each call goes on at the argument where the last one stopped.
//!
//! Invariant: the same stream gives the same commands and errors however it is split into packets.

use super::inline::split_args;
use super::number::parse_i64;

/// Longest inline command, and longest header line, in bytes.
pub const INLINE_MAX_BYTES: usize = 64 * 1024;

/// Most arguments of a command, as Redis 7.0.15 has it. Memory follows the bytes received, not this announcement.
pub const ARGS_MAX: u32 = i32::MAX as u32;

/// Arguments that a client may send before it has authenticated.
const UNAUTHENTICATED_ARGS_MAX: i64 = 10;
/// Bytes of one argument that a client may send before it has authenticated.
const UNAUTHENTICATED_BULK_MAX_BYTES: i64 = 16 * 1024;

/// What a connection may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest argument in bytes: `proto-max-bulk-len`.
    pub bulk_max_bytes: u64,
    /// Most arguments of a command.
    pub args_max: u32,
    /// True when a password is needed and was not given yet: then small commands only.
    pub unauthenticated: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bulk_max_bytes: 512 * 1024 * 1024, args_max: ARGS_MAX, unauthenticated: false }
    }
}

/// What one call of [`Decoder::decode`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A command whose arguments were pushed; the next one begins `consumed` bytes on.
    Command {
        /// Bytes of the command.
        consumed: usize,
    },
    /// The command is not there as a whole: call again with more bytes.
    Incomplete,
    /// A command without arguments (empty line, `*0`, `*-1`): nothing to do and nothing to answer.
    Empty {
        /// Bytes to skip.
        consumed: usize,
    },
    /// A command typed as a line, its words unquoted; at least one.
    Inline {
        /// The words.
        args: Vec<Vec<u8>>,
        /// Bytes of the line.
        consumed: usize,
    },
    /// The stream is broken: answer [`ProtocolError::message`] and close.
    Error(ProtocolError),
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// An inline command longer than [`INLINE_MAX_BYTES`].
    InlineTooBig,
    /// Quotes of an inline command do not balance.
    UnbalancedQuotes,
    /// No line end within [`INLINE_MAX_BYTES`] of a `*`.
    ArrayHeaderTooBig,
    /// The number of arguments is not a number or too large.
    ArrayLength,
    /// More arguments than a client may send before AUTH.
    ArrayLengthUnauthenticated,
    /// No line end within [`INLINE_MAX_BYTES`] where an argument's header should be.
    BulkHeaderTooBig,
    /// An argument's header begins with this byte instead of `$`.
    ExpectedBulk(u8),
    /// An argument's length is not a number, negative or too large.
    BulkLength,
    /// A longer argument than a client may send before AUTH.
    BulkLengthUnauthenticated,
}

impl ProtocolError {
    /// The text on the wire, code first, without the leading `-`. Bytes, as it may quote a byte of the client.
    pub fn message(self) -> Vec<u8> {
        let text: &[u8] = match self {
            ProtocolError::InlineTooBig => b"too big inline request",
            ProtocolError::UnbalancedQuotes => b"unbalanced quotes in request",
            ProtocolError::ArrayHeaderTooBig => b"too big mbulk count string",
            ProtocolError::ArrayLength => b"invalid multibulk length",
            ProtocolError::ArrayLengthUnauthenticated => b"unauthenticated multibulk length",
            ProtocolError::BulkHeaderTooBig => b"too big bulk count string",
            ProtocolError::ExpectedBulk(_) => b"expected '$', got '",
            ProtocolError::BulkLength => b"invalid bulk length",
            ProtocolError::BulkLengthUnauthenticated => b"unauthenticated bulk length",
        };
        let mut out = b"ERR Protocol error: ".to_vec();
        out.extend_from_slice(text);
        if let ProtocolError::ExpectedBulk(got) = self {
            out.push(if matches!(got, b'\r' | b'\n') { b' ' } else { got });
            out.push(b'\'');
        }
        out
    }
}

impl std::fmt::Display for ProtocolError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&String::from_utf8_lossy(&self.message()))
    }
}

impl std::error::Error for ProtocolError {}

/// A connection's place within a command that has not arrived as a whole.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// Where the next argument's header begins, from the command's start.
    at: usize,
    /// Arguments still to come; 0 = at a command's start.
    left: u32,
    /// Bytes from the command's start that must be there before a further look can bring something.
    needed: usize,
    /// Bytes from the command's start that were searched for a line end in vain.
    searched: usize,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Decoder::default()
    }

    /// After [`Decoded::Incomplete`]: the bytes, from the command's start, that must at least be there before another
    /// call can get further. A hint for buffer sizes; an announced length is not a reason to allocate it at once.
    pub fn needed_bytes(&self) -> usize {
        self.needed
    }

    /// True while a command is partly read, which is when spans must be kept.
    pub fn is_within_command(&self) -> bool {
        self.left > 0
    }

    /// Reads one command that begins at `buf[0]`. `push(start, len)` gets each argument's place in `buf`, once.
    #[inline]
    pub fn decode(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        push: &mut impl FnMut(u32, u32),
    ) -> Decoded {
        if buf.len() < self.needed {
            return Decoded::Incomplete;
        }
        if self.left == 0 {
            if buf.first() != Some(&b'*') {
                return self.inline(buf);
            }
            let (count, next) = match self.header(buf, 0) {
                Header::Number(count, next) => (count, next),
                Header::Incomplete => return Decoded::Incomplete,
                Header::TooLong => return self.fail(ProtocolError::ArrayHeaderTooBig),
                Header::NotANumber => return self.fail(ProtocolError::ArrayLength),
            };
            if count > i64::from(limits.args_max) {
                return self.fail(ProtocolError::ArrayLength);
            }
            if limits.unauthenticated && count > UNAUTHENTICATED_ARGS_MAX {
                return self.fail(ProtocolError::ArrayLengthUnauthenticated);
            }
            let Some(left) = u32::try_from(count).ok().filter(|left| *left > 0) else {
                *self = Decoder::default();
                return Decoded::Empty { consumed: next };
            };
            (self.at, self.left) = (next, left);
        }
        self.arguments(buf, limits, push)
    }

    #[inline]
    fn arguments(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        push: &mut impl FnMut(u32, u32),
    ) -> Decoded {
        let (mut at, mut left) = (self.at, self.left);
        while left > 0 {
            let (len, start) = match self.header(buf, at) {
                Header::Number(len, start) if buf.get(at) == Some(&b'$') => (len, start),
                Header::Incomplete => return self.pause(at, left),
                Header::TooLong => return self.fail(ProtocolError::BulkHeaderTooBig),
                Header::Number(..) | Header::NotANumber => return self.bad_bulk(buf, at),
            };
            let Some(len) =
                u32::try_from(len).ok().filter(|len| u64::from(*len) <= limits.bulk_max_bytes)
            else {
                return self.fail(ProtocolError::BulkLength);
            };
            if limits.unauthenticated && i64::from(len) > UNAUTHENTICATED_BULK_MAX_BYTES {
                return self.fail(ProtocolError::BulkLengthUnauthenticated);
            }
            // Spans are 32 bits wide, so a command ends below 4 GiB.
            let Some(start_u32) =
                u32::try_from(start).ok().filter(|s| s.checked_add(len).is_some())
            else {
                return self.fail(ProtocolError::BulkLength);
            };
            let next = start + len as usize + 2;
            if next > buf.len() {
                self.needed = next;
                (self.at, self.left) = (at, left);
                return Decoded::Incomplete;
            }
            push(start_u32, len);
            at = next;
            left -= 1;
        }
        *self = Decoder::default();
        Decoded::Command { consumed: at }
    }

    /// A header line at `at`: its number, and where the line after it begins. Does not look at the type byte.
    #[inline]
    fn header(&mut self, buf: &[u8], at: usize) -> Header {
        // Nearly all headers have one or two digits. As in Redis, the byte after \r is taken for \n unseen.
        match buf.get(at..) {
            Some([_, a @ b'0'..=b'9', b'\r', _, ..]) => Header::Number(i64::from(a - b'0'), at + 4),
            Some([_, a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', _, ..]) => {
                Header::Number(i64::from(a - b'0') * 10 + i64::from(b - b'0'), at + 5)
            }
            _ => self.long_header(buf, at),
        }
    }

    #[inline(never)]
    fn long_header(&mut self, buf: &[u8], at: usize) -> Header {
        let from = at.max(self.searched);
        let to = buf.len().min(at + INLINE_MAX_BYTES + 1);
        let Some(end) = memchr::memchr(b'\r', buf.get(from..to).unwrap_or_default()) else {
            if buf.len().saturating_sub(at) > INLINE_MAX_BYTES {
                return Header::TooLong;
            }
            self.searched = buf.len();
            self.needed = buf.len() + 1;
            return Header::Incomplete;
        };
        let end = from + end;
        if buf.len() < end + 2 {
            self.searched = end;
            self.needed = end + 2;
            return Header::Incomplete;
        }
        match parse_i64(buf.get(at + 1..end).unwrap_or_default()) {
            Some(number) => Header::Number(number, end + 2),
            None => Header::NotANumber,
        }
    }

    #[inline(never)]
    fn pause(&mut self, at: usize, left: u32) -> Decoded {
        (self.at, self.left) = (at, left);
        Decoded::Incomplete
    }

    #[inline(never)]
    fn bad_bulk(&mut self, buf: &[u8], at: usize) -> Decoded {
        match buf.get(at) {
            Some(b'$') | None => self.fail(ProtocolError::BulkLength),
            Some(byte) => self.fail(ProtocolError::ExpectedBulk(*byte)),
        }
    }

    #[inline(never)]
    fn fail(&mut self, error: ProtocolError) -> Decoded {
        *self = Decoder::default();
        Decoded::Error(error)
    }

    #[inline(never)]
    fn inline(&mut self, buf: &[u8]) -> Decoded {
        let to = buf.len().min(INLINE_MAX_BYTES + 1);
        let unread = buf.get(self.searched..to).unwrap_or_default();
        let Some(end) = memchr::memchr(b'\n', unread) else {
            if buf.len() > INLINE_MAX_BYTES {
                return self.fail(ProtocolError::InlineTooBig);
            }
            self.searched = buf.len();
            self.needed = buf.len() + 1;
            return Decoded::Incomplete;
        };
        let end = self.searched + end;
        *self = Decoder::default();
        let consumed = end + 1;
        let line = buf.get(..end).unwrap_or_default();
        match split_args(line.strip_suffix(b"\r").unwrap_or(line)) {
            Err(_) => Decoded::Error(ProtocolError::UnbalancedQuotes),
            Ok(args) if args.is_empty() => Decoded::Empty { consumed },
            Ok(args) => Decoded::Inline { args, consumed },
        }
    }
}

enum Header {
    /// The number and where the next line begins.
    Number(i64, usize),
    Incomplete,
    TooLong,
    NotANumber,
}

#[cfg(test)]
mod tests;
