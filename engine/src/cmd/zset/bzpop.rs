//! BZPOPMIN, BZPOPMAX, BZMPOP

use super::zpop::{End, parse_mpop, reply_nested, take};
use crate::args::Args;
use crate::cmd::blocking::{Block, Want, timeout_in_seconds};
use crate::cmd::{Acl, Arg, ArgKind, Begin, Command, Find, Flags, Group, KeyFlags, KeySpec, Spec};
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;

/// `BZPOPMIN`
pub static BZPOPMIN: Command = Command {
    spec: Spec {
        name: "bzpopmin",
        summary: "Takes the member with the lowest score out of the first sorted set that is there, or waits for one.",
        history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("BZPOPMIN none board 0", "1) \"board\" 2) \"ann\" 3) \"1\""),
        ],
        ..POP
    },
    run: |ctx, args| pop(ctx, args, End::Min),
    subs: &[],
};

/// `BZPOPMAX`
pub static BZPOPMAX: Command = Command {
    spec: Spec {
        name: "bzpopmax",
        summary: "Takes the member with the highest score out of the first sorted set that is there, or waits for one.",
        history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("BZPOPMAX none board 0", "1) \"board\" 2) \"bob\" 3) \"2\""),
        ],
        ..POP
    },
    run: |ctx, args| pop(ctx, args, End::Max),
    subs: &[],
};

/// What both have in common.
const POP: Spec = Spec {
    arity: -3,
    flags: Flags::BLOCKING.union(Flags::FAST).union(Flags::NOSCRIPT).union(Flags::WRITE),
    acl: Acl::SORTEDSET,
    keys: &[KeySpec::range(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE), 1, -2, 1)],
    group: Group::SortedSet,
    since: "5.0.0",
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    args: &[Arg::new("key", ArgKind::Key).multiple(), Arg::new("timeout", ArgKind::Double)],
    ..Spec::DEFAULT
};

/// `BZMPOP`
pub static BZMPOP: Command = Command {
    spec: Spec {
        name: "bzmpop",
        arity: -5,
        flags: Flags::BLOCKING.union(Flags::MOVABLEKEYS).union(Flags::WRITE),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec {
            flags: KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE),
            begin: Begin::Index(2),
            find: Find::KeyNum(0, 1, 1),
            notes: None,
        }],
        group: Group::SortedSet,
        since: "7.0.0",
        complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.",
        summary: "Takes members out of the first of several sorted sets that is there, or waits for one.",
        args: &[
            Arg::new("timeout", ArgKind::Double),
            Arg::new("numkeys", ArgKind::Integer),
            Arg::new("key", ArgKind::Key).multiple(),
            Arg::one_of("where", &[Arg::word("min", "MIN"), Arg::word("max", "MAX")]),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
        ],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("BZMPOP 0 1 board MAX", "1) \"board\" 2) 1) 1) \"bob\" 2) \"2\""),
        ],
        ..Spec::DEFAULT
    },
    run: bzmpop,
    subs: &[],
};

fn pop(ctx: &mut Ctx<'_>, args: Args<'_>, end: End) -> CmdResult {
    let count = args.len().saturating_sub(2);
    let timeout_ms = timeout_in_seconds(args.at(count + 1))?;
    for key in args.iter_from(1).take(count) {
        if take_one(ctx, key, end)? {
            return Ok(());
        }
    }
    let keys = args.iter_from(1).take(count).map(<[u8]>::to_vec).collect();
    Block { timeout_ms, keys, want: Want::Members { end, count: None } }.outcome()
}

fn bzmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (keys, end, count) = parse_mpop(args, 2)?;
    let timeout_ms = timeout_in_seconds(args.at(1))?;
    for key in args.iter_from(3).take(keys) {
        if take_some(ctx, key, end, count)? {
            return Ok(());
        }
    }
    let keys = args.iter_from(3).take(keys).map(<[u8]>::to_vec).collect();
    Block { timeout_ms, keys, want: Want::Members { end, count: Some(count) } }.outcome()
}

/// Takes one member and replies with key, member and score; false when there is no such key.
fn take_one(ctx: &mut Ctx<'_>, key: &[u8], end: End) -> Result<bool, Error> {
    let Some(taken) = take(ctx, key, end, 1)? else { return Ok(false) };
    ctx.reply.array(1 + taken.len() * 2);
    ctx.reply.bulk(key);
    for (member, score) in &taken {
        ctx.reply.bulk(member);
        ctx.reply.double(*score);
    }
    Ok(true)
}

/// Takes up to `count` members and replies as ZMPOP does; false when there is no such key.
fn take_some(ctx: &mut Ctx<'_>, key: &[u8], end: End, count: usize) -> Result<bool, Error> {
    let Some(taken) = take(ctx, key, end, count)? else { return Ok(false) };
    reply_nested(ctx.reply, key, &taken);
    Ok(true)
}

/// Takes for a client that has waited.
pub(in crate::cmd) fn serve(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    end: End,
    count: Option<usize>,
) -> CmdResult {
    let taken = match count {
        None => take_one(ctx, key, end)?,
        Some(count) => take_some(ctx, key, end, count)?,
    };
    if taken { Ok(()) } else { Err(Error::NoSuchKey) }
}
