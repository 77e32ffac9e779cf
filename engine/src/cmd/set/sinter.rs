//! SINTER, SINTERCARD and SINTERSTORE.

use super::store::{reply_members, store};
use crate::args::Args;
use crate::cmd::numbers::{at_least, positive_or};
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Ctx, Db};
use crate::types::{Object, Set};

/// SINTER: returns the members that all of several sets have.
pub static SINTER: Command = Command {
    spec: Spec {
        name: "sinter",
        arity: -2,
        flags: Flags::READONLY,
        acl: Acl::SET,
        keys: &[KeySpec::range(KeyFlags::RO.union(KeyFlags::ACCESS), 1, -1, 1)],
        group: Group::Set,
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        summary: "Returns the members that all of several sets have.",
        args: &[Arg::new("key", ArgKind::Key).multiple()],
        tips: &["nondeterministic_output_order"],
        examples: &[
            ("SADD a 1 2 3", "(integer) 3"),
            ("SADD b 2 3 4", "(integer) 3"),
            ("SINTER a b", "1) \"2\" 2) \"3\""),
            ("SINTER a none", "(empty array)"),
        ],
        ..Spec::DEFAULT
    },
    run: sinter,
    subs: &[],
};

/// SINTERCARD: returns how many members all of several sets have, counting up to a limit.
pub static SINTERCARD: Command = Command {
    spec: Spec {
        name: "sintercard",
        arity: -3,
        flags: Flags::MOVABLEKEYS.union(Flags::READONLY),
        acl: Acl::SET,
        keys: &[KeySpec {
            flags: KeyFlags::RO.union(KeyFlags::ACCESS),
            begin: Begin::Index(1),
            find: Find::KeyNum(0, 1, 1),
            notes: None,
        }],
        group: Group::Set,
        since: "7.0.0",
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        summary: "Returns how many members all of several sets have, counting up to a limit.",
        args: &[
            Arg::new("numkeys", ArgKind::Integer),
            Arg::new("key", ArgKind::Key).multiple(),
            Arg::new("limit", ArgKind::Integer).token("LIMIT").optional(),
        ],
        examples: &[
            ("SADD a 1 2 3", "(integer) 3"),
            ("SADD b 2 3 4", "(integer) 3"),
            ("SINTERCARD 2 a b", "(integer) 2"),
            ("SINTERCARD 2 a b LIMIT 1", "(integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run: sintercard,
    subs: &[],
};

/// SINTERSTORE: stores the members that all of several sets have.
pub static SINTERSTORE: Command = Command {
    spec: Spec {
        name: "sinterstore",
        arity: -3,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::SET,
        keys: &[
            KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE)),
            KeySpec::range(KeyFlags::RO.union(KeyFlags::ACCESS), 2, -1, 1),
        ],
        group: Group::Set,
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        summary: "Stores the members that all of several sets have.",
        args: &[Arg::new("destination", ArgKind::Key), Arg::new("key", ArgKind::Key).multiple()],
        examples: &[
            ("SADD a 1 2 3", "(integer) 3"),
            ("SADD b 2 3 4", "(integer) 3"),
            ("SINTERSTORE c a b", "(integer) 2"),
            ("SMEMBERS c", "1) \"2\" 2) \"3\""),
        ],
        ..Spec::DEFAULT
    },
    run: sinterstore,
    subs: &[],
};

fn sinter(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let result = intersect(&mut ctx.db, args.iter_from(1), usize::MAX)?;
    reply_members(ctx, &result);
    Ok(())
}

fn sinterstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let result = intersect(&mut ctx.db, args.iter_from(2), usize::MAX)?;
    store(ctx, args.at(1), result, "sinterstore")
}

fn sintercard(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let keys = at_least(args.at(1), 1, "ERR numkeys should be greater than 0")?;
    if keys > args.len() - 2 {
        return Err(Error::text("ERR Number of keys can't be greater than number of args"));
    }
    let mut limit = 0;
    for at in (keys + 2..args.len()).step_by(2) {
        match args.get(at + 1) {
            Some(value) if args.is(at, "LIMIT") => {
                limit = positive_or(value, "ERR LIMIT can't be negative")?;
            }
            _ => return Err(Error::Syntax),
        }
    }
    let limit = if limit == 0 { usize::MAX } else { limit };
    let result = intersect(&mut ctx.db, args.iter_from(2).take(keys), limit)?;
    ctx.reply.len(result.len());
    Ok(())
}

/// The first `limit` members of the intersection. A key that holds no set is an error even where another one is empty.
fn intersect<'k>(
    db: &mut Db<'_>,
    keys: impl Iterator<Item = &'k [u8]>,
    limit: usize,
) -> Result<Set, Error> {
    let limits = db.limits();
    let mut sizes = Vec::new();
    for key in keys {
        sizes.push((db.get_as::<Set>(key)?.map_or(0, Object::len), key));
    }
    // From the smallest on, each next set can only thin the candidates out.
    sizes.sort_by_key(|(len, _)| *len);
    let Some(((_, first), rest)) = sizes.split_first() else { return Ok(Set::new(&limits)) };
    if sizes.iter().any(|(len, _)| *len == 0) {
        return Ok(Set::new(&limits));
    }
    let mut result = Set::new(&limits);
    let Some(smallest) = db.get_as::<Set>(first)? else { return Ok(result) };
    let mut candidates: Vec<_> = smallest.iter().map(|member| member.to_vec()).collect();
    for (_, key) in rest {
        if let Some(set) = db.get_as::<Set>(key)? {
            candidates.retain(|member| set.contains(member));
        }
    }
    for member in candidates.iter().take(limit) {
        result.add(member, &limits);
    }
    Ok(result)
}
