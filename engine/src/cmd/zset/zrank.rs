//! ZRANK, ZREVRANK

use crate::args::Args;
use crate::cmd::{Acl, Arg, ArgKind, Command, Flags, Group, KeyFlags, KeySpec, Spec};
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::{Object, ZSet};

/// `ZRANK`
pub static ZRANK: Command = Command {
    spec: Spec {
        name: "zrank",
        arity: 3,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::SortedSet,
        since: "2.0.0",
        complexity: "O(log(N))",
        summary: "Gives a member's rank, counted from the lowest score.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("member", ArgKind::String)],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZRANK board bob", "(integer) 1"),
            ("ZRANK board eve", "(nil)"),
        ],
        ..Spec::DEFAULT
    },
    run: zrank,
    subs: &[],
};

/// `ZREVRANK`
pub static ZREVRANK: Command = Command {
    spec: Spec {
        name: "zrevrank",
        arity: 3,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::SortedSet,
        since: "2.0.0",
        complexity: "O(log(N))",
        summary: "Gives a member's rank, counted from the highest score.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("member", ArgKind::String)],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZREVRANK board bob", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run: zrevrank,
    subs: &[],
};

fn zrank(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    rank(ctx, args, false)
}

fn zrevrank(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    rank(ctx, args, true)
}

fn rank(ctx: &mut Ctx<'_>, args: Args<'_>, from_highest: bool) -> CmdResult {
    let Some(set) = ctx.db.get_as::<ZSet>(args.at(1))? else {
        ctx.reply.null();
        return Ok(());
    };
    match set.rank(args.at(2)) {
        Some((rank, _)) if from_highest => ctx.reply.len(set.len() - 1 - rank),
        Some((rank, _)) => ctx.reply.len(rank),
        None => ctx.reply.null(),
    }
    Ok(())
}
