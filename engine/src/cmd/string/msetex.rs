//! MSETEX, as Redis 8.4 has it.

use super::options::{Condition, Ttl, parse_expiry};
use super::{set_expiring, set_keeping_ttl, set_plain};
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::num::parse_i64;

/// MSETEX: stores strings under several keys, all or none, with one expiry for all.
pub static MSETEX: Command = Command {
    spec: Spec {
        name: "msetex",
        arity: -4,
        flags: Flags::DENYOOM.union(Flags::WRITE).union(Flags::MOVABLEKEYS),
        acl: Acl::STRING,
        keys: &[KeySpec {
            flags: KeyFlags::OW.union(KeyFlags::UPDATE),
            begin: Begin::Index(1),
            find: Find::KeyNum(0, 1, 2),
            notes: None,
        }],
        group: Group::String,
        since: "8.4.0",
        complexity: "O(N) where N is the number of keys to set.",
        summary: "Stores strings under several keys, all or none, with one expiry for all.",
        args: &[
            Arg::new("numkeys", ArgKind::Integer),
            Arg::block(
                "data",
                &[Arg::new("key", ArgKind::Key), Arg::new("value", ArgKind::String)],
            )
            .multiple(),
            Arg::one_of("condition", &[Arg::word("nx", "NX"), Arg::word("xx", "XX")]).optional(),
            EXPIRY_OR_KEEP,
        ],
        tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
        examples: &[
            ("MSETEX 2 a 1 b 2 EX 100", "(integer) 1"),
            ("TTL b", "(integer) 100"),
            ("MSETEX 2 b 3 c 4 NX", "(integer) 0"),
            ("MSETEX 2 b 3 c 4 XX", "(integer) 0"),
            ("MSETEX 1 b 3 XX KEEPTTL", "(integer) 1"),
            ("MGET a b c", "1) \"1\" 2) \"3\" 3) (nil)"),
            ("TTL b", "(integer) 100"),
            ("MSETEX 0 a 1", "(error) ERR invalid numkeys value"),
            ("MSETEX 2 a 1 b", "(error) ERR wrong number of key-value pairs"),
            ("MSETEX 1 a 1 EX 1 PX 1", "(error) ERR syntax error"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let options_at = 2 + 2 * pairs(args)?;
    let (condition, ttl) = options(args, options_at)?;
    let at_ms = match ttl {
        Ttl::Set(expiry) => Some(expiry.at_ms(ctx.db.now_ms(), "msetex")?),
        Ttl::Unsaid | Ttl::Keep | Ttl::Persist => None,
    };
    let mut keys = (2..options_at).step_by(2).map(|at| args.at(at));
    let allowed = match condition {
        Condition::Absent => !keys.any(|key| ctx.db.contains(key)),
        Condition::Present => keys.all(|key| ctx.db.contains(key)),
        Condition::Always | Condition::Equal(_) => true,
    };
    if allowed {
        for at in (2..options_at).step_by(2) {
            let (key, value) = (args.at(at), args.at(at + 1));
            match at_ms {
                Some(at_ms) => set_expiring(&mut ctx.db, key, value, at_ms),
                None if ttl == Ttl::Keep => set_keeping_ttl(&mut ctx.db, key, value),
                None => set_plain(&mut ctx.db, key, value),
            }
        }
    }
    ctx.reply.int(i64::from(allowed));
    Ok(())
}

/// How many keys there are.
fn pairs(args: Args<'_>) -> Result<usize, Error> {
    let count = parse_i64(args.at(1)).and_then(|count| i32::try_from(count).ok());
    let count = count.and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
    let count = count.ok_or(Error::text("ERR invalid numkeys value"))?;
    if count > args.len().saturating_sub(2) / 2 {
        return Err(Error::text("ERR wrong number of key-value pairs"));
    }
    Ok(count)
}

/// What stands behind the keys, in any order.
fn options(args: Args<'_>, mut at: usize) -> Result<(Condition<'_>, Ttl<'_>), Error> {
    let (mut condition, mut ttl) = (Condition::Always, Ttl::Unsaid);
    while at < args.len() {
        if let Some(read) = condition.read(args, at) {
            condition = read;
        } else if args.is(at, "KEEPTTL") && matches!(ttl, Ttl::Unsaid | Ttl::Keep) {
            ttl = Ttl::Keep;
        } else {
            ttl = Ttl::Set(parse_expiry(args, at, ttl)?);
            at += 1;
        }
        at += 1;
    }
    Ok((condition, ttl))
}
