//! The order that SORT puts elements in.

use std::cmp::Ordering;

use super::options::Options;
use super::pattern::Pattern;
use crate::error::Error;
use crate::keyspace::Db;
use crate::num::parse_f64;

/// Sorts by the elements themselves or by what BY names for them, as numbers or (ALPHA) as text.
pub(super) fn sort(
    db: &mut Db<'_>,
    elements: &mut Vec<Vec<u8>>,
    options: &Options<'_>,
) -> Result<(), Error> {
    let by = options.by.map(Pattern::new);
    if options.alpha {
        match by {
            None => elements.sort_by(|a, b| directed(a.cmp(b), options)),
            Some(by) => {
                // An element without a weight comes first.
                let weight = |element: &[u8]| Ok(by.look_up(db, element));
                sort_by_weight(elements, weight, |a, b| directed(a.cmp(b), options))?;
            }
        }
        return Ok(());
    }
    let weight = |element: &[u8]| match &by {
        None => number(element),
        Some(by) => by.look_up(db, element).map_or(Ok(0.0), |weight| number(&weight)),
    };
    // Elements of the same weight are put in order as text, so that the result never depends on chance.
    sort_by_weight(elements, weight, |a, b| a.total_cmp(b))?;
    if options.descending {
        elements.reverse();
    }
    Ok(())
}

/// Sorts by `compare` of weights, and where they are equal numbers by the element.
fn sort_by_weight<W: Tie>(
    elements: &mut Vec<Vec<u8>>,
    mut weight: impl FnMut(&[u8]) -> Result<W, Error>,
    compare: impl Fn(&W, &W) -> Ordering,
) -> Result<(), Error> {
    let mut weighted = Vec::with_capacity(elements.len());
    for element in elements.drain(..) {
        weighted.push((weight(&element)?, element));
    }
    weighted.sort_by(|(a, x), (b, y)| compare(a, b).then_with(|| W::break_tie(x, y)));
    elements.extend(weighted.into_iter().map(|(_, element)| element));
    Ok(())
}

/// What decides between elements of equal weight.
trait Tie {
    fn break_tie(a: &[u8], b: &[u8]) -> Ordering;
}

impl Tie for f64 {
    fn break_tie(a: &[u8], b: &[u8]) -> Ordering {
        a.cmp(b)
    }
}

impl Tie for Option<Vec<u8>> {
    /// Text weights leave equals as they were.
    fn break_tie(_: &[u8], _: &[u8]) -> Ordering {
        Ordering::Equal
    }
}

fn directed(ordering: Ordering, options: &Options<'_>) -> Ordering {
    if options.descending { ordering.reverse() } else { ordering }
}

/// A number as `strtod` alone reads it: leading space is skipped, and nothing at all is 0.
fn number(text: &[u8]) -> Result<f64, Error> {
    if text.is_empty() {
        return Ok(0.0);
    }
    let number = parse_f64(text.trim_ascii_start());
    // The two zeros are equal.
    number
        .map(|number| number + 0.0)
        .ok_or(Error::text("ERR One or more scores can't be converted into double"))
}
