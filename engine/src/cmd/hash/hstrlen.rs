//! HSTRLEN.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::Hash;
use crate::types::listpack::Item;

/// HSTRLEN: returns the length of a field's value, in bytes.
pub static HSTRLEN: Command = Command {
    spec: Spec {
        name: "hstrlen",
        arity: 3,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RO)],
        group: Group::Hash,
        since: "3.2.0",
        summary: "Returns the length of a field's value, in bytes.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("field", ArgKind::String)],
        examples: &[
            ("HSET k a hello b -12", "(integer) 2"),
            ("HSTRLEN k a", "(integer) 5"),
            ("HSTRLEN k b", "(integer) 3"),
            ("HSTRLEN k c", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let hash = ctx.db.get_as::<Hash>(args.at(1))?;
    let len = hash.and_then(|hash| hash.get(args.at(2))).map_or(0, Item::text_len);
    ctx.reply.len(len);
    Ok(())
}
