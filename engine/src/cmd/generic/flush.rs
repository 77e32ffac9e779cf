//! FLUSHDB and FLUSHALL.

use crate::args::Args;
use crate::cmd::*;
use crate::effect::Opcode;
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;

const OPCODE_FLUSHDB: Opcode = 71;
const OPCODE_FLUSHALL: Opcode = 72;

const HISTORY: &[(&str, &str)] = &[
    ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
    ("6.2.0", "Added the `SYNC` flushing mode modifier."),
];

const MODE: Arg = Arg::one_of(
    "async",
    &[Arg::word("async", "ASYNC").since("4.0.0"), Arg::word("sync", "SYNC").since("6.2.0")],
)
.optional();

/// FLUSHDB: removes all keys of the selected database.
pub static FLUSHDB: Command = Command {
    spec: Spec {
        name: "flushdb",
        arity: -1,
        flags: Flags::WRITE,
        acl: Acl::DANGEROUS.union(Acl::KEYSPACE),
        scope: Scope::All(merge::first),
        opcode: OPCODE_FLUSHDB,
        group: Group::Server,
        complexity: "O(N) where N is the number of keys in the selected database",
        summary: "Removes all keys of the selected database.",
        history: HISTORY,
        args: &[MODE],
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        examples: &[
            ("SET k v", "OK"),
            ("FLUSHDB", "OK"),
            ("DBSIZE", "(integer) 0"),
            ("FLUSHDB now", "(error) ERR syntax error"),
        ],
        ..Spec::DEFAULT
    },
    run: flushdb,
    subs: &[],
};

/// FLUSHALL: removes all keys of all databases.
pub static FLUSHALL: Command = Command {
    spec: Spec {
        name: "flushall",
        arity: -1,
        flags: Flags::WRITE,
        acl: Acl::DANGEROUS.union(Acl::KEYSPACE),
        scope: Scope::All(merge::first),
        opcode: OPCODE_FLUSHALL,
        group: Group::Server,
        complexity: "O(N) where N is the total number of keys in all databases",
        summary: "Removes all keys of all databases.",
        history: HISTORY,
        args: &[MODE],
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        examples: &[("SET k v", "OK"), ("FLUSHALL ASYNC", "OK"), ("DBSIZE", "(integer) 0")],
        ..Spec::DEFAULT
    },
    run: flushall,
    subs: &[],
};

fn flushdb(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    check(args)?;
    if ctx.db.flush() > 0 {
        ctx.db.effect(OPCODE_FLUSHDB, &[]);
    }
    ctx.reply.ok();
    Ok(())
}

fn flushall(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    check(args)?;
    let mut removed = 0;
    for index in 0..ctx.db.keyspace().databases() {
        removed += ctx.db.other(index)?.flush();
    }
    if removed > 0 {
        ctx.db.effect(OPCODE_FLUSHALL, &[]);
    }
    ctx.reply.ok();
    Ok(())
}

/// ASYNC and SYNC are the same here: the table is exchanged at once and its memory freed in slices.
fn check(args: Args<'_>) -> CmdResult {
    let known = args.len() == 1 || args.is(1, "ASYNC") || args.is(1, "SYNC");
    if args.len() <= 2 && known { Ok(()) } else { Err(Error::Syntax) }
}
