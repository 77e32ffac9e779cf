//! The list family.

pub mod blmove;
pub mod blocking;
pub mod lindex;
pub mod linsert;
pub mod llen;
pub mod lmove;
pub mod lpos;
pub mod lrange;
pub mod lrem;
pub mod lset;
pub mod ltrim;
pub mod pop;
pub mod push;

use super::Command;
use crate::effect::Opcode;
use crate::types::list::Side;

/// The family's commands.
pub const COMMANDS: &[&Command] = &[
    &push::LPUSH,
    &push::RPUSH,
    &push::LPUSHX,
    &push::RPUSHX,
    &pop::LPOP,
    &pop::RPOP,
    &pop::LMPOP,
    &llen::LLEN,
    &lrange::LRANGE,
    &lindex::LINDEX,
    &lset::LSET,
    &linsert::LINSERT,
    &lrem::LREM,
    &ltrim::LTRIM,
    &lpos::LPOS,
    &lmove::LMOVE,
    &lmove::RPOPLPUSH,
    &blocking::BLPOP,
    &blocking::BRPOP,
    &blocking::BLMPOP,
    &blmove::BLMOVE,
    &blmove::BRPOPLPUSH,
];

// Pinned: these numbers are in logs. The other commands of the family are recorded as one of these.
const OPCODE_LPUSH: Opcode = 128;
pub(in crate::cmd) const OPCODE_RPUSH: Opcode = 129;
const OPCODE_LPOP: Opcode = 130;
const OPCODE_RPOP: Opcode = 131;
const OPCODE_LSET: Opcode = 132;
const OPCODE_LINSERT: Opcode = 133;
const OPCODE_LREM: Opcode = 134;
const OPCODE_LTRIM: Opcode = 135;
const OPCODE_LMOVE: Opcode = 136;

/// Reads `LEFT` or `RIGHT`.
fn parse_side(word: &[u8]) -> Option<Side> {
    if word.eq_ignore_ascii_case(b"LEFT") {
        Some(Side::Left)
    } else if word.eq_ignore_ascii_case(b"RIGHT") {
        Some(Side::Right)
    } else {
        None
    }
}

/// The elements that indexes from `start` to `stop` mean, negative ones counting from the tail; none when there are none.
fn resolve_range(start: i64, stop: i64, len: usize) -> Option<(usize, usize)> {
    let signed = i64::try_from(len).unwrap_or(i64::MAX);
    let resolve = |index: i64| if index < 0 { index.saturating_add(signed) } else { index };
    let (start, stop) = (resolve(start).max(0), resolve(stop).min(signed - 1));
    if start > stop {
        return None;
    }
    Some((usize::try_from(start).ok()?, usize::try_from(stop).ok()?))
}

/// First element and number of elements of a resolved range.
fn slice_of(range: Option<(usize, usize)>) -> (usize, usize) {
    range.map_or((0, 0), |(start, stop)| (start, stop - start + 1))
}
