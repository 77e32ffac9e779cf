//! LSET.

use super::OPCODE_LSET;
use crate::args::Args;
use crate::cmd::numbers::integer;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::types::List;

/// LSET: replaces a list's element at an index.
pub static LSET: Command = Command {
    spec: Spec {
        name: "lset",
        arity: 4,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::LIST,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        opcode: OPCODE_LSET,
        group: Group::List,
        complexity: "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1).",
        summary: "Replaces a list's element at an index.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("index", ArgKind::Integer),
            Arg::new("element", ArgKind::String),
        ],
        examples: &[
            ("LSET k 0 x", "(error) ERR no such key"),
            ("RPUSH k a b", "(integer) 2"),
            ("LSET k -1 c", "OK"),
            ("LSET k 2 d", "(error) ERR index out of range"),
            ("LRANGE k 0 -1", "1) \"a\" 2) \"c\""),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let list = ctx.db.get_mut_as::<List>(args.at(1))?.ok_or(Error::NoSuchKey)?;
    if !list.set(integer(args.at(2))?, args.at(3)) {
        return Err(Error::IndexRange);
    }
    ctx.db.effect_verbatim(OPCODE_LSET, args);
    ctx.db.notify(Classes::LIST, "lset", args.at(1));
    ctx.reply.ok();
    Ok(())
}
