//! ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX

use std::ops::Range;

use super::bounds::{LexRange, ScoreRange, index_ranks, integer};
use crate::args::Args;
use crate::cmd::{Acl, Arg, ArgKind, Command, Flags, Group, KeyFlags, KeySpec, Spec};
use crate::effect::Opcode;
use crate::error::CmdResult;
use crate::keyspace::{Classes, Ctx};
use crate::types::{Object, ZSet};

/// `ZREMRANGEBYRANK`
pub static ZREMRANGEBYRANK: Command = Command {
    spec: Spec {
        name: "zremrangebyrank",
        arity: 4,
        flags: Flags::WRITE,
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::DELETE))],
        opcode: 322,
        group: Group::SortedSet,
        since: "2.0.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
        summary: "Removes the members in a range of ranks.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("start", ArgKind::Integer),
            Arg::new("stop", ArgKind::Integer),
        ],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZREMRANGEBYRANK board 0 0", "(integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run: zremrangebyrank,
    subs: &[],
};

/// `ZREMRANGEBYSCORE`
pub static ZREMRANGEBYSCORE: Command = Command {
    spec: Spec {
        name: "zremrangebyscore",
        arity: 4,
        flags: Flags::WRITE,
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::DELETE))],
        opcode: 323,
        group: Group::SortedSet,
        since: "1.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
        summary: "Removes the members whose scores lie in a range.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("min", ArgKind::Double),
            Arg::new("max", ArgKind::Double),
        ],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZREMRANGEBYSCORE board (1 +inf", "(integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run: zremrangebyscore,
    subs: &[],
};

/// `ZREMRANGEBYLEX`
pub static ZREMRANGEBYLEX: Command = Command {
    spec: Spec {
        name: "zremrangebylex",
        arity: 4,
        flags: Flags::WRITE,
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::DELETE))],
        opcode: 324,
        group: Group::SortedSet,
        since: "2.8.9",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
        summary: "Removes the members in a lexicographic range, all scores being the same.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("min", ArgKind::String),
            Arg::new("max", ArgKind::String),
        ],
        examples: &[
            ("ZADD names 0 ann 0 bob 0 eve", "(integer) 3"),
            ("ZREMRANGEBYLEX names [a (c", "(integer) 2"),
            ("ZADD pair 0 ann 0 eve", "(integer) 2"),
            ("ZREMRANGEBYLEX pair [a (c", "(integer) 1"),
            ("ZRANGE pair 0 -1", "1) \"eve\""),
        ],
        ..Spec::DEFAULT
    },
    run: zremrangebylex,
    subs: &[],
};

fn zremrangebyrank(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (start, stop) = (integer(args.at(2))?, integer(args.at(3))?);
    let ranks = |set: &ZSet| index_ranks(start, stop, set.len());
    remove(ctx, args, (ZREMRANGEBYRANK.spec.opcode, "zremrangebyrank"), ranks)
}

fn zremrangebyscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let range = ScoreRange::parse(args.at(2), args.at(3))?;
    remove(ctx, args, (ZREMRANGEBYSCORE.spec.opcode, "zremrangebyscore"), |set| range.ranks(set))
}

fn zremrangebylex(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let range = LexRange::parse(args.at(2), args.at(3))?;
    remove(ctx, args, (ZREMRANGEBYLEX.spec.opcode, "zremrangebylex"), |set| range.ranks(set, false))
}

fn remove(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    (opcode, event): (Opcode, &'static str),
    ranks: impl Fn(&ZSet) -> Range<usize>,
) -> CmdResult {
    let key = args.at(1);
    let Some(set) = ctx.db.get_mut_as::<ZSet>(key)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let ranks = ranks(set);
    // Nothing would be left: the whole value goes at once, to be freed in slices.
    let whole = ranks == (0..set.len());
    let removed = if whole { ranks.len() } else { set.remove_ranks(ranks) };
    if removed > 0 {
        ctx.db.effect_verbatim(opcode, args);
        ctx.db.notify(Classes::ZSET, event, key);
    }
    if whole && ctx.db.remove(key) {
        ctx.db.notify(Classes::GENERIC, "del", key);
    }
    ctx.reply.len(removed);
    Ok(())
}
