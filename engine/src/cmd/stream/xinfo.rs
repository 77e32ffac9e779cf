//! XINFO

use super::common::{integer, limit, no_group_at, reply_entries, reply_entry, reply_id, text};
use crate::args::Args;
use crate::cmd::{
    Acl, Arg, ArgKind, Begin, Command, Find, Flags, Group as CommandGroup, KeyFlags, KeySpec, Spec,
};
use crate::error::{CmdResult, Error};
use crate::keyspace::Ctx;
use crate::reply::Reply;
use crate::types::stream::{Group, StreamId};
use crate::types::{Object, Stream};

/// `XINFO`
pub static XINFO: Command = Command {
    spec: Spec {
        name: "xinfo",
        arity: -2,
        flags: Flags::empty(),
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "Depends on subcommand.",
        summary: "Tells about streams, groups and consumers.",
        examples: &[("XINFO NOPE", "(error) ERR unknown subcommand 'NOPE'. Try XINFO HELP.")],
        ..Spec::DEFAULT
    },
    run: xinfo,
    subs: &[&XINFO_CONSUMERS, &XINFO_GROUPS, &XINFO_HELP, &XINFO_STREAM],
};

/// `XINFO CONSUMERS`
pub static XINFO_CONSUMERS: Command = Command {
    spec: Spec {
        name: "xinfo|consumers",
        arity: 4,
        flags: Flags::READONLY,
        acl: Acl::STREAM,
        keys: &[KeySpec {
            flags: KeyFlags::RO.union(KeyFlags::ACCESS),
            begin: Begin::Index(2),
            find: Find::Range(0, 1, 0),
            notes: None,
        }],
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Tells about the consumers of a group.",
        args: &[Arg::new("key", ArgKind::Key), Arg::new("groupname", ArgKind::String)],
        tips: &["nondeterministic_output"],
        examples: &[
            ("XADD log 1-1 temp 20", "\"1-1\""),
            ("XGROUP CREATE log g 0", "OK"),
            ("XINFO CONSUMERS log g", "(empty array)"),
        ],
        ..Spec::DEFAULT
    },
    run: consumers,
    subs: &[],
};

/// `XINFO GROUPS`
pub static XINFO_GROUPS: Command = Command {
    spec: Spec {
        name: "xinfo|groups",
        arity: 3,
        flags: Flags::READONLY,
        acl: Acl::STREAM,
        keys: &[KeySpec {
            flags: KeyFlags::RO.union(KeyFlags::ACCESS),
            begin: Begin::Index(2),
            find: Find::Range(0, 1, 0),
            notes: None,
        }],
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Tells about the groups of a stream.",
        history: &[("7.0.0", "Added the `entries-read` and `lag` fields")],
        args: &[Arg::new("key", ArgKind::Key)],
        examples: &[("XADD log 1-1 temp 20", "\"1-1\""), ("XINFO GROUPS log", "(empty array)")],
        ..Spec::DEFAULT
    },
    run: groups,
    subs: &[],
};

/// `XINFO HELP`
pub static XINFO_HELP: Command = Command {
    spec: Spec {
        name: "xinfo|help",
        arity: 2,
        flags: Flags::LOADING.union(Flags::STALE),
        acl: Acl::STREAM,
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Tells what XINFO can do.",
        ..Spec::DEFAULT
    },
    run: help,
    subs: &[],
};

/// `XINFO STREAM`
pub static XINFO_STREAM: Command = Command {
    spec: Spec {
        name: "xinfo|stream",
        arity: -3,
        flags: Flags::READONLY,
        acl: Acl::STREAM,
        keys: &[KeySpec {
            flags: KeyFlags::RO.union(KeyFlags::ACCESS),
            begin: Begin::Index(2),
            find: Find::Range(0, 1, 0),
            notes: None,
        }],
        group: CommandGroup::Stream,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Tells about a stream.",
        history: &[
            ("6.0.0", "Added the `FULL` modifier."),
            (
                "7.0.0",
                "Added the `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag` fields",
            ),
        ],
        args: &[
            Arg::new("key", ArgKind::Key),
            Arg::block("full", &[Arg::new("count", ArgKind::Integer).token("COUNT").optional()])
                .token("FULL")
                .optional(),
        ],
        examples: &[("XINFO STREAM none", "(error) ERR no such key")],
        ..Spec::DEFAULT
    },
    run: stream,
    subs: &[],
};

fn xinfo(_: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    Err(Error::UnknownSubcommand(text(args.at(1)), "XINFO".to_owned()))
}

/// The stream at argument 2, which must be there.
fn find<'c>(
    ctx: &'c mut Ctx<'_>,
    args: Args<'_>,
) -> Result<(&'c Stream, &'c mut dyn Reply), Error> {
    let stream = ctx.db.get_as::<Stream>(args.at(2))?.ok_or(Error::NoSuchKey)?;
    Ok((stream, ctx.reply))
}

fn int(out: &mut dyn Reply, name: &str, value: u64) {
    out.bulk(name.as_bytes());
    out.int(i64::try_from(value).unwrap_or(i64::MAX));
}

fn id(out: &mut dyn Reply, name: &str, value: StreamId) {
    out.bulk(name.as_bytes());
    reply_id(out, value);
}

fn stream(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let usage = || {
        Error::owned(format!(
            "ERR unknown subcommand or wrong number of arguments for '{}'. Try XINFO HELP.",
            text(args.at(1))
        ))
    };
    let (stream, out) = find(ctx, args)?;
    let full = match args.len() {
        3 => None,
        4 if args.is(3, "full") => Some(10),
        6 if args.is(3, "full") && args.is(4, "count") => Some(integer(args.at(5))?),
        _ => return Err(usage()),
    };
    out.map(if full.is_some() { 9 } else { 10 });
    int(out, "length", stream.len() as u64);
    int(out, "radix-tree-keys", stream.blocks_len() as u64);
    int(out, "radix-tree-nodes", stream.blocks_len() as u64 + 1);
    id(out, "last-generated-id", stream.last_id());
    id(out, "max-deleted-entry-id", stream.max_deleted_id());
    int(out, "entries-added", stream.entries_added());
    id(out, "recorded-first-entry-id", stream.first_id());
    let Some(count) = full else {
        int(out, "groups", stream.groups().len() as u64);
        let all = StreamId::MIN..=StreamId::MAX;
        let (first, last) = (stream.iter().next(), stream.range_rev(all).next());
        for (name, entry) in [("first-entry", first), ("last-entry", last)] {
            out.bulk(name.as_bytes());
            match entry {
                Some(entry) => reply_entry(out, &entry),
                None => out.null(),
            }
        }
        return Ok(());
    };
    // A negative count is Redis's default of 10, 0 is all.
    let count = limit(if count < 0 { 10 } else { count });
    out.bulk(b"entries");
    let entries: Vec<_> = stream.iter().take(count).collect();
    reply_entries(out, &entries);
    out.bulk(b"groups");
    out.array(stream.groups().len());
    for (name, group) in stream.groups() {
        group_in_full(out, stream, name, group, count);
    }
    Ok(())
}

fn position(out: &mut dyn Reply, stream: &Stream, group: &Group) {
    id(out, "last-delivered-id", group.last_id);
    out.bulk(b"entries-read");
    match group.entries_read {
        // Beyond the largest number it goes round, as in Redis.
        Some(read) => out.int(read.cast_signed()),
        None => out.null(),
    }
    out.bulk(b"lag");
    match stream.lag(group) {
        Some(lag) => out.int(lag),
        None => out.null(),
    }
}

fn group_in_full(out: &mut dyn Reply, stream: &Stream, name: &[u8], group: &Group, count: usize) {
    out.map(7);
    out.bulk(b"name");
    out.bulk(name);
    position(out, stream, group);
    int(out, "pel-count", group.pending().len() as u64);
    out.bulk(b"pending");
    out.array(group.pending().len().min(count));
    for (id, pending) in group.pending().iter().take(count) {
        out.array(4);
        reply_id(out, *id);
        out.bulk(group.name_of(pending.consumer));
        out.int(pending.delivered_at_ms);
        out.int(i64::try_from(pending.deliveries).unwrap_or(i64::MAX));
    }
    out.bulk(b"consumers");
    let consumers = group.consumers();
    out.array(consumers.len());
    for consumer in consumers {
        out.map(4);
        out.bulk(b"name");
        out.bulk(&consumer.name);
        out.bulk(b"seen-time");
        out.int(consumer.seen_at_ms);
        int(out, "pel-count", consumer.pending().len() as u64);
        out.bulk(b"pending");
        out.array(consumer.pending().len().min(count));
        for id in consumer.pending().iter().take(count) {
            out.array(3);
            reply_id(out, *id);
            let pending = group.pending().get(id);
            out.int(pending.map_or(0, |p| p.delivered_at_ms));
            out.int(pending.map_or(0, |p| i64::try_from(p.deliveries).unwrap_or(i64::MAX)));
        }
    }
}

fn groups(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let (stream, out) = find(ctx, args)?;
    out.array(stream.groups().len());
    for (name, group) in stream.groups() {
        out.map(6);
        out.bulk(b"name");
        out.bulk(name);
        int(out, "consumers", group.consumers().len() as u64);
        int(out, "pending", group.pending().len() as u64);
        position(out, stream, group);
    }
    Ok(())
}

fn consumers(ctx: &mut Ctx<'_>, args: Args<'_>) -> CmdResult {
    let now_ms = ctx.db.now_ms();
    let (stream, out) = find(ctx, args)?;
    let missing = || no_group_at(args.at(2), args.at(3));
    let group = stream.group(args.at(3)).ok_or_else(missing)?;
    let consumers = group.consumers();
    out.array(consumers.len());
    for consumer in consumers {
        out.map(3);
        out.bulk(b"name");
        out.bulk(&consumer.name);
        int(out, "pending", consumer.pending().len() as u64);
        out.bulk(b"idle");
        out.int(now_ms.saturating_sub(consumer.seen_at_ms).max(0));
    }
    Ok(())
}

fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> CmdResult {
    const LINES: &[&str] = &[
        "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CONSUMERS <key> <groupname>",
        "    Tell about the consumers of a group.",
        "GROUPS <key>",
        "    Tell about the groups of a stream.",
        "STREAM <key> [FULL [COUNT <count>]]",
        "    Tell about a stream, in full with entries, groups and consumers.",
        "HELP",
        "    Prints this help.",
    ];
    ctx.reply.array(LINES.len());
    LINES.iter().for_each(|line| ctx.reply.simple(line));
    Ok(())
}
