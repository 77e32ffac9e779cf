//! HGETDEL.

use super::fields::{self, FIELDS, NO_COUNT};
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::Hash;

/// HGETDEL: returns the values of fields of a hash and removes them.
pub static HGETDEL: Command = Command {
    spec: Spec {
        name: "hgetdel",
        arity: -5,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
        group: Group::Hash,
        since: "8.0.0",
        complexity: "O(N) where N is the number of fields named",
        summary: "Returns the values of fields of a hash and removes them.",
        args: &[Arg::new("key", ArgKind::Key), FIELDS],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HGETDEL k FIELDS 2 a none", "1) \"1\" 2) (nil)"),
            ("HGETDEL k FIELDS 1 b", "1) \"2\""),
            ("EXISTS k", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let first = fields::parse(args, 2, 1, NO_COUNT)?;
    reply_values(ctx, args, first)?;
    let named: Vec<&[u8]> = args.iter_from(first).collect();
    fields::delete(&mut ctx.db, args.at(1), &named);
    Ok(())
}

/// Answers the values of fields, null for each that is not there.
pub(super) fn reply_values(ctx: &mut Ctx<'_>, args: Args<'_>, first: usize) -> CmdResult {
    let hash = ctx.db.get_as::<Hash>(args.at(1))?;
    ctx.reply.array(args.len() - first);
    let mut scratch = itoa::Buffer::new();
    for field in args.iter_from(first) {
        match hash.and_then(|hash| hash.get(field)) {
            Some(value) => ctx.reply.bulk(value.bytes(&mut scratch)),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}
