//! A row as COMMAND DOCS has it.

use ringstone_engine::Reply;
use ringstone_engine::cmd::{Arg, ArgKind};

use crate::table::Entry;

/// Writes name and documentation of one command.
pub(super) fn write(entry: &Entry, reply: &mut dyn Reply) {
    let spec = entry.spec;
    let extra = usize::from(!spec.args.is_empty()) + usize::from(!entry.subs.is_empty());
    reply.bulk(spec.name.as_bytes());
    reply.map(4 + extra);
    for (name, text) in [
        ("summary", spec.summary),
        ("since", spec.since),
        ("group", spec.group.name()),
        ("complexity", spec.complexity),
    ] {
        reply.bulk(name.as_bytes());
        reply.bulk(text.as_bytes());
    }
    if !spec.args.is_empty() {
        reply.bulk(b"arguments");
        write_args(spec.args, reply);
    }
    if !entry.subs.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(entry.subs.len());
        entry.subs.iter().for_each(|(_, sub)| write(sub, reply));
    }
}

fn write_args(args: &[Arg], reply: &mut dyn Reply) {
    reply.array(args.len());
    for arg in args {
        let flags: Vec<&str> = [
            (arg.optional, "optional"),
            (arg.multiple, "multiple"),
            (arg.multiple_token, "multiple_token"),
        ]
        .iter()
        .filter(|(yes, _)| *yes)
        .map(|(_, name)| *name)
        .collect();
        let is_key = arg.kind == ArgKind::Key;
        let fields = 2
            + usize::from(is_key)
            + usize::from(arg.token.is_some())
            + usize::from(!flags.is_empty())
            + usize::from(!arg.args.is_empty());
        reply.map(fields);
        field("name", arg.name, reply);
        field("type", kind(arg.kind), reply);
        if is_key {
            reply.bulk(b"key_spec_index");
            reply.int(0);
        }
        if let Some(token) = arg.token {
            field("token", token, reply);
        }
        if !flags.is_empty() {
            reply.bulk(b"flags");
            reply.set(flags.len());
            flags.into_iter().for_each(|flag| reply.simple(flag));
        }
        if !arg.args.is_empty() {
            reply.bulk(b"arguments");
            write_args(arg.args, reply);
        }
    }
}

fn field(name: &str, value: &str, reply: &mut dyn Reply) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}

fn kind(kind: ArgKind) -> &'static str {
    match kind {
        ArgKind::Key => "key",
        ArgKind::String => "string",
        ArgKind::Integer => "integer",
        ArgKind::Double => "double",
        ArgKind::Pattern => "pattern",
        ArgKind::UnixTime => "unix-time",
        ArgKind::PureToken => "pure-token",
        ArgKind::OneOf => "oneof",
        ArgKind::Block => "block",
    }
}
