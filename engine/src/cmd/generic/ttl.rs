//! TTL, PTTL, EXPIRETIME and PEXPIRETIME.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// TTL: tells how many seconds a key has left.
pub static TTL: Command = Command {
    spec: Spec {
        name: "ttl",
        arity: 2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        summary: "Tells how many seconds a key has left.",
        history: &[("2.8.0", "Added the -2 reply.")],
        args: &[Arg::new("key", ArgKind::Key)],
        tips: &["nondeterministic_output"],
        examples: &[
            ("TTL k", "(integer) -2"),
            ("SET k v", "OK"),
            ("TTL k", "(integer) -1"),
            ("PEXPIRE k 1600", "(integer) 1"),
            ("TTL k", "(integer) 2"),
        ],
        ..Spec::DEFAULT
    },
    run: ttl,
    subs: &[],
};

/// PTTL: tells how many milliseconds a key has left.
pub static PTTL: Command = Command {
    spec: Spec {
        name: "pttl",
        arity: 2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        since: "2.6.0",
        summary: "Tells how many milliseconds a key has left.",
        history: &[("2.8.0", "Added the -2 reply.")],
        args: &[Arg::new("key", ArgKind::Key)],
        tips: &["nondeterministic_output"],
        examples: &[("SET k v PX 1600", "OK"), ("PTTL k", "(integer) 1600")],
        ..Spec::DEFAULT
    },
    run: pttl,
    subs: &[],
};

/// EXPIRETIME: tells when a key expires, in seconds since 1970.
pub static EXPIRETIME: Command = Command {
    spec: Spec {
        name: "expiretime",
        arity: 2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        since: "7.0.0",
        summary: "Tells when a key expires, in seconds since 1970.",
        args: &[Arg::new("key", ArgKind::Key)],
        examples: &[("SET k v EXAT 33177117420", "OK"), ("EXPIRETIME k", "(integer) 33177117420")],
        ..Spec::DEFAULT
    },
    run: expiretime,
    subs: &[],
};

/// PEXPIRETIME: tells when a key expires, in milliseconds since 1970.
pub static PEXPIRETIME: Command = Command {
    spec: Spec {
        name: "pexpiretime",
        arity: 2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        since: "7.0.0",
        summary: "Tells when a key expires, in milliseconds since 1970.",
        args: &[Arg::new("key", ArgKind::Key)],
        examples: &[
            ("SET k v PXAT 33177117420000", "OK"),
            ("PEXPIRETIME k", "(integer) 33177117420000"),
        ],
        ..Spec::DEFAULT
    },
    run: pexpiretime,
    subs: &[],
};

fn ttl(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let now_ms = ctx.db.now_ms();
    run(ctx, args, |at_ms| to_seconds(at_ms.saturating_sub(now_ms).max(0)))
}

fn pttl(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let now_ms = ctx.db.now_ms();
    run(ctx, args, |at_ms| at_ms.saturating_sub(now_ms).max(0))
}

fn expiretime(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, to_seconds)
}

fn pexpiretime(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, |at_ms| at_ms)
}

/// Rounded to the nearest second.
fn to_seconds(ms: i64) -> i64 {
    ms.saturating_add(500) / 1000
}

fn run(ctx: &mut Ctx<'_>, args: Args<'_>, show: impl Fn(i64) -> i64) -> CmdResult {
    let reply = match ctx.db.glance(args.at(1)).map(|entry| entry.expire_at_ms()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at_ms)) => show(at_ms),
    };
    ctx.reply.int(reply);
    Ok(())
}
