//! LINSERT.

use super::OPCODE_LINSERT;
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::types::{List, Object};

/// LINSERT: puts an element before or behind the first one that equals a pivot.
pub static LINSERT: Command = Command {
    spec: Spec {
        name: "linsert",
        arity: 5,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::LIST,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::INSERT))],
        opcode: OPCODE_LINSERT,
        group: Group::List,
        since: "2.2.0",
        complexity: "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the right end (tail) is O(N).",
        summary: "Puts an element before or behind the first one that equals a pivot.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::one_of("where", &[Arg::word("before", "BEFORE"), Arg::word("after", "AFTER")]),
            Arg::new("pivot", ArgKind::String),
            Arg::new("element", ArgKind::String),
        ],
        examples: &[
            ("RPUSH k a c", "(integer) 2"),
            ("LINSERT k BEFORE c b", "(integer) 3"),
            ("LINSERT k AFTER x y", "(integer) -1"),
            ("LRANGE k 0 -1", "1) \"a\" 2) \"b\" 3) \"c\""),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let before = args.is(2, "BEFORE");
    if !before && !args.is(2, "AFTER") {
        return Err(Error::Syntax);
    }
    let Some(list) = ctx.db.get_mut_as::<List>(args.at(1))? else {
        ctx.reply.int(0);
        return Ok(());
    };
    if !list.insert(args.at(3), before, args.at(4)) {
        ctx.reply.int(-1);
        return Ok(());
    }
    ctx.reply.len(list.len());
    ctx.db.effect_verbatim(OPCODE_LINSERT, args);
    ctx.db.notify(Classes::LIST, "linsert", args.at(1));
    Ok(())
}
