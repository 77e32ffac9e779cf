//! Searches for places, and what becomes of what they find.

use super::query::{Form, Order, Query};
use super::{reply_distance, reply_point};
use crate::args::Args;
use crate::cmd::generic::delete;
use crate::cmd::zset::ZADD;
use crate::error::CmdResult;
use crate::geo::{self, Point, Shape};
use crate::keyspace::{Classes, Ctx, OPCODE_DEL};
use crate::num::{DoubleBuffer, format_f64};
use crate::types::{Object, ZSet};

/// Members that one effect of a stored result names, so that no record grows without bound.
const EFFECT_MEMBERS_MAX: usize = 1024;

/// A place that is inside.
struct Found {
    member: Vec<u8>,
    score: f64,
    place: Point,
    /// From the middle, in metres.
    distance_m: f64,
}

/// Runs a search.
pub(super) fn run(ctx: &mut Ctx<'_>, args: Args<'_>, form: Form) -> CmdResult {
    let set = ctx.db.get_as::<ZSet>(args.at(form.source_at()))?;
    let query = Query::parse(args, form, set)?;
    let found = match (set, query.shape()) {
        (Some(set), Some(shape)) => {
            let mut found = search(set, &shape, if query.any { query.count } else { 0 });
            put_in_order(&mut found, &query);
            found
        }
        _ => Vec::new(),
    };
    let unit_m = query.shape().map_or(1.0, |shape| shape.unit_m);
    match query.store_at {
        Some(key) => store(ctx, key, &query, found, unit_m),
        None => reply(ctx, &query, &found, unit_m),
    }
    Ok(())
}

/// The places of a set that are inside of a shape, at most `limit` if that is not 0.
fn search(set: &ZSet, shape: &Shape, limit: usize) -> Vec<Found> {
    let mut found = Vec::new();
    let mut scratch = itoa::Buffer::new();
    for (min, max) in geo::scores(shape) {
        let from = set.partition_point(|score, _| score < min);
        for (member, score) in set.range(from..usize::MAX) {
            if limit > 0 && found.len() >= limit {
                return found;
            }
            if score >= max {
                break;
            }
            let place = Point::of_score(score);
            if let Some(distance_m) = shape.contains(place) {
                let member = member.bytes(&mut scratch).to_vec();
                found.push(Found { member, score, place, distance_m });
            }
        }
    }
    found
}

/// Sorts, and cuts what is beyond the count.
fn put_in_order(found: &mut Vec<Found>, query: &Query<'_>) {
    let count = if query.count == 0 { found.len() } else { query.count.min(found.len()) };
    // The nearest of some places are nothing without an order; of any places they are.
    let limited = query.count > 0 && !query.any;
    let order = if limited && query.order == Order::Any { Order::Nearest } else { query.order };
    let nearest = |a: &Found, b: &Found| a.distance_m.total_cmp(&b.distance_m);
    let farthest = |a: &Found, b: &Found| nearest(b, a);
    match (order, count == found.len()) {
        (Order::Any, _) => {}
        (Order::Nearest, true) => found.sort_by(nearest),
        (Order::Farthest, true) => found.sort_by(farthest),
        (Order::Nearest, false) => geo::partial_sort(found, 0..count, nearest),
        (Order::Farthest, false) => geo::partial_sort(found, 0..count, farthest),
    }
    found.truncate(count);
}

fn reply(ctx: &mut Ctx<'_>, query: &Query<'_>, found: &[Found], unit_m: f64) {
    let details = [query.with_distance, query.with_hash, query.with_place];
    let details = details.into_iter().filter(|wanted| *wanted).count();
    ctx.reply.array(found.len());
    for found in found {
        if details > 0 {
            ctx.reply.array(details + 1);
        }
        ctx.reply.bulk(&found.member);
        if query.with_distance {
            reply_distance(ctx.reply, found.distance_m / unit_m);
        }
        if query.with_hash {
            #[expect(clippy::cast_possible_truncation, reason = "a score of 52 bits")]
            ctx.reply.int(found.score as i64);
        }
        if query.with_place {
            reply_point(ctx.reply, found.place);
        }
    }
}

/// Stores places, or their distances, in place of whatever `key` holds. The effect does not name the source.
fn store(ctx: &mut Ctx<'_>, key: &[u8], query: &Query<'_>, found: Vec<Found>, unit_m: f64) {
    ctx.reply.len(found.len());
    if found.is_empty() {
        delete(&mut ctx.db, key);
        return;
    }
    if ctx.db.remove(key) {
        ctx.db.effect(OPCODE_DEL, &[key]);
    }
    let limits = ctx.db.limits();
    let mut set = ZSet::new();
    for part in found.chunks(EFFECT_MEMBERS_MAX) {
        let scores: Vec<f64> = part
            .iter()
            .map(|f| if query.store_distances { f.distance_m / unit_m } else { f.score })
            .collect();
        let texts: Vec<Vec<u8>> = scores
            .iter()
            .map(|score| format_f64(*score, &mut DoubleBuffer::new()).to_vec())
            .collect();
        let mut effect = vec![key];
        for (found, (score, text)) in part.iter().zip(scores.iter().zip(&texts)) {
            set.insert(&found.member, *score, &limits);
            effect.extend([text.as_slice(), found.member.as_slice()]);
        }
        ctx.db.effect(ZADD.spec.opcode, &effect);
    }
    ctx.db.set(key, set.into_value(), None);
    let event = if query.is_search() { "geosearchstore" } else { "georadiusstore" };
    ctx.db.notify(Classes::ZSET, event, key);
}
