//! SREM.

use super::OPCODE_SREM;
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::{Classes, Ctx};
use crate::types::Set;

/// SREM: removes members from a set.
pub static SREM: Command = Command {
    spec: Spec {
        name: "srem",
        arity: -3,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::SET,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::DELETE))],
        opcode: OPCODE_SREM,
        group: Group::Set,
        complexity: "O(N) where N is the number of members to be removed.",
        summary: "Removes members from a set.",
        history: &[("2.4.0", "Accepts multiple `member` arguments.")],
        args: &[Arg::new("key", ArgKind::Key), Arg::new("member", ArgKind::String).multiple()],
        examples: &[
            ("SADD k a b c", "(integer) 3"),
            ("SREM k a x", "(integer) 1"),
            ("SREM k b c", "(integer) 2"),
            ("EXISTS k", "(integer) 0"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let Some(set) = ctx.db.get_mut_as::<Set>(key)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let removed = args.iter_from(2).filter(|member| set.remove(member)).count();
    if removed > 0 {
        ctx.db.notify(Classes::SET, "srem", key);
        if ctx.db.remove_if_empty::<Set>(key) {
            ctx.db.notify(Classes::GENERIC, "del", key);
        }
        ctx.db.effect_verbatim(OPCODE_SREM, args);
    }
    ctx.reply.len(removed);
    Ok(())
}
