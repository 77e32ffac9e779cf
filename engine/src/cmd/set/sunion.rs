//! SUNION and SUNIONSTORE.

use super::store::{reply_members, store};
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Ctx, Db};
use crate::types::Set;

/// SUNION: returns the members that any of several sets has.
pub static SUNION: Command = Command {
    spec: Spec {
        name: "sunion",
        arity: -2,
        flags: Flags::READONLY,
        acl: Acl::SET,
        keys: &[KeySpec::range(KeyFlags::RO.union(KeyFlags::ACCESS), 1, -1, 1)],
        group: Group::Set,
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Returns the members that any of several sets has.",
        args: &[Arg::new("key", ArgKind::Key).multiple()],
        tips: &["nondeterministic_output_order"],
        examples: &[
            ("SADD a 1 2", "(integer) 2"),
            ("SADD b 2 3", "(integer) 2"),
            ("SUNION a b none", "1) \"1\" 2) \"2\" 3) \"3\""),
        ],
        ..Spec::DEFAULT
    },
    run: sunion,
    subs: &[],
};

/// SUNIONSTORE: stores the members that any of several sets has.
pub static SUNIONSTORE: Command = Command {
    spec: Spec {
        name: "sunionstore",
        arity: -3,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::SET,
        keys: &[
            KeySpec::one(KeyFlags::OW.union(KeyFlags::UPDATE)),
            KeySpec::range(KeyFlags::RO.union(KeyFlags::ACCESS), 2, -1, 1),
        ],
        group: Group::Set,
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Stores the members that any of several sets has.",
        args: &[Arg::new("destination", ArgKind::Key), Arg::new("key", ArgKind::Key).multiple()],
        examples: &[
            ("SADD a 1 2", "(integer) 2"),
            ("SADD b 2 3", "(integer) 2"),
            ("SUNIONSTORE c a b", "(integer) 3"),
            ("SUNIONSTORE c none", "(integer) 0"),
            ("EXISTS c", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run: sunionstore,
    subs: &[],
};

fn sunion(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let result = union(&mut ctx.db, args.iter_from(1))?;
    reply_members(ctx, &result);
    Ok(())
}

fn sunionstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let result = union(&mut ctx.db, args.iter_from(2))?;
    store(ctx, args.at(1), result, "sunionstore")
}

fn union<'k>(db: &mut Db<'_>, keys: impl Iterator<Item = &'k [u8]>) -> Result<Set, Error> {
    let limits = db.limits();
    let mut result = Set::new(&limits);
    let mut scratch = itoa::Buffer::new();
    for key in keys {
        for member in db.get_as::<Set>(key)?.into_iter().flat_map(Set::iter) {
            result.add(member.bytes(&mut scratch), &limits);
        }
    }
    Ok(result)
}
