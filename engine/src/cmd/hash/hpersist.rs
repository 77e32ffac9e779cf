//! HPERSIST.

use super::OPCODE_HPERSIST;
use super::fields::{self, FIELDS, NO_COUNT};
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::{Classes, Ctx};
use crate::types::Hash;

/// HPERSIST: lets fields of a hash not expire any more.
pub static HPERSIST: Command = Command {
    spec: Spec {
        name: "hpersist",
        arity: -5,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        opcode: OPCODE_HPERSIST,
        group: Group::Hash,
        since: "7.4.0",
        complexity: "O(N) where N is the number of fields named",
        summary: "Lets fields of a hash not expire any more.",
        args: &[Arg::new("key", ArgKind::Key), FIELDS],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HEXPIRE k 100 FIELDS 1 a", "1) (integer) 1"),
            ("HPERSIST k FIELDS 3 a b none", "1) (integer) 1 2) (integer) -1 3) (integer) -2"),
            ("HTTL k FIELDS 1 a", "1) (integer) -1"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let first = fields::parse(args, 2, 1, NO_COUNT)?;
    let hash = ctx.db.get_as::<Hash>(key)?;
    let mut changed: Vec<&[u8]> = Vec::new();
    ctx.reply.array(args.len() - first);
    for field in args.iter_from(first) {
        ctx.reply.int(match hash.filter(|hash| hash.contains(field)) {
            None => -2,
            Some(hash) if hash.time_of(field).is_none() || changed.contains(&field) => -1,
            Some(_) => {
                changed.push(field);
                1
            }
        });
    }
    persist(ctx, key, &changed);
    Ok(())
}

/// Takes the time of fields that have one, and records it.
pub(super) fn persist(ctx: &mut Ctx<'_>, key: &[u8], fields: &[&[u8]]) {
    if fields.is_empty() {
        return;
    }
    ctx.db.set_field_times(key, fields, None);
    let mut count = itoa::Buffer::new();
    let head = [key, b"FIELDS", count.format(fields.len()).as_bytes()];
    let effect: Vec<&[u8]> = head.into_iter().chain(fields.iter().copied()).collect();
    ctx.db.effect(OPCODE_HPERSIST, &effect);
    ctx.db.notify(Classes::HASH, "hpersist", key);
}
