//! Ids of stream entries.

use std::fmt;

/// An entry's id, `ms-seq`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId {
    /// Milliseconds since 1970, as a rule.
    pub ms: u64,
    /// Counts the entries of one millisecond.
    pub seq: u64,
}

impl StreamId {
    /// The smallest id, which no entry has.
    pub const MIN: StreamId = StreamId { ms: 0, seq: 0 };
    /// The largest id.
    pub const MAX: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

    /// An id from its parts.
    pub const fn new(ms: u64, seq: u64) -> Self {
        StreamId { ms, seq }
    }

    /// The next id; none after the largest.
    pub fn next(self) -> Option<StreamId> {
        match (self.seq.checked_add(1), self.ms.checked_add(1)) {
            (Some(seq), _) => Some(StreamId { seq, ..self }),
            (None, Some(ms)) => Some(StreamId { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// The id before; none before the smallest.
    pub fn prev(self) -> Option<StreamId> {
        match (self.seq.checked_sub(1), self.ms.checked_sub(1)) {
            (Some(seq), _) => Some(StreamId { seq, ..self }),
            (None, Some(ms)) => Some(StreamId { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }

    /// `ms-seq` or `ms`, the sequence then being `missing_seq`.
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<StreamId> {
        if text.len() > 127 {
            return None;
        }
        match text.iter().position(|b| *b == b'-') {
            None => Some(StreamId::new(number(text)?, missing_seq)),
            Some(dash) => {
                Some(StreamId::new(number(text.get(..dash)?)?, number(text.get(dash + 1..)?)?))
            }
        }
    }

    /// 16 bytes, big-endian, so that their order is the ids'.
    pub fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// The id that [`StreamId::to_bytes`] wrote.
    #[expect(clippy::cast_possible_truncation, reason = "each half is 64 bits")]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_be_bytes(bytes);
        StreamId::new((both >> 64) as u64, both as u64)
    }

    /// The id this far from `master`, wrapping as Redis's arithmetic does.
    pub(super) fn offset(master: StreamId, ms: i64, seq: i64) -> StreamId {
        StreamId::new(master.ms.wrapping_add_signed(ms), master.seq.wrapping_add_signed(seq))
    }
}

/// An unsigned number as `strtoull` reads it: space, zeros and a `+` in front are allowed.
pub fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_and_counted_on() {
        assert_eq!(StreamId::parse(b"5-3", 0), Some(StreamId::new(5, 3)));
        assert_eq!(StreamId::parse(b" 1", 0), Some(StreamId::new(1, 0)));
        assert_eq!(StreamId::parse(b"05", 9), Some(StreamId::new(5, 9)));
        for bad in ["", "-", "5-", "-5", "a-1", "1-1-1", "18446744073709551616", "1 "] {
            assert_eq!(StreamId::parse(bad.as_bytes(), 0), None, "{bad}");
        }
        assert_eq!(StreamId::new(1, u64::MAX).next(), Some(StreamId::new(2, 0)));
        assert_eq!(StreamId::new(2, 0).prev(), Some(StreamId::new(1, u64::MAX)));
        assert_eq!(StreamId::MAX.next(), None);
        assert_eq!(StreamId::MIN.prev(), None);
        let id = StreamId::new(7, u64::MAX - 1);
        assert_eq!(StreamId::from_bytes(id.to_bytes()), id);
    }
}
