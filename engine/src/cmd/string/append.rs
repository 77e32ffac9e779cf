//! APPEND.

use super::{check_len, set};
use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::CmdResult;
use crate::keyspace::{Classes, Ctx};

const OPCODE: Opcode = 2;

/// APPEND: appends to the string under a key, which is made when it is not there.
pub static APPEND: Command = Command {
    spec: Spec {
        name: "append",
        arity: 3,
        flags: Flags::DENYOOM.union(Flags::FAST).union(Flags::WRITE),
        acl: Acl::STRING,
        keys: &[KeySpec::one(KeyFlags::RW.union(KeyFlags::INSERT))],
        opcode: OPCODE,
        group: Group::String,
        since: "2.0.0",
        complexity: "O(1). The amortized time complexity is O(1) assuming the appended value is small and the already present value is of any size, since the dynamic string library used by Redis will double the free space available on every reallocation.",
        summary: "Appends to the string under a key, which is made when it is not there.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("value", ArgKind::String)],
        examples: &[
            ("APPEND k Hello", "(integer) 5"),
            ("APPEND k \" World\"", "(integer) 11"),
            ("GET k", "\"Hello World\""),
            ("SET n 10", "OK"),
            ("APPEND n 5", "(integer) 3"),
            ("INCR n", "(integer) 106"),
        ],
        ..Spec::DEFAULT
    },
    run,
    subs: &[],
};

fn run(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (key, more) = (args.at(1), args.at(2));
    let Some(len) = super::strlen::len_of(ctx.db.peek(key))? else {
        ctx.db.set_str(key, more, None);
        ctx.db.effect(set::OPCODE, &[key, more]);
        ctx.db.notify(Classes::STRING, "append", key);
        ctx.reply.len(more.len());
        return Ok(());
    };
    check_len(&ctx.db, len, more.len())?;
    let len = ctx.db.get_mut(key).map_or(0, |entry| entry.append(more));
    ctx.db.effect_verbatim(OPCODE, args);
    ctx.db.notify(Classes::STRING, "append", key);
    ctx.reply.len(len);
    Ok(())
}
