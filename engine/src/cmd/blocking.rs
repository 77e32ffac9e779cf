//! What a command waits for that found nothing to take (BLPOP, XREAD BLOCK ...).
//!
//! ```text
//!   run ──> Error::WouldBlock(Block) ──> who runs it lets the client wait        ... a key changes ... Block::serve
//!                                    └─> or cannot (MULTI, scripts): Block::reply_at_once
//! ```
//!
//! Invariant: what [`Block::has_something`] agrees to, [`Block::serve`] replies to, when nothing happens between the two.

use crate::cmd::list::{blocking as list, lmove};
use crate::cmd::stream::{xread, xreadgroup};
use crate::cmd::zset::bzpop;
use crate::cmd::zset::zpop::End;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Ctx, Db};
use crate::num::{LongDouble, parse_i64};
use crate::reply::Reply;
use crate::types::list::Side;
use crate::types::stream::StreamId;
use crate::types::{List, Object, Stream, ZSet};

/// A command that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// How long it waits at most, in ms; none: until it is served.
    pub timeout_ms: Option<u64>,
    /// The keys whose change may serve it, in the order named, some perhaps twice.
    pub keys: Vec<Vec<u8>>,
    /// What it wants of them.
    pub want: Want,
}

/// What a command that waits wants of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// Elements of a list; with a count an array of them.
    Elements {
        /// The end to take them from.
        side: Side,
        /// How many at most.
        count: Option<usize>,
    },
    /// An element of a list, to be put into another list.
    Move {
        /// The end to take it from.
        from: Side,
        /// The other list's key.
        target: Vec<u8>,
        /// The end to put it at.
        to: Side,
    },
    /// Members of a sorted set; with a count an array of them.
    Members {
        /// The end to take them from.
        end: End,
        /// How many at most.
        count: Option<usize>,
    },
    /// Entries of streams.
    Entries {
        /// Behind which id of each key.
        after: Vec<StreamId>,
        /// How many at most.
        count: usize,
    },
    /// Entries of streams that a group has not been given yet.
    News {
        /// The group.
        group: Vec<u8>,
        /// Who reads for it.
        consumer: Vec<u8>,
        /// They do not become pending.
        no_ack: bool,
        /// How many at most.
        count: usize,
    },
}

impl Block {
    /// The outcome of a command that has to wait.
    pub(crate) fn outcome(self) -> CmdResult {
        Err(Error::WouldBlock(Box::new(self)))
    }

    /// The key beside [`Block::keys`] that is written when the command is served.
    pub fn target(&self) -> Option<&[u8]> {
        match &self.want {
            Want::Move { target, .. } => Some(target),
            Want::Elements { .. }
            | Want::Members { .. }
            | Want::Entries { .. }
            | Want::News { .. } => None,
        }
    }

    /// The reply where nobody may wait: within MULTI and scripts.
    pub fn reply_at_once(&self, reply: &mut dyn Reply) {
        match self.want {
            Want::Move { .. } => reply.null(),
            Want::Elements { .. }
            | Want::Members { .. }
            | Want::Entries { .. }
            | Want::News { .. } => reply.null_array(),
        }
    }

    /// The reply when the time is up.
    pub fn reply_too_late(reply: &mut dyn Reply) {
        reply.null_array();
    }

    /// True when the key at `at` of the keys has what is waited for now, or can never have it.
    pub fn has_something(&self, db: &mut Db<'_>, at: usize) -> bool {
        let value = self.keys.get(at).and_then(|key| db.peek(key)).map(|entry| entry.value());
        match &self.want {
            Want::Elements { .. } | Want::Move { .. } => value.and_then(List::from_ref).is_some(),
            Want::Members { .. } => value.and_then(ZSet::from_ref).is_some(),
            Want::Entries { after, .. } => {
                let last = value.and_then(Stream::from_ref).map(Stream::last_id);
                last > after.get(at).copied()
            }
            Want::News { group, .. } => {
                let stream = value.and_then(Stream::from_ref);
                let group = stream.and_then(|stream| Some((stream, stream.group(group)?)));
                group.is_none_or(|(stream, group)| stream.last_id() > group.last_id)
            }
        }
    }

    /// Takes what [`Block::has_something`] has seen at the key, and replies; an error is the reply then.
    pub fn serve(&self, ctx: &mut Ctx<'_>, at: usize) -> CmdResult {
        let Some(key) = self.keys.get(at) else { return Ok(()) };
        match &self.want {
            Want::Elements { side, count } => list::serve(ctx, key, *side, *count),
            Want::Move { from, target, to } => {
                lmove::move_element(ctx, (key, *from), (target, *to))
            }
            Want::Members { end, count } => bzpop::serve(ctx, key, *end, *count),
            Want::Entries { after, count } => {
                xread::serve(ctx, key, after.get(at).copied().unwrap_or(StreamId::MAX), *count)
            }
            Want::News { group, consumer, no_ack, count } => {
                xreadgroup::serve(ctx, key, (group, consumer), *no_ack, *count)
            }
        }
    }
}

/// The outcome of a command where nobody may wait.
pub fn without_waiting(result: CmdResult, reply: &mut dyn Reply) -> CmdResult {
    match result {
        Err(Error::WouldBlock(block)) => {
            block.reply_at_once(reply);
            Ok(())
        }
        result => result,
    }
}

/// Reads a timeout in seconds, as ms; none when it is 0.
pub(crate) fn timeout_in_seconds(text: &[u8]) -> Result<Option<u64>, Error> {
    let seconds =
        LongDouble::parse(text).ok_or(Error::text("ERR timeout is not a float or out of range"))?;
    // Redis's own sum is of 64 bits, and a larger one comes out negative.
    let ms = seconds.ceil_times(1000).and_then(|ms| u64::try_from(ms).ok()).ok_or(NEGATIVE)?;
    Ok(Some(ms).filter(|ms| *ms > 0))
}

/// Reads a timeout in ms; none when it is 0.
pub(crate) fn timeout_in_ms(text: &[u8]) -> Result<Option<u64>, Error> {
    let ms = parse_i64(text).ok_or(Error::text("ERR timeout is not an integer or out of range"))?;
    let ms = u64::try_from(ms).map_err(|_| NEGATIVE)?;
    Ok(Some(ms).filter(|ms| *ms > 0))
}

const NEGATIVE: Error = Error::text("ERR timeout is negative");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_redis_reads_them() {
        for (text, ms) in [
            ("0", None),
            ("-0.0001", None),
            ("0.00001", Some(1)),
            ("1.5", Some(1500)),
            ("0x10", Some(16_000)),
            ("9223372036854775", Some(9_223_372_036_854_775_000)),
        ] {
            assert_eq!(timeout_in_seconds(text.as_bytes()), Ok(ms), "{text}");
        }
        for text in ["-1", "-inf", "inf", "1e400", "9223372036854775807"] {
            assert_eq!(timeout_in_seconds(text.as_bytes()), Err(NEGATIVE), "{text}");
        }
        for text in ["", " 1", "abc", "nan"] {
            assert!(timeout_in_seconds(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(timeout_in_ms(b"0"), Ok(None));
        assert_eq!(timeout_in_ms(b"9223372036854775807"), Ok(Some(i64::MAX.unsigned_abs())));
        assert_eq!(timeout_in_ms(b"-1"), Err(NEGATIVE));
        assert!(timeout_in_ms(b"1.5").is_err());
    }
}
