//! SWAPDB.

use super::parse_int;
use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;

const OPCODE: Opcode = 70;

/// SWAPDB: exchanges two databases.
pub static SWAPDB: Command = Command {
    spec: Spec {
        name: "swapdb",
        arity: 3,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::DANGEROUS.union(Acl::KEYSPACE),
        scope: Scope::All(merge::first),
        opcode: OPCODE,
        group: Group::Server,
        since: "4.0.0",
        complexity: "O(N) where N is the count of clients watching or blocking on keys from both databases.",
        summary: "Exchanges two databases.",
        args: &[Arg::new("index1", ArgKind::Integer), Arg::new("index2", ArgKind::Integer)],
        examples: &[
            ("SET k v", "OK"),
            ("SWAPDB 0 1", "OK"),
            ("EXISTS k", "(integer) 0"),
            ("SWAPDB 0 1", "OK"),
            ("GET k", "\"v\""),
            ("SWAPDB x 1", "(error) ERR invalid first DB index"),
            ("SWAPDB 0 99", "(error) ERR DB index is out of range"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let a = parse_int(args.at(1)).ok_or(Error::text("ERR invalid first DB index"))?;
    let b = parse_int(args.at(2)).ok_or(Error::text("ERR invalid second DB index"))?;
    let a = usize::try_from(a).map_err(|_| Error::DbIndex)?;
    let b = usize::try_from(b).map_err(|_| Error::DbIndex)?;
    let keys = ctx.db.other(a)?.len() + ctx.db.other(b)?.len();
    if a != b && keys > 0 {
        ctx.db.keyspace().swap(a, b);
        ctx.db.effect_verbatim(OPCODE, args);
    }
    ctx.reply.ok();
    Ok(())
}
