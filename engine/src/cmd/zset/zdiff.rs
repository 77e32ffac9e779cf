//! ZDIFF, ZDIFFSTORE

use super::zcombine::{self, Operation};
use crate::args::Args;
use crate::cmd::{Acl, Arg, ArgKind, Begin, Command, Find, Flags, Group, KeyFlags, KeySpec, Spec};
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// `ZDIFF`
pub static ZDIFF: Command = Command {
    spec: Spec {
        name: "zdiff",
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
        complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.",
        summary: "Gives the members of the first sorted set that no other has.",
        args: &[
            Arg::new("numkeys", ArgKind::Integer),
            Arg::new("key", ArgKind::Key).multiple(),
            Arg::word("withscores", "WITHSCORES").optional(),
        ],
        examples: &[
            ("ZADD {b}1 1 ann 2 bob", "(integer) 2"),
            ("ZADD {b}2 10 bob 20 eve", "(integer) 2"),
            ("ZDIFF 2 {b}1 {b}2", "1) \"ann\""),
        ],
        ..Spec::DEFAULT
    },
    run: zdiff,
    subs: &[],
};

/// `ZDIFFSTORE`
pub static ZDIFFSTORE: Command = Command {
    spec: Spec {
        name: "zdiffstore",
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
        opcode: 327,
        group: Group::SortedSet,
        since: "6.2.0",
        complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.",
        summary: "Stores the members of the first sorted set that no other has.",
        args: &[
            Arg::new("destination", ArgKind::Key),
            Arg::new("numkeys", ArgKind::Integer),
            Arg::new("key", ArgKind::Key).multiple(),
        ],
        examples: &[
            ("ZADD {b}1 1 ann 2 bob", "(integer) 2"),
            ("ZADD {b}2 10 bob 20 eve", "(integer) 2"),
            ("ZDIFFSTORE {b}3 2 {b}1 {b}2", "(integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run: zdiffstore,
    subs: &[],
};

fn zdiff(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    zcombine::reply(ctx, args, "zdiff", Operation::Diff)
}

fn zdiffstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    zcombine::store(ctx, args, "zdiffstore", ZDIFFSTORE.spec.opcode, Operation::Diff)
}
