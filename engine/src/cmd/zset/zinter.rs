//! ZINTER, ZINTERSTORE, ZINTERCARD

use super::zcombine::{self, Operation};
use crate::args::Args;
use crate::cmd::{Acl, Arg, ArgKind, Begin, Command, Find, Flags, Group, KeyFlags, KeySpec, Spec};
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// `ZINTER`
pub static ZINTER: Command = Command {
    spec: Spec {
        name: "zinter",
        arity: -3,
        flags: Flags::MOVABLEKEYS.union(Flags::READONLY),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec {
            flags: KeyFlags::RO.union(KeyFlags::ACCESS),
            begin: Begin::Index(1),
            find: Find::KeyNum(0, 1, 1),
            notes: None,
        }],
        group: Group::SortedSet,
        since: "6.2.0",
        complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
        summary: "Gives the members that several sorted sets have in common.",
        args: &[
            Arg::new("numkeys", ArgKind::Integer),
            Arg::new("key", ArgKind::Key).multiple(),
            Arg::new("weight", ArgKind::Integer).token("WEIGHTS").optional().multiple(),
            Arg::one_of(
                "aggregate",
                &[Arg::word("sum", "SUM"), Arg::word("min", "MIN"), Arg::word("max", "MAX")],
            )
            .token("AGGREGATE")
            .optional(),
            Arg::word("withscores", "WITHSCORES").optional(),
        ],
        examples: &[
            ("ZADD {b}1 1 ann 2 bob", "(integer) 2"),
            ("ZADD {b}2 10 bob 20 eve", "(integer) 2"),
            ("ZINTER 2 {b}1 {b}2 WITHSCORES", "1) \"bob\" 2) \"12\""),
        ],
        ..Spec::DEFAULT
    },
    run: zinter,
    subs: &[],
};

/// `ZINTERSTORE`
pub static ZINTERSTORE: Command = Command {
    spec: Spec {
        name: "zinterstore",
        arity: -4,
        flags: Flags::DENYOOM.union(Flags::MOVABLEKEYS).union(Flags::WRITE),
        acl: Acl::SORTEDSET,
        keys: &[
            KeySpec::one(KeyFlags::OW.union(KeyFlags::UPDATE)),
            KeySpec {
                flags: KeyFlags::RO.union(KeyFlags::ACCESS),
                begin: Begin::Index(2),
                find: Find::KeyNum(0, 1, 1),
                notes: None,
            },
        ],
        opcode: 326,
        group: Group::SortedSet,
        since: "2.0.0",
        complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
        summary: "Stores the members that several sorted sets have in common.",
        args: &[
            Arg::new("destination", ArgKind::Key),
            Arg::new("numkeys", ArgKind::Integer),
            Arg::new("key", ArgKind::Key).multiple(),
            Arg::new("weight", ArgKind::Integer).token("WEIGHTS").optional().multiple(),
            Arg::one_of(
                "aggregate",
                &[Arg::word("sum", "SUM"), Arg::word("min", "MIN"), Arg::word("max", "MAX")],
            )
            .token("AGGREGATE")
            .optional(),
        ],
        examples: &[
            ("ZADD {b}1 1 ann 2 bob", "(integer) 2"),
            ("ZADD {b}2 10 bob 20 eve", "(integer) 2"),
            ("ZINTERSTORE {b}3 2 {b}1 {b}2", "(integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run: zinterstore,
    subs: &[],
};

/// `ZINTERCARD`
pub static ZINTERCARD: Command = Command {
    spec: Spec {
        name: "zintercard",
        arity: -3,
        flags: Flags::MOVABLEKEYS.union(Flags::READONLY),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec {
            flags: KeyFlags::RO.union(KeyFlags::ACCESS),
            begin: Begin::Index(1),
            find: Find::KeyNum(0, 1, 1),
            notes: None,
        }],
        group: Group::SortedSet,
        since: "7.0.0",
        complexity: "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
        summary: "Counts the members that several sorted sets have in common.",
        args: &[
            Arg::new("numkeys", ArgKind::Integer),
            Arg::new("key", ArgKind::Key).multiple(),
            Arg::new("limit", ArgKind::Integer).token("LIMIT").optional(),
        ],
        examples: &[
            ("ZADD {b}1 1 ann 2 bob", "(integer) 2"),
            ("ZADD {b}2 10 bob 20 eve", "(integer) 2"),
            ("ZINTERCARD 2 {b}1 {b}2 LIMIT 5", "(integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run: zintercard,
    subs: &[],
};

fn zinter(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    zcombine::reply(ctx, args, "zinter", Operation::Inter)
}

fn zinterstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    zcombine::store(ctx, args, "zinterstore", ZINTERSTORE.spec.opcode, Operation::Inter)
}

fn zintercard(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    zcombine::count(ctx, args, "zintercard")
}
