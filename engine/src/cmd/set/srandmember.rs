//! SRANDMEMBER.

use crate::args::Args;
use crate::cmd::numbers::{REPEATS_MAX, opposable};
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::types::rng::{Rng, sample};
use crate::types::{Object, Set};

/// SRANDMEMBER: returns members of a set at random: different ones, or (a negative count) perhaps some repeatedly.
pub static SRANDMEMBER: Command = Command {
    spec: Spec {
        name: "srandmember",
        arity: -2,
        flags: Flags::READONLY,
        acl: Acl::SET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Set,
        complexity: "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
        summary: "Returns members of a set at random: different ones, or (a negative count) perhaps some repeatedly.",
        history: &[("2.6.0", "Added the optional `count` argument.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("count", ArgKind::Integer).optional().since("2.6.0"),
        ],
        tips: &["nondeterministic_output"],
        examples: &[
            ("SADD k a", "(integer) 1"),
            ("SRANDMEMBER k", "\"a\""),
            ("SRANDMEMBER k -3", "1) \"a\" 2) \"a\" 3) \"a\""),
            ("SRANDMEMBER none 2", "(empty array)"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    if args.len() > 3 {
        return Err(Error::Syntax);
    }
    let count = args.get(2).map(opposable).transpose()?;
    let mut rng = Rng::new(ctx.db.random());
    let mut scratch = itoa::Buffer::new();
    let set = ctx.db.get_as::<Set>(args.at(1))?;
    match (set, count) {
        (None, None) => ctx.reply.null(),
        (None, Some(_)) | (Some(_), Some((_, 0))) => ctx.reply.array(0),
        (Some(set), None) => match set.random(&mut rng) {
            Some(member) => ctx.reply.bulk(member.bytes(&mut scratch)),
            None => ctx.reply.null(),
        },
        (Some(_), Some((true, count))) if count > REPEATS_MAX && !ctx.reply.is_bounded() => {
            return Err(Error::OutOfRange);
        }
        (Some(set), Some((true, count))) => {
            ctx.reply.array(count);
            for member in (0..count).map_while(|_| set.random(&mut rng)) {
                if ctx.reply.is_cut() {
                    break;
                }
                ctx.reply.bulk(member.bytes(&mut scratch));
            }
        }
        (Some(set), Some((false, count))) => {
            let members = sample(
                (set.len(), count),
                &mut rng,
                set.iter(),
                |rng| set.random(rng),
                |item| *item,
            );
            ctx.reply.array(members.len());
            members.into_iter().for_each(|m| ctx.reply.bulk(m.bytes(&mut scratch)));
        }
    }
    Ok(())
}
