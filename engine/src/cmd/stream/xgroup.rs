//! XGROUP

use super::common::{integer, no_group_at, strict_id, text};
use crate::args::Args;
use crate::cmd::{
    Acl, Arg, ArgKind, Begin, Command, Find, Flags, Group as CommandGroup, KeyFlags, KeySpec, Spec,
};
use crate::error::{CmdResult, Error};
use crate::keyspace::{Classes, Ctx, Mode};
use crate::types::Stream;
use crate::types::stream::{Group, StreamId};

/// `XGROUP`
pub static XGROUP: Command = Command {
    spec: Spec {
        name: "xgroup",
        arity: -2,
        flags: Flags::empty(),
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "Depends on subcommand.",
        summary: "Manages consumer groups.",
        examples: &[("XGROUP NOPE", "(error) ERR unknown subcommand 'NOPE'. Try XGROUP HELP.")],
        ..Spec::DEFAULT
    },
    run: xgroup,
    subs: &[
        &XGROUP_CREATE,
        &XGROUP_CREATECONSUMER,
        &XGROUP_DELCONSUMER,
        &XGROUP_DESTROY,
        &XGROUP_HELP,
        &XGROUP_SETID,
    ],
};

/// `XGROUP CREATE`
pub static XGROUP_CREATE: Command = Command {
    spec: Spec {
        name: "xgroup|create",
        arity: -5,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::STREAM,
        keys: &[KeySpec {
            flags: KeyFlags::RW.union(KeyFlags::INSERT),
            begin: Begin::Index(2),
            find: Find::Range(0, 1, 0),
            notes: None,
        }],
        opcode: 388,
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Makes a consumer group.",
        history: &[("7.0.0", "Added the `entries_read` named argument.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("groupname", ArgKind::String),
            Arg::one_of("id", &[Arg::new("id", ArgKind::String), Arg::word("new_id", "$")]),
            Arg::word("mkstream", "MKSTREAM").optional(),
            Arg::new("entries_read", ArgKind::Integer).token("ENTRIESREAD").optional(),
        ],
        examples: &[
            ("XGROUP CREATE log g $ MKSTREAM", "OK"),
            ("XGROUP CREATE log g 0", "(error) BUSYGROUP Consumer Group name already exists"),
        ],
        ..Spec::DEFAULT
    },
    run: create,
    subs: &[],
};

/// `XGROUP CREATECONSUMER`
pub static XGROUP_CREATECONSUMER: Command = Command {
    spec: Spec {
        name: "xgroup|createconsumer",
        arity: 5,
        flags: Flags::DENYOOM.union(Flags::WRITE),
        acl: Acl::STREAM,
        keys: &[KeySpec {
            flags: KeyFlags::RW.union(KeyFlags::INSERT),
            begin: Begin::Index(2),
            find: Find::Range(0, 1, 0),
            notes: None,
        }],
        opcode: 389,
        group: CommandGroup::Stream,
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Makes a consumer in a group.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("groupname", ArgKind::String),
            Arg::new("consumername", ArgKind::String),
        ],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XGROUP CREATE log g 0", "OK"),
            ("XGROUP CREATECONSUMER log g ann", "(integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run: createconsumer,
    subs: &[],
};

/// `XGROUP DELCONSUMER`
pub static XGROUP_DELCONSUMER: Command = Command {
    spec: Spec {
        name: "xgroup|delconsumer",
        arity: 5,
        flags: Flags::WRITE,
        acl: Acl::STREAM,
        keys: &[KeySpec {
            flags: KeyFlags::RW.union(KeyFlags::DELETE),
            begin: Begin::Index(2),
            find: Find::Range(0, 1, 0),
            notes: None,
        }],
        opcode: 390,
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Removes a consumer with what is pending for it.",
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("groupname", ArgKind::String),
            Arg::new("consumername", ArgKind::String),
        ],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XGROUP CREATE log g 0", "OK"),
            (
                "XREADGROUP GROUP g ann STREAMS log >",
                "1) 1) \"log\" 2) 1) 1) \"1-1\" 2) 1) \"temp\" 2) \"20\"",
            ),
            ("XGROUP DELCONSUMER log g ann", "(integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run: delconsumer,
    subs: &[],
};

/// `XGROUP DESTROY`
pub static XGROUP_DESTROY: Command = Command {
    spec: Spec {
        name: "xgroup|destroy",
        arity: 4,
        flags: Flags::WRITE,
        acl: Acl::STREAM,
        keys: &[KeySpec {
            flags: KeyFlags::RW.union(KeyFlags::DELETE),
            begin: Begin::Index(2),
            find: Find::Range(0, 1, 0),
            notes: None,
        }],
        opcode: 391,
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(N) where N is the number of entries in the group's pending entries list (PEL).",
        summary: "Removes a consumer group.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("groupname", ArgKind::String)],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XGROUP CREATE log g 0", "OK"),
            ("XGROUP DESTROY log g", "(integer) 1"),
        ],
        ..Spec::DEFAULT
    },
    run: destroy,
    subs: &[],
};

/// `XGROUP HELP`
pub static XGROUP_HELP: Command = Command {
    spec: Spec {
        name: "xgroup|help",
        arity: 2,
        flags: Flags::LOADING.union(Flags::STALE),
        acl: Acl::STREAM,
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Tells what XGROUP can do.",
        ..Spec::DEFAULT
    },
    run: help,
    subs: &[],
};

/// `XGROUP SETID`
pub static XGROUP_SETID: Command = Command {
    spec: Spec {
        name: "xgroup|setid",
        arity: -5,
        flags: Flags::WRITE,
        acl: Acl::STREAM,
        keys: &[KeySpec {
            flags: KeyFlags::RW.union(KeyFlags::UPDATE),
            begin: Begin::Index(2),
            find: Find::Range(0, 1, 0),
            notes: None,
        }],
        opcode: 392,
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Sets the last entry that a group was given.",
        history: &[("7.0.0", "Added the optional `entries_read` argument.")],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::new("groupname", ArgKind::String),
            Arg::one_of("id", &[Arg::new("id", ArgKind::String), Arg::word("new_id", "$")]),
            Arg::new("entries_read", ArgKind::Integer).token("ENTRIESREAD").optional(),
        ],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XGROUP CREATE log g 0", "OK"),
            ("XGROUP SETID log g $", "OK"),
        ],
        ..Spec::DEFAULT
    },
    run: setid,
    subs: &[],
};

fn xgroup(_: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    Err(Error::UnknownSubcommand(text(args.at(1)), "XGROUP".to_owned()))
}

fn usage(args: Args<'_>) -> Error {
    Error::owned(format!(
        "ERR unknown subcommand or wrong number of arguments for '{}'. Try XGROUP HELP.",
        text(args.at(1))
    ))
}

/// `[MKSTREAM] [ENTRIESREAD count]` from argument 5 on.
fn options(ctx: &Ctx<'_>, args: Args<'_>, may_make: bool) -> Result<(bool, Option<u64>), Error> {
    let (mut make, mut read, mut at) = (false, None, 5);
    while at < args.len() {
        if may_make && args.is(at, "mkstream") {
            make = true;
            at += 1;
        } else if args.is(at, "entriesread") && at + 1 < args.len() {
            let count = integer(args.at(at + 1))?;
            // A counter that went round beyond the largest number is recorded as what it shows.
            if count < -1 && ctx.db.mode() != Mode::Replay {
                return Err(Error::text("ERR value for ENTRIESREAD must be positive or -1"));
            }
            read = Some(count.cast_unsigned()).filter(|_| count != -1);
            at += 2;
        } else {
            return Err(usage(args));
        }
    }
    Ok((make, read))
}

/// The stream at argument 2, which must be there.
fn stream<'c>(ctx: &'c mut Ctx<'_>, args: Args<'_>) -> Result<&'c mut Stream, Error> {
    ctx.db.get_mut_as::<Stream>(args.at(2))?.ok_or(Error::text(
        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.",
    ))
}

/// The group of arguments 2 and 3, which must be there.
fn group<'c>(ctx: &'c mut Ctx<'_>, args: Args<'_>) -> Result<&'c mut Group, Error> {
    let missing = no_group_at(args.at(2), args.at(3));
    stream(ctx, args)?.group_mut(args.at(3)).ok_or(missing)
}

fn create(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (make, entries_read) = options(ctx, args, true)?;
    if args.len() > 8 {
        return Err(usage(args));
    }
    let key = args.at(2);
    let last = match ctx.db.get_mut_as::<Stream>(key)? {
        Some(stream) => stream.last_id(),
        None if make => StreamId::MIN,
        None => return stream(ctx, args).map(|_| ()),
    };
    let id = if args.at(4) == b"$" { last } else { strict_id(args.at(4))? };
    let is_new = !ctx.db.contains(key);
    let stream = ctx.db.get_or_insert_as(key, |_| Stream::new())?;
    if !stream.add_group(args.at(3), Group::new(id, entries_read)) {
        return Err(Error::text("BUSYGROUP Consumer Group name already exists"));
    }
    let (id, read) = (id.to_string(), entries_read_text(entries_read));
    let mut effect =
        vec![b"CREATE", key, args.at(3), id.as_bytes(), b"ENTRIESREAD", read.as_bytes()];
    // That the stream is new is of interest to who watches it.
    effect.extend(is_new.then_some(&b"MKSTREAM"[..]));
    ctx.db.effect(XGROUP_CREATE.spec.opcode, &effect);
    ctx.db.notify(Classes::STREAM, "xgroup-create", key);
    ctx.reply.ok();
    Ok(())
}

fn setid(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (_, entries_read) = options(ctx, args, false)?;
    let stream = stream(ctx, args)?;
    let last = stream.last_id();
    let group = stream.group_mut(args.at(3)).ok_or_else(|| no_group_at(args.at(2), args.at(3)))?;
    if args.len() != 5 && args.len() != 7 {
        return Err(usage(args));
    }
    let id = if args.at(4) == b"$" { last } else { super::common::id(args.at(4), 0)? };
    group.last_id = id;
    group.entries_read = entries_read;
    record_position(ctx, args.at(2), args.at(3), id, entries_read);
    ctx.db.notify(Classes::STREAM, "xgroup-setid", args.at(2));
    ctx.reply.ok();
    Ok(())
}

/// Records where a group stands.
pub(super) fn record_position(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    group: &[u8],
    id: StreamId,
    entries_read: Option<u64>,
) {
    let (id, read) = (id.to_string(), entries_read_text(entries_read));
    let effect = [b"SETID", key, group, id.as_bytes(), b"ENTRIESREAD", read.as_bytes()];
    ctx.db.effect(XGROUP_SETID.spec.opcode, &effect);
}

/// Records and announces that a consumer was made.
pub(super) fn record_consumer(ctx: &mut Ctx<'_>, key: &[u8], group: &[u8], consumer: &[u8]) {
    let effect = [b"CREATECONSUMER", key, group, consumer];
    ctx.db.effect(XGROUP_CREATECONSUMER.spec.opcode, &effect);
    ctx.db.notify(Classes::STREAM, "xgroup-createconsumer", key);
}

fn entries_read_text(entries_read: Option<u64>) -> String {
    entries_read.map_or_else(|| "-1".to_owned(), |n| n.cast_signed().to_string())
}

fn destroy(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let removed = stream(ctx, args)?.remove_group(args.at(3));
    if removed {
        ctx.db.effect_verbatim(XGROUP_DESTROY.spec.opcode, args);
        ctx.db.notify(Classes::STREAM, "xgroup-destroy", args.at(2));
    }
    ctx.reply.int(i64::from(removed));
    Ok(())
}

fn createconsumer(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let now_ms = ctx.db.now_ms();
    let (_, new) = group(ctx, args)?.find_or_add(args.at(4), now_ms);
    if new {
        record_consumer(ctx, args.at(2), args.at(3), args.at(4));
    }
    ctx.reply.int(i64::from(new));
    Ok(())
}

fn delconsumer(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let pending = group(ctx, args)?.remove_consumer(args.at(4));
    if pending.is_some() {
        ctx.db.effect_verbatim(XGROUP_DELCONSUMER.spec.opcode, args);
        ctx.db.notify(Classes::STREAM, "xgroup-delconsumer", args.at(2));
    }
    ctx.reply.len(pending.unwrap_or(0));
    Ok(())
}

fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> CmdResult {
    const LINES: &[&str] = &[
        "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CREATE <key> <groupname> <id|$> [option]",
        "    Make a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Make an empty stream where there is none.",
        "    * ENTRIESREAD entries_read",
        "      Say how many entries the group has read so far.",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Make a consumer in the group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove a consumer with what is pending for it.",
        "DESTROY <key> <groupname>",
        "    Remove the group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the id of the last entry given out.",
        "HELP",
        "    Prints this help.",
    ];
    ctx.reply.array(LINES.len());
    LINES.iter().for_each(|line| ctx.reply.simple(line));
    Ok(())
}
