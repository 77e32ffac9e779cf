//! ZRANDMEMBER

use std::collections::HashSet;

use super::bounds::integer;
use super::emit;
use crate::args::Args;
use crate::cmd::{Acl, Arg, ArgKind, Command, Flags, Group, KeyFlags, KeySpec, Spec};
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::reply::Reply;
use crate::types::rng::Rng;
use crate::types::{Object, ZSet};

/// `ZRANDMEMBER`
pub static ZRANDMEMBER: Command = Command {
    spec: Spec {
        name: "zrandmember",
        arity: -2,
        flags: Flags::READONLY,
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::SortedSet,
        since: "6.2.0",
        complexity: "O(N) where N is the number of elements returned",
        summary: "Gives members picked at random.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::block(
                "options",
                &[
                    Arg::new("count", ArgKind::Integer),
                    Arg::word("withscores", "WITHSCORES").optional(),
                ],
            )
            .optional(),
        ],
        tips: &["nondeterministic_output"],
        examples: &[
            ("ZADD board 1 ann", "(integer) 1"),
            ("ZRANDMEMBER board", "\"ann\""),
            ("ZRANDMEMBER board 3", "1) \"ann\""),
        ],
        ..Spec::DEFAULT
    },
    run: zrandmember,
    subs: &[],
};

fn zrandmember(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let Some(count) = args.get(2) else {
        return one(ctx, args.at(1));
    };
    let count = integer(count)?;
    if count == i64::MIN {
        return Err(Error::owned(format!(
            "ERR value is out of range, value must between {} and {}",
            -i64::MAX,
            i64::MAX
        )));
    }
    let with_scores = args.is(3, "withscores");
    if args.len() > 4 || (args.len() == 4 && !with_scores) {
        return Err(Error::Syntax);
    }
    if with_scores && count.unsigned_abs() > i64::MAX.unsigned_abs() / 2 {
        return Err(Error::OutOfRange);
    }
    // A reply of more elements than that fits no buffer; Redis dies of it.
    if count < -i64::from(i32::MAX) {
        return Err(Error::OutOfRange);
    }
    let mut rng = Rng::new(ctx.db.random());
    let Some(set) = ctx.db.get_as::<ZSet>(args.at(1))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let len = set.len();
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let mut scratch = itoa::Buffer::new();
    let mut give = |out: &mut dyn Reply, rank: usize| {
        for (member, score) in set.range(rank..rank + 1) {
            emit::element(out, member.bytes(&mut scratch), with_scores.then_some(score));
        }
    };
    if count < 0 {
        emit::begin(ctx.reply, wanted, with_scores);
        for _ in 0..wanted {
            if ctx.reply.is_cut() {
                break;
            }
            give(ctx.reply, rng.below(len));
        }
    } else if wanted >= len {
        emit::elements(ctx.reply, set.iter(), with_scores);
    } else {
        emit::begin(ctx.reply, wanted, with_scores);
        distinct_ranks(&mut rng, wanted, len).for_each(|rank| give(ctx.reply, rank));
    }
    Ok(())
}

fn one(ctx: &mut Ctx<'_>, key: &[u8]) -> CmdResult {
    let mut rng = Rng::new(ctx.db.random());
    let set = ctx.db.get_as::<ZSet>(key)?;
    let rank = rng.below(set.map_or(0, Object::len));
    match set.and_then(|set| set.range(rank..rank + 1).next()) {
        Some((member, _)) => ctx.reply.bulk(member.bytes(&mut itoa::Buffer::new())),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// `wanted` of `len` ranks, each set of them as likely as any other (Floyd's algorithm).
fn distinct_ranks(rng: &mut Rng, wanted: usize, len: usize) -> impl Iterator<Item = usize> {
    let mut chosen = HashSet::with_capacity(wanted);
    (len - wanted..len).map(move |last| {
        let rank = rng.below(last + 1);
        let rank = if chosen.insert(rank) { rank } else { last };
        chosen.insert(rank);
        rank
    })
}
