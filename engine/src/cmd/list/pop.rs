//! LPOP, RPOP and LMPOP.

use super::{OPCODE_LPOP, OPCODE_RPOP, parse_side};
use crate::args::Args;
use crate::cmd::numbers::{at_least, positive};
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::reply::Reply;
use crate::types::list::Side;
use crate::types::{List, Object};

/// LPOP: takes elements off a list's head.
pub static LPOP: Command = Command {
    spec: Spec {
        name: "lpop",
        arity: -2,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::LIST,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
        opcode: OPCODE_LPOP,
        group: Group::List,
        complexity: "O(N) where N is the number of elements returned",
        summary: "Takes elements off a list's head.",
        history: &[("6.2.0", "Added the `count` argument.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("count", ArgKind::Integer).optional().since("6.2.0"),
        ],
        examples: &[
            ("RPUSH k a b c", "(integer) 3"),
            ("LPOP k", "\"a\""),
            ("LPOP k 5", "1) \"b\" 2) \"c\""),
            ("LPOP k", "(nil)"),
        ],
        ..Spec::DEFAULT
    },
    run: lpop,
    subs: &[],
};

/// RPOP: takes elements off a list's tail.
pub static RPOP: Command = Command {
    spec: Spec {
        name: "rpop",
        arity: -2,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::LIST,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
        opcode: OPCODE_RPOP,
        group: Group::List,
        complexity: "O(N) where N is the number of elements returned",
        summary: "Takes elements off a list's tail.",
        history: &[("6.2.0", "Added the `count` argument.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("count", ArgKind::Integer).optional().since("6.2.0"),
        ],
        examples: &[
            ("RPUSH k a b c", "(integer) 3"),
            ("RPOP k", "\"c\""),
            ("RPOP k 5", "1) \"b\" 2) \"a\""),
            ("RPOP k -1", "(error) ERR value is out of range, must be positive"),
        ],
        ..Spec::DEFAULT
    },
    run: rpop,
    subs: &[],
};

/// LMPOP: takes elements off an end of the first list that is there.
pub static LMPOP: Command = Command {
    spec: Spec {
        name: "lmpop",
        arity: -4,
        flags: Flags::MOVABLEKEYS.union(Flags::WRITE),
        acl: Acl::LIST,
        keys: &[KeySpec {
            flags: KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE),
            begin: Begin::Index(1),
            find: Find::KeyNum(0, 1, 1),
            notes: None,
        }],
        group: Group::List,
        since: "7.0.0",
        complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        summary: "Takes elements off an end of the first list that is there.",
        args: &[
            Arg::new("numkeys", ArgKind::Integer),
            Arg::new("key", ArgKind::Key).multiple(),
            Arg::one_of("where", &[Arg::word("left", "LEFT"), Arg::word("right", "RIGHT")]),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
        ],
        examples: &[
            ("RPUSH b 1 2 3", "(integer) 3"),
            ("LMPOP 2 a b RIGHT COUNT 2", "1) \"b\" 2) 1) \"3\" 2) \"2\""),
            ("LMPOP 1 a LEFT", "(nil)"),
        ],
        ..Spec::DEFAULT
    },
    run: lmpop,
    subs: &[],
};

fn lpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    pop(ctx, args, Side::Left, "lpop")
}

fn rpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    pop(ctx, args, Side::Right, "rpop")
}

fn pop(ctx: &mut Ctx<'_>, args: Args<'_>, side: Side, name: &'static str) -> CmdResult {
    if args.len() > 3 {
        return Err(Error::Arity(name.into()));
    }
    let count = args.get(2).map(positive).transpose()?;
    let key = args.at(1);
    let Some(list) = ctx.db.get_mut_as::<List>(key)? else {
        match count {
            Some(_) => ctx.reply.null_array(),
            None => ctx.reply.null(),
        }
        return Ok(());
    };
    match count {
        Some(0) => {
            ctx.reply.array(0);
            return Ok(());
        }
        Some(count) => reply_end(ctx.reply, list, side, count),
        None => match list.end(side) {
            Some(item) => ctx.reply.bulk(item.bytes(&mut itoa::Buffer::new())),
            None => ctx.reply.null(),
        },
    }
    let removed = list.remove_end(side, count.unwrap_or(1));
    let emptied = list.is_empty();
    removed_end(ctx, key, side, (removed, emptied));
    Ok(())
}

fn lmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (keys, side, count) = parse_mpop(args, 1)?;
    for key in args.iter_from(2).take(keys) {
        if take_some(ctx, key, side, count)? {
            return Ok(());
        }
    }
    ctx.reply.null_array();
    Ok(())
}

/// Number of keys, end and count of `[B]LMPOP`, whose `numkeys` is argument `at`.
pub(super) fn parse_mpop(args: Args<'_>, at: usize) -> Result<(usize, Side, usize), Error> {
    let keys = at_least(args.at(at), 1, "ERR numkeys should be greater than 0")?;
    let side_at = keys.saturating_add(at + 1);
    let side = args.get(side_at).and_then(parse_side).ok_or(Error::Syntax)?;
    let mut count = None;
    for at in (side_at + 1..args.len()).step_by(2) {
        match args.get(at + 1) {
            Some(value) if count.is_none() && args.is(at, "COUNT") => {
                count = Some(at_least(value, 1, "ERR count should be greater than 0")?);
            }
            _ => return Err(Error::Syntax),
        }
    }
    Ok((keys, side, count.unwrap_or(1)))
}

/// Takes up to `count` elements of a list and replies with its key and them; false when there is no such list.
pub(super) fn take_some(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    side: Side,
    count: usize,
) -> Result<bool, Error> {
    let Some(list) = ctx.db.get_mut_as::<List>(key)? else { return Ok(false) };
    ctx.reply.array(2);
    ctx.reply.bulk(key);
    reply_end(ctx.reply, list, side, count);
    let removed = list.remove_end(side, count);
    let emptied = list.is_empty();
    removed_end(ctx, key, side, (removed, emptied));
    Ok(true)
}

/// Takes one element of a list and replies with its key and it; false when there is no such list.
pub(super) fn take_one(ctx: &mut Ctx<'_>, key: &[u8], side: Side) -> Result<bool, Error> {
    let Some(list) = ctx.db.get_mut_as::<List>(key)? else { return Ok(false) };
    let Some(item) = list.end(side) else { return Ok(false) };
    ctx.reply.array(2);
    ctx.reply.bulk(key);
    ctx.reply.bulk(item.bytes(&mut itoa::Buffer::new()));
    let removed = list.remove_end(side, 1);
    let emptied = list.is_empty();
    removed_end(ctx, key, side, (removed, emptied));
    Ok(true)
}

/// Replies with up to `count` elements in the order in which they are taken.
fn reply_end(reply: &mut dyn Reply, list: &List, side: Side, count: usize) {
    let count = count.min(list.len());
    reply.array(count);
    let mut scratch = itoa::Buffer::new();
    match side {
        Side::Left => {
            list.iter_from(0).take(count).for_each(|i| reply.bulk(i.bytes(&mut scratch)));
        }
        Side::Right => {
            let from_tail = list.iter_rev_from(list.len().saturating_sub(1));
            from_tail.take(count).for_each(|i| reply.bulk(i.bytes(&mut scratch)));
        }
    }
}

/// The event that taking elements off an end announces.
pub(super) fn event(side: Side) -> &'static str {
    match side {
        Side::Left => "lpop",
        Side::Right => "rpop",
    }
}

/// Records that elements were removed from an end, and removes the list when none is left.
pub(super) fn removed_end(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    side: Side,
    (removed, emptied): (usize, bool),
) {
    let opcode = match side {
        Side::Left => OPCODE_LPOP,
        Side::Right => OPCODE_RPOP,
    };
    ctx.db.notify(Classes::LIST, event(side), key);
    if emptied {
        ctx.db.remove(key);
        ctx.db.notify(Classes::GENERIC, "del", key);
    }
    if removed == 1 {
        ctx.db.effect(opcode, &[key]);
    } else {
        ctx.db.effect(opcode, &[key, itoa::Buffer::new().format(removed).as_bytes()]);
    }
}
