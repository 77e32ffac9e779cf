//! SET.

use super::options::{Condition, SetOptions, Ttl};
use super::{is_string, reply_get, set_expiring, set_keeping_ttl, set_plain};
use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// SET's number in the log, which the family's other commands record as well.
pub(in crate::cmd) const OPCODE: Opcode = 1;

/// SET: stores a string under a key, whatever was there before.
pub static SET: Command = Command {
    spec: Spec {
        name: "set",
        arity: -3,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec {
            notes: Some("RW and ACCESS due to the optional `GET` argument"),
            ..KeySpec::one(
                KeyFlags::RW
                    .union(KeyFlags::ACCESS)
                    .union(KeyFlags::UPDATE)
                    .union(KeyFlags::VARIABLE_FLAGS),
            )
        }],
        opcode: OPCODE,
        group: Group::String,
        summary: "Stores a string under a key, whatever was there before.",
        history: &[
            ("2.6.12", "Added the `EX`, `PX`, `NX` and `XX` options."),
            ("6.0.0", "Added the `KEEPTTL` option."),
            ("6.2.0", "Added the `GET`, `EXAT` and `PXAT` option."),
            ("7.0.0", "Allowed the `NX` and `GET` options to be used together."),
        ],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("value", ArgKind::String),
            Arg::one_of(
                "condition",
                &[
                    Arg::word("nx", "NX"),
                    Arg::word("xx", "XX"),
                    Arg::new("comparison-value", ArgKind::String).token("IFEQ").since("8.1.0"),
                ],
            )
            .optional()
            .since("2.6.12"),
            Arg::word("get", "GET").optional().since("6.2.0"),
            expiration(&[
                EX.since("2.6.12"),
                PX.since("2.6.12"),
                EXAT.since("6.2.0"),
                PXAT.since("6.2.0"),
                KEEPTTL.since("6.0.0"),
            ]),
        ],
        examples: &[
            ("SET k hello", "OK"),
            ("SET k other NX", "(nil)"),
            ("SET k other XX GET", "\"hello\""),
            ("SET k v EX 10", "OK"),
            ("TTL k", "(integer) 10"),
            ("SET k v KEEPTTL", "OK"),
            ("TTL k", "(integer) 10"),
            ("SET k w IFEQ other", "(nil)"),
            ("SET k w IFEQ v KEEPTTL", "OK"),
            ("SET k v NX XX", "(error) ERR syntax error"),
            ("SET k v EX 0", "(error) ERR invalid expire time in 'set' command"),
            ("SET k v PX x", "(error) ERR value is not an integer or out of range"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (key, value) = (args.at(1), args.at(2));
    if args.len() == 3 {
        set_plain(&mut ctx.db, key, value);
        ctx.reply.ok();
        return Ok(());
    }
    let options = SetOptions::parse(args)?;
    let expire_at_ms = match options.ttl {
        Ttl::Set(expiry) => Some(expiry.at_ms(ctx.db.now_ms(), "set")?),
        Ttl::Unsaid | Ttl::Keep | Ttl::Persist => None,
    };
    if options.get {
        reply_get(&mut ctx.db, ctx.reply, key)?;
    }
    let allowed = match options.condition {
        Condition::Always => true,
        Condition::Absent => !ctx.db.contains(key),
        Condition::Present => ctx.db.contains(key),
        Condition::Equal(wanted) => is_string(&mut ctx.db, key, wanted)?,
    };
    if allowed {
        store(ctx, args, options.ttl == Ttl::Keep, expire_at_ms);
    }
    match (options.get, allowed) {
        (true, _) => {}
        (false, true) => ctx.reply.ok(),
        (false, false) => ctx.reply.null(),
    }
    Ok(())
}

fn store(ctx: &mut Ctx<'_>, args: Args<'_>, keep_ttl: bool, expire_at_ms: Option<i64>) {
    let (key, value) = (args.at(1), args.at(2));
    match expire_at_ms {
        Some(at_ms) => set_expiring(&mut ctx.db, key, value, at_ms),
        None if keep_ttl => set_keeping_ttl(&mut ctx.db, key, value),
        None => set_plain(&mut ctx.db, key, value),
    }
}
