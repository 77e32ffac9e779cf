//! BLPOP, BRPOP and BLMPOP.

use super::pop::{parse_mpop, take_one, take_some};
use crate::args::Args;
use crate::cmd::blocking::{Block, Want, timeout_in_seconds};
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::types::list::Side;

/// BLPOP: takes the first element of the first list that is there, or waits for one.
pub static BLPOP: Command = Command {
    spec: Spec {
        name: "blpop",
        examples: &[
            ("RPUSH b 1 2", "(integer) 2"),
            ("BLPOP a b 0", "1) \"b\" 2) \"1\""),
            ("BLPOP a -1", "(error) ERR timeout is negative"),
        ],
        summary: "Takes the first element of the first list that is there, or waits for one.",
        history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
        ..POP
    },
    run: |ctx, args| pop(ctx, args, Side::Left),
    subs: &[],
};

/// BRPOP: takes the last element of the first list that is there, or waits for one.
pub static BRPOP: Command = Command {
    spec: Spec {
        name: "brpop",
        examples: &[
            ("RPUSH b 1 2", "(integer) 2"),
            ("BRPOP a b 0.5", "1) \"b\" 2) \"2\""),
            ("BRPOP a x", "(error) ERR timeout is not a float or out of range"),
        ],
        summary: "Takes the last element of the first list that is there, or waits for one.",
        history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
        ..POP
    },
    run: |ctx, args| pop(ctx, args, Side::Right),
    subs: &[],
};

/// What both have in common.
const POP: Spec = Spec {
    arity: -3,
    flags: Flags::BLOCKING.union(Flags::NOSCRIPT).union(Flags::WRITE),
    acl: Acl::LIST,
    keys: &[KeySpec::range(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE), 1, -2, 1)],
    group: Group::List,
    since: "2.0.0",
    complexity: "O(N) where N is the number of provided keys.",
    args: &[Arg::new("key", ArgKind::Key).multiple(), Arg::new("timeout", ArgKind::Double)],
    ..Spec::DEFAULT
};

/// BLMPOP: takes elements off an end of the first list that is there, or waits for one.
pub static BLMPOP: Command = Command {
    spec: Spec {
        name: "blmpop",
        arity: -5,
        flags: Flags::BLOCKING.union(Flags::MOVABLEKEYS).union(Flags::WRITE),
        acl: Acl::LIST,
        keys: &[KeySpec {
            flags: KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE),
            begin: Begin::Index(2),
            find: Find::KeyNum(0, 1, 1),
            notes: None,
        }],
        group: Group::List,
        since: "7.0.0",
        complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        summary: "Takes elements off an end of the first list that is there, or waits for one.",
        args: &[
            Arg::new("timeout", ArgKind::Double),
            Arg::new("numkeys", ArgKind::Integer),
            Arg::new("key", ArgKind::Key).multiple(),
            Arg::one_of("where", &[Arg::word("left", "LEFT"), Arg::word("right", "RIGHT")]),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
        ],
        examples: &[
            ("RPUSH b 1 2 3", "(integer) 3"),
            ("BLMPOP 0 2 a b RIGHT COUNT 2", "1) \"b\" 2) 1) \"3\" 2) \"2\""),
            ("BLMPOP 0 0 a LEFT", "(error) ERR numkeys should be greater than 0"),
        ],
        ..Spec::DEFAULT
    },
    run: blmpop,
    subs: &[],
};

fn pop(ctx: &mut Ctx<'_>, args: Args<'_>, side: Side) -> CmdResult {
    let count = args.len().saturating_sub(2);
    let timeout_ms = timeout_in_seconds(args.at(count + 1))?;
    for key in args.iter_from(1).take(count) {
        if take_one(ctx, key, side)? {
            return Ok(());
        }
    }
    let keys = args.iter_from(1).take(count).map(<[u8]>::to_vec).collect();
    Block { timeout_ms, keys, want: Want::Elements { side, count: None } }.outcome()
}

fn blmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (keys, side, count) = parse_mpop(args, 2)?;
    let timeout_ms = timeout_in_seconds(args.at(1))?;
    for key in args.iter_from(3).take(keys) {
        if take_some(ctx, key, side, count)? {
            return Ok(());
        }
    }
    let keys = args.iter_from(3).take(keys).map(<[u8]>::to_vec).collect();
    Block { timeout_ms, keys, want: Want::Elements { side, count: Some(count) } }.outcome()
}

/// Takes for a client that has waited.
pub(in crate::cmd) fn serve(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    side: Side,
    count: Option<usize>,
) -> CmdResult {
    let taken = match count {
        None => take_one(ctx, key, side)?,
        Some(count) => take_some(ctx, key, side, count)?,
    };
    if taken { Ok(()) } else { Err(Error::NoSuchKey) }
}
