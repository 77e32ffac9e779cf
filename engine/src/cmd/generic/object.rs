//! OBJECT: what is known about a stored value.

use super::unknown_subcommand;
use crate::args::Args;
use crate::cmd::*;
use crate::error::CmdResult;
use crate::keyspace::Ctx;
use crate::raw::Entry;

/// OBJECT: tells about a stored value.
pub static OBJECT: Command = Command {
    spec: Spec {
        name: "object",
        arity: -2,
        since: "2.2.3",
        complexity: "Depends on subcommand.",
        summary: "Tells about a stored value.",
        examples: &[("OBJECT NOPE k", "(error) ERR unknown subcommand 'NOPE'. Try OBJECT HELP.")],
        ..Spec::DEFAULT
    },
    run,
    subs: &[&OBJECT_ENCODING, &OBJECT_REFCOUNT, &OBJECT_HELP],
};

/// OBJECT ENCODING: tells how a value is stored.
pub static OBJECT_ENCODING: Command = Command {
    spec: Spec {
        name: "object|encoding",
        arity: 3,
        flags: Flags::READONLY,
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
        since: "2.2.3",
        summary: "Tells how a value is stored.",
        args: &[Arg::new("key", ArgKind::Key)],
        tips: &["nondeterministic_output"],
        examples: &[
            ("SET k 42", "OK"),
            ("OBJECT ENCODING k", "\"int\""),
            ("SET k text", "OK"),
            ("OBJECT ENCODING k", "\"embstr\""),
            ("OBJECT ENCODING none", "(nil)"),
        ],
        ..Spec::DEFAULT
    },
    run: encoding,
    subs: &[],
};

/// OBJECT REFCOUNT: tells how many references a value has, which is always one.
pub static OBJECT_REFCOUNT: Command = Command {
    spec: Spec {
        name: "object|refcount",
        arity: 3,
        flags: Flags::READONLY,
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
        since: "2.2.3",
        summary: "Tells how many references a value has, which is always one.",
        args: &[Arg::new("key", ArgKind::Key)],
        tips: &["nondeterministic_output"],
        examples: &[("SET k v", "OK"), ("OBJECT REFCOUNT k", "(integer) 1")],
        ..Spec::DEFAULT
    },
    run: refcount,
    subs: &[],
};

/// OBJECT HELP: explains the subcommands.
pub static OBJECT_HELP: Command = Command {
    spec: Spec {
        name: "object|help",
        arity: 2,
        flags: Flags::LOADING.union(Flags::STALE),
        acl: Acl::KEYSPACE,
        since: "6.2.0",
        summary: "Explains the subcommands.",
        ..Spec::DEFAULT
    },
    run: help,
    subs: &[],
};

fn run(_: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    Err(unknown_subcommand(args))
}

fn encoding(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let name = ctx.db.peek(args.at(2)).map(|entry| entry.value().encoding().as_bytes());
    ctx.reply.bulk_or_null(name);
    Ok(())
}

fn refcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    reply_int(ctx, args, |_| 1)
}

fn reply_int(ctx: &mut Ctx<'_>, args: Args<'_>, show: impl Fn(&Entry) -> i64) -> CmdResult {
    match ctx.db.peek(args.at(2)).map(show) {
        Some(value) => ctx.reply.int(value),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> CmdResult {
    const LINES: &[&str] = &[
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
        "HELP",
        "    Prints this help.",
    ];
    ctx.reply.array(LINES.len());
    LINES.iter().for_each(|line| ctx.reply.simple(line));
    Ok(())
}
