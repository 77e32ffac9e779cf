//! GETBIT.

use super::{bit_at, parse_offset, read};
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// GETBIT: returns one bit of the string under a key; bits beyond its end are 0.
pub static GETBIT: Command = Command {
    spec: Spec {
        name: "getbit",
        arity: 3,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::BITMAP,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Bitmap,
        since: "2.2.0",
        summary: "Returns one bit of the string under a key; bits beyond its end are 0.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("offset", ArgKind::Integer)],
        examples: &[
            ("SETBIT k 7 1", "(integer) 0"),
            ("GETBIT k 7", "(integer) 1"),
            ("GETBIT k 100", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let at = parse_offset(&ctx.db, args.at(2), None)?;
    let bit = read(&mut ctx.db, args.at(1), |bytes| bit_at(bytes, at))?;
    ctx.reply.int(i64::from(bit.unwrap_or(false)));
    Ok(())
}
