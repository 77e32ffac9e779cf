//! Reads RDB-encoded bytes.
//!
//! Invariant: every length is checked against what is left of the input before anything is allocated for it.

use std::borrow::Cow;

use super::lzf;
use crate::types::Value;

/// What is wrong with RDB bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadFault {
    /// The input ends within a value.
    #[error("the input ends within a value")]
    Truncated,
    /// A structure that contradicts itself.
    #[error("corrupt {0}")]
    Corrupt(&'static str),
    /// A type number that nobody has.
    #[error("unknown value type {0}")]
    UnknownType(u8),
    /// A type that is known, and why it cannot be loaded.
    #[error("value type {number} ({name}) cannot be loaded: {why}")]
    Unsupported {
        /// The type's number.
        number: u8,
        /// Its name in Redis.
        name: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// A collection without elements, which old versions could write by mistake; loaders of files skip it.
    #[error("a collection without elements")]
    EmptyCollection,
}

/// A fault and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {at}")]
pub struct LoadError {
    /// Offset in the reader's input.
    pub at: usize,
    /// What is wrong.
    pub fault: LoadFault,
}

/// A length, or the number of a special string encoding.
enum Length {
    Plain(u64),
    Special(u8),
}

/// A cursor over RDB bytes.
#[derive(Clone, Debug)]
pub struct RdbReader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> RdbReader<'a> {
    /// At the start of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        RdbReader { input, at: 0 }
    }

    /// Bytes read so far.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    /// True at the end.
    pub fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// An error at the present position: `what` is corrupt.
    pub fn corrupt(&self, what: &'static str) -> LoadError {
        self.fault(LoadFault::Corrupt(what))
    }

    /// An error at the present position.
    pub fn fault(&self, fault: LoadFault) -> LoadError {
        LoadError { at: self.at, fault }
    }

    /// `len` bytes as they are.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], LoadError> {
        let found = self.rest().get(..len).ok_or_else(|| self.fault(LoadFault::Truncated))?;
        self.at += len;
        Ok(found)
    }

    /// `N` bytes as they are.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        let found = self.rest().first_chunk().ok_or_else(|| self.fault(LoadFault::Truncated))?;
        self.at += N;
        Ok(*found)
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, LoadError> {
        self.array().map(|[byte]| byte)
    }

    /// A length or any number in the length encoding.
    pub fn length(&mut self) -> Result<u64, LoadError> {
        match self.length_or_encoding()? {
            Length::Plain(len) => Ok(len),
            Length::Special(_) => Err(self.corrupt("length")),
        }
    }

    /// A number of things that follow and take at least one byte each: never more than there are bytes left.
    pub fn count(&mut self) -> Result<usize, LoadError> {
        let count = self.length()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest().len() => Ok(count),
            _ => Err(self.fault(LoadFault::Truncated)),
        }
    }

    /// A string in any of its encodings.
    pub fn string(&mut self) -> Result<Cow<'a, [u8]>, LoadError> {
        match self.length_or_encoding()? {
            Length::Plain(len) => self.bytes(self.in_memory(len)?).map(Cow::Borrowed),
            Length::Special(3) => self.lzf().map(Cow::Owned),
            Length::Special(kind) => {
                let value = self.small_int(kind)?;
                Ok(Cow::Owned(itoa::Buffer::new().format(value).as_bytes().to_vec()))
            }
        }
    }

    /// A string as a value: integers in canonical form become integers.
    pub fn string_value(&mut self) -> Result<Value, LoadError> {
        match self.length_or_encoding()? {
            Length::Plain(len) => Ok(Value::from_str_bytes(self.bytes(self.in_memory(len)?)?)),
            Length::Special(3) => {
                let bytes = self.lzf()?;
                Ok(crate::num::parse_i64(&bytes).map_or_else(|| Value::Bytes(bytes), Value::Int))
            }
            Length::Special(kind) => self.small_int(kind).map(Value::Int),
        }
    }

    /// Passes over a string without unpacking it.
    pub fn skip_string(&mut self) -> Result<(), LoadError> {
        let len = match self.length_or_encoding()? {
            Length::Plain(len) => len,
            Length::Special(3) => {
                let packed_len = self.length()?;
                self.length()?;
                packed_len
            }
            Length::Special(kind) => return self.small_int(kind).map(|_| ()),
        };
        self.bytes(self.in_memory(len)?).map(|_| ())
    }

    /// A double of 8 bytes.
    pub fn double(&mut self) -> Result<f64, LoadError> {
        self.array().map(f64::from_le_bytes)
    }

    /// A double as text, as before RDB version 8.
    pub fn text_double(&mut self) -> Result<f64, LoadError> {
        match self.byte()? {
            253 => Ok(f64::NAN),
            254 => Ok(f64::INFINITY),
            255 => Ok(f64::NEG_INFINITY),
            len => {
                let text = self.bytes(usize::from(len))?;
                std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| text.trim().parse().ok())
                    .ok_or_else(|| self.corrupt("score"))
            }
        }
    }

    /// A time in ms, or any 64-bit number of 8 bytes.
    pub fn ms_time(&mut self) -> Result<i64, LoadError> {
        self.array().map(i64::from_le_bytes)
    }

    fn length_or_encoding(&mut self) -> Result<Length, LoadError> {
        let first = self.byte()?;
        let low = first & 0x3f;
        Ok(match (first >> 6, low) {
            (0, _) => Length::Plain(u64::from(low)),
            (1, _) => Length::Plain(u64::from(low) << 8 | u64::from(self.byte()?)),
            (2, 0) => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
            (2, 1) => Length::Plain(u64::from_be_bytes(self.array()?)),
            (3, 0..=3) => Length::Special(low),
            _ => return Err(self.corrupt("length encoding")),
        })
    }

    fn small_int(&mut self, kind: u8) -> Result<i64, LoadError> {
        Ok(match kind {
            0 => i64::from(i8::from_le_bytes(self.array()?)),
            1 => i64::from(i16::from_le_bytes(self.array()?)),
            2 => i64::from(i32::from_le_bytes(self.array()?)),
            _ => return Err(self.corrupt("string encoding")),
        })
    }

    fn lzf(&mut self) -> Result<Vec<u8>, LoadError> {
        let packed_len = self.length()?;
        let len = self.length()?;
        let packed = self.bytes(self.in_memory(packed_len)?)?;
        usize::try_from(len)
            .ok()
            .and_then(|len| lzf::decompress(packed, len))
            .ok_or_else(|| self.corrupt("LZF string"))
    }

    fn in_memory(&self, len: u64) -> Result<usize, LoadError> {
        usize::try_from(len).map_err(|_| self.fault(LoadFault::Truncated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serial::RdbWriter;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_back_what_was_written(
            words in prop::collection::vec((prop::collection::vec(b'a'..b'd', 0..60), 1usize..9), 0..20),
            numbers in prop::collection::vec(any::<i64>(), 0..20),
            shifts in prop::collection::vec((any::<u64>(), 0u32..64), 0..20),
        ) {
            let mut out = RdbWriter::default();
            let words: Vec<_> = words.into_iter().map(|(word, times)| word.repeat(times)).collect();
            words.iter().for_each(|w| out.string(w));
            for number in numbers.iter().flat_map(|n| [*n, *n >> 33, *n >> 49, *n >> 57]) {
                out.int_string(number);
                out.string(number.to_string().as_bytes());
                out.ms_time(number);
            }
            shifts.iter().for_each(|(n, shift)| out.length(n >> shift));

            let mut input = RdbReader::new(&out.buf);
            let mut skipper = input.clone();
            for word in &words {
                prop_assert_eq!(&*input.string().unwrap(), &word[..]);
                skipper.skip_string().unwrap();
                prop_assert_eq!(skipper.at(), input.at());
            }
            for number in numbers.iter().flat_map(|n| [*n, *n >> 33, *n >> 49, *n >> 57]) {
                let text = number.to_string();
                prop_assert_eq!(&*input.string().unwrap(), text.as_bytes());
                prop_assert!(matches!(input.string_value().unwrap(), Value::Int(n) if n == number));
                prop_assert_eq!(input.ms_time().unwrap(), number);
            }
            for (n, shift) in &shifts {
                prop_assert_eq!(input.length().unwrap(), n >> shift);
            }
            prop_assert!(input.is_at_end());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let reader = RdbReader::new(&bytes);
            let _ = reader.clone().string();
            let _ = reader.clone().string_value();
            let _ = reader.clone().skip_string();
            let _ = reader.clone().text_double();
            let _ = reader.clone().count();
        }
    }

    #[test]
    fn a_huge_declared_length_is_refused_before_it_is_allocated() {
        let huge = [0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, b'x'];
        let error = RdbReader::new(&huge).string().unwrap_err();
        assert_eq!(error, LoadError { at: 9, fault: LoadFault::Truncated });
        let packed = [0xc3, 2, 0x80, 0xff, 0xff, 0xff, 0xff, 0, b'a'];
        let error = RdbReader::new(&packed).string().unwrap_err();
        assert_eq!(error.fault, LoadFault::Corrupt("LZF string"));
        assert_eq!(RdbReader::new(&huge).count().unwrap_err().fault, LoadFault::Truncated);
    }

    #[test]
    fn old_scores_are_text() {
        assert_eq!(RdbReader::new(b"\x043.25").text_double().unwrap(), 3.25);
        assert_eq!(RdbReader::new(&[254]).text_double().unwrap(), f64::INFINITY);
        assert_eq!(RdbReader::new(&[255]).text_double().unwrap(), f64::NEG_INFINITY);
        assert!(RdbReader::new(b"\x02zz").text_double().is_err());
    }
}
