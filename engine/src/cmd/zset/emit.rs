//! Elements of sorted sets as replies.

use crate::reply::Reply;
use crate::types::listpack::Item;

/// Writes elements with or without their scores: RESP3 has pairs as arrays, RESP2 one flat array.
pub(super) fn elements<'a>(
    out: &mut dyn Reply,
    items: impl ExactSizeIterator<Item = (Item<'a>, f64)>,
    with_scores: bool,
) {
    begin(out, items.len(), with_scores);
    let mut scratch = itoa::Buffer::new();
    for (member, score) in items {
        element(out, member.bytes(&mut scratch), with_scores.then_some(score));
    }
}

/// Announces `len` elements.
pub(super) fn begin(out: &mut dyn Reply, len: usize, with_scores: bool) {
    out.array(if with_scores && !out.is_resp3() { len * 2 } else { len });
}

/// Writes one element after [`begin`].
pub(super) fn element(out: &mut dyn Reply, member: &[u8], score: Option<f64>) {
    if score.is_some() && out.is_resp3() {
        out.array(2);
    }
    out.bulk(member);
    if let Some(score) = score {
        out.double(score);
    }
}
