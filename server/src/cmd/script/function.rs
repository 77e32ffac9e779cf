//! FUNCTION.

use std::sync::Arc;

use ringstone_engine::cmd::{Acl, Arg, ArgKind, Flags, Group, Spec};
use ringstone_engine::error::word;
use ringstone_engine::{Args, Error, Reply, Tree};
use ringstone_script::Kind;

use crate::cmd::{Host, HostCommand, Outcome, container, help, wrong_subcommand};
use crate::script::{self, Library, LibraryChange, Policy, Running};

const ROW: Spec = Spec {
    flags: Flags::NOSCRIPT,
    acl: Acl::SCRIPTING,
    group: Group::Scripting,
    since: "7.0.0",
    ..Spec::DEFAULT
};
const WRITES: Flags = Flags::NOSCRIPT.union(Flags::WRITE);
const TO_ALL: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

pub(super) static FUNCTION: HostCommand = HostCommand {
    spec: Spec {
        name: "function",
        arity: -2,
        group: Group::Scripting,
        since: "7.0.0",
        complexity: "Depends on subcommand.",
        summary: "Commands about libraries of functions.",
        ..Spec::DEFAULT
    },
    run: container,
    subs: &[&DELETE, &DUMP, &FLUSH, &HELP, &KILL, &LIST, &LOAD, &RESTORE, &STATS],
};

/// The change that a command asks for; none of one that changes no libraries.
pub(crate) fn change_of(name: &str, args: Args<'_>) -> Option<Result<LibraryChange, Error>> {
    match name {
        "function|delete" => Some(Ok(LibraryChange::Delete(args.at(2).to_vec()))),
        "function|flush" => Some(flush_of(args)),
        "function|load" => Some(load_of(args)),
        "function|restore" => Some(restore_of(args)),
        _ => None,
    }
}

/// Whether a command, by its row's name, changes libraries.
pub(crate) fn changes_libraries(name: &str) -> bool {
    matches!(name, "function|delete" | "function|flush" | "function|load" | "function|restore")
}

/// The reply: OK, or the name of a library that was loaded.
pub(crate) fn changed_to_tree(changed: Result<Option<String>, Error>) -> Tree {
    match changed {
        Ok(Some(name)) => Tree::Bulk(name.into_bytes()),
        Ok(None) => Tree::Simple("OK".to_owned()),
        Err(error) => Tree::Error(error),
    }
}

fn change(host: &mut Host<'_>, change: Result<LibraryChange, Error>) -> Result<Outcome, Error> {
    let change = change?;
    host.later(
        move |shard| async move { changed_to_tree(script::change_alone(&shard, change).await) },
    )
}

static DELETE: HostCommand = HostCommand {
    spec: Spec {
        name: "function|delete",
        arity: 3,
        flags: WRITES,
        summary: "Removes a library.",
        args: &[Arg::new("library-name", ArgKind::String)],
        tips: TO_ALL,
        ..ROW
    },
    run: |host, args| change(host, Ok(LibraryChange::Delete(args.at(2).to_vec()))),
    subs: &[],
};

static DUMP: HostCommand = HostCommand {
    spec: Spec {
        name: "function|dump",
        arity: 2,
        complexity: "O(N) where N is the number of functions",
        summary: "Gives all libraries as a payload for FUNCTION RESTORE.",
        ..ROW
    },
    run: |host, _| {
        let payload = host.shard.shared.libraries.dump();
        host.reply().bulk(&payload);
        Ok(Outcome::Done)
    },
    subs: &[],
};

static FLUSH: HostCommand = HostCommand {
    spec: Spec {
        name: "function|flush",
        arity: -2,
        flags: WRITES,
        complexity: "O(N) where N is the number of functions deleted",
        summary: "Removes all libraries.",
        args: &[Arg::one_of("async", &[Arg::word("async", "ASYNC"), Arg::word("sync", "SYNC")])
            .optional()],
        tips: TO_ALL,
        ..ROW
    },
    run: |host, args| change(host, flush_of(args)),
    subs: &[],
};

fn flush_of(args: Args<'_>) -> Result<LibraryChange, Error> {
    if args.len() > 3 {
        return Err(wrong_subcommand("FUNCTION", args.at(1)));
    }
    if args.len() == 3 && !args.is(2, "SYNC") && !args.is(2, "ASYNC") {
        return Err(Error::text("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    Ok(LibraryChange::Flush)
}

static HELP: HostCommand = HostCommand {
    spec: Spec {
        name: "function|help",
        arity: 2,
        flags: Flags::LOADING.union(Flags::STALE),
        summary: "Tells about the subcommands.",
        ..ROW
    },
    run: |host, _| help(host, "FUNCTION", super::function_text::FUNCTION_HELP),
    subs: &[],
};

static KILL: HostCommand = HostCommand {
    spec: Spec {
        name: "function|kill",
        arity: 2,
        flags: Flags::NOSCRIPT.union(Flags::ALLOW_BUSY),
        summary: "Ends the function that runs.",
        tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
        ..ROW
    },
    run: |host, _| {
        host.shard.shared.running.kill(Kind::Functions)?;
        host.ok()
    },
    subs: &[],
};

static LIST: HostCommand = HostCommand {
    spec: Spec {
        name: "function|list",
        arity: -2,
        complexity: "O(N) where N is the number of functions",
        summary: "Tells about libraries and their functions.",
        args: &[
            Arg::new("library-name-pattern", ArgKind::String).token("LIBRARYNAME").optional(),
            Arg::word("withcode", "WITHCODE").optional(),
        ],
        tips: &["nondeterministic_output_order"],
        ..ROW
    },
    run: list,
    subs: &[],
};

fn list(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let (mut with_code, mut pattern, mut at) = (false, None, 2);
    while at < args.len() {
        if !with_code && args.is(at, "WITHCODE") {
            with_code = true;
        } else if pattern.is_none() && args.is(at, "LIBRARYNAME") {
            at += 1;
            let given = args.get(at);
            pattern = Some(given.ok_or(Error::text("ERR library name argument was not given"))?);
        } else {
            let unknown = word(args.at(at));
            return Err(Error::owned(format!("ERR Unknown argument {unknown}")));
        }
        at += 1;
    }
    let libraries = host.shard.shared.libraries.matching(pattern);
    let mut reply = host.reply();
    reply.array(libraries.len());
    libraries.iter().for_each(|library| show(&mut reply, library, with_code));
    Ok(Outcome::Done)
}

fn show(reply: &mut dyn Reply, library: &Arc<Library>, with_code: bool) {
    reply.map(if with_code { 4 } else { 3 });
    reply.bulk(b"library_name");
    reply.bulk(library.name.as_bytes());
    reply.bulk(b"engine");
    reply.bulk(b"LUA");
    reply.bulk(b"functions");
    reply.array(library.functions.len());
    for function in &library.functions {
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(function.name.as_bytes());
        reply.bulk(b"description");
        reply.bulk_or_null(function.description.as_ref().map(String::as_bytes));
        reply.bulk(b"flags");
        let flags: Vec<&str> = function.flags.names().collect();
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.simple(flag));
    }
    if with_code {
        reply.bulk(b"library_code");
        reply.bulk(&library.code);
    }
}

static LOAD: HostCommand = HostCommand {
    spec: Spec {
        name: "function|load",
        arity: -3,
        flags: WRITES.union(Flags::DENYOOM),
        complexity: "O(1) (considering compilation time is redundant)",
        summary: "Makes a library from its text.",
        args: &[
            Arg::word("replace", "REPLACE").optional(),
            Arg::new("function-code", ArgKind::String),
        ],
        tips: TO_ALL,
        ..ROW
    },
    run: |host, args| change(host, load_of(args)),
    subs: &[],
};

fn load_of(args: Args<'_>) -> Result<LibraryChange, Error> {
    let (mut replace, last) = (false, args.len() - 1);
    for at in 2..last {
        if !args.is(at, "REPLACE") {
            let unknown = word(args.at(at));
            return Err(Error::owned(format!("ERR Unknown option given: {unknown}")));
        }
        replace = true;
    }
    Ok(LibraryChange::Load(args.at(last).to_vec(), replace))
}

static RESTORE: HostCommand = HostCommand {
    spec: Spec {
        name: "function|restore",
        arity: -3,
        flags: WRITES.union(Flags::DENYOOM),
        complexity: "O(N) where N is the number of functions on the payload",
        summary: "Makes libraries from a payload of FUNCTION DUMP.",
        args: &[
            Arg::new("serialized-value", ArgKind::String),
            Arg::one_of(
                "policy",
                &[
                    Arg::word("flush", "FLUSH"),
                    Arg::word("append", "APPEND"),
                    Arg::word("replace", "REPLACE"),
                ],
            )
            .optional(),
        ],
        tips: TO_ALL,
        ..ROW
    },
    run: |host, args| change(host, restore_of(args)),
    subs: &[],
};

fn restore_of(args: Args<'_>) -> Result<LibraryChange, Error> {
    if args.len() > 4 {
        return Err(wrong_subcommand("FUNCTION", args.at(1)));
    }
    let policy = match args.len() {
        3 => Policy::Append,
        _ if args.is(3, "APPEND") => Policy::Append,
        _ if args.is(3, "REPLACE") => Policy::Replace,
        _ if args.is(3, "FLUSH") => Policy::Flush,
        _ => {
            return Err(Error::text(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
    };
    Ok(LibraryChange::Restore(args.at(2).to_vec(), policy))
}

static STATS: HostCommand = HostCommand {
    spec: Spec {
        name: "function|stats",
        arity: 2,
        flags: Flags::NOSCRIPT.union(Flags::ALLOW_BUSY),
        summary: "Tells about the function that runs, and the engine.",
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        ..ROW
    },
    run: |host, _| {
        let running = host.shard.shared.running.first();
        if let Some(running) = &running
            && running.kind == Kind::Scripts
        {
            return Err(running.busy_error());
        }
        let now_ms = crate::rt::clock::unix_ms();
        let (libraries, functions) = host.shard.shared.libraries.counts();
        let mut reply = host.reply();
        reply.map(2);
        reply.bulk(b"running_script");
        match running {
            Some(running) => show_running(&mut reply, &running, now_ms),
            None => reply.null(),
        }
        reply.bulk(b"engines");
        reply.map(1);
        reply.bulk(b"LUA");
        reply.map(2);
        reply.bulk(b"libraries_count");
        reply.len(libraries);
        reply.bulk(b"functions_count");
        reply.len(functions);
        Ok(Outcome::Done)
    },
    subs: &[],
};

fn show_running(reply: &mut dyn Reply, running: &Running, now_ms: i64) {
    reply.map(3);
    reply.bulk(b"name");
    reply.bulk(running.name.as_bytes());
    reply.bulk(b"command");
    let words = running.command.as_args();
    reply.array(words.len());
    words.iter_from(0).for_each(|word| reply.bulk(word));
    reply.bulk(b"duration_ms");
    reply.int(now_ms - running.since_ms);
}
