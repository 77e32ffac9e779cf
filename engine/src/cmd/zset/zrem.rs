//! ZREM

use crate::args::Args;
use crate::cmd::{Acl, Arg, ArgKind, Command, Flags, Group, KeyFlags, KeySpec, Spec};
use crate::error::CmdResult;
use crate::keyspace::{Classes, Ctx};
use crate::types::{Object, ZSet};

/// `ZREM`
pub static ZREM: Command = Command {
    spec: Spec {
        name: "zrem",
        arity: -3,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::SORTEDSET,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::DELETE))],
        opcode: 321,
        group: Group::SortedSet,
        since: "1.2.0",
        complexity: "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.",
        summary: "Removes members; the key goes with the last one.",
        history: &[("2.4.0", "Accepts multiple elements.")],
        args: &[Arg::new("key", ArgKind::Key), Arg::new("member", ArgKind::String).multiple()],
        examples: &[
            ("ZADD board 1 ann 2 bob", "(integer) 2"),
            ("ZREM board ann eve", "(integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run: zrem,
    subs: &[],
};

fn zrem(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let Some(set) = ctx.db.get_mut_as::<ZSet>(key)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let removed = args.iter_from(2).filter(|member| set.remove(member).is_some()).count();
    let empty = set.is_empty();
    if removed > 0 {
        ctx.db.effect_verbatim(ZREM.spec.opcode, args);
        ctx.db.notify(Classes::ZSET, "zrem", key);
    }
    if empty && ctx.db.remove(key) {
        ctx.db.notify(Classes::GENERIC, "del", key);
    }
    ctx.reply.len(removed);
    Ok(())
}
