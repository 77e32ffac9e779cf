//! SDIFF and SDIFFSTORE.

use super::store::{reply_members, store};
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Ctx, Db};
use crate::types::{Object, Set};

/// SDIFF: returns the members that only the first of several sets has.
pub static SDIFF: Command = Command {
    spec: Spec {
        name: "sdiff",
        arity: -2,
        flags: Flags::READONLY,
        acl: Acl::SET,
        keys: &[KeySpec::range(KeyFlags::RO.union(KeyFlags::ACCESS), 1, -1, 1)],
        group: Group::Set,
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Returns the members that only the first of several sets has.",
        args: &[Arg::new("key", ArgKind::Key).multiple()],
        tips: &["nondeterministic_output_order"],
        examples: &[
            ("SADD a 1 2 3", "(integer) 3"),
            ("SADD b 2", "(integer) 1"),
            ("SDIFF a b none", "1) \"1\" 2) \"3\""),
        ],
        ..Spec::DEFAULT
    },
    run: sdiff,
    subs: &[],
};

/// SDIFFSTORE: stores the members that only the first of several sets has.
pub static SDIFFSTORE: Command = Command {
    spec: Spec {
        name: "sdiffstore",
        arity: -3,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::SET,
        keys: &[
            KeySpec::one(KeyFlags::OW.union(KeyFlags::UPDATE)),
            KeySpec::range(KeyFlags::RO.union(KeyFlags::ACCESS), 2, -1, 1),
        ],
        group: Group::Set,
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Stores the members that only the first of several sets has.",
        args: &[Arg::new("destination", ArgKind::Key), Arg::new("key", ArgKind::Key).multiple()],
        examples: &[
            ("SADD a 1 2 3", "(integer) 3"),
            ("SADD b 2", "(integer) 1"),
            ("SDIFFSTORE c a b", "(integer) 2"),
            ("SMEMBERS c", "1) \"1\" 2) \"3\""),
        ],
        ..Spec::DEFAULT
    },
    run: sdiffstore,
    subs: &[],
};

fn sdiff(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let result = difference(&mut ctx.db, args.iter_from(1))?;
    reply_members(ctx, &result);
    Ok(())
}

fn sdiffstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let result = difference(&mut ctx.db, args.iter_from(2))?;
    store(ctx, args.at(1), result, "sdiffstore")
}

fn difference<'k>(db: &mut Db<'_>, keys: impl Iterator<Item = &'k [u8]>) -> Result<Set, Error> {
    let limits = db.limits();
    let mut result: Option<Set> = None;
    let mut scratch = itoa::Buffer::new();
    for key in keys {
        let set = db.get_as::<Set>(key)?;
        match (&mut result, set) {
            (None, set) => result = Some(set.cloned().unwrap_or_else(|| Set::new(&limits))),
            (Some(_), None) => {}
            (Some(left), Some(set)) if set.len() <= left.len() => {
                for member in set.iter() {
                    left.remove(member.bytes(&mut scratch));
                }
            }
            (Some(left), Some(set)) => {
                let gone: Vec<_> = left
                    .iter()
                    .filter(|member| set.contains_item(*member))
                    .map(|member| member.to_vec())
                    .collect();
                for member in gone {
                    left.remove(&member);
                }
            }
        }
    }
    // Members that are left may fit an intset again, where a set of words once was.
    let mut fresh = Set::new(&limits);
    for member in result.iter().flat_map(Set::iter) {
        fresh.add(member.bytes(&mut scratch), &limits);
    }
    Ok(fresh)
}
