//! A sorted set of integers in Redis's intset layout: `encoding:u32le  length:u32le  integers` of 2, 4 or 8 bytes each.
//!
//! Invariant: integers ascend, and `encoding` is wide enough for all (it never narrows). Foreign bytes come in through
//! [`IntSet::from_bytes`] only, which checks that.

#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the layout is validated once, and widths are chosen to hold the value"
)]

use super::rng::Rng;

const HEADER_LEN: usize = 8;

/// A set of integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntSet(Vec<u8>);

/// Why bytes are not an intset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("broken intset")]
pub struct BadIntSet;

impl Default for IntSet {
    fn default() -> Self {
        IntSet::new()
    }
}

impl IntSet {
    /// An empty set.
    pub fn new() -> Self {
        IntSet(vec![2, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Takes bytes from a file or a client after checking all of them.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<IntSet, BadIntSet> {
        let head = bytes.get(..HEADER_LEN).ok_or(BadIntSet)?;
        let width = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if !matches!(width, 2 | 4 | 8) || Some(bytes.len() - HEADER_LEN) != len.checked_mul(width) {
            return Err(BadIntSet);
        }
        let set = IntSet(bytes);
        if set.iter().zip(set.iter().skip(1)).any(|(a, b)| a >= b) {
            return Err(BadIntSet);
        }
        Ok(set)
    }

    /// The bytes, as they go into an RDB file.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Number of integers.
    pub fn len(&self) -> usize {
        (self.0.len() - HEADER_LEN) / self.width()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held on the heap.
    pub fn memory_bytes(&self) -> usize {
        self.0.capacity()
    }

    /// True when `value` is in the set.
    pub fn contains(&self, value: i64) -> bool {
        self.search(value).is_ok()
    }

    /// Adds `value`; false when it was there.
    pub fn insert(&mut self, value: i64) -> bool {
        let Err(at) = self.search(value) else { return false };
        let needed = width_of(value);
        if needed > self.width() {
            self.widen(needed);
        }
        let width = self.width();
        let start = HEADER_LEN + at * width;
        let end = self.0.len();
        if self.0.capacity() < end + width {
            self.0.reserve_exact(width + (end / 4).min(1024));
        }
        self.0.resize(end + width, 0);
        self.0.copy_within(start..end, start + width);
        self.0[start..start + width].copy_from_slice(&value.to_le_bytes()[..width]);
        self.write_len();
        true
    }

    /// Removes `value`; false when it was not there.
    pub fn remove(&mut self, value: i64) -> bool {
        let Ok(at) = self.search(value) else { return false };
        let width = self.width();
        let start = HEADER_LEN + at * width;
        self.0.copy_within(start + width.., start);
        self.0.truncate(self.0.len() - width);
        self.write_len();
        true
    }

    /// The integer number `index`, in ascending order.
    pub fn get(&self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| self.at(index))
    }

    /// The integers, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = i64> + DoubleEndedIterator + '_ {
        (0..self.len()).map(|i| self.at(i))
    }

    /// An integer, each with the same chance.
    pub fn random(&self, rng: &mut Rng) -> Option<i64> {
        self.get(rng.below(self.len()))
    }

    fn width(&self) -> usize {
        usize::from(self.0[0])
    }

    fn at(&self, index: usize) -> i64 {
        let width = self.width();
        let b = &self.0[HEADER_LEN + index * width..][..width];
        match *b {
            [a, b] => i64::from(i16::from_le_bytes([a, b])),
            [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => 0,
        }
    }

    fn search(&self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        // Ascending insertion is the commonest.
        if high > 0 && value > self.at(high - 1) {
            return Err(high);
        }
        while low < high {
            let middle = low.midpoint(high);
            match self.at(middle).cmp(&value) {
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    fn widen(&mut self, width: usize) {
        let mut wide = Vec::with_capacity(HEADER_LEN + (self.len() + 1) * width);
        wide.extend_from_slice(&self.0[..HEADER_LEN]);
        wide[0] = width as u8;
        self.iter().for_each(|n| wide.extend_from_slice(&n.to_le_bytes()[..width]));
        self.0 = wide;
    }

    fn write_len(&mut self) {
        let len = self.len() as u32;
        self.0[4..HEADER_LEN].copy_from_slice(&len.to_le_bytes());
    }
}

fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    use super::*;

    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![-50i64..50, -40_000i64..40_000, any::<i32>().prop_map(i64::from), any::<i64>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
        #[test]
        fn behaves_like_a_btree_set_and_stays_well_formed(
            changes in prop::collection::vec((prop::bool::weighted(0.7), value()), 0..100)
        ) {
            let (mut set, mut model) = (IntSet::new(), BTreeSet::new());
            for (add, value) in changes {
                if add {
                    prop_assert_eq!(set.insert(value), model.insert(value));
                } else {
                    prop_assert_eq!(set.remove(value), model.remove(&value));
                }
                prop_assert_eq!(set.contains(value), model.contains(&value));
            }
            prop_assert!(set.iter().eq(model.iter().copied()));
            prop_assert_eq!(IntSet::from_bytes(set.as_bytes().to_vec()), Ok(set));
        }
    }

    #[test]
    fn the_bytes_are_those_of_redis() {
        let mut set = IntSet::new();
        [5, -3, 70_000].into_iter().for_each(|n| assert!(set.insert(n)));
        let expected =
            [4, 0, 0, 0, 3, 0, 0, 0, 0xfd, 0xff, 0xff, 0xff, 5, 0, 0, 0, 0x70, 0x11, 1, 0];
        assert_eq!(set.as_bytes(), expected);
    }

    #[test]
    fn broken_bytes_are_refused() {
        let good = [2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 2, 0];
        assert!(IntSet::from_bytes(good.to_vec()).is_ok());
        let bad: [&[u8]; 6] = [
            &[],
            &good[..7],
            &good[..11],
            &[3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 2, 0],
            &[2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 2, 0],
            &[8, 0, 0, 0, 255, 255, 255, 255, 1, 0, 2, 0],
        ];
        for bytes in bad {
            assert_eq!(IntSet::from_bytes(bytes.to_vec()), Err(BadIntSet));
        }
    }
}
