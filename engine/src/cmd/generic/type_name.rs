//! TYPE.

use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// TYPE: tells the type of the value under a key.
pub static TYPE: Command = Command {
    spec: Spec {
        name: "type",
        arity: 2,
        flags: Flags::FAST.union(Flags::READONLY),
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::one(KeyFlags::RO)],
        summary: "Tells the type of the value under a key.",
        args: &[Arg::new("key", ArgKind::Key)],
        examples: &[("SET k v", "OK"), ("TYPE k", "string"), ("TYPE none", "none")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let name = ctx.db.glance(args.at(1)).map(|entry| entry.value().type_name());
    ctx.reply.simple(name.unwrap_or("none"));
    Ok(())
}
