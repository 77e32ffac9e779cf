//! LMOVE and RPOPLPUSH.

use super::{OPCODE_LMOVE, parse_side, pop, push};
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::types::list::Side;
use crate::types::{List, Object};

/// LMOVE: takes an element off an end of one list and puts it at an end of another, or of the same.
pub static LMOVE: Command = Command {
    spec: Spec {
        name: "lmove",
        arity: 5,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::LIST,
        keys: &[
            KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE)),
            KeySpec::range(KeyFlags::RW.union(KeyFlags::INSERT), 2, 0, 1),
        ],
        opcode: OPCODE_LMOVE,
        group: Group::List,
        since: "6.2.0",
        summary: "Takes an element off an end of one list and puts it at an end of another, or of the same.",
        args: &[
            Arg::new("source", ArgKind::Key),
            Arg::new("destination", ArgKind::Key),
            Arg::one_of("wherefrom", &[Arg::word("left", "LEFT"), Arg::word("right", "RIGHT")]),
            Arg::one_of("whereto", &[Arg::word("left", "LEFT"), Arg::word("right", "RIGHT")]),
        ],
        examples: &[
            ("RPUSH a 1 2 3", "(integer) 3"),
            ("LMOVE a b LEFT RIGHT", "\"1\""),
            ("LMOVE a a RIGHT LEFT", "\"3\""),
            ("LRANGE a 0 -1", "1) \"3\" 2) \"2\""),
        ],
        ..Spec::DEFAULT
    },
    run: lmove,
    subs: &[],
};

/// RPOPLPUSH: takes a list's last element and puts it first in another list, or in the same.
pub static RPOPLPUSH: Command = Command {
    spec: Spec {
        name: "rpoplpush",
        arity: 3,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::LIST,
        keys: &[
            KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE)),
            KeySpec::range(KeyFlags::RW.union(KeyFlags::INSERT), 2, 0, 1),
        ],
        group: Group::List,
        since: "1.2.0",
        summary: "Takes a list's last element and puts it first in another list, or in the same.",
        deprecated: Some(("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")),
        args: &[Arg::new("source", ArgKind::Key), Arg::new("destination", ArgKind::Key)],
        examples: &[
            ("RPUSH a 1 2 3", "(integer) 3"),
            ("RPOPLPUSH a b", "\"3\""),
            ("RPOPLPUSH none b", "(nil)"),
        ],
        ..Spec::DEFAULT
    },
    run: rpoplpush,
    subs: &[],
};

fn lmove(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let from = args.get(3).and_then(parse_side).ok_or(Error::Syntax)?;
    let to = args.get(4).and_then(parse_side).ok_or(Error::Syntax)?;
    move_element(ctx, (args.at(1), from), (args.at(2), to))
}

fn rpoplpush(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    move_element(ctx, (args.at(1), Side::Right), (args.at(2), Side::Left))
}

/// Takes an element off an end of one list and puts it at an end of another, or of the same; null when there is none.
pub(in crate::cmd) fn move_element(
    ctx: &mut Ctx<'_>,
    (source, from): (&[u8], Side),
    (target, to): (&[u8], Side),
) -> CmdResult {
    let item = ctx.db.get_mut_as::<List>(source)?.and_then(|list| list.end(from));
    let Some(element) = item.map(|item| item.to_vec()) else {
        ctx.reply.null();
        return Ok(());
    };
    if source == target {
        rotate(ctx, source, from, to, &element)?;
    } else {
        ctx.db.get_or_insert_as(target, List::new)?.push(to, &element);
        ctx.db.notify(Classes::LIST, push::event(to), target);
        if let Some(list) = ctx.db.get_mut_as::<List>(source)? {
            let removed = list.remove_end(from, 1);
            let emptied = list.is_empty();
            pop::removed_end(ctx, source, from, (removed, emptied));
        }
        ctx.db.effect(push::opcode(to), &[target, &element]);
    }
    ctx.reply.bulk(&element);
    Ok(())
}

/// Within one list the element must not be the list's last for a moment, or the key would go and its expiry with it.
fn rotate(ctx: &mut Ctx<'_>, key: &[u8], from: Side, to: Side, element: &[u8]) -> CmdResult {
    let Some(list) = ctx.db.get_mut_as::<List>(key)? else { return Ok(()) };
    if from != to && list.len() > 1 {
        list.push(to, element);
        list.remove_end(from, 1);
    }
    ctx.db.effect(OPCODE_LMOVE, &[key, key, word(from), word(to)]);
    ctx.db.notify(Classes::LIST, push::event(to), key);
    ctx.db.notify(Classes::LIST, pop::event(from), key);
    Ok(())
}

fn word(side: Side) -> &'static [u8] {
    match side {
        Side::Left => b"LEFT",
        Side::Right => b"RIGHT",
    }
}
