//! ZSCAN

use crate::args::Args;
use crate::cmd::generic::scan::parse_cursor;
use crate::cmd::{Acl, Arg, ArgKind, Command, Flags, Group, KeyFlags, KeySpec, Spec};
use crate::error::{CmdResult, Error};
use crate::glob;
use crate::keyspace::Ctx;
use crate::num::{DoubleBuffer, format_f64, parse_i64};
use crate::types::ZSet;

/// `ZSCAN`
pub static ZSCAN: Command = Command {
    spec: Spec {
        name: "zscan",
        arity: -3,
        flags: Flags::READONLY,
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::SortedSet,
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection..",
        summary: "Walks over members and scores in steps.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("cursor", ArgKind::Integer),
            Arg::new("pattern", ArgKind::Pattern).token("MATCH").optional(),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
        ],
        tips: &["nondeterministic_output"],
        examples: &[
            ("ZADD board 1 ann", "(integer) 1"),
            ("ZSCAN board 0", "1) \"0\" 2) 1) \"ann\" 2) \"1\""),
        ],
        ..Spec::DEFAULT
    },
    run: zscan,
    subs: &[],
};

fn zscan(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let cursor = parse_cursor(args.at(2)).ok_or(Error::InvalidCursor)?;
    let Some(set) = ctx.db.get_as::<ZSet>(args.at(1))? else {
        ctx.reply.array(2);
        ctx.reply.bulk(b"0");
        ctx.reply.array(0);
        return Ok(());
    };
    let (pattern, count) = options(args)?;
    let mut found = Vec::new();
    let next = set.scan(cursor, count, &mut |member, score| {
        if pattern.is_none_or(|pattern| glob::matches(pattern, member)) {
            found.push((member.to_vec(), score));
        }
    });
    ctx.reply.array(2);
    ctx.reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    ctx.reply.array(found.len() * 2);
    // Scores are strings here, whatever the protocol.
    let mut buffer = DoubleBuffer::new();
    for (member, score) in &found {
        ctx.reply.bulk(member);
        ctx.reply.bulk(format_f64(*score, &mut buffer));
    }
    Ok(())
}

fn options(args: Args<'_>) -> Result<(Option<&[u8]>, usize), Error> {
    let (mut pattern, mut count) = (None, 10);
    for at in (3..args.len()).step_by(2) {
        let Some(value) = args.get(at + 1) else { return Err(Error::Syntax) };
        if args.is(at, "count") {
            let wanted = parse_i64(value).ok_or(Error::NotInteger)?;
            count = usize::try_from(wanted).ok().filter(|n| *n > 0).ok_or(Error::Syntax)?;
        } else if args.is(at, "match") {
            // `*` matches no empty member, but is taken for everything.
            pattern = Some(value).filter(|pattern| *pattern != b"*");
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok((pattern, count))
}
