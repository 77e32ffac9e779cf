//! HRANDFIELD.

use crate::args::Args;
use crate::cmd::numbers::{REPEATS_MAX, opposable};
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::reply::Reply;
use crate::types::listpack::Item;
use crate::types::rng::{Rng, sample};
use crate::types::{Hash, Object};

/// HRANDFIELD: returns fields of a hash at random: different ones, or (a negative count) perhaps some repeatedly.
pub static HRANDFIELD: Command = Command {
    spec: Spec {
        name: "hrandfield",
        arity: -2,
        flags: Flags::READONLY,
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Hash,
        since: "6.2.0",
        complexity: "O(N) where N is the number of fields returned",
        summary: "Returns fields of a hash at random: different ones, or (a negative count) perhaps some repeatedly.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::block(
                "options",
                &[
                    Arg::new("count", ArgKind::Integer),
                    Arg::word("withvalues", "WITHVALUES").optional(),
                ],
            )
            .optional(),
        ],
        tips: &["nondeterministic_output"],
        examples: &[
            ("HSET k a 1", "(integer) 1"),
            ("HRANDFIELD k", "\"a\""),
            ("HRANDFIELD k 5 WITHVALUES", "1) \"a\" 2) \"1\""),
            ("HRANDFIELD k -2", "1) \"a\" 2) \"a\""),
            ("HRANDFIELD none", "(nil)"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let count = args.get(2).map(opposable).transpose()?;
    if args.len() > 4 || args.len() == 4 && !args.is(3, "WITHVALUES") {
        return Err(Error::Syntax);
    }
    let with_values = args.len() == 4;
    if with_values && count.is_some_and(|(_, n)| n > usize::MAX / 4) {
        return Err(Error::OutOfRange);
    }
    let mut rng = Rng::new(ctx.db.random());
    let hash = ctx.db.get_as::<Hash>(args.at(1))?;
    match (hash, count) {
        (None, None) => ctx.reply.null(),
        (None, Some(_)) | (Some(_), Some((_, 0))) => ctx.reply.array(0),
        (Some(hash), None) => match hash.random(&mut rng) {
            Some((field, _)) => ctx.reply.bulk(field.bytes(&mut itoa::Buffer::new())),
            None => ctx.reply.null(),
        },
        (Some(_), Some((true, count))) if count > REPEATS_MAX && !ctx.reply.is_bounded() => {
            return Err(Error::OutOfRange);
        }
        (Some(hash), Some((true, count))) => {
            begin(ctx.reply, count, with_values);
            for pair in (0..count).map_while(|_| hash.random(&mut rng)) {
                if ctx.reply.is_cut() {
                    break;
                }
                reply_pair(ctx.reply, pair, with_values);
            }
        }
        (Some(hash), Some((false, count))) => {
            let pairs = sample(
                (hash.len(), count),
                &mut rng,
                hash.iter(),
                |rng| hash.random(rng),
                |pair| pair.0,
            );
            begin(ctx.reply, pairs.len(), with_values);
            pairs.into_iter().for_each(|pair| reply_pair(ctx.reply, pair, with_values));
        }
    }
    Ok(())
}

/// RESP3 has an array of pairs where RESP2 has a flat one.
fn begin(reply: &mut dyn Reply, count: usize, with_values: bool) {
    reply.array(if with_values && !reply.is_resp3() { count * 2 } else { count });
}

fn reply_pair(reply: &mut dyn Reply, (field, value): (Item<'_>, Item<'_>), with_values: bool) {
    let mut scratch = itoa::Buffer::new();
    if with_values && reply.is_resp3() {
        reply.array(2);
    }
    reply.bulk(field.bytes(&mut scratch));
    if with_values {
        reply.bulk(value.bytes(&mut scratch));
    }
}
