//! SMOVE.

use super::{OPCODE_SADD, OPCODE_SREM};
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::{Classes, Ctx};
use crate::types::Set;

/// SMOVE: moves a member from one set to another.
pub static SMOVE: Command = Command {
    spec: Spec {
        name: "smove",
        arity: 4,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::SET,
        keys: &[
            KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE)),
            KeySpec::range(KeyFlags::RW.union(KeyFlags::INSERT), 2, 0, 1),
        ],
        group: Group::Set,
        summary: "Moves a member from one set to another.",
        args: &[
            Arg::new("source", ArgKind::Key),
            Arg::new("destination", ArgKind::Key),
            Arg::new("member", ArgKind::String),
        ],
        examples: &[
            ("SADD a x y", "(integer) 2"),
            ("SMOVE a b x", "(integer) 1"),
            ("SMOVE a b z", "(integer) 0"),
            ("SMEMBERS b", "1) \"x\""),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (source, target, member) = (args.at(1), args.at(2), args.at(3));
    let limits = ctx.db.limits();
    let Some(there) = ctx.db.get_mut_as::<Set>(source)?.map(|set| set.contains(member)) else {
        ctx.reply.int(0);
        return Ok(());
    };
    ctx.db.get_mut_as::<Set>(target)?;
    if there && source != target {
        if let Some(set) = ctx.db.get_mut_as::<Set>(source)? {
            set.remove(member);
        }
        ctx.db.notify(Classes::SET, "srem", source);
        if ctx.db.remove_if_empty::<Set>(source) {
            ctx.db.notify(Classes::GENERIC, "del", source);
        }
        ctx.db.effect(OPCODE_SREM, &[source, member]);
        if ctx.db.get_or_insert_as(target, Set::new)?.add(member, &limits) {
            ctx.db.effect(OPCODE_SADD, &[target, member]);
            ctx.db.notify(Classes::SET, "sadd", target);
        }
    }
    ctx.reply.int(i64::from(there));
    Ok(())
}
