//! LPOS.

use crate::args::Args;
use crate::cmd::numbers::{magnitude, positive_or};
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::types::Object;
use crate::types::list::List;
use crate::types::listpack::{Item, Needle};

/// LPOS: returns the indexes at which a list holds an element.
pub static LPOS: Command = Command {
    spec: Spec {
        name: "lpos",
        arity: -3,
        flags: Flags::READONLY,
        acl: Acl::LIST,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::List,
        since: "6.0.6",
        complexity: "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.",
        summary: "Returns the indexes at which a list holds an element.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("element", ArgKind::String),
            Arg::new("rank", ArgKind::Integer).token("RANK").optional(),
            Arg::new("num-matches", ArgKind::Integer).token("COUNT").optional(),
            Arg::new("len", ArgKind::Integer).token("MAXLEN").optional(),
        ],
        examples: &[
            ("RPUSH k a b c b", "(integer) 4"),
            ("LPOS k b", "(integer) 1"),
            ("LPOS k b RANK -1", "(integer) 3"),
            ("LPOS k b COUNT 0", "1) (integer) 1 2) (integer) 3"),
            ("LPOS k x", "(nil)"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

struct Options {
    /// Matches passed over.
    skip: usize,
    from_tail: bool,
    /// None: one index; 0: all.
    count: Option<usize>,
    /// Elements looked at; 0: all.
    len_max: usize,
}

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let options = parse(args)?;
    let mut found = Vec::new();
    if let Some(list) = ctx.db.get_as::<List>(args.at(1))? {
        let needle = Needle::new(args.at(2));
        let last = list.len().saturating_sub(1);
        if options.from_tail {
            find(list.iter_rev_from(last), needle, &options, &mut found);
            found.iter_mut().for_each(|index| *index = last - *index);
        } else {
            find(list.iter_from(0), needle, &options, &mut found);
        }
        ctx.db.close_list(args.at(1));
    }
    match (options.count, found.first()) {
        (Some(_), _) => {
            ctx.reply.array(found.len());
            found.iter().for_each(|index| ctx.reply.len(*index));
        }
        (None, Some(index)) => ctx.reply.len(*index),
        (None, None) => ctx.reply.null(),
    }
    Ok(())
}

fn find<'a>(
    items: impl Iterator<Item = Item<'a>>,
    needle: Needle<'_>,
    options: &Options,
    found: &mut Vec<usize>,
) {
    let len_max = if options.len_max == 0 { usize::MAX } else { options.len_max };
    let count = match options.count {
        None => 1,
        Some(0) => usize::MAX,
        Some(count) => count,
    };
    let hits = items.take(len_max).enumerate().filter(|(_, item)| needle.matches(*item));
    found.extend(hits.map(|(index, _)| index).skip(options.skip).take(count));
}

fn parse(args: Args<'_>) -> Result<Options, Error> {
    let mut options = Options { skip: 0, from_tail: false, count: None, len_max: 0 };
    for at in (3..args.len()).step_by(2) {
        let Some(value) = args.get(at + 1) else { return Err(Error::Syntax) };
        if args.is(at, "RANK") {
            let (negative, rank) = magnitude(value)?;
            options.from_tail = negative;
            // The smallest integer has no opposite; Redis ends up at the first match.
            let rank = if rank > usize::MAX / 2 { 1 } else { rank };
            options.skip = rank.checked_sub(1).ok_or(Error::text(
                "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
            ))?;
        } else if args.is(at, "COUNT") {
            options.count = Some(positive_or(value, "ERR COUNT can't be negative")?);
        } else if args.is(at, "MAXLEN") {
            options.len_max = positive_or(value, "ERR MAXLEN can't be negative")?;
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok(options)
}
