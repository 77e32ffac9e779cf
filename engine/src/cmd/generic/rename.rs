//! RENAME and RENAMENX.

use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};

const OPCODE: Opcode = 67;

/// RENAME: gives a key another name, and overwrites what was there.
pub static RENAME: Command = Command {
    spec: Spec {
        name: "rename",
        arity: 3,
        flags: Flags::WRITE,
        acl: Acl::KEYSPACE,
        keys: &[
            KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE)),
            KeySpec::range(KeyFlags::OW.union(KeyFlags::UPDATE), 2, 0, 1),
        ],
        opcode: OPCODE,
        summary: "Gives a key another name, and overwrites what was there.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("newkey", ArgKind::Key)],
        examples: &[
            ("SET a 1", "OK"),
            ("RENAME a b", "OK"),
            ("GET b", "\"1\""),
            ("RENAME a b", "(error) ERR no such key"),
        ],
        ..Spec::DEFAULT
    },
    run: rename,
    subs: &[],
};

/// RENAMENX: gives a key another name, which must not be in use.
pub static RENAMENX: Command = Command {
    spec: Spec {
        name: "renamenx",
        arity: 3,
        flags: Flags::FAST.union(Flags::WRITE),
        acl: Acl::KEYSPACE,
        keys: &[
            KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::DELETE)),
            KeySpec::range(KeyFlags::OW.union(KeyFlags::INSERT), 2, 0, 1),
        ],
        summary: "Gives a key another name, which must not be in use.",
        history: &[(
            "3.2.0",
            "The command no longer returns an error when source and destination names are the same.",
        )],
        args: &[Arg::new("key", ArgKind::Key), Arg::new("newkey", ArgKind::Key)],
        examples: &[
            ("MSET a 1 b 2", "OK"),
            ("RENAMENX a b", "(integer) 0"),
            ("RENAMENX a c", "(integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run: renamenx,
    subs: &[],
};

fn rename(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    move_to(ctx, args, false)?;
    ctx.reply.ok();
    Ok(())
}

fn renamenx(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let moved = move_to(ctx, args, true)?;
    ctx.reply.int(i64::from(moved));
    Ok(())
}

fn move_to(ctx: &mut Ctx<'_>, args: Args<'_>, only_if_absent: bool) -> Result<bool, Error> {
    let (from, to) = (args.at(1), args.at(2));
    if !ctx.db.note_use(from) {
        return Err(Error::NoSuchKey);
    }
    if from == to || only_if_absent && ctx.db.contains(to) {
        return Ok(false);
    }
    let Some(entry) = ctx.db.take(from) else { return Err(Error::NoSuchKey) };
    let (raw, access) = (entry.encoding() == "raw", entry.access());
    let (_, value, expire_at_ms) = entry.into_parts();
    super::store_moved(&mut ctx.db, to, value, expire_at_ms, raw);
    ctx.db.set_access(to, access);
    ctx.db.effect(OPCODE, &[from, to]);
    ctx.db.notify(Classes::GENERIC, "rename_from", from);
    ctx.db.notify(Classes::GENERIC, "rename_to", to);
    Ok(true)
}
