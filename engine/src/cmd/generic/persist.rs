//! PERSIST.

use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::CmdResult;
use crate::keyspace::Ctx;

/// PERSIST's number in the log, which GETEX records as well.
pub(super) const OPCODE: Opcode = 66;

/// PERSIST: lets a key stay for ever.
pub static PERSIST: Command = Command {
    spec: Spec {
        name: "persist",
        arity: 2,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        opcode: OPCODE,
        since: "2.2.0",
        summary: "Lets a key stay for ever.",
        args: &[Arg::new("key", ArgKind::Key)],
        examples: &[
            ("SET k v EX 100", "OK"),
            ("PERSIST k", "(integer) 1"),
            ("PERSIST k", "(integer) 0"),
            ("TTL k", "(integer) -1"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let expires = ctx.db.peek(key).is_some_and(|entry| entry.expire_at_ms().is_some());
    if expires {
        super::persist(&mut ctx.db, key);
    }
    ctx.reply.int(i64::from(expires));
    Ok(())
}
