//! SMEMBERS.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::types::{Object, Set};

/// SMEMBERS: returns all members of a set.
pub static SMEMBERS: Command = Command {
    spec: Spec {
        name: "smembers",
        arity: 2,
        flags: Flags::READONLY,
        acl: Acl::SET,
        keys: &[KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS))],
        group: Group::Set,
        complexity: "O(N) where N is the set cardinality.",
        summary: "Returns all members of a set.",
        args: &[Arg::new("key", ArgKind::Key)],
        tips: &["nondeterministic_output_order"],
        examples: &[
            ("SADD k 3 1 2", "(integer) 3"),
            ("SMEMBERS k", "1) \"1\" 2) \"2\" 3) \"3\""),
            ("SMEMBERS none", "(empty array)"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let Some(set) = ctx.db.get_as::<Set>(args.at(1))? else {
        ctx.reply.set(0);
        return Ok(());
    };
    ctx.reply.set(set.len());
    let mut scratch = itoa::Buffer::new();
    set.iter().for_each(|member| ctx.reply.bulk(member.bytes(&mut scratch)));
    Ok(())
}
