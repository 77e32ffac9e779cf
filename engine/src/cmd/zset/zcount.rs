//! ZCOUNT, ZLEXCOUNT

use super::bounds::{LexRange, ScoreRange};
use crate::args::Args;
use crate::cmd::{Acl, Arg, ArgKind, Command, Flags, Group, KeyFlags, KeySpec, Spec};
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::ZSet;

/// `ZCOUNT`
pub static ZCOUNT: Command = Command {
    spec: Spec {
        name: "zcount",
        arity: 4,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::SortedSet,
        since: "2.0.0",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        summary: "Counts the members whose scores lie in a range.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("min", ArgKind::Double),
            Arg::new("max", ArgKind::Double),
        ],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZCOUNT board (1 +inf", "(integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run: zcount,
    subs: &[],
};

/// `ZLEXCOUNT`
pub static ZLEXCOUNT: Command = Command {
    spec: Spec {
        name: "zlexcount",
        arity: 4,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::SortedSet,
        since: "2.8.9",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        summary: "Counts the members in a lexicographic range, all scores being the same.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("min", ArgKind::String),
            Arg::new("max", ArgKind::String),
        ],
        examples: &[
            ("ZADD names 0 ann 0 bob 0 eve", "(integer) 3"),
            ("ZLEXCOUNT names [b +", "(integer) 2"),
        ],
        ..Spec::DEFAULT
    },
    run: zlexcount,
    subs: &[],
};

fn zcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let range = ScoreRange::parse(args.at(2), args.at(3))?;
    let count = ctx.db.get_as::<ZSet>(args.at(1))?.map_or(0, |set| range.ranks(set).len());
    ctx.reply.len(count);
    Ok(())
}

fn zlexcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let range = LexRange::parse(args.at(2), args.at(3))?;
    let count = ctx.db.get_as::<ZSet>(args.at(1))?.map_or(0, |set| range.ranks(set, false).len());
    ctx.reply.len(count);
    Ok(())
}
