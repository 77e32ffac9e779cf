//! LINDEX.

use crate::args::Args;
use crate::cmd::numbers::integer;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::List;

/// LINDEX: returns a list's element at an index; a negative one counts from the tail.
pub static LINDEX: Command = Command {
    spec: Spec {
        name: "lindex",
        arity: 3,
        flags: Flags::READONLY,
        acl: Acl::LIST,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::List,
        complexity: "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for the first or the last element of the list O(1).",
        summary: "Returns a list's element at an index; a negative one counts from the tail.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("index", ArgKind::Integer)],
        examples: &[
            ("RPUSH k a b c", "(integer) 3"),
            ("LINDEX k -1", "\"c\""),
            ("LINDEX k 3", "(nil)"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let Some(list) = ctx.db.get_as::<List>(args.at(1))? else {
        ctx.reply.null();
        return Ok(());
    };
    match list.get(integer(args.at(2))?) {
        Some(item) => ctx.reply.bulk(item.bytes(&mut itoa::Buffer::new())),
        None => ctx.reply.null(),
    }
    ctx.db.close_list(args.at(1));
    Ok(())
}
