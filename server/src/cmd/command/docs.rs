//! A row as COMMAND DOCS has it.

use ringstone_engine::Reply;
use ringstone_engine::cmd::{Arg, ArgKind, Begin, Spec};

use crate::table::Entry;

/// Writes name and documentation of one command.
pub(super) fn write(entry: &Entry, reply: &mut dyn Reply) {
    let spec = entry.spec;
    let texts = [
        ("summary", spec.summary),
        ("since", spec.since),
        ("group", spec.group.name()),
        ("complexity", spec.complexity),
    ];
    let texts = texts.iter().filter(|(_, text)| !text.is_empty());
    let flags = [(spec.deprecated.is_some(), "deprecated"), (spec.is_internal, "syscmd")];
    let flags = flags.iter().filter(|(yes, _)| *yes);
    reply.bulk(spec.name.as_bytes());
    reply.map(
        texts.clone().count()
            + usize::from(flags.clone().count() > 0)
            + 2 * usize::from(spec.deprecated.is_some())
            + usize::from(!spec.history.is_empty())
            + usize::from(!spec.args.is_empty())
            + usize::from(!entry.subs.is_empty()),
    );
    texts.for_each(|(name, text)| field(name, text, reply));
    if flags.clone().count() > 0 {
        reply.bulk(b"doc_flags");
        reply.set(flags.clone().count());
        flags.for_each(|(_, flag)| reply.simple(flag));
    }
    if let Some((since, instead)) = spec.deprecated {
        field("deprecated_since", since, reply);
        field("replaced_by", instead, reply);
    }
    if !spec.history.is_empty() {
        reply.bulk(b"history");
        reply.set(spec.history.len());
        for (version, change) in spec.history {
            reply.array(2);
            reply.bulk(version.as_bytes());
            reply.bulk(change.as_bytes());
        }
    }
    if !spec.args.is_empty() {
        reply.bulk(b"arguments");
        write_args(spec.args, &mut KeySpecs::of(spec), reply);
    }
    if !entry.subs.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(entry.subs.len());
        entry.subs.iter().for_each(|(_, sub)| write(sub, reply));
    }
}

/// Which key specification an argument belongs to: they stand in the order of the arguments. Patterns that make up names of
/// keys share one, which cannot say where those are.
struct KeySpecs {
    last: usize,
    next: usize,
    patterns: Option<usize>,
    has_patterns: bool,
}

impl KeySpecs {
    fn of(spec: &Spec) -> KeySpecs {
        let has_patterns = spec.keys.iter().any(|key| matches!(key.begin, Begin::Unknown));
        KeySpecs { last: spec.keys.len().saturating_sub(1), next: 0, patterns: None, has_patterns }
    }

    fn index(&mut self, arg: &Arg) -> Option<usize> {
        match (arg.kind, self.patterns) {
            (ArgKind::Key, _) => Some(self.take()),
            (ArgKind::Pattern, None) if self.has_patterns => {
                self.patterns = Some(self.take());
                self.patterns
            }
            (ArgKind::Pattern, shared) => shared,
            _ => None,
        }
    }

    fn take(&mut self) -> usize {
        let index = self.next.min(self.last);
        self.next += 1;
        index
    }
}

fn write_args(args: &[Arg], keys: &mut KeySpecs, reply: &mut dyn Reply) {
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
        let key = keys.index(arg);
        let fields = 2
            + usize::from(key.is_some())
            + usize::from(arg.token.is_some())
            + usize::from(arg.since.is_some())
            + usize::from(arg.deprecated_since.is_some())
            + usize::from(!flags.is_empty())
            + usize::from(!arg.args.is_empty());
        reply.map(fields);
        field("name", arg.name, reply);
        field("type", kind(arg.kind), reply);
        if let Some(index) = key {
            reply.bulk(b"key_spec_index");
            reply.len(index);
        }
        if let Some(token) = arg.token {
            field("token", token, reply);
        }
        if let Some(version) = arg.since {
            field("since", version, reply);
        }
        if let Some(version) = arg.deprecated_since {
            field("deprecated_since", version, reply);
        }
        if !flags.is_empty() {
            reply.bulk(b"flags");
            reply.set(flags.len());
            flags.into_iter().for_each(|flag| reply.simple(flag));
        }
        if !arg.args.is_empty() {
            reply.bulk(b"arguments");
            write_args(arg.args, keys, reply);
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
