//! HSETEX.

use super::OPCODE_HSET;
use super::fields::{self, NO_COUNT};
use crate::args::Args;
use crate::cmd::generic::is_past;
use crate::cmd::string::options::{Ttl, parse_expiry};
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::types::Hash;

/// HSETEX: sets fields of a hash and when they expire.
pub static HSETEX: Command = Command {
    spec: Spec {
        name: "hsetex",
        arity: -6,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        group: Group::Hash,
        since: "8.0.0",
        complexity: "O(N) where N is the number of fields named",
        summary: "Sets fields of a hash and when they expire.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::one_of("condition", &[Arg::word("fnx", "FNX"), Arg::word("fxx", "FXX")])
                .optional(),
            EXPIRY_OR_KEEP,
            Arg::block(
                "fields",
                &[
                    Arg::new("numfields", ArgKind::Integer),
                    Arg::block(
                        "data",
                        &[Arg::new("field", ArgKind::String), Arg::new("value", ArgKind::String)],
                    )
                    .multiple(),
                ],
            )
            .token("FIELDS"),
        ],
        examples: &[
            ("HSETEX k EX 100 FIELDS 2 a 1 b 2", "(integer) 1"),
            ("HTTL k FIELDS 2 a b", "1) (integer) 100 2) (integer) 100"),
            ("HSETEX k KEEPTTL FIELDS 1 a 2", "(integer) 1"),
            ("HSETEX k FNX FIELDS 1 a 3", "(integer) 0"),
            ("HSETEX k FXX FIELDS 1 b 3", "(integer) 1"),
            ("HTTL k FIELDS 2 a b", "1) (integer) 100 2) (integer) -1"),
            (
                "HSETEX k EX 1 FIELDS 2 a",
                "(error) ERR The `numfields` parameter must match the number of arguments",
            ),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

/// What must be there for anything to be set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    NoField,
    EveryField,
}

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let (condition, ttl, at) = options(args)?;
    let first = fields::parse(args, at, 2, NO_COUNT)?;
    let at_ms = match ttl {
        Ttl::Set(expiry) => Some(expiry.at_ms(ctx.db.now_ms(), "hsetex")?),
        Ttl::Unsaid | Ttl::Keep | Ttl::Persist => None,
    };
    let named: Vec<&[u8]> = args.iter_from(first).step_by(2).collect();
    let hash = ctx.db.get_as::<Hash>(key)?;
    let is_there = |field: &&[u8]| hash.is_some_and(|hash| hash.contains(field));
    let allowed = match condition {
        Condition::Always => true,
        Condition::NoField => !named.iter().any(is_there),
        Condition::EveryField => named.iter().all(is_there),
    };
    ctx.reply.int(i64::from(allowed));
    if !allowed {
        return Ok(());
    }
    if at_ms.is_some_and(|at_ms| is_past(&ctx.db, at_ms)) {
        fields::delete(&mut ctx.db, key, &named);
        return Ok(());
    }
    let limits = ctx.db.limits();
    let hash = ctx.db.get_or_insert_as(key, Hash::new)?;
    let mut effect = vec![key];
    for at in (first..args.len()).step_by(2) {
        let (field, value) = (args.at(at), args.at(at + 1));
        match ttl {
            Ttl::Keep => hash.set_value(field, value, &limits),
            Ttl::Unsaid | Ttl::Set(_) | Ttl::Persist => hash.set(field, value, &limits),
        };
        effect.extend([field, value]);
    }
    ctx.db.effect(OPCODE_HSET, &effect);
    ctx.db.notify(Classes::HASH, "hset", key);
    match at_ms {
        Some(at_ms) => fields::expire_at(&mut ctx.db, key, &named, at_ms),
        None => named.iter().for_each(|field| fields::record_time(&mut ctx.db, key, field)),
    }
    Ok(())
}

/// The options, and where FIELDS stands.
fn options(args: Args<'_>) -> Result<(Condition, Ttl<'_>, usize), Error> {
    let (mut condition, mut ttl, mut at) = (Condition::Always, Ttl::Unsaid, 2);
    while at < args.len() && !args.is(at, "FIELDS") {
        if args.is(at, "FNX") && condition == Condition::Always {
            condition = Condition::NoField;
        } else if args.is(at, "FXX") && condition == Condition::Always {
            condition = Condition::EveryField;
        } else if args.is(at, "KEEPTTL") && ttl == Ttl::Unsaid {
            ttl = Ttl::Keep;
        } else {
            ttl = Ttl::Set(parse_expiry(args, at, ttl)?);
            at += 1;
        }
        at += 1;
    }
    Ok((condition, ttl, at))
}
