//! MEMORY USAGE. The container's other subcommands tell about the process and are the server's.

use super::unknown_subcommand;
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::num::parse_i64;

/// MEMORY: tells about memory.
pub static MEMORY: Command = Command {
    spec: Spec {
        name: "memory",
        arity: -2,
        group: Group::Server,
        since: "4.0.0",
        complexity: "Depends on subcommand.",
        summary: "Tells about memory.",
        examples: &[("MEMORY NOPE", "(error) ERR unknown subcommand 'NOPE'. Try MEMORY HELP.")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[&MEMORY_USAGE],
};

/// MEMORY USAGE: tells how many bytes a key and its value take.
pub static MEMORY_USAGE: Command = Command {
    spec: Spec {
        name: "memory|usage",
        arity: -3,
        flags: Flags::READONLY,
        keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
        group: Group::Server,
        since: "4.0.0",
        complexity: "O(N) where N is the number of samples.",
        summary: "Tells how many bytes a key and its value take.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("count", ArgKind::Integer).token("SAMPLES").optional(),
        ],
        examples: &[
            ("MEMORY USAGE none", "(nil)"),
            ("MEMORY USAGE k SAMPLES -1", "(error) ERR syntax error"),
        ],
        ..Spec::DEFAULT
    },
    run: usage,
    subs: &[],
};

fn run(_: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    Err(unknown_subcommand(args))
}

/// The count is exact, so that SAMPLES has nothing to say beyond being a number.
fn usage(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    for at in (3..args.len()).step_by(2) {
        if !args.is(at, "SAMPLES") || at + 1 == args.len() {
            return Err(Error::Syntax);
        }
        if parse_i64(args.at(at + 1)).ok_or(Error::NotInteger)? < 0 {
            return Err(Error::Syntax);
        }
    }
    match ctx.db.peek(args.at(2)).map(|entry| entry.memory_bytes()) {
        Some(bytes) => ctx.reply.len(bytes),
        None => ctx.reply.null(),
    }
    Ok(())
}
