//! HTTL, HPTTL, HEXPIRETIME and HPEXPIRETIME.

use super::fields::{self, FIELDS, NO_COUNT};
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::Hash;

/// HTTL: returns how many seconds fields of a hash have left.
pub static HTTL: Command = Command {
    spec: Spec {
        name: "httl",
        arity: -5,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Hash,
        since: "7.4.0",
        complexity: "O(N) where N is the number of fields named",
        summary: "Returns how many seconds fields of a hash have left.",
        args: &[Arg::new("key", ArgKind::Key), FIELDS],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HEXPIRE k 100 FIELDS 1 a", "1) (integer) 1"),
            ("HTTL k FIELDS 3 a b none", "1) (integer) 100 2) (integer) -1 3) (integer) -2"),
            ("HTTL none FIELDS 1 a", "1) (integer) -2"),
            ("HTTL k FIELDS 0 a", "(error) ERR Number of fields must be a positive integer"),
        ],
        ..Spec::DEFAULT
    },
    run: httl,
    subs: &[],
};

/// HPTTL: returns how many milliseconds fields of a hash have left.
pub static HPTTL: Command = Command {
    spec: Spec {
        name: "hpttl",
        arity: -5,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Hash,
        since: "7.4.0",
        complexity: "O(N) where N is the number of fields named",
        summary: "Returns how many milliseconds fields of a hash have left.",
        args: &[Arg::new("key", ArgKind::Key), FIELDS],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HEXPIRE k 100 FIELDS 1 a", "1) (integer) 1"),
            ("HPTTL k FIELDS 1 a", "1) (integer) 100000"),
        ],
        ..Spec::DEFAULT
    },
    run: hpttl,
    subs: &[],
};

/// HEXPIRETIME: returns when fields of a hash expire, in seconds since 1970.
pub static HEXPIRETIME: Command = Command {
    spec: Spec {
        name: "hexpiretime",
        arity: -5,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Hash,
        since: "7.4.0",
        complexity: "O(N) where N is the number of fields named",
        summary: "Returns when fields of a hash expire, in seconds since 1970.",
        args: &[Arg::new("key", ArgKind::Key), FIELDS],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HEXPIREAT k 33177117420 FIELDS 1 a", "1) (integer) 1"),
            ("HEXPIRETIME k FIELDS 2 a b", "1) (integer) 33177117420 2) (integer) -1"),
        ],
        ..Spec::DEFAULT
    },
    run: hexpiretime,
    subs: &[],
};

/// HPEXPIRETIME: returns when fields of a hash expire, in milliseconds since 1970.
pub static HPEXPIRETIME: Command = Command {
    spec: Spec {
        name: "hpexpiretime",
        arity: -5,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Hash,
        since: "7.4.0",
        complexity: "O(N) where N is the number of fields named",
        summary: "Returns when fields of a hash expire, in milliseconds since 1970.",
        args: &[Arg::new("key", ArgKind::Key), FIELDS],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HEXPIREAT k 33177117420 FIELDS 1 a", "1) (integer) 1"),
            ("HPEXPIRETIME k FIELDS 1 a", "1) (integer) 33177117420000"),
        ],
        ..Spec::DEFAULT
    },
    run: hpexpiretime,
    subs: &[],
};

fn httl(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let now_ms = ctx.db.now_ms();
    run(ctx, args, |at_ms| seconds(at_ms - now_ms))
}

fn hpttl(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let now_ms = ctx.db.now_ms();
    run(ctx, args, |at_ms| at_ms - now_ms)
}

fn hexpiretime(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, seconds)
}

fn hpexpiretime(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, |at_ms| at_ms)
}

/// Seconds, a part of one counting as one.
fn seconds(ms: i64) -> i64 {
    ms.saturating_add(999) / 1000
}

fn run(ctx: &mut Ctx<'_>, args: Args<'_>, show: impl Fn(i64) -> i64) -> CmdResult {
    let first = fields::parse(args, 2, 1, NO_COUNT)?;
    let hash = ctx.db.get_as::<Hash>(args.at(1))?;
    ctx.reply.array(args.len() - first);
    for field in args.iter_from(first) {
        ctx.reply.int(match hash.filter(|hash| hash.contains(field)) {
            None => -2,
            Some(hash) => hash.time_of(field).map_or(-1, &show),
        });
    }
    Ok(())
}
