//! HGETEX.

use super::fields::{self, FIELDS, NO_COUNT};
use super::hgetdel::reply_values;
use super::hpersist::persist;
use crate::args::Args;
use crate::cmd::string::options::{Ttl, parse_expiry};
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::Hash;

/// HGETEX: returns the values of fields of a hash and changes when they expire.
pub static HGETEX: Command = Command {
    spec: Spec {
        name: "hgetex",
        arity: -5,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
        group: Group::Hash,
        since: "8.0.0",
        complexity: "O(N) where N is the number of fields named",
        summary: "Returns the values of fields of a hash and changes when they expire.",
        args: &[Arg::new("key", ArgKind::Key), EXPIRY_OR_PERSIST, FIELDS],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HGETEX k EX 100 FIELDS 2 a none", "1) \"1\" 2) (nil)"),
            ("HTTL k FIELDS 1 a", "1) (integer) 100"),
            ("HGETEX k PERSIST FIELDS 1 a", "1) \"1\""),
            ("HTTL k FIELDS 1 a", "1) (integer) -1"),
            ("HGETEX k FIELDS 1 b", "1) \"2\""),
            ("HGETEX k EX 0 FIELDS 1 b", "(error) ERR invalid expire time in 'hgetex' command"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let (ttl, at) = if args.is(2, "FIELDS") {
        (Ttl::Unsaid, 2)
    } else if args.is(2, "PERSIST") {
        (Ttl::Persist, 3)
    } else {
        (Ttl::Set(parse_expiry(args, 2, Ttl::Unsaid)?), 4)
    };
    let first = fields::parse(args, at, 1, NO_COUNT)?;
    let at_ms = match ttl {
        Ttl::Set(expiry) => Some(expiry.at_ms(ctx.db.now_ms(), "hgetex")?),
        Ttl::Unsaid | Ttl::Keep | Ttl::Persist => None,
    };
    reply_values(ctx, args, first)?;
    let Some(hash) = ctx.db.get_as::<Hash>(key)? else { return Ok(()) };
    let changes = |field: &&[u8]| match ttl {
        Ttl::Persist => hash.time_of(field).is_some(),
        Ttl::Set(_) => hash.contains(field),
        Ttl::Unsaid | Ttl::Keep => false,
    };
    let mut changed: Vec<&[u8]> = args.iter_from(first).filter(changes).collect();
    changed.dedup();
    match at_ms {
        Some(at_ms) => fields::expire_at(&mut ctx.db, key, &changed, at_ms),
        None => persist(ctx, key, &changed),
    }
    Ok(())
}
