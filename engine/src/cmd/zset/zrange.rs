//! ZRANGE, its older relatives, and ZRANGESTORE

use std::ops::Range;

use super::bounds::{LexRange, ScoreRange, index_ranks, integer};
use super::emit;
use crate::args::Args;
use crate::cmd::generic::delete;
use crate::cmd::{Acl, Arg, ArgKind, Begin, Command, Find, Flags, Group, KeyFlags, KeySpec, Spec};
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::types::{Object, ZSet};

/// `ZRANGE`
pub static ZRANGE: Command = Command {
    spec: Spec {
        name: "zrange",
        arity: -4,
        flags: Flags::READONLY,
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::SortedSet,
        since: "1.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
        summary: "Gives the members in a range of ranks, scores or members.",
        history: &[("6.2.0", "Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("start", ArgKind::String),
            Arg::new("stop", ArgKind::String),
            Arg::one_of("sortby", &[Arg::word("byscore", "BYSCORE"), Arg::word("bylex", "BYLEX")])
                .optional()
                .since("6.2.0"),
            Arg::word("rev", "REV").optional().since("6.2.0"),
            Arg::block(
                "offset_count",
                &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)],
            )
            .token("LIMIT")
            .optional()
            .since("6.2.0"),
            Arg::word("withscores", "WITHSCORES").optional(),
        ],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZRANGE board 0 -1 WITHSCORES", "1) \"ann\" 2) \"1\" 3) \"bob\" 4) \"2\""),
            ("ZRANGE board +inf (1 BYSCORE REV", "1) \"bob\""),
        ],
        ..Spec::DEFAULT
    },
    run: zrange,
    subs: &[],
};

/// `ZREVRANGE`
pub static ZREVRANGE: Command = Command {
    spec: Spec {
        name: "zrevrange",
        arity: -4,
        flags: Flags::READONLY,
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::SortedSet,
        since: "1.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
        summary: "Gives the members in a range of ranks, highest score first.",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` argument")),
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("start", ArgKind::Integer),
            Arg::new("stop", ArgKind::Integer),
            Arg::word("withscores", "WITHSCORES").optional(),
        ],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZREVRANGE board 0 0", "1) \"bob\""),
        ],
        ..Spec::DEFAULT
    },
    run: zrevrange,
    subs: &[],
};

/// `ZRANGEBYSCORE`
pub static ZRANGEBYSCORE: Command = Command {
    spec: Spec {
        name: "zrangebyscore",
        arity: -4,
        flags: Flags::READONLY,
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::SortedSet,
        since: "1.0.5",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
        summary: "Gives the members whose scores lie in a range.",
        history: &[("2.0.0", "Added the `WITHSCORES` modifier.")],
        deprecated: Some(("6.2.0", "`ZRANGE` with the `BYSCORE` argument")),
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("min", ArgKind::Double),
            Arg::new("max", ArgKind::Double),
            Arg::word("withscores", "WITHSCORES").optional().since("2.0.0"),
            Arg::block(
                "offset_count",
                &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)],
            )
            .token("LIMIT")
            .optional(),
        ],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZRANGEBYSCORE board -inf +inf LIMIT 1 1", "1) \"bob\""),
        ],
        ..Spec::DEFAULT
    },
    run: zrangebyscore,
    subs: &[],
};

/// `ZREVRANGEBYSCORE`
pub static ZREVRANGEBYSCORE: Command = Command {
    spec: Spec {
        name: "zrevrangebyscore",
        arity: -4,
        flags: Flags::READONLY,
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::SortedSet,
        since: "2.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
        summary: "Gives the members whose scores lie in a range, highest first.",
        history: &[("2.1.6", "`min` and `max` can be exclusive.")],
        deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments")),
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("max", ArgKind::Double),
            Arg::new("min", ArgKind::Double),
            Arg::word("withscores", "WITHSCORES").optional(),
            Arg::block(
                "offset_count",
                &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)],
            )
            .token("LIMIT")
            .optional(),
        ],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZREVRANGEBYSCORE board 2 1", "1) \"bob\" 2) \"ann\""),
        ],
        ..Spec::DEFAULT
    },
    run: zrevrangebyscore,
    subs: &[],
};

/// `ZRANGEBYLEX`
pub static ZRANGEBYLEX: Command = Command {
    spec: Spec {
        name: "zrangebylex",
        arity: -4,
        flags: Flags::READONLY,
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::SortedSet,
        since: "2.8.9",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
        summary: "Gives the members in a lexicographic range, all scores being the same.",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `BYLEX` argument")),
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("min", ArgKind::String),
            Arg::new("max", ArgKind::String),
            Arg::block(
                "offset_count",
                &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)],
            )
            .token("LIMIT")
            .optional(),
        ],
        examples: &[
            ("ZADD names 0 ann 0 bob 0 eve", "(integer) 3"),
            ("ZRANGEBYLEX names (ann [bob", "1) \"bob\""),
        ],
        ..Spec::DEFAULT
    },
    run: zrangebylex,
    subs: &[],
};

/// `ZREVRANGEBYLEX`
pub static ZREVRANGEBYLEX: Command = Command {
    spec: Spec {
        name: "zrevrangebylex",
        arity: -4,
        flags: Flags::READONLY,
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::SortedSet,
        since: "2.8.9",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
        summary: "Gives the members in a lexicographic range, last first.",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments")),
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("max", ArgKind::String),
            Arg::new("min", ArgKind::String),
            Arg::block(
                "offset_count",
                &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)],
            )
            .token("LIMIT")
            .optional(),
        ],
        examples: &[
            ("ZADD names 0 ann 0 bob 0 eve", "(integer) 3"),
            ("ZREVRANGEBYLEX names + [b", "1) \"eve\" 2) \"bob\""),
        ],
        ..Spec::DEFAULT
    },
    run: zrevrangebylex,
    subs: &[],
};

/// `ZRANGESTORE`
pub static ZRANGESTORE: Command = Command {
    spec: Spec {
        name: "zrangestore",
        arity: -5,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::SORTEDSET,
        keys: &[
            KeySpec::one(KeyFlags::OW.union(KeyFlags::UPDATE)),
            KeySpec {
                flags: KeyFlags::RO.union(KeyFlags::ACCESS),
                begin: Begin::Index(2),
                find: Find::Range(0, 1, 0),
                notes: None,
            },
        ],
        opcode: 328,
        group: Group::SortedSet,
        since: "6.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key.",
        summary: "Stores the members in a range as another sorted set.",
        args: &[
            Arg::new("dst", ArgKind::Key),
            Arg::new("src", ArgKind::Key),
            Arg::new("min", ArgKind::String),
            Arg::new("max", ArgKind::String),
            Arg::one_of("sortby", &[Arg::word("byscore", "BYSCORE"), Arg::word("bylex", "BYLEX")])
                .optional(),
            Arg::word("rev", "REV").optional(),
            Arg::block(
                "offset_count",
                &[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)],
            )
            .token("LIMIT")
            .optional(),
        ],
        examples: &[
            ("ZADD {b}oard 1 ann 2 bob", "(integer) 2"),
            ("ZRANGESTORE {b}est {b}oard 1 1", "(integer) 1"),
            ("ZRANGE {b}est 0 -1", "1) \"bob\""),
        ],
        ..Spec::DEFAULT
    },
    run: zrangestore,
    subs: &[],
};

/// What the bounds are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// What a command's name settles; none: its options do.
#[derive(Clone, Copy)]
struct Form {
    by: Option<By>,
    reverse: Option<bool>,
}

const FREE: Form = Form { by: None, reverse: None };

/// Bounds, read.
enum Bounds<'a> {
    Rank(i64, i64),
    Score(ScoreRange),
    Lex(LexRange<'a>),
}

/// A range as asked for.
struct Query<'a> {
    bounds: Bounds<'a>,
    reverse: bool,
    with_scores: bool,
    offset: i64,
    limit: i64,
}

fn zrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    read(ctx, args, FREE)
}

fn zrevrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    read(ctx, args, Form { by: Some(By::Rank), reverse: Some(true) })
}

fn zrangebyscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    read(ctx, args, Form { by: Some(By::Score), reverse: Some(false) })
}

fn zrevrangebyscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    read(ctx, args, Form { by: Some(By::Score), reverse: Some(true) })
}

fn zrangebylex(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    read(ctx, args, Form { by: Some(By::Lex), reverse: Some(false) })
}

fn zrevrangebylex(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    read(ctx, args, Form { by: Some(By::Lex), reverse: Some(true) })
}

fn read(ctx: &mut Ctx<'_>, args: Args<'_>, form: Form) -> CmdResult {
    let query = Query::parse(args, 2, form, true)?;
    let Some(set) = ctx.db.get_as::<ZSet>(args.at(1))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let elements = set.range(query.ranks(set));
    if query.reverse {
        emit::elements(ctx.reply, elements.rev(), query.with_scores);
    } else {
        emit::elements(ctx.reply, elements, query.with_scores);
    }
    Ok(())
}

fn zrangestore(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let query = Query::parse(args, 3, FREE, false)?;
    let limits = ctx.db.limits();
    let mut stored = ZSet::new();
    if let Some(set) = ctx.db.get_as::<ZSet>(args.at(2))? {
        let mut scratch = itoa::Buffer::new();
        for (member, score) in set.range(query.ranks(set)) {
            stored.insert(member.bytes(&mut scratch), score, &limits);
        }
    }
    let len = stored.len();
    store(ctx, args, ZRANGESTORE.spec.opcode, "zrangestore", stored);
    ctx.reply.len(len);
    Ok(())
}

/// Stores a result at argument 1; an empty one removes what is there. The command is its own effect.
pub(super) fn store(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    opcode: u16,
    event: &'static str,
    result: ZSet,
) {
    if result.is_empty() {
        delete(&mut ctx.db, args.at(1));
    } else {
        ctx.db.set(args.at(1), result.into_value(), None);
        ctx.db.effect_verbatim(opcode, args);
        ctx.db.notify(Classes::ZSET, event, args.at(1));
    }
}

impl<'a> Query<'a> {
    /// Reads bounds at argument `first` and the options behind them.
    fn parse(args: Args<'a>, first: usize, form: Form, replies: bool) -> Result<Query<'a>, Error> {
        let (mut by, mut reverse) = (form.by, form.reverse);
        let (mut with_scores, mut offset, mut limit) = (false, 0, -1);
        let mut at = first + 2;
        while at < args.len() {
            if replies && args.is(at, "withscores") {
                with_scores = true;
            } else if args.is(at, "limit") && at + 2 < args.len() {
                offset = integer(args.at(at + 1))?;
                limit = integer(args.at(at + 2))?;
                at += 2;
            } else if reverse.is_none() && args.is(at, "rev") {
                reverse = Some(true);
            } else if by.is_none() && args.is(at, "bylex") {
                by = Some(By::Lex);
            } else if by.is_none() && args.is(at, "byscore") {
                by = Some(By::Score);
            } else {
                return Err(Error::Syntax);
            }
            at += 1;
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(Error::text(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Lex {
            return Err(Error::text(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        // Reversed ranges of scores and members name the higher bound first.
        let (min, max) = match reverse && by != By::Rank {
            true => (args.at(first + 1), args.at(first)),
            false => (args.at(first), args.at(first + 1)),
        };
        let bounds = match by {
            By::Rank => Bounds::Rank(integer(min)?, integer(max)?),
            By::Score => Bounds::Score(ScoreRange::parse(min, max)?),
            By::Lex => Bounds::Lex(LexRange::parse(min, max)?),
        };
        Ok(Query { bounds, reverse, with_scores, offset, limit })
    }

    /// The ranks, ascending, that the query selects.
    fn ranks(&self, set: &ZSet) -> Range<usize> {
        let len = set.len();
        let found = match &self.bounds {
            Bounds::Rank(start, stop) => {
                let ranks = index_ranks(*start, *stop, len);
                return if self.reverse { len - ranks.end..len - ranks.start } else { ranks };
            }
            Bounds::Score(range) => range.ranks(set),
            Bounds::Lex(range) => range.ranks(set, self.reverse),
        };
        // A negative offset runs past the end, a negative limit is none.
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX).min(found.len());
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX).min(found.len() - offset);
        if self.reverse {
            let end = found.end - offset;
            end - limit..end
        } else {
            let start = found.start + offset;
            start..start + limit
        }
    }
}
