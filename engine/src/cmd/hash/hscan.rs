//! HSCAN.

use crate::args::Args;
use crate::cmd::collection_scan::{Options, reply_scan};
use crate::cmd::generic::scan::parse_cursor;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::types::Hash;

/// HSCAN: walks over a hash's fields and values in steps.
pub static HSCAN: Command = Command {
    spec: Spec {
        name: "hscan",
        arity: -3,
        flags: Flags::READONLY,
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Hash,
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection..",
        summary: "Walks over a hash's fields and values in steps.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("cursor", ArgKind::Integer),
            Arg::new("pattern", ArgKind::Pattern).token("MATCH").optional(),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
        ],
        tips: &["nondeterministic_output"],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HSCAN k 0", "1) \"0\" 2) 1) \"a\" 2) \"1\" 3) \"b\" 4) \"2\""),
            ("HSCAN k 0 MATCH b", "1) \"0\" 2) 1) \"b\" 2) \"2\""),
            ("HSCAN none 0", "1) \"0\" 2) (empty array)"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let cursor = parse_cursor(args.at(2)).ok_or(Error::InvalidCursor)?;
    let Some(hash) = ctx.db.get_as::<Hash>(args.at(1))? else {
        reply_scan(ctx.reply, 0, &[]);
        return Ok(());
    };
    let options = Options::parse(args)?;
    let mut items = Vec::new();
    let mut scratch = itoa::Buffer::new();
    let next = hash.scan(cursor, options.count, &mut |field, value| {
        let field = field.bytes(&mut scratch);
        if options.wants(field) {
            items.push(field.to_vec());
            items.push(value.to_vec());
        }
    });
    reply_scan(ctx.reply, next, &items);
    Ok(())
}
