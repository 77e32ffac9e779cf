//! LTRIM.

use super::{OPCODE_LTRIM, resolve_range, slice_of};
use crate::args::Args;
use crate::cmd::numbers::integer;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::{Classes, Ctx};
use crate::types::list::Side;
use crate::types::{List, Object};

/// LTRIM: keeps a list's elements from one index to another and removes the others.
pub static LTRIM: Command = Command {
    spec: Spec {
        name: "ltrim",
        arity: 4,
        flags: Flags::WRITE,
        acl: Acl::LIST,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::DELETE))],
        opcode: OPCODE_LTRIM,
        group: Group::List,
        complexity: "O(N) where N is the number of elements to be removed by the operation.",
        summary: "Keeps a list's elements from one index to another and removes the others.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("start", ArgKind::Integer),
            Arg::new("stop", ArgKind::Integer),
        ],
        examples: &[
            ("RPUSH k a b c d", "(integer) 4"),
            ("LTRIM k 1 -2", "OK"),
            ("LRANGE k 0 -1", "1) \"b\" 2) \"c\""),
            ("LTRIM k 5 9", "OK"),
            ("LLEN k", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let (start, stop) = (integer(args.at(2))?, integer(args.at(3))?);
    let Some(list) = ctx.db.get_mut_as::<List>(key)? else {
        ctx.reply.ok();
        return Ok(());
    };
    let (from, count) = slice_of(resolve_range(start, stop, list.len()));
    let behind = list.len() - from - count;
    let changed = count < list.len();
    if count == 0 {
        ctx.db.remove(key);
        ctx.db.notify(Classes::LIST, "ltrim", key);
        ctx.db.notify(Classes::GENERIC, "del", key);
    } else {
        list.remove_end(Side::Left, from);
        list.remove_end(Side::Right, behind);
        ctx.db.notify(Classes::LIST, "ltrim", key);
    }
    if changed {
        ctx.db.effect_verbatim(OPCODE_LTRIM, args);
    } else {
        // Who watches the key is told all the same, as in Redis.
        ctx.db.count_as_changed(key);
    }
    ctx.reply.ok();
    Ok(())
}
