//! Appends RDB-encoded values to a buffer.
//!
//! ```text
//! length   00LLLLLL | 01LLLLLL LLLLLLLL | 0x80 u32be | 0x81 u64be
//! string   length bytes | 0xC0 i8 | 0xC1 i16le | 0xC2 i32le | 0xC3 length(packed) length(plain) LZF
//! ```

use super::lzf;

/// Which strings are LZF-compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// None, `rdbcompression no`.
    None,
    /// Long ones only: for files that are replaced often, where small ones cost more time than their space is worth.
    Long,
    /// All that Redis compresses.
    All,
}

impl Compression {
    /// Strings up to this length are never compressed.
    fn len_min(self) -> usize {
        match self {
            Compression::None => usize::MAX,
            Compression::Long => 1024,
            Compression::All => 20,
        }
    }
}

/// A string that reads as a 32-bit integer is no longer than this.
const INT_LEN_MAX: usize = 11;

/// Appends RDB-encoded values to a buffer.
#[derive(Debug)]
pub struct RdbWriter {
    /// What was written.
    pub buf: Vec<u8>,
    compression: Compression,
    table: Option<lzf::Table>,
}

impl Default for RdbWriter {
    /// An empty writer that compresses, as `rdbcompression yes` has it.
    fn default() -> Self {
        RdbWriter::new(Compression::All)
    }
}

impl RdbWriter {
    /// An empty writer.
    pub fn new(compression: Compression) -> Self {
        RdbWriter { buf: Vec::new(), compression, table: None }
    }

    /// Which strings are compressed from now on.
    pub fn set_compression(&mut self, compression: Compression) {
        self.compression = compression;
    }

    /// Which strings are compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// One byte.
    pub fn byte(&mut self, byte: u8) {
        self.buf.push(byte);
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// A length, a count, or any number that should be short when it is small.
    pub fn length(&mut self, len: u64) {
        if len < 1 << 6 {
            self.buf.push((len & 0x3f) as u8);
        } else if len < 1 << 14 {
            self.buf.extend_from_slice(&[0x40 | (len >> 8 & 0x3f) as u8, (len & 0xff) as u8]);
        } else if let Ok(len) = u32::try_from(len) {
            self.buf.push(0x80);
            self.buf.extend_from_slice(&len.to_be_bytes());
        } else {
            self.buf.push(0x81);
            self.buf.extend_from_slice(&len.to_be_bytes());
        }
    }

    /// A string that is an integer.
    pub fn int_string(&mut self, value: i64) {
        if !self.small_int(value) {
            let mut text = itoa::Buffer::new();
            self.verbatim(text.format(value).as_bytes());
        }
    }

    /// Any string: as an integer where it is one of 32 bits, LZF-compressed where [`Compression`] says so and it
    /// pays, else as it is.
    pub fn string(&mut self, bytes: &[u8]) {
        if bytes.len() <= INT_LEN_MAX
            && crate::num::parse_i64(bytes).is_some_and(|value| self.small_int(value))
        {
            return;
        }
        if !(bytes.len() > self.compression.len_min() && self.lzf_string(bytes)) {
            self.verbatim(bytes);
        }
    }

    /// A string as it is: for bytes known not to pay.
    pub fn verbatim(&mut self, bytes: &[u8]) {
        self.length(bytes.len() as u64);
        self.buf.extend_from_slice(bytes);
    }

    /// A double, 8 bytes.
    pub fn double(&mut self, value: f64) {
        self.buf.extend_from_slice(&value.to_le_bytes());
    }

    /// A time or any 64-bit number, 8 bytes.
    pub fn ms_time(&mut self, ms: i64) {
        self.buf.extend_from_slice(&ms.to_le_bytes());
    }

    fn small_int(&mut self, value: i64) -> bool {
        if let Ok(value) = i8::try_from(value) {
            self.buf.push(0xc0);
            self.buf.extend_from_slice(&value.to_le_bytes());
        } else if let Ok(value) = i16::try_from(value) {
            self.buf.push(0xc1);
            self.buf.extend_from_slice(&value.to_le_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.buf.push(0xc2);
            self.buf.extend_from_slice(&value.to_le_bytes());
        } else {
            return false;
        }
        true
    }

    /// Writes a string of `len` bytes that is compressed already.
    pub fn squeezed(&mut self, lzf: &[u8], len: usize) {
        self.buf.push(0xc3);
        self.length(lzf.len() as u64);
        self.length(len as u64);
        self.buf.extend_from_slice(lzf);
    }

    /// Compresses straight behind a head whose first length is a guess of fixed width, filled in afterwards.
    fn lzf_string(&mut self, bytes: &[u8]) -> bool {
        let start = self.buf.len();
        self.buf.push(0xc3);
        let packed_len_at = self.buf.len();
        // The packed length is below the plain one, so its width is that of the plain one at most.
        self.length(bytes.len() as u64);
        let width = self.buf.len() - packed_len_at;
        self.length(bytes.len() as u64);
        let body = self.buf.len();
        let table = self.table.get_or_insert_default();
        if !table.compress(bytes, &mut self.buf, bytes.len() - 4) {
            self.buf.truncate(start);
            return false;
        }
        let packed_len = self.buf.len() - body;
        let head = length_of_width(packed_len as u64, width);
        if let Some(slot) = self.buf.get_mut(packed_len_at..packed_len_at + width) {
            slot.copy_from_slice(head.as_slice());
        }
        true
    }
}

/// `len` in the length encoding that takes `width` bytes; readers take any that fits.
fn length_of_width(len: u64, width: usize) -> smallvec::SmallVec<[u8; 9]> {
    let mut out = smallvec::SmallVec::new();
    match width {
        1 => out.push((len & 0x3f) as u8),
        2 => out.extend_from_slice(&[0x40 | (len >> 8 & 0x3f) as u8, (len & 0xff) as u8]),
        5 => {
            out.push(0x80);
            out.extend((0..4).rev().map(|i| (len >> (8 * i) & 0xff) as u8));
        }
        _ => {
            out.push(0x81);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(f: impl FnOnce(&mut RdbWriter)) -> Vec<u8> {
        let mut out = RdbWriter::default();
        f(&mut out);
        out.buf
    }

    #[test]
    fn numbers_and_strings_take_redis_shortest_form() {
        assert_eq!(written(|w| w.length(63)), [63]);
        assert_eq!(written(|w| w.length(64)), [0x40, 64]);
        assert_eq!(written(|w| w.length(16383)), [0x7f, 0xff]);
        assert_eq!(written(|w| w.length(16384)), [0x80, 0, 0, 0x40, 0]);
        assert_eq!(written(|w| w.length(1 << 32)), [0x81, 0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(written(|w| w.string(b"-7")), [0xc0, 0xf9]);
        assert_eq!(written(|w| w.string(b"12345")), [0xc1, 0x39, 0x30]);
        assert_eq!(written(|w| w.string(b"-2147483648")), [0xc2, 0, 0, 0, 0x80]);
        assert_eq!(written(|w| w.string(b"007")), b"\x03007");
        assert_eq!(written(|w| w.int_string(1 << 40)), b"\x0d1099511627776");
        assert_eq!(written(|w| w.string(&[b'a'; 20])).len(), 21, "short strings stay as they are");
        assert!(written(|w| w.string(&[b'a'; 21])).len() < 15);
        assert_eq!(written(|w| w.double(1.0)), [0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    }

    #[test]
    fn compression_can_be_switched_off() {
        let mut out = RdbWriter::new(Compression::None);
        out.string(&[b'a'; 1000]);
        assert_eq!(out.buf.len(), 1002);
    }
}
