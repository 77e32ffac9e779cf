//! SETRANGE.

use super::{check_len, strlen};
use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::num::parse_i64;
use crate::types::Value;

/// SETRANGE's number in the log, which other families record as well.
pub(in crate::cmd) const OPCODE: Opcode = 3;

/// SETRANGE: overwrites a part of the string under a key, which is padded with zero bytes where it is too short.
pub static SETRANGE: Command = Command {
    spec: Spec {
        name: "setrange",
        arity: 4,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::UPDATE))],
        opcode: OPCODE,
        group: Group::String,
        since: "2.2.0",
        complexity: "O(1), not counting the time taken to copy the new string in place. Usually, this string is very small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length of the value argument.",
        summary: "Overwrites a part of the string under a key, which is padded with zero bytes where it is too short.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("offset", ArgKind::Integer),
            Arg::new("value", ArgKind::String),
        ],
        examples: &[
            ("SET k \"Hello World\"", "OK"),
            ("SETRANGE k 6 Redis", "(integer) 11"),
            ("GET k", "\"Hello Redis\""),
            ("SETRANGE new 2 ab", "(integer) 4"),
            ("GET new", "\"\\x00\\x00ab\""),
            ("SETRANGE k -1 x", "(error) ERR offset is out of range"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (key, part) = (args.at(1), args.at(3));
    let offset = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let offset = usize::try_from(offset).map_err(|_| Error::OffsetRange)?;
    let len = strlen::len_of(ctx.db.peek(key))?;
    if part.is_empty() {
        ctx.reply.len(len.unwrap_or(0));
        return Ok(());
    }
    check_len(&ctx.db, offset, part.len())?;
    let end = offset + part.len();
    if len.is_none() {
        ctx.db.set(key, Value::Bytes(Vec::new()), None);
    }
    let Some(entry) = ctx.db.get_mut(key) else { return Err(Error::NoSuchKey) };
    if let Some(target) = entry.bytes_mut(end).get_mut(offset..end) {
        target.copy_from_slice(part);
    }
    ctx.db.effect_verbatim(OPCODE, args);
    ctx.db.notify(Classes::STRING, "setrange", key);
    ctx.reply.len(len.unwrap_or(0).max(end));
    Ok(())
}
