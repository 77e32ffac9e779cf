//! EXPIRE, PEXPIRE, EXPIREAT and PEXPIREAT.

use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::{CmdResult, Error, word};
use crate::keyspace::Ctx;
use crate::num::parse_i64;

/// PEXPIREAT's number in the log, which every change of an expiry records.
pub(super) const OPCODE: Opcode = 65;

/// EXPIRE: lets a key expire after some seconds.
pub static EXPIRE: Command = Command {
    spec: Spec {
        name: "expire",
        arity: -3,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        summary: "Lets a key expire after some seconds.",
        history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("seconds", ArgKind::Integer),
            CONDITION.since("7.0.0"),
        ],
        examples: &[
            ("SET k v", "OK"),
            ("EXPIRE k 100", "(integer) 1"),
            ("TTL k", "(integer) 100"),
            ("EXPIRE k 50 GT", "(integer) 0"),
            ("EXPIRE k 50 LT", "(integer) 1"),
            ("EXPIRE k 70 NX", "(integer) 0"),
            ("EXPIRE k 70 XX", "(integer) 1"),
            (
                "EXPIRE k 70 NX XX",
                "(error) ERR NX and XX, GT or LT options at the same time are not compatible",
            ),
            (
                "EXPIRE k 70 GT LT",
                "(error) ERR GT and LT options at the same time are not compatible",
            ),
            ("EXPIRE k 70 ZZ", "(error) ERR Unsupported option ZZ"),
            ("EXPIRE k -1", "(integer) 1"),
            ("EXISTS k", "(integer) 0"),
            ("EXPIRE k 1", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run: expire,
    subs: &[],
};

/// PEXPIRE: lets a key expire after some milliseconds.
pub static PEXPIRE: Command = Command {
    spec: Spec {
        name: "pexpire",
        arity: -3,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        since: "2.6.0",
        summary: "Lets a key expire after some milliseconds.",
        history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("milliseconds", ArgKind::Integer),
            CONDITION.since("7.0.0"),
        ],
        examples: &[
            ("SET k v", "OK"),
            ("PEXPIRE k 1500", "(integer) 1"),
            ("PTTL k", "(integer) 1500"),
        ],
        ..Spec::DEFAULT
    },
    run: pexpire,
    subs: &[],
};

/// EXPIREAT: lets a key expire at a time given in seconds since 1970.
pub static EXPIREAT: Command = Command {
    spec: Spec {
        name: "expireat",
        arity: -3,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        since: "1.2.0",
        summary: "Lets a key expire at a time given in seconds since 1970.",
        history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("unix-time-seconds", ArgKind::UnixTime),
            CONDITION.since("7.0.0"),
        ],
        examples: &[
            ("SET k v", "OK"),
            ("EXPIREAT k 33177117420", "(integer) 1"),
            ("EXPIRETIME k", "(integer) 33177117420"),
            (
                "EXPIREAT k 9223372036854775807",
                "(error) ERR invalid expire time in 'expireat' command",
            ),
        ],
        ..Spec::DEFAULT
    },
    run: expireat,
    subs: &[],
};

/// PEXPIREAT: lets a key expire at a time given in milliseconds since 1970.
pub static PEXPIREAT: Command = Command {
    spec: Spec {
        name: "pexpireat",
        arity: -3,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        opcode: OPCODE,
        since: "2.6.0",
        summary: "Lets a key expire at a time given in milliseconds since 1970.",
        history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("unix-time-milliseconds", ArgKind::UnixTime),
            CONDITION.since("7.0.0"),
        ],
        examples: &[
            ("SET k v", "OK"),
            ("PEXPIREAT k 33177117420000", "(integer) 1"),
            ("PEXPIRETIME k", "(integer) 33177117420000"),
        ],
        ..Spec::DEFAULT
    },
    run: pexpireat,
    subs: &[],
};

fn expire(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let now_ms = ctx.db.now_ms();
    run(ctx, args, "expire", 1000, now_ms)
}

fn pexpire(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let now_ms = ctx.db.now_ms();
    run(ctx, args, "pexpire", 1, now_ms)
}

fn expireat(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, "expireat", 1000, 0)
}

fn pexpireat(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    run(ctx, args, "pexpireat", 1, 0)
}

/// Which expiries may be replaced.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cmd) struct Conditions {
    absent: bool,
    present: bool,
    greater: bool,
    less: bool,
}

impl Conditions {
    fn parse(args: Args<'_>) -> Result<Conditions, Error> {
        let mut out = Conditions::default();
        for at in 3..args.len() {
            if args.is(at, "NX") {
                out.absent = true;
            } else if args.is(at, "XX") {
                out.present = true;
            } else if args.is(at, "GT") {
                out.greater = true;
            } else if args.is(at, "LT") {
                out.less = true;
            } else {
                let option = word(args.at(at));
                return Err(Error::owned(format!("ERR Unsupported option {option}")));
            }
        }
        if out.absent && (out.present || out.greater || out.less) {
            return Err(Error::text(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if out.greater && out.less {
            return Err(Error::text("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(out)
    }

    /// One condition at argument `at`, where there is one.
    pub(in crate::cmd) fn word(args: Args<'_>, at: usize) -> Option<Conditions> {
        let mut out = Conditions::default();
        let words = [
            ("NX", &mut out.absent),
            ("XX", &mut out.present),
            ("GT", &mut out.greater),
            ("LT", &mut out.less),
        ];
        let (_, given) = words.into_iter().find(|(word, _)| args.is(at, word))?;
        *given = true;
        Some(out)
    }

    /// No expiry counts as one that is infinitely far.
    pub(in crate::cmd) fn allow(self, current: Option<i64>, new: i64) -> bool {
        !(self.absent && current.is_some()
            || self.present && current.is_none()
            || self.greater && current.is_none_or(|current| new <= current)
            || self.less && current.is_some_and(|current| new >= current))
    }
}

fn run(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    name: &'static str,
    unit_ms: i64,
    base_ms: i64,
) -> CmdResult {
    let key = args.at(1);
    let conditions = Conditions::parse(args)?;
    let when = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let at_ms = when.checked_mul(unit_ms).and_then(|when| when.checked_add(base_ms));
    let at_ms = at_ms.ok_or(Error::InvalidExpire(name))?;
    let current = ctx.db.peek(key).map(|entry| entry.expire_at_ms());
    let changed = current.is_some_and(|current| conditions.allow(current, at_ms));
    if changed {
        super::expire_at(&mut ctx.db, key, at_ms);
    }
    ctx.reply.int(i64::from(changed));
    Ok(())
}
