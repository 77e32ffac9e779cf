//! COPY.

use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx};

const OPCODE: Opcode = 68;

/// COPY: copies a key's value and expiry to another key.
pub static COPY: Command = Command {
    spec: Spec {
        name: "copy",
        arity: -3,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::KEYSPACE,
        keys: &[
            KeySpec::one(KeyFlags::RO.union(KeyFlags::ACCESS)),
            KeySpec::range(KeyFlags::OW.union(KeyFlags::UPDATE), 2, 0, 1),
        ],
        opcode: OPCODE,
        since: "6.2.0",
        complexity: "O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
        summary: "Copies a key's value and expiry to another key.",
        args: &[
            Arg::new("source", ArgKind::Key),
            Arg::new("destination", ArgKind::Key),
            Arg::new("destination-db", ArgKind::Integer).token("DB").optional(),
            Arg::word("replace", "REPLACE").optional(),
        ],
        examples: &[
            ("SET a 1", "OK"),
            ("COPY a b", "(integer) 1"),
            ("COPY a b", "(integer) 0"),
            ("COPY a b REPLACE", "(integer) 1"),
            ("GET b", "\"1\""),
            ("COPY a a", "(error) ERR source and destination objects are the same"),
            ("COPY a a DB 1", "(integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (from, to) = (args.at(1), args.at(2));
    let (target, replace) = parse(ctx, args)?;
    if target == ctx.db.index() && from == to {
        return Err(Error::SameObject);
    }
    let Some(entry) = ctx.db.get(from) else {
        ctx.reply.int(0);
        return Ok(());
    };
    let (value, expire_at_ms) = (entry.value().to_value(), entry.expire_at_ms());
    let raw = entry.encoding() == "raw";
    let mut target = ctx.db.other(target)?;
    if !replace && target.contains(to) {
        ctx.reply.int(0);
        return Ok(());
    }
    super::store_moved(&mut target, to, value, expire_at_ms, raw);
    target.notify(Classes::GENERIC, "copy_to", to);
    ctx.db.effect_verbatim(OPCODE, args);
    ctx.reply.int(1);
    Ok(())
}

/// The target database and REPLACE.
fn parse(ctx: &mut Ctx<'_>, args: Args<'_>) -> Result<(usize, bool), Error> {
    let (mut target, mut replace) = (ctx.db.index(), false);
    let mut at = 3;
    while at < args.len() {
        if args.is(at, "REPLACE") {
            replace = true;
        } else if args.is(at, "DB") && at + 1 < args.len() {
            target = database_index(args.at(at + 1))?;
            ctx.db.other(target)?;
            at += 1;
        } else {
            return Err(Error::Syntax);
        }
        at += 1;
    }
    Ok((target, replace))
}
