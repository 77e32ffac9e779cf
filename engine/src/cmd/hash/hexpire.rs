//! HEXPIRE, HPEXPIRE, HEXPIREAT and HPEXPIREAT.

use super::OPCODE_HPEXPIREAT;
use super::fields::{self, FIELDS};
use crate::args::Args;
use crate::cmd::generic::expire::Conditions;
use crate::cmd::generic::is_past;
use crate::cmd::numbers::integer;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::types::Hash;

/// HEXPIRE: lets fields of a hash expire after so many seconds.
pub static HEXPIRE: Command = Command {
    spec: Spec {
        name: "hexpire",
        arity: -6,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        group: Group::Hash,
        since: "7.4.0",
        complexity: "O(N) where N is the number of fields named",
        summary: "Lets fields of a hash expire after so many seconds.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("seconds", ArgKind::Integer),
            CONDITION,
            FIELDS,
        ],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HEXPIRE k 100 FIELDS 2 a none", "1) (integer) 1 2) (integer) -2"),
            ("HTTL k FIELDS 2 a b", "1) (integer) 100 2) (integer) -1"),
            ("HEXPIRE k 50 GT FIELDS 1 a", "1) (integer) 0"),
            ("HEXPIRE k 0 FIELDS 2 a b", "1) (integer) 2 2) (integer) 2"),
            ("EXISTS k", "(integer) 0"),
            ("HEXPIRE k -1 FIELDS 1 a", "(error) ERR invalid expire time, must be >= 0"),
            (
                "HEXPIRE k 1 FIELDS 2 a",
                "(error) ERR The `numfields` parameter must match the number of arguments",
            ),
        ],
        ..Spec::DEFAULT
    },
    run: hexpire,
    subs: &[],
};

/// HPEXPIRE: lets fields of a hash expire after so many milliseconds.
pub static HPEXPIRE: Command = Command {
    spec: Spec {
        name: "hpexpire",
        arity: -6,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        group: Group::Hash,
        since: "7.4.0",
        complexity: "O(N) where N is the number of fields named",
        summary: "Lets fields of a hash expire after so many milliseconds.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("milliseconds", ArgKind::Integer),
            CONDITION,
            FIELDS,
        ],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HPEXPIRE k 5000 NX FIELDS 1 a", "1) (integer) 1"),
            ("HPEXPIRE k 6000 NX FIELDS 1 a", "1) (integer) 0"),
            ("HPTTL k FIELDS 1 a", "1) (integer) 5000"),
        ],
        ..Spec::DEFAULT
    },
    run: hpexpire,
    subs: &[],
};

/// HEXPIREAT: lets fields of a hash expire at a time given in seconds since 1970.
pub static HEXPIREAT: Command = Command {
    spec: Spec {
        name: "hexpireat",
        arity: -6,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        group: Group::Hash,
        since: "7.4.0",
        complexity: "O(N) where N is the number of fields named",
        summary: "Lets fields of a hash expire at a time given in seconds since 1970.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("unix-time-seconds", ArgKind::UnixTime),
            CONDITION,
            FIELDS,
        ],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HEXPIREAT k 33177117420 FIELDS 1 a", "1) (integer) 1"),
            ("HEXPIRETIME k FIELDS 1 a", "1) (integer) 33177117420"),
        ],
        ..Spec::DEFAULT
    },
    run: hexpireat,
    subs: &[],
};

/// HPEXPIREAT: lets fields of a hash expire at a time given in milliseconds since 1970.
pub static HPEXPIREAT: Command = Command {
    spec: Spec {
        name: "hpexpireat",
        arity: -6,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        opcode: OPCODE_HPEXPIREAT,
        group: Group::Hash,
        since: "7.4.0",
        complexity: "O(N) where N is the number of fields named",
        summary: "Lets fields of a hash expire at a time given in milliseconds since 1970.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("unix-time-milliseconds", ArgKind::UnixTime),
            CONDITION,
            FIELDS,
        ],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HPEXPIREAT k 33177117420000 FIELDS 1 a", "1) (integer) 1"),
            ("HPEXPIRETIME k FIELDS 1 a", "1) (integer) 33177117420000"),
        ],
        ..Spec::DEFAULT
    },
    run: hpexpireat,
    subs: &[],
};

fn hexpire(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let now_ms = ctx.db.now_ms();
    run(ctx, args, "hexpire", 1000, now_ms)
}

fn hpexpire(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let now_ms = ctx.db.now_ms();
    run(ctx, args, "hpexpire", 1, now_ms)
}

fn hexpireat(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, "hexpireat", 1000, 0)
}

fn hpexpireat(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, "hpexpireat", 1, 0)
}

fn run(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    name: &'static str,
    unit_ms: i64,
    base_ms: i64,
) -> CmdResult {
    let key = args.at(1);
    let when = integer(args.at(2))?;
    if when < 0 {
        return Err(Error::text("ERR invalid expire time, must be >= 0"));
    }
    let at_ms = when.checked_mul(unit_ms).and_then(|when| when.checked_add(base_ms));
    let at_ms = at_ms.ok_or(Error::InvalidExpire(name))?;
    let conditions = Conditions::word(args, 3);
    let at = if conditions.is_some() { 4 } else { 3 };
    let no_count = "ERR Parameter `numFields` should be greater than 0";
    let first = fields::parse(args, at, 1, no_count)?;
    let past = is_past(&ctx.db, at_ms);
    let hash = ctx.db.get_as::<Hash>(key)?;
    // Fields that change, in the order given; one that is named again sees what became of it.
    let mut changed: Vec<&[u8]> = Vec::new();
    let mut outcomes = Vec::new();
    for field in args.iter_from(first) {
        let again = changed.contains(&field);
        let current = match hash {
            Some(hash) if hash.contains(field) && !(again && past) => match again {
                true => Some(at_ms),
                false => hash.time_of(field),
            },
            _ => {
                outcomes.push(-2);
                continue;
            }
        };
        if conditions.is_some_and(|conditions| !conditions.allow(current, at_ms)) {
            outcomes.push(0);
            continue;
        }
        outcomes.push(if past { 2 } else { 1 });
        if !again {
            changed.push(field);
        }
    }
    fields::expire_at(&mut ctx.db, key, &changed, at_ms);
    ctx.reply.array(outcomes.len());
    outcomes.into_iter().for_each(|outcome| ctx.reply.int(outcome));
    Ok(())
}
