//! SISMEMBER and SMISMEMBER.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::Set;

/// SISMEMBER: tells whether a member is in a set.
pub static SISMEMBER: Command = Command {
    spec: Spec {
        name: "sismember",
        arity: 3,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::SET,
        keys: &[KeySpec::one(KeyFlags::RO)],
        group: Group::Set,
        summary: "Tells whether a member is in a set.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("member", ArgKind::String)],
        examples: &[
            ("SADD k a 1", "(integer) 2"),
            ("SISMEMBER k a", "(integer) 1"),
            ("SISMEMBER k b", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run: sismember,
    subs: &[],
};

/// SMISMEMBER: tells of each of several members whether it is in a set.
pub static SMISMEMBER: Command = Command {
    spec: Spec {
        name: "smismember",
        arity: -3,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::SET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Set,
        since: "6.2.0",
        complexity: "O(N) where N is the number of elements being checked for membership",
        summary: "Tells of each of several members whether it is in a set.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("member", ArgKind::String).multiple()],
        examples: &[
            ("SADD k a 1", "(integer) 2"),
            ("SMISMEMBER k a b 1", "1) (integer) 1 2) (integer) 0 3) (integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run: smismember,
    subs: &[],
};

fn sismember(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let set = ctx.db.get_as::<Set>(args.at(1))?;
    ctx.reply.int(i64::from(set.is_some_and(|set| set.contains(args.at(2)))));
    Ok(())
}

fn smismember(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let set = ctx.db.get_as::<Set>(args.at(1))?;
    ctx.reply.array(args.len() - 2);
    for member in args.iter_from(2) {
        ctx.reply.int(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}
