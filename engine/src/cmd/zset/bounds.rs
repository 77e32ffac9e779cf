//! Bounds of ranges by score and by member, and what they select.

use std::ops::Range;

use crate::error::Error;
use crate::num::parse_f64;
use crate::types::{Object, ZSet};

/// A range of scores.
#[derive(Clone, Copy, Debug)]
pub struct ScoreRange {
    min: f64,
    min_exclusive: bool,
    max: f64,
    max_exclusive: bool,
}

impl ScoreRange {
    /// Reads both bounds: a float, `(` before it for an exclusive one.
    pub fn parse(min: &[u8], max: &[u8]) -> Result<ScoreRange, Error> {
        let (min, min_exclusive) = score_bound(min)?;
        let (max, max_exclusive) = score_bound(max)?;
        Ok(ScoreRange { min, min_exclusive, max, max_exclusive })
    }

    /// The ranks that it covers.
    pub fn ranks(&self, set: &ZSet) -> Range<usize> {
        let r = *self;
        let start =
            set.partition_point(|s, _| if r.min_exclusive { s <= r.min } else { s < r.min });
        let end = set.partition_point(|s, _| if r.max_exclusive { s < r.max } else { s <= r.max });
        start..end.max(start)
    }
}

fn score_bound(text: &[u8]) -> Result<(f64, bool), Error> {
    let (text, exclusive) = match text.split_first() {
        Some((b'(', rest)) => (rest, true),
        _ => (text, false),
    };
    let value = strtod(text).filter(|v| !v.is_nan()).ok_or(Error::MinMaxNotFloat)?;
    Ok((value, exclusive))
}

/// As Redis reads bounds, with bare `strtod`: no text is 0, space in front is skipped, too large is infinite.
fn strtod(text: &[u8]) -> Option<f64> {
    if text.is_empty() {
        return Some(0.0);
    }
    let text = text.trim_ascii_start();
    parse_f64(text).or_else(|| std::str::from_utf8(text).ok()?.parse().ok())
}

/// A bound on members.
#[derive(Clone, Copy, Debug)]
enum LexBound<'a> {
    First,
    Last,
    At(&'a [u8], bool),
}

/// A range of members, for sets whose scores are all the same.
#[derive(Clone, Copy, Debug)]
pub struct LexRange<'a> {
    min: LexBound<'a>,
    max: LexBound<'a>,
}

impl<'a> LexRange<'a> {
    /// Reads both bounds: `-`, `+`, `[member` or `(member`.
    pub fn parse(min: &'a [u8], max: &'a [u8]) -> Result<LexRange<'a>, Error> {
        Ok(LexRange { min: lex_bound(min)?, max: lex_bound(max)? })
    }

    /// The ranks that it covers, looked for from the end if `reverse`.
    pub fn ranks(&self, set: &ZSet, reverse: bool) -> Range<usize> {
        if set.encoding() == "listpack" {
            return self.walk(set, reverse);
        }
        let start = set.partition_point(|_, member| !self.is_from_min(member));
        let end = set.partition_point(|_, member| self.is_to_max(member));
        start..end.max(start)
    }

    /// Where scores differ the result is whatever the walk meets. Small sets are walked as Redis walks them.
    fn walk(&self, set: &ZSet, reverse: bool) -> Range<usize> {
        let mut scratch = itoa::Buffer::new();
        let mut elements = set.iter();
        let ends = (elements.clone().next(), elements.clone().next_back());
        let (Some((first, _)), Some((last, _))) = ends else { return 0..0 };
        if !self.is_to_max(first.bytes(&mut scratch)) || !self.is_from_min(last.bytes(&mut scratch))
        {
            return 0..0;
        }
        let len = elements.len();
        if reverse {
            let mut elements = elements.rev();
            let skipped =
                elements.clone().take_while(|(m, _)| !self.is_to_max(m.bytes(&mut scratch)));
            let skipped = skipped.count();
            let mut scratch = itoa::Buffer::new();
            let rest = elements.by_ref().skip(skipped);
            let taken = rest.take_while(|(m, _)| self.is_from_min(m.bytes(&mut scratch))).count();
            return len - skipped - taken..len - skipped;
        }
        let skipped =
            elements.clone().take_while(|(m, _)| !self.is_from_min(m.bytes(&mut scratch)));
        let skipped = skipped.count();
        let mut scratch = itoa::Buffer::new();
        let rest = elements.by_ref().skip(skipped);
        let taken = rest.take_while(|(m, _)| self.is_to_max(m.bytes(&mut scratch))).count();
        skipped..skipped + taken
    }

    fn is_from_min(&self, member: &[u8]) -> bool {
        match self.min {
            LexBound::First => true,
            LexBound::Last => false,
            LexBound::At(min, exclusive) => member > min || (!exclusive && member == min),
        }
    }

    fn is_to_max(&self, member: &[u8]) -> bool {
        match self.max {
            LexBound::First => false,
            LexBound::Last => true,
            LexBound::At(max, exclusive) => member < max || (!exclusive && member == max),
        }
    }
}

fn lex_bound(text: &[u8]) -> Result<LexBound<'_>, Error> {
    match text.split_first() {
        Some((b'-', [])) => Ok(LexBound::First),
        Some((b'+', [])) => Ok(LexBound::Last),
        Some((b'[', member)) => Ok(LexBound::At(member, false)),
        Some((b'(', member)) => Ok(LexBound::At(member, true)),
        _ => Err(Error::MinMaxNotLex),
    }
}

/// The ranks from `start` to `stop`, both included, negative ones from the end, of `len` elements.
pub fn index_ranks(start: i64, stop: i64, len: usize) -> Range<usize> {
    let len_i64 = i64::try_from(len).unwrap_or(i64::MAX);
    let absolute = |at: i64| if at < 0 { len_i64.saturating_add(at) } else { at };
    let (start, stop) = (absolute(start).max(0), absolute(stop).min(len_i64 - 1));
    match (usize::try_from(start), usize::try_from(stop)) {
        (Ok(start), Ok(stop)) if start <= stop => start..stop + 1,
        _ => 0..0,
    }
}

/// An integer argument.
pub(super) fn integer(text: &[u8]) -> Result<i64, Error> {
    crate::num::parse_i64(text).ok_or(Error::NotInteger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_as_redis_reads_them() {
        assert_eq!(score_bound(b"(1.5"), Ok((1.5, true)));
        assert_eq!(score_bound(b""), Ok((0.0, false)));
        assert_eq!(score_bound(b"("), Ok((0.0, true)));
        assert_eq!(score_bound(b" 7"), Ok((7.0, false)));
        assert_eq!(score_bound(b"1e999"), Ok((f64::INFINITY, false)));
        assert_eq!(score_bound(b"(-inf"), Ok((f64::NEG_INFINITY, true)));
        for bad in ["nan", "a", "((1", "1 ", " "] {
            assert_eq!(score_bound(bad.as_bytes()), Err(Error::MinMaxNotFloat), "{bad}");
        }
        for bad in ["", "a", "-a", "+a"] {
            assert!(lex_bound(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranks_from_indexes() {
        assert_eq!(index_ranks(0, -1, 3), 0..3);
        assert_eq!(index_ranks(-2, 10, 3), 1..3);
        assert_eq!(index_ranks(2, 1, 3), 0..0);
        assert_eq!(index_ranks(3, 5, 3), 0..0);
        assert_eq!(index_ranks(-10, -5, 3), 0..0);
        assert_eq!(index_ranks(i64::MIN, i64::MAX, 3), 0..3);
        assert_eq!(index_ranks(0, -1, 0), 0..0);
    }
}
