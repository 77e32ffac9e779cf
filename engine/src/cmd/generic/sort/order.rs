//! The order that SORT puts elements in.
//!
//! Elements that compare as equal stay as they were, but with BY and LIMIT: then Redis sorts only what is wanted, and where equal
//! elements go follows from how it does that.

use std::cmp::Ordering;
use std::ops::Range;

use super::options::Options;
use super::pattern::Pattern;
use crate::error::Error;
use crate::geo::partial_sort;
use crate::keyspace::Db;
use crate::num::parse_f64;

/// Sorts by the elements themselves or by what BY names for them, as numbers or (ALPHA) as text. Only the places `wanted` are
/// looked at afterwards.
pub(super) fn sort(
    db: &mut Db<'_>,
    elements: &mut Vec<Vec<u8>>,
    options: &Options<'_>,
    wanted: Range<usize>,
) -> Result<(), Error> {
    let by = options.by.map(Pattern::new);
    if options.alpha {
        match by {
            None => elements.sort_by(|a, b| directed(collate(a, b, options), options)),
            Some(by) => {
                // An element without a weight comes first.
                let mut weighted: Vec<_> =
                    elements.drain(..).map(|element| (by.look_up(db, &element), element)).collect();
                let compare = |(a, _): &Weighted, (b, _): &Weighted| {
                    let ordering = match (a, b) {
                        (Some(a), Some(b)) => collate(a, b, options),
                        (a, b) => a.is_some().cmp(&b.is_some()),
                    };
                    directed(ordering, options)
                };
                if wanted == (0..weighted.len()) {
                    weighted.sort_by(compare);
                } else {
                    partial_sort(&mut weighted, wanted, compare);
                }
                elements.extend(weighted.into_iter().map(|(_, element)| element));
            }
        }
        return Ok(());
    }
    let weight = |element: &[u8]| match &by {
        None => number(element),
        Some(by) => by.look_up(db, element).map_or(Ok(0.0), |weight| number(&weight)),
    };
    // Elements of the same weight are put in order as text, so that the result never depends on chance.
    sort_by_number(elements, weight)?;
    if options.descending {
        elements.reverse();
    }
    Ok(())
}

/// An element behind its weight as text.
type Weighted = (Option<Vec<u8>>, Vec<u8>);

fn sort_by_number(
    elements: &mut Vec<Vec<u8>>,
    mut weight: impl FnMut(&[u8]) -> Result<f64, Error>,
) -> Result<(), Error> {
    let mut weighted = Vec::with_capacity(elements.len());
    for element in elements.drain(..) {
        weighted.push((weight(&element)?, element));
    }
    weighted.sort_by(|(a, x), (b, y)| a.total_cmp(b).then_with(|| x.cmp(y)));
    elements.extend(weighted.into_iter().map(|(_, element)| element));
    Ok(())
}

/// The order of texts. What is stored is compared to the last byte; for a client Redis asks the C library, for which a text ends
/// with its first zero.
fn collate(a: &[u8], b: &[u8], options: &Options<'_>) -> Ordering {
    if options.store.is_some() {
        return a.cmp(b);
    }
    until_zero(a).cmp(until_zero(b))
}

fn until_zero(text: &[u8]) -> &[u8] {
    text.get(..memchr::memchr(0, text).unwrap_or(text.len())).unwrap_or(text)
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
