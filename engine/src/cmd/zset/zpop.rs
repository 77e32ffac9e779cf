//! ZPOPMIN, ZPOPMAX, ZMPOP

use super::emit;
use super::zrem::ZREM;
use crate::args::Args;
use crate::cmd::generic::delete;
use crate::cmd::{Acl, Arg, ArgKind, Begin, Command, Find, Flags, Group, KeyFlags, KeySpec, Spec};
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::num::parse_i64;
use crate::reply::Reply;
use crate::types::{Object, ZSet};

/// `ZPOPMIN`
pub static ZPOPMIN: Command = Command {
    spec: Spec {
        name: "zpopmin",
        arity: -2,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
        group: Group::SortedSet,
        since: "5.0.0",
        complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
        summary: "Takes out the members with the lowest scores.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("count", ArgKind::Integer).optional()],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZPOPMIN board", "1) \"ann\" 2) \"1\""),
        ],
        ..Spec::DEFAULT
    },
    run: zpopmin,
    subs: &[],
};

/// `ZPOPMAX`
pub static ZPOPMAX: Command = Command {
    spec: Spec {
        name: "zpopmax",
        arity: -2,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
        group: Group::SortedSet,
        since: "5.0.0",
        complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
        summary: "Takes out the members with the highest scores.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("count", ArgKind::Integer).optional()],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZPOPMAX board 5", "1) \"bob\" 2) \"2\" 3) \"ann\" 4) \"1\""),
        ],
        ..Spec::DEFAULT
    },
    run: zpopmax,
    subs: &[],
};

/// `ZMPOP`
pub static ZMPOP: Command = Command {
    spec: Spec {
        name: "zmpop",
        arity: -4,
        flags: Flags::MOVABLEKEYS.union(Flags::WRITE),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec {
            flags: KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE),
            begin: Begin::Index(1),
            find: Find::KeyNum(0, 1, 1),
            notes: None,
        }],
        group: Group::SortedSet,
        since: "7.0.0",
        complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.",
        summary: "Takes members out of the first of several sorted sets that is not empty.",
        args: &[
            Arg::new("numkeys", ArgKind::Integer),
            Arg::new("key", ArgKind::Key).multiple(),
            Arg::one_of("where", &[Arg::word("min", "MIN"), Arg::word("max", "MAX")]),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
        ],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZMPOP 1 board MAX", "1) \"board\" 2) 1) 1) \"bob\" 2) \"2\""),
        ],
        ..Spec::DEFAULT
    },
    run: zmpop,
    subs: &[],
};

/// Which end is taken from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The lowest scores.
    Min,
    /// The highest scores.
    Max,
}

fn zpopmin(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    pop(ctx, args, End::Min)
}

fn zpopmax(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    pop(ctx, args, End::Max)
}

fn pop(ctx: &mut Ctx<'_>, args: Args<'_>, end: End) -> CmdResult {
    if args.len() > 3 {
        return Err(Error::Syntax);
    }
    let count = match args.get(2) {
        None => None,
        Some(text) => {
            Some(parse_i64(text).and_then(|n| usize::try_from(n).ok()).ok_or(Error::NotPositive)?)
        }
    };
    let popped = take(ctx, args.at(1), end, count.unwrap_or(1))?.unwrap_or_default();
    if count.is_some() || popped.is_empty() {
        emit::begin(ctx.reply, popped.len(), true);
        popped.iter().for_each(|(member, score)| emit::element(ctx.reply, member, Some(*score)));
    } else {
        // A single element without a count is a flat pair in RESP3 as well.
        ctx.reply.array(popped.len() * 2);
        for (member, score) in &popped {
            ctx.reply.bulk(member);
            ctx.reply.double(*score);
        }
    }
    Ok(())
}

fn zmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (keys, end, count) = parse_mpop(args, 1)?;
    for key in args.iter_from(2).take(keys) {
        if let Some(popped) = take(ctx, key, end, count)? {
            reply_nested(ctx.reply, key, &popped);
            return Ok(());
        }
    }
    ctx.reply.null_array();
    Ok(())
}

/// The reply of `[B]ZMPOP`: the key, and pairs of member and score.
pub(super) fn reply_nested(reply: &mut dyn Reply, key: &[u8], popped: &Elements) {
    reply.array(2);
    reply.bulk(key);
    reply.array(popped.len());
    for (member, score) in popped {
        reply.array(2);
        reply.bulk(member);
        reply.double(*score);
    }
}

/// Number of keys, end and count of `[B]ZMPOP`, whose `numkeys` is argument `at`.
pub fn parse_mpop(args: Args<'_>, at: usize) -> Result<(usize, End, usize), Error> {
    let positive = |text: &[u8], error: &'static str| {
        parse_i64(text)
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| *n > 0)
            .ok_or(Error::text(error))
    };
    let keys = positive(args.at(at), "ERR numkeys should be greater than 0")?;
    let where_at = at.saturating_add(keys).saturating_add(1);
    let end = match () {
        () if args.is(where_at, "min") => End::Min,
        () if args.is(where_at, "max") => End::Max,
        () => return Err(Error::Syntax),
    };
    let count = match args.len() - where_at - 1 {
        0 => 1,
        2 if args.is(where_at + 1, "count") => {
            positive(args.at(where_at + 2), "ERR count should be greater than 0")?
        }
        // Further words fail as they come, so a bad count goes before them.
        n if n > 2 && args.is(where_at + 1, "count") => {
            positive(args.at(where_at + 2), "ERR count should be greater than 0")?;
            return Err(Error::Syntax);
        }
        _ => return Err(Error::Syntax),
    };
    Ok((keys, end, count))
}

/// Elements taken out, in the order taken.
pub type Elements = Vec<(Vec<u8>, f64)>;

/// Takes up to `count` elements from one end; none when there is no such key.
pub fn take(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    end: End,
    count: usize,
) -> Result<Option<Elements>, Error> {
    let Some(set) = ctx.db.get_mut_as::<ZSet>(key)? else { return Ok(None) };
    let len = set.len();
    let count = count.min(len);
    let (ranks, elements): (_, Vec<_>) = match end {
        End::Min => (0..count, set.range(0..count).map(|(m, s)| (m.to_vec(), s)).collect()),
        End::Max => (
            len - count..len,
            set.range(len - count..len).rev().map(|(m, s)| (m.to_vec(), s)).collect(),
        ),
    };
    let event = match end {
        End::Min => "zpopmin",
        End::Max => "zpopmax",
    };
    // Replicas are told how many went.
    let is_short = count == len && !ctx.db.keyspace().effects.is_fed();
    if is_short {
        ctx.db.notify(Classes::ZSET, event, key);
        delete(&mut ctx.db, key);
    } else if count > 0 {
        if let Some(set) = ctx.db.get_mut_as::<ZSet>(key)? {
            set.remove_ranks(ranks);
        }
        ctx.db.notify(Classes::ZSET, event, key);
        if ctx.db.remove_if_empty::<ZSet>(key) {
            ctx.db.notify(Classes::GENERIC, "del", key);
        }
        let mut effect = vec![key];
        effect.extend(elements.iter().map(|(member, _)| &member[..]));
        ctx.db.effect(ZREM.spec.opcode, &effect);
    }
    Ok(Some(elements))
}
