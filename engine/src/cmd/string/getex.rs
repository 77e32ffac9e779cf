//! GETEX.

use super::options::{Ttl, parse_getex};
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// GETEX: returns the string under a key and changes when it expires.
pub static GETEX: Command = Command {
    spec: Spec {
        name: "getex",
        arity: -2,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec {
            notes: Some("RW and UPDATE because it changes the TTL"),
            ..KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))
        }],
        group: Group::String,
        since: "6.2.0",
        summary: "Returns the string under a key and changes when it expires.",
        args: &[Arg::new("key", ArgKind::Key), EXPIRY_OR_PERSIST],
        examples: &[
            ("SET k v", "OK"),
            ("GETEX k EX 100", "\"v\""),
            ("TTL k", "(integer) 100"),
            ("GETEX k", "\"v\""),
            ("GETEX k PERSIST", "\"v\""),
            ("TTL k", "(integer) -1"),
            ("GETEX k EXAT 1", "\"v\""),
            ("GETEX k", "(nil)"),
            ("GETEX k KEEPTTL", "(error) ERR syntax error"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let ttl = parse_getex(args)?;
    let now_ms = ctx.db.now_ms();
    let Some(entry) = ctx.db.get(key) else {
        ctx.reply.null();
        return Ok(());
    };
    let had_expiry = entry.expire_at_ms().is_some();
    // The type is checked before the time is, so the reply cannot be written in between.
    let mut scratch = itoa::Buffer::new();
    let value = entry.value();
    let bytes = value.str_bytes(&mut scratch)?;
    let at_ms = match ttl {
        Ttl::Set(expiry) => Some(expiry.at_ms(now_ms, "getex")?),
        Ttl::Unsaid | Ttl::Keep | Ttl::Persist => None,
    };
    ctx.reply.bulk(bytes);
    match at_ms {
        Some(at_ms) => generic::expire_at(&mut ctx.db, key, at_ms),
        None if ttl == Ttl::Persist && had_expiry => generic::persist(&mut ctx.db, key),
        None => {}
    }
    Ok(())
}
