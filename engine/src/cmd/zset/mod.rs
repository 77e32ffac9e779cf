//! The zset family.

pub mod bounds;
mod emit;
mod zadd;
mod zcard;
mod zcount;
pub mod zpop;
mod zrandmember;
mod zrange;
mod zrank;
mod zrem;
mod zremrange;
mod zscore;

use super::Command;

pub use zadd::ZADD;
pub use zrem::ZREM;

/// The family's commands.
pub const COMMANDS: &[&Command] = &[
    &zadd::ZADD,
    &zadd::ZINCRBY,
    &zcard::ZCARD,
    &zcount::ZCOUNT,
    &zcount::ZLEXCOUNT,
    &zpop::ZMPOP,
    &zpop::ZPOPMAX,
    &zpop::ZPOPMIN,
    &zrandmember::ZRANDMEMBER,
    &zrange::ZRANGE,
    &zrange::ZRANGEBYLEX,
    &zrange::ZRANGEBYSCORE,
    &zrange::ZRANGESTORE,
    &zrange::ZREVRANGE,
    &zrange::ZREVRANGEBYLEX,
    &zrange::ZREVRANGEBYSCORE,
    &zrank::ZRANK,
    &zrank::ZREVRANK,
    &zrem::ZREM,
    &zremrange::ZREMRANGEBYLEX,
    &zremrange::ZREMRANGEBYRANK,
    &zremrange::ZREMRANGEBYSCORE,
    &zscore::ZMSCORE,
    &zscore::ZSCORE,
];
