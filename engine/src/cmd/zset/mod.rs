//! The zset family.

pub mod bounds;
pub mod bzpop;
mod emit;
pub mod zadd;
pub mod zcard;
mod zcombine;
pub mod zcount;
pub mod zdiff;
pub mod zinter;
pub mod zpop;
pub mod zrandmember;
pub mod zrange;
pub mod zrank;
pub mod zrem;
pub mod zremrange;
pub mod zscan;
pub mod zscore;
pub mod zunion;

use super::Command;

pub use zadd::ZADD;
pub use zrem::ZREM;

/// The family's commands.
pub const COMMANDS: &[&Command] = &[
    &bzpop::BZMPOP,
    &bzpop::BZPOPMAX,
    &bzpop::BZPOPMIN,
    &zadd::ZADD,
    &zadd::ZINCRBY,
    &zcard::ZCARD,
    &zcount::ZCOUNT,
    &zcount::ZLEXCOUNT,
    &zdiff::ZDIFF,
    &zdiff::ZDIFFSTORE,
    &zinter::ZINTER,
    &zinter::ZINTERCARD,
    &zinter::ZINTERSTORE,
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
    &zscan::ZSCAN,
    &zscore::ZMSCORE,
    &zscore::ZSCORE,
    &zunion::ZUNION,
    &zunion::ZUNIONSTORE,
];

#[cfg(test)]
mod tests;
