//! SADD.

use super::OPCODE_SADD;
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::{Classes, Ctx};
use crate::types::Set;

/// SADD: adds members to a set; a set that is not there is made.
pub static SADD: Command = Command {
    spec: Spec {
        name: "sadd",
        arity: -3,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::SET,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::INSERT))],
        opcode: OPCODE_SADD,
        group: Group::Set,
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Adds members to a set; a set that is not there is made.",
        history: &[("2.4.0", "Accepts multiple `member` arguments.")],
        args: &[Arg::new("key", ArgKind::Key), Arg::new("member", ArgKind::String).multiple()],
        examples: &[
            ("SADD k a b a", "(integer) 2"),
            ("SADD k a", "(integer) 0"),
            ("SET s x", "OK"),
            (
                "SADD s a",
                "(error) WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let limits = ctx.db.limits();
    let set = ctx.db.get_or_insert_as(args.at(1), Set::new)?;
    let added = args.iter_from(2).filter(|member| set.add(member, &limits)).count();
    if added > 0 {
        ctx.db.effect_verbatim(OPCODE_SADD, args);
        ctx.db.notify(Classes::SET, "sadd", args.at(1));
    }
    ctx.reply.len(added);
    Ok(())
}
