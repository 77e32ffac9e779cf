//! LREM.

use super::OPCODE_LREM;
use crate::args::Args;
use crate::cmd::numbers::magnitude;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::{Classes, Ctx};
use crate::types::List;
use crate::types::list::Side;

/// LREM: removes elements that equal a value: some from the head on, some from the tail on (a negative count), or all (0).
pub static LREM: Command = Command {
    spec: Spec {
        name: "lrem",
        arity: 4,
        flags: Flags::WRITE,
        acl: Acl::LIST,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::DELETE))],
        opcode: OPCODE_LREM,
        group: Group::List,
        complexity: "O(N+M) where N is the length of the list and M is the number of elements removed.",
        summary: "Removes elements that equal a value: some from the head on, some from the tail on (a negative count), or all (0).",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("count", ArgKind::Integer),
            Arg::new("element", ArgKind::String),
        ],
        examples: &[
            ("RPUSH k a b a c a", "(integer) 5"),
            ("LREM k -1 a", "(integer) 1"),
            ("LREM k 0 a", "(integer) 2"),
            ("LRANGE k 0 -1", "1) \"b\" 2) \"c\""),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let (negative, count) = magnitude(args.at(2))?;
    let Some(list) = ctx.db.get_mut_as::<List>(key)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let side = if negative { Side::Right } else { Side::Left };
    let limit = if count == 0 { usize::MAX } else { count };
    let removed = list.remove_matching(args.at(3), side, limit);
    if removed > 0 {
        ctx.db.notify(Classes::LIST, "lrem", key);
        if ctx.db.remove_if_empty::<List>(key) {
            ctx.db.notify(Classes::GENERIC, "del", key);
        }
        ctx.db.effect_verbatim(OPCODE_LREM, args);
    }
    ctx.reply.len(removed);
    Ok(())
}
