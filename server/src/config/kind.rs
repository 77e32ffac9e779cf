//! Kinds of parameters: how a value is read, checked and written back.
//!
//! Error texts are those of Redis 7.0.15, which clients and its test suite know.

#![expect(clippy::wildcard_enum_match_arm, reason = "a type of value takes few of the kinds")]

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `yes` or `no`.
    Bool,
    /// An integer.
    Int {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
        /// What is counted, for the documentation; may be empty.
        unit: &'static str,
    },
    /// Bytes, with an optional unit (`1k` = 1000, `1kb` = 1024, likewise `m`, `mb`, `g`, `gb`).
    Memory {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// Bytes as above, or a percentage.
    MemoryOrPercent,
    /// Permission bits, octal.
    Octal {
        /// Largest value.
        max: u32,
    },
    /// One of these words.
    Enum(&'static [&'static str]),
    /// A password: any bytes, not shown.
    Secret,
    /// A path; empty for none.
    Path,
    /// A file's name, without a directory.
    FileName {
        /// Whether it may be empty, which means none.
        may_be_empty: bool,
    },
    /// The name of a directory within `dir`.
    DirName,
    /// A directory that exists.
    Dir,
    /// Addresses to listen on.
    Addresses,
    /// Pairs of seconds and changes.
    SavePoints,
    /// Percentages, each from 0 to 100.
    Percentiles,
    /// Client class, hard limit, soft limit and soft seconds, repeated.
    OutputLimits,
    /// Letters that stand for classes of keyspace events.
    Events,
}

/// Why a value was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(pub String);

impl BadValue {
    /// A refusal with this text.
    pub fn new(text: impl Into<String>) -> Self {
        BadValue(text.into())
    }
}

impl Kind {
    /// True when the value is several words.
    pub fn is_list(self) -> bool {
        matches!(self, Kind::Addresses | Kind::SavePoints | Kind::Percentiles | Kind::OutputLimits)
    }

    /// What is allowed, for error messages and the documentation.
    pub fn describe(self) -> String {
        match self {
            Kind::Bool => "yes or no".to_owned(),
            Kind::Int { min, max, unit } => {
                let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
                match max {
                    i64::MAX => format!("an integer from {min} up{unit}"),
                    _ => format!("an integer from {min} to {max}{unit}"),
                }
            }
            Kind::Memory { min, max: i64::MAX } => format!("a size from {} up", memory_text(min)),
            Kind::Memory { min, max } => {
                format!("a size from {} to {}", memory_text(min), memory_text(max))
            }
            Kind::MemoryOrPercent => "a size, or a percentage from 0% to 100%".to_owned(),
            Kind::Octal { max } => format!("octal permission bits from 0 to {max:o}"),
            Kind::Enum(words) => format!("one of {}", words.join(", ")),
            Kind::Secret => "any text, or \"\" for none".to_owned(),
            Kind::Path => "a path, or \"\" for none".to_owned(),
            Kind::FileName { may_be_empty: true } => "a file name, or \"\" for none".to_owned(),
            Kind::FileName { may_be_empty: false } => "a file name without a directory".to_owned(),
            Kind::DirName => "a directory name without a path".to_owned(),
            Kind::Dir => "a directory that exists".to_owned(),
            Kind::Addresses => {
                "up to 16 addresses; - before one makes it optional, * is all of IPv4, ::* all of IPv6"
                    .to_owned()
            }
            Kind::SavePoints => "pairs of seconds and changes, or \"\" for none".to_owned(),
            Kind::Percentiles => "numbers from 0 to 100, or \"\" for none".to_owned(),
            Kind::Events => "letters of Ag$lshzxeKEtmdn, or \"\" for none".to_owned(),
            Kind::OutputLimits => {
                "class (normal, replica, pubsub), hard limit, soft limit, soft seconds".to_owned()
            }
        }
    }
}

/// A type that a parameter's field may have.
pub trait Setting: Default + Clone + PartialEq {
    /// Takes the words of a value. `append` is set when an earlier line of the same configuration gave some already,
    /// which matters to lists that grow line by line.
    ///
    /// # Errors
    /// When the words are not a value of the kind.
    fn set(&mut self, kind: Kind, words: &[Vec<u8>], append: bool) -> Result<(), BadValue>;

    /// The value's canonical text, which [`Setting::set`] reads back.
    fn text(&self, kind: Kind) -> Vec<u8>;

    /// The value as lines of a file, each without the parameter's name.
    fn lines(&self, kind: Kind) -> Vec<Vec<u8>> {
        vec![quote(&self.text(kind))]
    }
}

/// The one word of a value that is not a list.
fn one(words: &[Vec<u8>]) -> Result<&[u8], BadValue> {
    match words {
        [word] => Ok(word),
        _ => Err(BadValue::new("wrong number of arguments")),
    }
}

impl Setting for bool {
    fn set(&mut self, _: Kind, words: &[Vec<u8>], _: bool) -> Result<(), BadValue> {
        *self = match one(words)? {
            word if word.eq_ignore_ascii_case(b"yes") => true,
            word if word.eq_ignore_ascii_case(b"no") => false,
            _ => return Err(BadValue::new("argument must be 'yes' or 'no'")),
        };
        Ok(())
    }

    fn text(&self, _: Kind) -> Vec<u8> {
        if *self { b"yes".to_vec() } else { b"no".to_vec() }
    }
}

/// Reads a number of a kind and checks its range.
fn number(kind: Kind, word: &[u8]) -> Result<i64, BadValue> {
    let text = std::str::from_utf8(word).unwrap_or("");
    let (value, min, max) = match kind {
        Kind::Memory { min, max } => {
            let value = parse_memory(word)
                .ok_or_else(|| BadValue::new("argument must be a memory value"))?;
            (i64::try_from(value).unwrap_or(i64::MAX), min, max)
        }
        Kind::Octal { max } => {
            let value = i64::from_str_radix(text, 8)
                .map_err(|_| BadValue::new("argument couldn't be parsed as an octal number"))?;
            if !(0..=i64::from(max)).contains(&value) {
                let text = format!("argument must be between 0 and {max:o} inclusive");
                return Err(BadValue(text));
            }
            return Ok(value);
        }
        Kind::Int { min, max, .. } => {
            let value = parse_int(text)
                .ok_or_else(|| BadValue::new("argument couldn't be parsed into an integer"))?;
            (value, min, max)
        }
        _ => return Err(BadValue::new("not a number's kind")),
    };
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(BadValue(format!("argument must be between {min} and {max} inclusive")))
    }
}

/// Canonical decimal only: no `+`, spaces or leading zeros.
fn parse_int(text: &str) -> Option<i64> {
    let value: i64 = text.parse().ok()?;
    (value.to_string() == text).then_some(value)
}

/// Bytes with an optional unit; beyond 64 bits it saturates, so that the range check reports it.
pub fn parse_memory(word: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(word).ok()?;
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (digits, unit) = text.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    if digits.is_empty() {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX).saturating_mul(factor))
}

/// The shortest exact text of a size: `64mb`, `1gb`, `100`.
pub fn memory_text(bytes: i64) -> String {
    for (unit, size) in [("gb", 1i64 << 30), ("mb", 1 << 20), ("kb", 1 << 10)] {
        if bytes >= size && bytes % size == 0 {
            return format!("{}{unit}", bytes / size);
        }
    }
    bytes.to_string()
}

macro_rules! number_settings {
    ($($type:ty)*) => {$(
        impl Setting for $type {
            fn set(&mut self, kind: Kind, words: &[Vec<u8>], _: bool) -> Result<(), BadValue> {
                let value = number(kind, one(words)?)?;
                *self = <$type>::try_from(value)
                    .map_err(|_| BadValue(format!("argument must be at most {}", <$type>::MAX)))?;
                Ok(())
            }

            fn text(&self, kind: Kind) -> Vec<u8> {
                match kind {
                    Kind::Octal { .. } => format!("{self:o}").into_bytes(),
                    _ => self.to_string().into_bytes(),
                }
            }

            fn lines(&self, kind: Kind) -> Vec<Vec<u8>> {
                match (kind, i64::try_from(*self)) {
                    (Kind::Memory { .. }, Ok(bytes)) => vec![memory_text(bytes).into_bytes()],
                    _ => vec![self.text(kind)],
                }
            }
        }
    )*};
}
number_settings! { u16 u32 u64 usize i64 }

impl Setting for PathBuf {
    fn set(&mut self, kind: Kind, words: &[Vec<u8>], _: bool) -> Result<(), BadValue> {
        let word = one(words)?;
        if word.contains(&0) {
            return Err(BadValue::new("a path can't contain a zero byte"));
        }
        let is_path = word.contains(&b'/');
        let path = PathBuf::from(OsStr::from_bytes(word));
        *self = match kind {
            Kind::FileName { .. } if is_path => {
                return Err(BadValue::new("can't be a path, just a filename"));
            }
            Kind::DirName if is_path || matches!(word, b"." | b"..") => {
                return Err(BadValue::new("can't be a path, just a dirname"));
            }
            Kind::FileName { may_be_empty: false } | Kind::DirName if word.is_empty() => {
                return Err(BadValue::new("can't be empty"));
            }
            Kind::Dir => existing_dir(path)?,
            _ => path,
        };
        Ok(())
    }

    fn text(&self, _: Kind) -> Vec<u8> {
        self.clone().into_os_string().into_vec()
    }
}

fn existing_dir(path: PathBuf) -> Result<PathBuf, BadValue> {
    let plain = |e: std::io::Error| {
        let text = e.to_string();
        BadValue::new(text.split(" (os error").next().unwrap_or_default())
    };
    let path = path.canonicalize().map_err(plain)?;
    if path.is_dir() { Ok(path) } else { Err(BadValue::new("Not a directory")) }
}

/// A word as it must stand in a file to be read back: quoted when it has to be.
pub fn quote(word: &[u8]) -> Vec<u8> {
    let plain = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\');
    if !word.is_empty() && word.first() != Some(&b'#') && word.iter().all(plain) {
        return word.to_vec();
    }
    let mut out = vec![b'"'];
    for byte in word {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b' ' => out.push(b' '),
            b if b.is_ascii_graphic() => out.push(*b),
            b => out.extend_from_slice(format!("\\x{b:02x}").as_bytes()),
        }
    }
    out.push(b'"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_decimal_and_binary_units() {
        for (text, bytes) in [
            ("0", 0),
            ("1024", 1024),
            ("1b", 1),
            ("1k", 1000),
            ("1Kb", 1024),
            ("3m", 3_000_000),
            ("64mb", 64 << 20),
            ("2G", 2_000_000_000),
            ("1gb", 1 << 30),
            ("99999999999999999999gb", u64::MAX),
        ] {
            assert_eq!(parse_memory(text.as_bytes()), Some(bytes), "{text}");
        }
        for bad in ["", "kb", "1.5gb", "1x", "-1", "1 mb", "10%"] {
            assert_eq!(parse_memory(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(memory_text(64 << 20), "64mb");
        assert_eq!(memory_text(1000), "1000");
        assert_eq!(memory_text(0), "0");
    }

    #[test]
    fn quoted_words_are_read_back() {
        for word in [&b""[..], b"plain", b"a b", b"q\"q'", b"\\", b"\x00\xff\n\r\t", b"#x", b"-::1"]
        {
            let line = quote(word);
            assert_eq!(ringstone_proto::resp::split_args(&line), Ok(vec![word.to_vec()]));
        }
    }
}
