//! OBJECT: what is known about a stored value.

use super::unknown_subcommand;
use crate::args::Args;
use crate::cmd::*;
use crate::error::{CmdResult, Error};
use crate::keyspace::{AccessPolicy, Ctx};
use crate::types::ValueRef;

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
    subs: &[&OBJECT_ENCODING, &OBJECT_REFCOUNT, &OBJECT_IDLETIME, &OBJECT_FREQ, &OBJECT_HELP],
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
            ("APPEND k s", "(integer) 5"),
            ("OBJECT ENCODING k", "\"raw\""),
            ("OBJECT ENCODING none", "(nil)"),
        ],
        ..Spec::DEFAULT
    },
    run: encoding,
    subs: &[],
};

/// OBJECT REFCOUNT: tells how many references a value has, which is one, or any number for a small integer.
pub static OBJECT_REFCOUNT: Command = Command {
    spec: Spec {
        name: "object|refcount",
        arity: 3,
        flags: Flags::READONLY,
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
        since: "2.2.3",
        summary: "Tells how many references a value has, which is one, or any number for a small integer.",
        args: &[Arg::new("key", ArgKind::Key)],
        tips: &["nondeterministic_output"],
        examples: &[
            ("SET k v", "OK"),
            ("OBJECT REFCOUNT k", "(integer) 1"),
            ("SET k 9999", "OK"),
            ("OBJECT REFCOUNT k", "(integer) 2147483647"),
        ],
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

/// OBJECT IDLETIME: tells how many seconds ago a key was used last.
pub static OBJECT_IDLETIME: Command = Command {
    spec: Spec {
        name: "object|idletime",
        arity: 3,
        flags: Flags::READONLY,
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
        since: "2.2.3",
        summary: "Tells how many seconds ago a key was used last.",
        args: &[Arg::new("key", ArgKind::Key)],
        tips: &["nondeterministic_output"],
        examples: &[
            ("SET k v", "OK"),
            ("OBJECT IDLETIME k", "(integer) 0"),
            ("OBJECT IDLETIME none", "(nil)"),
        ],
        ..Spec::DEFAULT
    },
    run: idletime,
    subs: &[],
};

/// OBJECT FREQ: tells how often a key is used, on a logarithmic scale.
pub static OBJECT_FREQ: Command = Command {
    spec: Spec {
        name: "object|freq",
        arity: 3,
        flags: Flags::READONLY,
        acl: Acl::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::RO, 2, 0, 1)],
        since: "4.0.0",
        summary: "Tells how often a key is used, on a logarithmic scale.",
        args: &[Arg::new("key", ArgKind::Key)],
        tips: &["nondeterministic_output"],
        examples: &[
            ("OBJECT FREQ none", "(nil)"),
            ("SET k v", "OK"),
            (
                "OBJECT FREQ k",
                "(error) ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ),
        ],
        ..Spec::DEFAULT
    },
    run: freq,
    subs: &[],
};

/// Integers from 0 on that take no memory of their own; Redis shares one object a number, and says so by this count.
const SHARED_INTEGERS: i64 = 10_000;

fn run(_: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    Err(unknown_subcommand(args))
}

fn encoding(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let name = ctx.db.peek(args.at(2)).map(|entry| entry.encoding().as_bytes());
    ctx.reply.bulk_or_null(name);
    Ok(())
}

fn refcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let count = ctx.db.peek(args.at(2)).map(|entry| {
        let shared = matches!(entry.value(), ValueRef::Int(0..SHARED_INTEGERS));
        if shared { i64::from(i32::MAX) } else { 1 }
    });
    reply_int(ctx, count)
}

fn idletime(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let Some(seconds) = ctx.db.idle_seconds(args.at(2)) else { return reply_int(ctx, None) };
    if ctx.db.keyspace().access_policy() != AccessPolicy::Lru {
        return Err(Error::text(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when \
             switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    reply_int(ctx, i64::try_from(seconds).ok())
}

fn freq(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let Some(counter) = ctx.db.frequency(args.at(2)) else { return reply_int(ctx, None) };
    if ctx.db.keyspace().access_policy() == AccessPolicy::Lru {
        return Err(Error::text(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note \
             that when switching between policies at runtime LRU and LFU data will take some time \
             to adjust.",
        ));
    }
    reply_int(ctx, Some(i64::from(counter)))
}

fn reply_int(ctx: &mut Ctx<'_>, value: Option<i64>) -> CmdResult {
    match value {
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
