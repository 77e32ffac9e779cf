//! Sorting of which only a part is needed.
//!
//! Redis does it with Bentley's and McIlroy's quicksort that leaves out what does not reach into the wanted part. Where elements
//! are equal the result depends on how exactly it goes about it, so it is that algorithm here, too.

use std::cmp::Ordering;
use std::ops::Range;

/// Below this many elements: insertion sort.
const SMALL: usize = 7;
/// Above this many elements the pivot is the median of nine.
const LARGE: usize = 40;

/// Brings the elements of the places `wanted` to where a sort would put them; the others are before and behind them in any order.
pub fn partial_sort<T>(
    items: &mut [T],
    wanted: Range<usize>,
    compare: impl Fn(&T, &T) -> Ordering,
) {
    let mut parts = vec![(0..items.len(), 4 * items.len().max(1).ilog2())];
    while let Some((part, splits_left)) = parts.pop() {
        if part.start >= wanted.end || part.end <= wanted.start {
            continue;
        }
        let Some(slice) = items.get_mut(part.clone()) else { continue };
        if slice.len() < SMALL {
            insertion_sort(slice, &compare);
        } else if splits_left == 0 {
            // Somebody made these elements to be slow.
            slice.sort_by(&compare);
        } else {
            let (less, greater) = split(slice, &compare);
            for inner in [less, greater].into_iter().filter(|inner| inner.len() > 1) {
                let inner = part.start + inner.start..part.start + inner.end;
                parts.push((inner, splits_left - 1));
            }
        }
    }
}

fn insertion_sort<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && order(items, compare, at - 1, at).is_gt() {
            items.swap(at - 1, at);
            at -= 1;
        }
    }
}

fn order<T>(items: &[T], compare: &impl Fn(&T, &T) -> Ordering, a: usize, b: usize) -> Ordering {
    match (items.get(a), items.get(b)) {
        (Some(a), Some(b)) => compare(a, b),
        _ => Ordering::Equal,
    }
}

/// Splits around a pivot; where what is less and what is greater lie then. Equal elements are gathered at both ends first,
/// and go to the middle last.
fn split<T>(
    items: &mut [T],
    compare: &impl Fn(&T, &T) -> Ordering,
) -> (Range<usize>, Range<usize>) {
    let len = items.len();
    let pivot = pivot(items, compare);
    items.swap(0, pivot);
    // Equal: ..a. Less: a..b. Not yet seen: b..c. Greater: c..d. Equal: d..
    let (mut a, mut b, mut c, mut d) = (1, 1, len, len);
    loop {
        while b < c {
            let ordering = order(items, compare, b, 0);
            if ordering.is_gt() {
                break;
            }
            if ordering.is_eq() {
                items.swap(a, b);
                a += 1;
            }
            b += 1;
        }
        while b < c {
            let ordering = order(items, compare, c - 1, 0);
            if ordering.is_lt() {
                break;
            }
            if ordering.is_eq() {
                d -= 1;
                items.swap(c - 1, d);
            }
            c -= 1;
        }
        if b >= c {
            break;
        }
        c -= 1;
        items.swap(b, c);
        b += 1;
    }
    swap_blocks(items, 0, b, a.min(b - a));
    swap_blocks(items, b, len, (d - c).min(len - d));
    (0..b - a, len - (d - c)..len)
}

/// Exchanges `count` elements from `start` with the `count` elements before `end`.
fn swap_blocks<T>(items: &mut [T], start: usize, end: usize, count: usize) {
    for at in 0..count {
        items.swap(start + at, end - count + at);
    }
}

fn pivot<T>(items: &[T], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let len = items.len();
    let median = |a, b, c| median(items, compare, a, b, c);
    let (first, middle, last) = (0, len / 2, len - 1);
    if len == SMALL {
        return middle;
    }
    if len <= LARGE {
        return median(first, middle, last);
    }
    let apart = len / 8;
    median(
        median(first, first + apart, first + 2 * apart),
        median(middle - apart, middle, middle + apart),
        median(last - 2 * apart, last - apart, last),
    )
}

fn median<T>(
    items: &[T],
    compare: &impl Fn(&T, &T) -> Ordering,
    a: usize,
    b: usize,
    c: usize,
) -> usize {
    let order = |x, y| order(items, compare, x, y);
    if order(a, b).is_lt() {
        if order(b, c).is_lt() {
            b
        } else if order(a, c).is_lt() {
            c
        } else {
            a
        }
    } else if order(b, c).is_gt() {
        b
    } else if order(a, c).is_lt() {
        a
    } else {
        c
    }
}
