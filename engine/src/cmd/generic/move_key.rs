//! MOVE.

use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};

const OPCODE: Opcode = 69;

/// MOVE: moves a key to another database.
pub static MOVE: Command = Command {
    spec: Spec {
        name: "move",
        arity: 3,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
        opcode: OPCODE,
        summary: "Moves a key to another database.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("db", ArgKind::Integer)],
        examples: &[
            ("SET k v", "OK"),
            ("MOVE k 1", "(integer) 1"),
            ("MOVE k 1", "(integer) 0"),
            ("MOVE k 0", "(error) ERR source and destination objects are the same"),
            ("MOVE k 99", "(error) ERR DB index is out of range"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let target = database_index(args.at(2))?;
    if ctx.db.other(target)?.index() == ctx.db.index() {
        return Err(Error::SameObject);
    }
    let free = ctx.db.note_use(key) && !ctx.db.other(target)?.contains(key);
    let entry = if free { ctx.db.take(key) } else { None };
    let moved = entry.is_some();
    if let Some(entry) = entry {
        let (mut there, access) = (ctx.db.other(target)?, entry.access());
        there.put(entry);
        there.set_access(key, access);
        ctx.db.effect_verbatim(OPCODE, args);
        ctx.db.notify(Classes::GENERIC, "move_from", key);
        ctx.db.other(target)?.notify(Classes::GENERIC, "move_to", key);
    }
    ctx.reply.int(i64::from(moved));
    Ok(())
}
