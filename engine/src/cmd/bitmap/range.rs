//! The range that BITCOUNT and BITPOS look at.

use crate::args::Args;
use crate::error::Error;
use crate::num::parse_i64;

/// What the client said: positions in bytes or bits, negative ones counting from the end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BitRange {
    pub(super) start: i64,
    /// The last position, if it was given.
    pub(super) end: Option<i64>,
    in_bits: bool,
}

impl BitRange {
    /// Reads `start [end [BYTE|BIT]]` from argument `at` on.
    pub(super) fn parse(args: Args<'_>, at: usize) -> Result<BitRange, Error> {
        let mut range = BitRange::default();
        if args.len() > at + 3 {
            return Err(Error::Syntax);
        }
        if let Some(start) = args.get(at) {
            range.start = parse_i64(start).ok_or(Error::NotInteger)?;
        }
        if args.len() == at + 3 {
            range.in_bits = args.is(at + 2, "BIT");
            if !range.in_bits && !args.is(at + 2, "BYTE") {
                return Err(Error::Syntax);
            }
        }
        if let Some(end) = args.get(at + 1) {
            range.end = Some(parse_i64(end).ok_or(Error::NotInteger)?);
        }
        Ok(range)
    }

    /// First bit and the bit after the last one, within a string of `len` bytes; nothing when the range is empty.
    pub(super) fn bits_of(self, len: usize) -> Option<(usize, usize)> {
        let unit = if self.in_bits { 1 } else { 8 };
        let total = i64::try_from(len).ok()?.checked_mul(8 / unit)?;
        let from_end = |at: i64| if at < 0 { (total + at).max(0) } else { at };
        let start = from_end(self.start);
        let end = from_end(self.end.unwrap_or(total - 1)).min(total - 1);
        if start > end {
            return None;
        }
        let first = usize::try_from(start * unit).ok()?;
        let after = usize::try_from((end + 1) * unit).ok()?;
        Some((first, after))
    }
}

#[cfg(test)]
mod tests {
    use super::BitRange;

    #[test]
    fn ranges_are_cut_to_the_string() {
        let range = |start, end, in_bits| BitRange { start, end, in_bits }.bits_of(3);
        assert_eq!(range(0, None, false), Some((0, 24)));
        assert_eq!(range(-1, None, false), Some((16, 24)));
        assert_eq!(range(-100, Some(0), false), Some((0, 8)));
        assert_eq!(range(5, Some(30), true), Some((5, 24)));
        assert_eq!(range(-3, Some(-2), true), Some((21, 23)));
        assert_eq!(range(4, Some(2), false), None);
        assert_eq!(range(i64::MAX, None, false), None);
        assert_eq!(BitRange::default().bits_of(0), None);
    }
}
