//! HINCRBY.

use super::OPCODE_HINCRBY;
use crate::args::Args;
use crate::cmd::numbers::integer;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};
use crate::types::Hash;

/// HINCRBY: adds to the integer in a hash's field; a field that is not there counts as 0.
pub static HINCRBY: Command = Command {
    spec: Spec {
        name: "hincrby",
        arity: 4,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::HASH,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::ACCESS).union(KeyFlags::UPDATE))],
        opcode: OPCODE_HINCRBY,
        group: Group::Hash,
        since: "2.0.0",
        summary: "Adds to the integer in a hash's field; a field that is not there counts as 0.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("field", ArgKind::String),
            Arg::new("increment", ArgKind::Integer),
        ],
        examples: &[
            ("HINCRBY k a 5", "(integer) 5"),
            ("HINCRBY k a -7", "(integer) -2"),
            ("HSET k b x", "(integer) 1"),
            ("HINCRBY k b 1", "(error) ERR hash value is not an integer"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let amount = integer(args.at(3))?;
    let limits = ctx.db.limits();
    let hash = ctx.db.get_or_insert_as(args.at(1), Hash::new)?;
    let old = match hash.get(args.at(2)) {
        None => 0,
        Some(item) => item.as_i64().ok_or(Error::text("ERR hash value is not an integer"))?,
    };
    let sum = old.checked_add(amount).ok_or(Error::Overflow)?;
    hash.set_value(args.at(2), itoa::Buffer::new().format(sum).as_bytes(), &limits);
    ctx.db.effect_verbatim(OPCODE_HINCRBY, args);
    ctx.db.notify(Classes::HASH, "hincrby", args.at(1));
    ctx.reply.int(sum);
    Ok(())
}
