//! LRANGE.

use super::{resolve_range, slice_of};
use crate::args::Args;
use crate::cmd::numbers::integer;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::{List, Object};

/// LRANGE: returns a list's elements from one index to another; negative ones count from the tail.
pub static LRANGE: Command = Command {
    spec: Spec {
        name: "lrange",
        arity: 4,
        flags: Flags::READONLY,
        acl: Acl::LIST,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::List,
        complexity: "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the specified range.",
        summary: "Returns a list's elements from one index to another; negative ones count from the tail.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("start", ArgKind::Integer),
            Arg::new("stop", ArgKind::Integer),
        ],
        examples: &[
            ("RPUSH k a b c", "(integer) 3"),
            ("LRANGE k 1 -1", "1) \"b\" 2) \"c\""),
            ("LRANGE k 5 9", "(empty array)"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (start, stop) = (integer(args.at(2))?, integer(args.at(3))?);
    let Some(list) = ctx.db.get_as::<List>(args.at(1))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let (from, count) = slice_of(resolve_range(start, stop, list.len()));
    ctx.reply.array(count);
    let mut scratch = itoa::Buffer::new();
    for item in list.iter_from(from).take(count) {
        ctx.reply.bulk(item.bytes(&mut scratch));
    }
    ctx.db.close_list(args.at(1));
    Ok(())
}
