//! SETBIT.

use super::{bit_at, grow, parse_offset, set_bit};
use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};

const OPCODE: Opcode = 512;

/// SETBIT: sets or clears one bit of the string under a key, and returns what it was.
pub static SETBIT: Command = Command {
    spec: Spec {
        name: "setbit",
        arity: 4,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::BITMAP,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
        opcode: OPCODE,
        group: Group::Bitmap,
        since: "2.2.0",
        summary: "Sets or clears one bit of the string under a key, and returns what it was.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("offset", ArgKind::Integer),
            Arg::new("value", ArgKind::Integer),
        ],
        examples: &[
            ("SETBIT k 7 1", "(integer) 0"),
            ("SETBIT k 7 0", "(integer) 1"),
            ("GET k", "\"\\x00\""),
            ("SETBIT k 7 2", "(error) ERR bit is not an integer or out of range"),
            ("SETBIT k -1 1", "(error) ERR bit offset is not an integer or out of range"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let key = args.at(1);
    let at = parse_offset(&ctx.db, args.at(2), None)?;
    let on = match args.at(3) {
        b"0" => false,
        b"1" => true,
        _ => return Err(Error::text("ERR bit is not an integer or out of range")),
    };
    let grown = grow(&mut ctx.db, key, at / 8 + 1)?;
    let Some(entry) = ctx.db.get_mut(key) else { return Err(Error::NoSuchKey) };
    let bytes = entry.bytes_mut(0);
    let before = bit_at(bytes, at);
    set_bit(bytes, at, on);
    if grown || before != on {
        ctx.db.effect_verbatim(OPCODE, args);
        ctx.db.notify(Classes::STRING, "setbit", key);
    }
    ctx.reply.int(i64::from(before));
    Ok(())
}
