//! HDEL.

use super::OPCODE_HDEL;
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::{Classes, Ctx};
use crate::types::Hash;

/// HDEL: removes fields from a hash.
pub static HDEL: Command = Command {
    spec: Spec {
        name: "hdel",
        arity: -3,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::DELETE))],
        opcode: OPCODE_HDEL,
        group: Group::Hash,
        since: "2.0.0",
        complexity: "O(N) where N is the number of fields to be removed.",
        summary: "Removes fields from a hash.",
        history: &[("2.4.0", "Accepts multiple `field` arguments.")],
        args: &[Arg::new("key", ArgKind::Key), Arg::new("field", ArgKind::String).multiple()],
        examples: &[
            ("HSET k a 1 b 2", "(integer) 2"),
            ("HDEL k a x", "(integer) 1"),
            ("HDEL k b", "(integer) 1"),
            ("EXISTS k", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let Some(hash) = ctx.db.get_mut_as::<Hash>(key)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let removed = args.iter_from(2).filter(|field| hash.remove(field)).count();
    if removed > 0 {
        ctx.db.notify(Classes::HASH, "hdel", key);
        if ctx.db.remove_if_empty::<Hash>(key) {
            ctx.db.notify(Classes::GENERIC, "del", key);
        }
        ctx.db.effect_verbatim(OPCODE_HDEL, args);
    }
    ctx.reply.len(removed);
    Ok(())
}
