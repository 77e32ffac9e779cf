//! LPUSH, RPUSH, LPUSHX and RPUSHX.

use super::{OPCODE_LPUSH, OPCODE_RPUSH};
use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::CmdResult;
use crate::keyspace::{Classes, Ctx};
use crate::types::list::Side;
use crate::types::{List, Object};

/// LPUSH: puts elements before a list's head, the last one named first; a list that is not there is made.
pub static LPUSH: Command = Command {
    spec: Spec {
        name: "lpush",
        arity: -3,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::LIST,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::INSERT))],
        opcode: OPCODE_LPUSH,
        group: Group::List,
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Puts elements before a list's head, the last one named first; a list that is not there is made.",
        history: &[("2.4.0", "Accepts multiple `element` arguments.")],
        args: &[Arg::new("key", ArgKind::Key), Arg::new("element", ArgKind::String).multiple()],
        examples: &[
            ("LPUSH k a b", "(integer) 2"),
            ("LRANGE k 0 -1", "1) \"b\" 2) \"a\""),
            ("SET s x", "OK"),
            (
                "LPUSH s a",
                "(error) WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
        ],
        ..Spec::DEFAULT
    },
    run: lpush,
    subs: &[],
};

/// RPUSH: puts elements behind a list's tail; a list that is not there is made.
pub static RPUSH: Command = Command {
    spec: Spec {
        name: "rpush",
        arity: -3,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::LIST,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::INSERT))],
        opcode: OPCODE_RPUSH,
        group: Group::List,
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Puts elements behind a list's tail; a list that is not there is made.",
        history: &[("2.4.0", "Accepts multiple `element` arguments.")],
        args: &[Arg::new("key", ArgKind::Key), Arg::new("element", ArgKind::String).multiple()],
        examples: &[("RPUSH k a b", "(integer) 2"), ("LRANGE k 0 -1", "1) \"a\" 2) \"b\"")],
        ..Spec::DEFAULT
    },
    run: rpush,
    subs: &[],
};

/// LPUSHX: puts elements before a list's head, if there is a list.
pub static LPUSHX: Command = Command {
    spec: Spec {
        name: "lpushx",
        arity: -3,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::LIST,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::INSERT))],
        group: Group::List,
        since: "2.2.0",
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Puts elements before a list's head, if there is a list.",
        history: &[("4.0.0", "Accepts multiple `element` arguments.")],
        args: &[Arg::new("key", ArgKind::Key), Arg::new("element", ArgKind::String).multiple()],
        examples: &[
            ("LPUSHX k a", "(integer) 0"),
            ("LPUSH k a", "(integer) 1"),
            ("LPUSHX k b c", "(integer) 3"),
        ],
        ..Spec::DEFAULT
    },
    run: lpushx,
    subs: &[],
};

/// RPUSHX: puts elements behind a list's tail, if there is a list.
pub static RPUSHX: Command = Command {
    spec: Spec {
        name: "rpushx",
        arity: -3,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::LIST,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::INSERT))],
        group: Group::List,
        since: "2.2.0",
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Puts elements behind a list's tail, if there is a list.",
        history: &[("4.0.0", "Accepts multiple `element` arguments.")],
        args: &[Arg::new("key", ArgKind::Key), Arg::new("element", ArgKind::String).multiple()],
        examples: &[
            ("RPUSHX k a", "(integer) 0"),
            ("RPUSH k a", "(integer) 1"),
            ("RPUSHX k b c", "(integer) 3"),
        ],
        ..Spec::DEFAULT
    },
    run: rpushx,
    subs: &[],
};

fn lpush(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    push(ctx, args, Side::Left, true)
}

fn rpush(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    push(ctx, args, Side::Right, true)
}

fn lpushx(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    push(ctx, args, Side::Left, false)
}

fn rpushx(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    push(ctx, args, Side::Right, false)
}

fn push(ctx: &mut Ctx<'_>, args: Args<'_>, side: Side, create: bool) -> CmdResult {
    let key = args.at(1);
    let list = if create {
        ctx.db.get_or_insert_as(key, List::new)?
    } else if let Some(list) = ctx.db.get_mut_as::<List>(key)? {
        list
    } else {
        ctx.reply.int(0);
        return Ok(());
    };
    args.iter_from(2).for_each(|element| list.push(side, element));
    ctx.reply.len(list.len());
    ctx.db.effect_verbatim(opcode(side), args);
    ctx.db.notify(Classes::LIST, event(side), key);
    Ok(())
}

/// The event that a push announces.
pub(super) fn event(side: Side) -> &'static str {
    match side {
        Side::Left => "lpush",
        Side::Right => "rpush",
    }
}

/// The opcode that a push is recorded with.
pub(super) fn opcode(side: Side) -> Opcode {
    match side {
        Side::Left => OPCODE_LPUSH,
        Side::Right => OPCODE_RPUSH,
    }
}
