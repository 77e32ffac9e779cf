//! ZUNION, ZUNIONSTORE

use super::zcombine::{self, Operation};
use crate::args::Args;
use crate::cmd::{Acl, Arg, ArgKind, Begin, Command, Find, Flags, Group, KeyFlags, KeySpec, Spec};
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// `ZUNION`
pub static ZUNION: Command = Command {
    spec: Spec {
        name: "zunion",
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
        complexity: "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
        summary: "Gives the union of sorted sets.",
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
            (
                "ZUNION 2 {b}1 {b}2 WEIGHTS 1 2 WITHSCORES",
                "1) \"ann\" 2) \"1\" 3) \"bob\" 4) \"22\" 5) \"eve\" 6) \"40\"",
            ),
        ],
        ..Spec::DEFAULT
    },
    run: zunion,
    subs: &[],
};

/// `ZUNIONSTORE`
pub static ZUNIONSTORE: Command = Command {
    spec: Spec {
        name: "zunionstore",
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
        opcode: 325,
        group: Group::SortedSet,
        since: "2.0.0",
        complexity: "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
        summary: "Stores the union of sorted sets.",
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
            ("ZUNIONSTORE {b}3 2 {b}1 {b}2 AGGREGATE MAX", "(integer) 3"),
            ("ZSCORE {b}3 bob", "\"10\""),
        ],
        ..Spec::DEFAULT
    },
    run: zunionstore,
    subs: &[],
};

fn zunion(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    zcombine::reply(ctx, args, "zunion", Operation::Union)
}

fn zunionstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    zcombine::store(ctx, args, "zunionstore", ZUNIONSTORE.spec.opcode, Operation::Union)
}
