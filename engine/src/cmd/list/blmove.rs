//! BLMOVE and BRPOPLPUSH.

use super::{lmove, parse_side};
use crate::args::Args;
use crate::cmd::blocking::{Block, Want, timeout_in_seconds};
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::types::List;
use crate::types::list::Side;

/// BLMOVE: LMOVE that waits for an element.
pub static BLMOVE: Command = Command {
    spec: Spec {
        name: "blmove",
        arity: 6,
        since: "6.2.0",
        summary: "Moves an element from an end of one list to an end of another, or waits for one.",
        args: &[
            Arg::new("source", ArgKind::Key),
            Arg::new("destination", ArgKind::Key),
            Arg::one_of("wherefrom", &[Arg::word("left", "LEFT"), Arg::word("right", "RIGHT")]),
            Arg::one_of("whereto", &[Arg::word("left", "LEFT"), Arg::word("right", "RIGHT")]),
            Arg::new("timeout", ArgKind::Double),
        ],
        examples: &[
            ("RPUSH a 1 2 3", "(integer) 3"),
            ("BLMOVE a b LEFT RIGHT 0", "\"1\""),
            ("BLMOVE a a RIGHT LEFT 0", "\"3\""),
            ("LRANGE a 0 -1", "1) \"3\" 2) \"2\""),
        ],
        ..MOVE
    },
    run: |ctx, args| {
        let from = args.get(3).and_then(parse_side).ok_or(Error::Syntax)?;
        let to = args.get(4).and_then(parse_side).ok_or(Error::Syntax)?;
        move_or_wait(ctx, args, (from, to), timeout_in_seconds(args.at(5))?)
    },
    subs: &[],
};

/// BRPOPLPUSH: RPOPLPUSH that waits for an element.
pub static BRPOPLPUSH: Command = Command {
    spec: Spec {
        name: "brpoplpush",
        arity: 4,
        since: "2.2.0",
        summary: "Moves a list's last element to the head of another, or waits for one.",
        history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
        deprecated: Some(("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")),
        args: &[
            Arg::new("source", ArgKind::Key),
            Arg::new("destination", ArgKind::Key),
            Arg::new("timeout", ArgKind::Double),
        ],
        examples: &[("RPUSH a 1 2 3", "(integer) 3"), ("BRPOPLPUSH a b 0", "\"3\"")],
        ..MOVE
    },
    run: |ctx, args| {
        let timeout_ms = timeout_in_seconds(args.at(3))?;
        move_or_wait(ctx, args, (Side::Right, Side::Left), timeout_ms)
    },
    subs: &[],
};

/// What both have in common.
const MOVE: Spec = Spec {
    flags: Flags::BLOCKING.union(Flags::DENYOOM).union(Flags::NOSCRIPT).union(Flags::WRITE),
    acl: Acl::LIST,
    keys: &[
        KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE)),
        KeySpec::range(KeyFlags::RW.union(KeyFlags::INSERT), 2, 0, 1),
    ],
    group: Group::List,
    ..Spec::DEFAULT
};

fn move_or_wait(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    (from, to): (Side, Side),
    timeout_ms: Option<u64>,
) -> CmdResult {
    let (source, target) = (args.at(1), args.at(2));
    if ctx.db.get_mut_as::<List>(source)?.is_some() {
        return lmove::move_element(ctx, (source, from), (target, to));
    }
    let want = Want::Move { from, target: target.to_vec(), to };
    Block { timeout_ms, keys: vec![source.to_vec()], want }.outcome()
}
