//! ZSCORE, ZMSCORE

use crate::args::Args;
use crate::cmd::{Acl, Arg, ArgKind, Command, Flags, Group, KeyFlags, KeySpec, Spec};
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::reply::Reply;
use crate::types::ZSet;

/// `ZSCORE`
pub static ZSCORE: Command = Command {
    spec: Spec {
        name: "zscore",
        arity: 3,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::SortedSet,
        since: "1.2.0",
        complexity: "O(1)",
        summary: "Gives a member's score.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("member", ArgKind::String)],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZSCORE board bob", "\"2\""),
            ("ZSCORE board eve", "(nil)"),
        ],
        ..Spec::DEFAULT
    },
    run: zscore,
    subs: &[],
};

/// `ZMSCORE`
pub static ZMSCORE: Command = Command {
    spec: Spec {
        name: "zmscore",
        arity: -3,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::SortedSet,
        since: "6.2.0",
        complexity: "O(N) where N is the number of members being requested.",
        summary: "Gives the scores of several members.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("member", ArgKind::String).multiple()],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZMSCORE board bob eve", "1) \"2\" 2) (nil)"),
        ],
        ..Spec::DEFAULT
    },
    run: zmscore,
    subs: &[],
};

fn zscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let set = ctx.db.get_as::<ZSet>(args.at(1))?;
    score_or_null(ctx.reply, set.and_then(|set| set.score(args.at(2))));
    Ok(())
}

fn zmscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let set = ctx.db.get_as::<ZSet>(args.at(1))?;
    let members = args.iter_from(2);
    ctx.reply.array(members.len());
    for member in members {
        score_or_null(ctx.reply, set.and_then(|set| set.score(member)));
    }
    Ok(())
}

fn score_or_null(out: &mut dyn Reply, score: Option<f64>) {
    match score {
        Some(score) => out.double(score),
        None => out.null(),
    }
}
