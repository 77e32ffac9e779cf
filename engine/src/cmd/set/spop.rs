//! SPOP.

use super::OPCODE_SREM;
use crate::args::Args;
use crate::cmd::generic::delete;
use crate::cmd::numbers::positive;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::types::rng::Rng;
use crate::types::{Object, Set};

/// SPOP: takes members out of a set at random.
pub static SPOP: Command = Command {
    spec: Spec {
        name: "spop",
        arity: -2,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::SET,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE))],
        group: Group::Set,
        complexity: "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
        summary: "Takes members out of a set at random.",
        history: &[("3.2.0", "Added the `count` argument.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("count", ArgKind::Integer).optional().since("3.2.0"),
        ],
        tips: &["nondeterministic_output"],
        examples: &[
            ("SADD k a", "(integer) 1"),
            ("SPOP k", "\"a\""),
            ("SPOP k", "(nil)"),
            ("SADD k a b c", "(integer) 3"),
            ("SPOP k 0", "(empty array)"),
            ("SPOP k -1", "(error) ERR value is out of range, must be positive"),
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
    match args.get(2) {
        None => one(ctx, args.at(1)),
        Some(count) => several(ctx, args.at(1), positive(count)?),
    }
}

fn one(ctx: &mut Ctx<'_>, key: &[u8]) -> CmdResult {
    let mut rng = Rng::new(ctx.db.random());
    let Some(set) = ctx.db.get_mut_as::<Set>(key)? else {
        ctx.reply.null();
        return Ok(());
    };
    let Some(member) = set.take_random(&mut rng) else {
        ctx.reply.null();
        return Ok(());
    };
    let empty = set.is_empty();
    let mut scratch = itoa::Buffer::new();
    let text = member.bytes(&mut scratch);
    ctx.reply.bulk(text);
    ctx.db.notify(Classes::SET, "spop", key);
    if empty && !ctx.db.keyspace().effects.is_fed() {
        delete(&mut ctx.db, key);
    } else {
        // Replicas are told which one went, the last as well.
        ctx.db.effect(OPCODE_SREM, &[key, text]);
        if empty && ctx.db.remove(key) {
            ctx.db.notify(Classes::GENERIC, "del", key);
        }
    }
    Ok(())
}

fn several(ctx: &mut Ctx<'_>, key: &[u8], count: usize) -> CmdResult {
    let mut rng = Rng::new(ctx.db.random());
    let Some(set) = ctx.db.get_mut_as::<Set>(key)? else {
        ctx.reply.set(0);
        return Ok(());
    };
    if count == 0 {
        ctx.reply.set(0);
        return Ok(());
    }
    let mut scratch = itoa::Buffer::new();
    if count >= set.len() {
        ctx.reply.set(set.len());
        set.iter().for_each(|item| ctx.reply.bulk(item.bytes(&mut scratch)));
        ctx.db.notify(Classes::SET, "spop", key);
        delete(&mut ctx.db, key);
        return Ok(());
    }
    let taken: Vec<_> = (0..count).map_while(|_| set.take_random(&mut rng)).collect();
    let taken: Vec<_> = taken.iter().map(|member| member.bytes(&mut scratch).to_vec()).collect();
    ctx.reply.set(taken.len());
    taken.iter().for_each(|member| ctx.reply.bulk(member));
    let effect: Vec<_> = std::iter::once(key).chain(taken.iter().map(Vec::as_slice)).collect();
    ctx.db.effect(OPCODE_SREM, &effect);
    ctx.db.notify(Classes::SET, "spop", key);
    Ok(())
}
