//! A small sorted set: a listpack of member and score in turn, ordered by score, then member. Redis's layout.
//!
//! Invariant: an even number of elements; every second one reads as a number that is not NaN; members are distinct.

use std::cmp::Ordering;
use std::ops::Range;

use crate::num::{DoubleBuffer, format_f64, parse_f64};
use crate::types::listpack::{self, Item, Listpack, Pos};

/// Where a member stands.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) pos: Pos,
    pub(super) score: f64,
}

/// Reads a score; 0 for what is none, which [`check`] has ruled out.
pub(super) fn score_of(item: Item<'_>) -> f64 {
    match item {
        #[expect(clippy::cast_precision_loss, reason = "integers are stored for exact ones only")]
        Item::Int(n) => n as f64,
        Item::Str(text) => parse_f64(text).unwrap_or(0.0),
    }
}

/// Whether a listpack keeps to the invariant, and whether it is in order.
pub(super) fn check(list: &Listpack) -> Option<bool> {
    let mut members = hashbrown::HashSet::with_hasher(foldhash::fast::RandomState::default());
    let mut ordered = true;
    let mut last: Option<(f64, Vec<u8>)> = None;
    let mut items = list.iter();
    while let Some(member) = items.next() {
        let score = match items.next()? {
            Item::Int(n) => score_of(Item::Int(n)),
            Item::Str(text) => parse_f64(text)?,
        };
        let member = member.to_vec();
        if let Some((before, earlier)) = last {
            ordered &= before < score || (before == score && earlier < member);
        }
        if !members.insert(member.clone()) {
            return None;
        }
        last = Some((score, member));
    }
    Some(ordered)
}

pub(super) fn find(list: &Listpack, member: &[u8]) -> Option<Found> {
    let pos = list.find(member, 1)?;
    Some(Found { pos, score: score_of(list.get(list.next(pos)?)) })
}

/// Adds a member that is not there yet.
pub(super) fn insert(list: &mut Listpack, member: &[u8], score: f64) {
    let mut scratch = itoa::Buffer::new();
    let mut at = list.first();
    while let Some(pos) = at {
        let Some(score_pos) = list.next(pos) else { break };
        let other = score_of(list.get(score_pos));
        let later = other > score
            || (other == score
                && list.get(pos).bytes(&mut scratch).cmp(member) == Ordering::Greater);
        if later {
            break;
        }
        at = list.next(score_pos);
    }
    let mut buffer = DoubleBuffer::new();
    // Integers have no negative zero.
    let text = format_f64(if score == 0.0 { 0.0 } else { score }, &mut buffer);
    match at {
        Some(pos) => {
            let pos = list.insert_before(pos, member);
            list.insert_after(pos, text);
        }
        None => {
            list.push_back(member);
            list.push_back(text);
        }
    }
}

/// Removes the member at `pos` with its score.
pub(super) fn remove(list: &mut Listpack, pos: Pos) {
    list.remove_range(pos, 2);
}

fn index_of(rank: usize) -> i64 {
    i64::try_from(rank).unwrap_or(i64::MAX).saturating_mul(2)
}

pub(super) fn remove_ranks(list: &mut Listpack, ranks: Range<usize>) {
    if let Some(pos) = list.seek(index_of(ranks.start)) {
        list.remove_range(pos, ranks.len() * 2);
    }
}

/// The elements with these ranks, which must exist.
pub(super) fn range(list: &Listpack, ranks: Range<usize>) -> Iter<'_> {
    let left = ranks.len();
    let front = if left == 0 { None } else { list.seek(index_of(ranks.start)) };
    let back = if left == 0 { None } else { list.seek(index_of(ranks.end) - 1) };
    Iter { front: list.iter_from(front), back: list.iter_to(back), left }
}

/// Pairs in order, from either end.
#[derive(Debug, Clone)]
pub(super) struct Iter<'a> {
    front: listpack::Iter<'a>,
    back: listpack::Iter<'a>,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Item<'a>, f64);
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((self.front.next()?, score_of(self.front.next()?)))
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let score = score_of(self.back.next_back()?);
        Some((self.back.next_back()?, score))
    }
}
