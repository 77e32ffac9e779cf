//! SSCAN.

use crate::args::Args;
use crate::cmd::collection_scan::{Options, reply_scan};
use crate::cmd::generic::scan::parse_cursor;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::types::Set;

/// SSCAN: walks over a set's members in steps.
pub static SSCAN: Command = Command {
    spec: Spec {
        name: "sscan",
        arity: -3,
        flags: Flags::READONLY,
        acl: Acl::SET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Set,
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection..",
        summary: "Walks over a set's members in steps.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("cursor", ArgKind::Integer),
            Arg::new("pattern", ArgKind::Pattern).token("MATCH").optional(),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
        ],
        tips: &["nondeterministic_output"],
        examples: &[
            ("SADD k 1 2", "(integer) 2"),
            ("SSCAN k 0", "1) \"0\" 2) 1) \"1\" 2) \"2\""),
            ("SSCAN k 0 MATCH 2* COUNT 100", "1) \"0\" 2) 1) \"2\""),
            ("SSCAN k x", "(error) ERR invalid cursor"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let cursor = parse_cursor(args.at(2)).ok_or(Error::InvalidCursor)?;
    let Some(set) = ctx.db.get_as::<Set>(args.at(1))? else {
        reply_scan(ctx.reply, 0, &[]);
        return Ok(());
    };
    let options = Options::parse(args)?;
    let mut members = Vec::new();
    let mut scratch = itoa::Buffer::new();
    let next = set.scan(cursor, options.count, &mut |item| {
        let member = item.bytes(&mut scratch);
        if options.wants(member) {
            members.push(member.to_vec());
        }
    });
    reply_scan(ctx.reply, next, &members);
    Ok(())
}
