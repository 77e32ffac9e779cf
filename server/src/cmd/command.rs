//! COMMAND: the table of commands, told to clients.

mod docs;
mod rows;

use ringstone_engine::cmd::{Acl, Arg, ArgKind, Begin, Find, Flags, Group, KeySpec, Spec};
use ringstone_engine::glob;
use ringstone_engine::num::parse_i64;
use ringstone_engine::{ArgBuf, Args, Error, Reply};

use super::{Host, HostCommand, Outcome};
use crate::keys::keys_with_flags;
use crate::table::{Entry, Table};

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&COMMAND];

const SUB: Spec = Spec {
    flags: Flags::LOADING.union(Flags::STALE),
    acl: Acl::CONNECTION,
    group: Group::Server,
    since: "2.8.13",
    ..Spec::DEFAULT
};

static COMMAND: HostCommand = HostCommand {
    spec: Spec {
        name: "command",
        arity: -1,
        complexity: "O(N) where N is the total number of Redis commands",
        summary: "Tells about all commands.",
        tips: &["nondeterministic_output_order"],
        ..SUB
    },
    run: |host, _| {
        let all = Table::get().sorted();
        let mut reply = host.reply();
        reply.array(all.len());
        all.into_iter().for_each(|entry| rows::write(entry, &mut reply));
        Ok(Outcome::Done)
    },
    subs: &[&COUNT, &DOCS, &GETKEYS, &GETKEYSANDFLAGS, &HELP, &INFO, &LIST],
};

static COUNT: HostCommand = HostCommand {
    spec: Spec { name: "command|count", arity: 2, summary: "Counts the commands.", ..SUB },
    run: |host, _| {
        host.reply().len(Table::get().command_count());
        Ok(Outcome::Done)
    },
    subs: &[],
};

/// A command by `name` or `container|sub`.
fn find(name: &[u8]) -> Option<&'static Entry> {
    Table::get().find_full(name)
}

static INFO: HostCommand = HostCommand {
    spec: Spec {
        name: "command|info",
        arity: -2,
        complexity: "O(N) where N is the number of commands to look up",
        summary: "Tells about some commands.",
        history: &[("7.0.0", "Allowed to be called with no argument to get info on all commands.")],
        tips: &["nondeterministic_output_order"],
        args: &[Arg::new("command-name", ArgKind::String).optional().multiple()],
        ..SUB
    },
    run: |host, args| {
        if args.len() == 2 {
            return (COMMAND.run)(host, args);
        }
        let mut reply = host.reply();
        reply.array(args.len() - 2);
        for name in args.iter_from(2) {
            match find(name) {
                Some(entry) => rows::write(entry, &mut reply),
                None => reply.null(),
            }
        }
        Ok(Outcome::Done)
    },
    subs: &[],
};

static DOCS: HostCommand = HostCommand {
    spec: Spec {
        name: "command|docs",
        arity: -2,
        since: "7.0.0",
        complexity: "O(N) where N is the number of commands to look up",
        summary: "Tells what commands are for and what they take.",
        tips: &["nondeterministic_output_order"],
        args: &[Arg::new("command-name", ArgKind::String).optional().multiple()],
        ..SUB
    },
    run: |host, args| {
        let entries: Vec<&Entry> = if args.len() == 2 {
            Table::get().sorted()
        } else {
            args.iter_from(2).filter_map(find).collect()
        };
        let mut reply = host.reply();
        reply.map(entries.len());
        entries.into_iter().for_each(|entry| docs::write(entry, &mut reply));
        Ok(Outcome::Done)
    },
    subs: &[],
};

static LIST: HostCommand = HostCommand {
    spec: Spec {
        name: "command|list",
        arity: -2,
        since: "7.0.0",
        complexity: "O(N) where N is the total number of Redis commands",
        summary: "Names commands.",
        tips: &["nondeterministic_output_order"],
        args: &[Arg {
            optional: true,
            token: Some("FILTERBY"),
            ..Arg::one_of(
                "filterby",
                &[
                    Arg::new("module-name", ArgKind::String).token("MODULE"),
                    Arg::new("category", ArgKind::String).token("ACLCAT"),
                    Arg::new("pattern", ArgKind::Pattern).token("PATTERN"),
                ],
            )
        }],
        ..SUB
    },
    run: list,
    subs: &[],
};

fn list(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let takes: Box<dyn Fn(&Entry) -> bool> = match args.len() {
        2 => Box::new(|_| true),
        5 if args.is(2, "FILTERBY") && args.is(3, "MODULE") => Box::new(|_| false),
        5 if args.is(2, "FILTERBY") && args.is(3, "ACLCAT") => {
            let category = format!("@{}", String::from_utf8_lossy(args.at(4)).to_ascii_lowercase());
            Box::new(move |entry| entry.spec.acl_categories().contains(&category.as_str()))
        }
        5 if args.is(2, "FILTERBY") && args.is(3, "PATTERN") => {
            let pattern = args.at(4).to_vec();
            Box::new(move |entry| glob::matches_ignoring_case(&pattern, entry.spec.name.as_bytes()))
        }
        _ => return Err(Error::Syntax),
    };
    let tops = Table::get().sorted();
    let subs = tops.iter().flat_map(|top| top.subs.iter().map(|(_, sub)| sub));
    let names: Vec<&str> = tops
        .iter()
        .copied()
        .chain(subs)
        .filter(|entry| takes(entry))
        .map(|entry| entry.spec.name)
        .collect();
    let mut reply = host.reply();
    reply.array(names.len());
    names.into_iter().for_each(|name| reply.bulk(name.as_bytes()));
    Ok(Outcome::Done)
}

/// The command line that GETKEYS was given, its command and the positions of the keys.
fn keys_of<'a>(args: Args<'a>) -> Result<(&'static Entry, ArgBuf, Vec<usize>), Error> {
    let inner = ArgBuf::from_parts(args.iter_from(2));
    let line = inner.as_args();
    let top = Table::get().find(line.at(0)).ok_or(Error::text("ERR Invalid command specified"))?;
    let entry = if top.subs.is_empty() {
        top
    } else {
        top.sub(line).ok_or(Error::text("ERR Invalid command specified"))?
    };
    if entry.spec.keys.is_empty() {
        return Err(Error::text("ERR The command has no key arguments"));
    }
    if !entry.spec.arity_fits(line.len()) {
        return Err(Error::text("ERR Invalid number of arguments specified for command"));
    }
    let read = entry.spec.keys.iter().find_map(|spec| key_count(spec, line));
    let line = match &read {
        Some((_, line)) => line.as_args(),
        None => line,
    };
    let mut keys = entry
        .spec
        .key_positions(line)
        .map_err(|_| Error::text("ERR Invalid arguments specified for command"))?;
    if read.as_ref().is_some_and(|(count, _)| *count < 1) {
        keys.clear();
    }
    if keys.is_empty() && !entry.spec.flags.contains(Flags::NO_MANDATORY_KEYS) {
        return Err(Error::text("ERR Invalid arguments specified for command"));
    }
    Ok((entry, inner, keys.to_vec()))
}

/// Number of keys that an argument counts, if one does, and the line with just that number in its place: Redis reads here
/// as far as there are digits.
fn key_count(spec: &KeySpec, line: Args<'_>) -> Option<(i64, ArgBuf)> {
    let (Begin::Index(from), Find::KeyNum(offset, ..)) = (spec.begin, spec.find) else {
        return None;
    };
    let at = usize::try_from(from + offset).ok()?;
    let text = line.get(at)?;
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let count = text.get(..len).and_then(parse_i64).unwrap_or(0);
    let digits = count.to_string();
    let words = line.iter_from(0).enumerate();
    let words = words.map(|(i, word)| if i == at { digits.as_bytes() } else { word });
    Some((count, ArgBuf::from_parts(words)))
}

static GETKEYS: HostCommand = HostCommand {
    spec: Spec {
        name: "command|getkeys",
        arity: -4,
        complexity: "O(N) where N is the number of arguments to the command",
        summary: "Tells which arguments of a command line are keys.",
        ..SUB
    },
    run: |host, args| {
        let (_, line, keys) = keys_of(args)?;
        let mut reply = host.reply();
        reply.array(keys.len());
        keys.into_iter().for_each(|at| reply.bulk(line.as_args().at(at)));
        Ok(Outcome::Done)
    },
    subs: &[],
};

static GETKEYSANDFLAGS: HostCommand = HostCommand {
    spec: Spec {
        name: "command|getkeysandflags",
        arity: -4,
        since: "7.0.0",
        complexity: "O(N) where N is the number of arguments to the command",
        summary: "Tells which arguments of a command line are keys, and what happens to them.",
        ..SUB
    },
    run: |host, args| {
        let (entry, line, keys) = keys_of(args)?;
        let line = line.as_args();
        let keys = keys_with_flags(entry.spec, line, &keys);
        let mut reply = host.reply();
        reply.array(keys.len());
        for (at, flags) in keys {
            reply.array(2);
            reply.bulk(line.at(at));
            let names: Vec<&str> = rows::key_flag_names(flags).collect();
            reply.set(names.len());
            names.into_iter().for_each(|name| reply.simple(name));
        }
        Ok(Outcome::Done)
    },
    subs: &[],
};

static HELP: HostCommand = HostCommand {
    spec: Spec {
        name: "command|help",
        arity: 2,
        since: "5.0.0",
        summary: "Lists the subcommands.",
        ..SUB
    },
    run: |host, _| {
        super::help(
            host,
            "COMMAND",
            &[
                "(no subcommand)",
                "    Return details about all Redis commands.",
                "COUNT",
                "    Return the total number of commands in this Redis server.",
                "DOCS [<command-name> [...]]",
                "    Return documentation details about multiple Redis commands.",
                "GETKEYS <full-command>",
                "    Return the keys from a full Redis command.",
                "GETKEYSANDFLAGS <full-command>",
                "    Return the keys and the access flags from a full Redis command.",
                "INFO [<command-name> ...]",
                "    Return details about multiple Redis commands.",
                "LIST [FILTERBY <filter> <value>]",
                "    Return a list of all commands in this Redis server.",
            ],
        )
    },
    subs: &[],
};

#[cfg(test)]
mod tests;
