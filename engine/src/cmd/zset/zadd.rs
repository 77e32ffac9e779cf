//! ZADD, ZINCRBY

use crate::args::Args;
use crate::cmd::{Acl, Arg, ArgKind, Command, Flags, Group, KeyFlags, KeySpec, Spec};
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::num::{DoubleBuffer, format_f64, parse_f64};
use crate::types::zset::Inserted;
use crate::types::{EncodingLimits, Object, ZSet};

/// `ZADD`
pub static ZADD: Command = Command {
    spec: Spec {
        name: "zadd",
        arity: -4,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        opcode: 320,
        group: Group::SortedSet,
        since: "1.2.0",
        complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
        summary: "Adds members with their scores, or changes the scores of members that are there.",
        history: &[
            ("2.4.0", "Accepts multiple elements."),
            ("3.0.2", "Added the `XX`, `NX`, `CH` and `INCR` options."),
            ("6.2.0", "Added the `GT` and `LT` options."),
        ],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::one_of("condition", &[Arg::word("nx", "NX"), Arg::word("xx", "XX")])
                .optional()
                .since("3.0.2"),
            Arg::one_of("comparison", &[Arg::word("gt", "GT"), Arg::word("lt", "LT")])
                .optional()
                .since("6.2.0"),
            Arg::word("change", "CH").optional().since("3.0.2"),
            Arg::word("increment", "INCR").optional().since("3.0.2"),
            Arg::block(
                "score_member",
                &[Arg::new("score", ArgKind::Double), Arg::new("member", ArgKind::String)],
            )
            .multiple(),
        ],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZADD board CH 3 ann 2 bob", "(integer) 1"),
            ("ZADD board NX INCR 5 ann", "(nil)"),
        ],
        ..Spec::DEFAULT
    },
    run: zadd,
    subs: &[],
};

/// `ZINCRBY`
pub static ZINCRBY: Command = Command {
    spec: Spec {
        name: "zincrby",
        arity: 4,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
        group: Group::SortedSet,
        since: "1.2.0",
        complexity: "O(log(N)) where N is the number of elements in the sorted set.",
        summary: "Adds to a member's score; a member that is not there starts from 0.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("increment", ArgKind::Integer),
            Arg::new("member", ArgKind::String),
        ],
        examples: &[("ZINCRBY board 2.5 ann", "\"2.5\""), ("ZINCRBY board -1 ann", "\"1.5\"")],
        ..Spec::DEFAULT
    },
    run: zincrby,
    subs: &[],
};

/// The words before the first score.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    if_absent: bool,
    if_present: bool,
    if_greater: bool,
    if_less: bool,
    count_changed: bool,
    increment: bool,
}

/// What became of one pair.
enum Outcome {
    Added(f64),
    Updated(f64),
    Same(f64),
    /// An option forbade it.
    Refused,
}

/// ZADD, which GEOADD becomes as well.
pub(in crate::cmd) fn zadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    with_options(ctx, args, Options::default())
}

/// ZINCRBY is a ZADD with INCR, and its increment may be a word that is an option there.
fn zincrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    with_options(ctx, args, Options { increment: true, ..Options::default() })
}

fn with_options(ctx: &mut Ctx<'_>, args: Args<'_>, mut options: Options) -> CmdResult {
    let mut at = 2;
    loop {
        match args.at(at) {
            a if a.eq_ignore_ascii_case(b"nx") => options.if_absent = true,
            a if a.eq_ignore_ascii_case(b"xx") => options.if_present = true,
            a if a.eq_ignore_ascii_case(b"ch") => options.count_changed = true,
            a if a.eq_ignore_ascii_case(b"incr") => options.increment = true,
            a if a.eq_ignore_ascii_case(b"gt") => options.if_greater = true,
            a if a.eq_ignore_ascii_case(b"lt") => options.if_less = true,
            _ => break,
        }
        at += 1;
    }
    add(ctx, args, at, options)
}

/// Adds the pairs from argument `first` on.
fn add(ctx: &mut Ctx<'_>, args: Args<'_>, first: usize, options: Options) -> CmdResult {
    let words = args.len().saturating_sub(first);
    if words == 0 || !words.is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    check(options, words / 2)?;
    for at in (first..args.len()).step_by(2) {
        parse_f64(args.at(at)).ok_or(Error::NotFloat)?;
    }
    let key = args.at(1);
    let limits = ctx.db.limits();
    let Changed { added, updated, last } = match ctx.db.get_mut_as::<ZSet>(key)? {
        Some(set) => add_all(set, args, first, options, &limits)?,
        None if options.if_present => {
            match options.increment {
                true => ctx.reply.null(),
                false => ctx.reply.int(0),
            }
            return Ok(());
        }
        None => {
            let mut set = ZSet::new();
            let changed = add_all(&mut set, args, first, options, &limits)?;
            ctx.db.set(key, set.into_value(), None);
            changed
        }
    };
    if added + updated > 0 {
        record(ctx, args, first, options, &last);
        ctx.db.notify(Classes::ZSET, if options.increment { "zincr" } else { "zadd" }, key);
    }
    match (options.increment, last) {
        (false, _) => ctx.reply.int(if options.count_changed { added + updated } else { added }),
        (true, Outcome::Refused) => ctx.reply.null(),
        (true, Outcome::Added(score) | Outcome::Updated(score) | Outcome::Same(score)) => {
            ctx.reply.double(score);
        }
    }
    Ok(())
}

/// What became of all pairs.
struct Changed {
    added: i64,
    updated: i64,
    last: Outcome,
}

fn add_all(
    set: &mut ZSet,
    args: Args<'_>,
    first: usize,
    options: Options,
    limits: &EncodingLimits,
) -> Result<Changed, Error> {
    let mut changed = Changed { added: 0, updated: 0, last: Outcome::Refused };
    for at in (first..args.len()).step_by(2) {
        let score = parse_f64(args.at(at)).ok_or(Error::NotFloat)?;
        changed.last = add_one(set, args.at(at + 1), score, options, limits)?;
        match changed.last {
            Outcome::Added(_) => changed.added += 1,
            Outcome::Updated(_) => changed.updated += 1,
            Outcome::Same(_) | Outcome::Refused => {}
        }
    }
    Ok(changed)
}

fn check(options: Options, pairs: usize) -> CmdResult {
    if options.if_absent && options.if_present {
        return Err(Error::text("ERR XX and NX options at the same time are not compatible"));
    }
    if (options.if_greater && (options.if_absent || options.if_less))
        || (options.if_less && options.if_absent)
    {
        return Err(Error::text(
            "ERR GT, LT, and/or NX options at the same time are not compatible",
        ));
    }
    if options.increment && pairs > 1 {
        return Err(Error::text("ERR INCR option supports a single increment-element pair"));
    }
    Ok(())
}

fn add_one(
    set: &mut ZSet,
    member: &[u8],
    mut score: f64,
    options: Options,
    limits: &EncodingLimits,
) -> Result<Outcome, Error> {
    // Without options the one lookup that inserting makes is enough.
    let conditional = options.if_absent
        || options.if_present
        || options.if_greater
        || options.if_less
        || options.increment;
    if conditional {
        match set.score(member) {
            None if options.if_present => return Ok(Outcome::Refused),
            None => {}
            Some(_) if options.if_absent => return Ok(Outcome::Refused),
            Some(old) => {
                if options.increment {
                    score += old;
                    if score.is_nan() {
                        return Err(Error::text("ERR resulting score is not a number (NaN)"));
                    }
                }
                if (options.if_greater && score <= old) || (options.if_less && score >= old) {
                    return Ok(Outcome::Refused);
                }
            }
        }
    }
    Ok(match set.insert(member, score, limits) {
        Inserted::Added => Outcome::Added(score),
        Inserted::Moved(_) => Outcome::Updated(score),
        Inserted::Same => Outcome::Same(score),
    })
}

/// ZADD with its options repeats itself; an increment is recorded by its result.
fn record(ctx: &mut Ctx<'_>, args: Args<'_>, first: usize, options: Options, last: &Outcome) {
    if let (true, Outcome::Added(score) | Outcome::Updated(score)) = (options.increment, last) {
        let mut buffer = DoubleBuffer::new();
        let score = format_f64(*score, &mut buffer);
        ctx.db.effect(ZADD.spec.opcode, &[args.at(1), score, args.at(first + 1)]);
    } else {
        ctx.db.effect_verbatim(ZADD.spec.opcode, args);
    }
}
