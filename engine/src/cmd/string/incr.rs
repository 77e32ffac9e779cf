//! INCR, DECR, INCRBY and DECRBY.

use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::num::parse_i64;
use crate::types::{Value, ValueRef};

const OPCODE: Opcode = 4;

/// INCR: adds one to the integer under a key; a key that is not there counts as 0.
pub static INCR: Command = Command {
    spec: Spec {
        name: "incr",
        arity: 2,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
        group: Group::String,
        summary: "Adds one to the integer under a key; a key that is not there counts as 0.",
        args: &[Arg::new("key", ArgKind::Key)],
        examples: &[
            ("INCR k", "(integer) 1"),
            ("SET k 9223372036854775807", "OK"),
            ("INCR k", "(error) ERR increment or decrement would overflow"),
            ("SET k abc", "OK"),
            ("INCR k", "(error) ERR value is not an integer or out of range"),
        ],
        ..Spec::DEFAULT
    },
    run: incr,
    subs: &[],
};

/// DECR: subtracts one from the integer under a key; a key that is not there counts as 0.
pub static DECR: Command = Command {
    spec: Spec {
        name: "decr",
        arity: 2,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
        group: Group::String,
        summary: "Subtracts one from the integer under a key; a key that is not there counts as 0.",
        args: &[Arg::new("key", ArgKind::Key)],
        examples: &[("DECR k", "(integer) -1")],
        ..Spec::DEFAULT
    },
    run: decr,
    subs: &[],
};

/// INCRBY: adds to the integer under a key; a key that is not there counts as 0.
pub static INCRBY: Command = Command {
    spec: Spec {
        name: "incrby",
        arity: 3,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
        opcode: OPCODE,
        group: Group::String,
        summary: "Adds to the integer under a key; a key that is not there counts as 0.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("increment", ArgKind::Integer)],
        examples: &[
            ("SET k 10", "OK"),
            ("INCRBY k 5", "(integer) 15"),
            ("INCRBY k -20", "(integer) -5"),
        ],
        ..Spec::DEFAULT
    },
    run: incrby,
    subs: &[],
};

/// DECRBY: subtracts from the integer under a key; a key that is not there counts as 0.
pub static DECRBY: Command = Command {
    spec: Spec {
        name: "decrby",
        arity: 3,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
        group: Group::String,
        summary: "Subtracts from the integer under a key; a key that is not there counts as 0.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("decrement", ArgKind::Integer)],
        examples: &[
            ("SET k 10", "OK"),
            ("DECRBY k 3", "(integer) 7"),
            ("DECRBY k -9223372036854775808", "(error) ERR decrement would overflow"),
        ],
        ..Spec::DEFAULT
    },
    run: decrby,
    subs: &[],
};

fn incr(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    add(ctx, args.at(1), 1)
}

fn decr(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    add(ctx, args.at(1), -1)
}

fn incrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    add(ctx, args.at(1), parse_i64(args.at(2)).ok_or(Error::NotInteger)?)
}

fn decrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let amount = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let amount = amount.checked_neg().ok_or(Error::text("ERR decrement would overflow"))?;
    add(ctx, args.at(1), amount)
}

fn add(ctx: &mut Ctx<'_>, key: &[u8], amount: i64) -> CmdResult {
    let sum = match ctx.db.get_mut(key) {
        Some(entry) => {
            let mut scratch = itoa::Buffer::new();
            let value = entry.value();
            let old = if let ValueRef::Int(old) = value {
                old
            } else {
                parse_i64(value.str_bytes(&mut scratch)?).ok_or(Error::NotInteger)?
            };
            let sum = old.checked_add(amount).ok_or(Error::Overflow)?;
            entry.set_int(sum);
            sum
        }
        None => {
            ctx.db.set(key, Value::Int(amount), None);
            amount
        }
    };
    ctx.db.effect(OPCODE, &[key, itoa::Buffer::new().format(amount).as_bytes()]);
    ctx.db.notify(Classes::STRING, "incrby", key);
    ctx.reply.int(sum);
    Ok(())
}
