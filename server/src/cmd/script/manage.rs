//! SCRIPT.

use std::sync::Arc;

use ringstone_engine::cmd::{Acl, Arg, ArgKind, Flags, Group, Spec};
use ringstone_engine::{Error, Reply};
use ringstone_script::{Kind, sha1_hex};

use crate::cmd::{HostCommand, Outcome, container, help};
use crate::script::Script;

const ROW: Spec = Spec {
    flags: Flags::NOSCRIPT,
    acl: Acl::SCRIPTING,
    group: Group::Scripting,
    since: "2.6.0",
    ..Spec::DEFAULT
};

pub(super) static SCRIPT: HostCommand = HostCommand {
    spec: Spec {
        name: "script",
        arity: -2,
        group: Group::Scripting,
        since: "2.6.0",
        complexity: "Depends on subcommand.",
        summary: "Commands about the cache of scripts.",
        ..Spec::DEFAULT
    },
    run: container,
    subs: &[&EXISTS, &FLUSH, &HELP, &KILL, &LOAD, &SHOW],
};

static EXISTS: HostCommand = HostCommand {
    spec: Spec {
        name: "script|exists",
        arity: -3,
        complexity: "O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).",
        summary: "Tells which scripts are cached.",
        args: &[Arg::new("sha1", ArgKind::String).multiple()],
        tips: &["request_policy:all_shards", "response_policy:agg_logical_and"],
        ..ROW
    },
    run: |host, args| {
        let found: Vec<bool> = args
            .iter_from(2)
            .map(|sha| {
                let sha = String::from_utf8_lossy(sha).to_ascii_lowercase();
                host.shard.shared.scripts.find(&sha).is_some()
            })
            .collect();
        let mut reply = host.reply();
        reply.array(found.len());
        found.iter().for_each(|found| reply.int(i64::from(*found)));
        Ok(Outcome::Done)
    },
    subs: &[],
};

static FLUSH: HostCommand = HostCommand {
    spec: Spec {
        name: "script|flush",
        arity: -2,
        complexity: "O(N) with N being the number of scripts in cache",
        summary: "Empties the cache of scripts.",
        history: &[("6.2.0", "Added the `ASYNC` and `SYNC` flushing mode modifiers.")],
        args: &[Arg::one_of("async", &[Arg::word("async", "ASYNC"), Arg::word("sync", "SYNC")])
            .optional()
            .since("6.2.0")],
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..ROW
    },
    run: |host, args| {
        // Nothing waits for the shards to drop what is flushed; one whose script runs just now drops it later.
        let fits =
            args.len() == 2 || args.len() == 3 && (args.is(2, "SYNC") || args.is(2, "ASYNC"));
        if !fits {
            return Err(Error::text("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
        }
        host.shard.shared.scripts.flush();
        for shard in 0..host.shard.shards() {
            host.shard.call(shard, crate::shard::Shard::notice_flush);
        }
        host.ok()
    },
    subs: &[],
};

static HELP: HostCommand = HostCommand {
    spec: Spec {
        name: "script|help",
        arity: 2,
        flags: Flags::LOADING.union(Flags::STALE),
        since: "5.0.0",
        summary: "Tells about the subcommands.",
        ..ROW
    },
    run: |host, _| help(host, "SCRIPT", super::function_text::SCRIPT_HELP),
    subs: &[],
};

static KILL: HostCommand = HostCommand {
    spec: Spec {
        name: "script|kill",
        arity: 2,
        flags: Flags::NOSCRIPT.union(Flags::ALLOW_BUSY),
        summary: "Ends the script that runs.",
        tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
        ..ROW
    },
    run: |host, _| {
        host.shard.shared.running.kill(Kind::Scripts)?;
        host.ok()
    },
    subs: &[],
};

static LOAD: HostCommand = HostCommand {
    spec: Spec {
        name: "script|load",
        arity: 3,
        flags: Flags::NOSCRIPT.union(Flags::STALE),
        complexity: "O(N) with N being the length in bytes of the script body.",
        summary: "Caches a script without running it.",
        args: &[Arg::new("script", ArgKind::String)],
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..ROW
    },
    run: |host, args| {
        let sha = sha1_hex(args.at(2));
        if host.shard.shared.scripts.find(&sha).is_none() {
            let script = Script::new(args.at(2));
            let script = Arc::new(script.map_err(|why| Error::owned(format!("ERR {why}")))?);
            host.shard.check_script(&sha, &script)?;
            host.shard.shared.scripts.add(&sha, script);
        }
        host.reply().bulk(sha.as_bytes());
        Ok(Outcome::Done)
    },
    subs: &[],
};

static SHOW: HostCommand = HostCommand {
    spec: Spec {
        name: "script|show",
        arity: 3,
        since: "8.0.0",
        complexity: "O(1).",
        summary: "Tells the text of a cached script.",
        args: &[Arg::new("sha1", ArgKind::String)],
        ..ROW
    },
    run: |host, args| {
        let sha = String::from_utf8_lossy(args.at(2)).to_ascii_lowercase();
        let script = host.shard.shared.scripts.find(&sha);
        let script = script.ok_or(Error::text("NOSCRIPT No matching script. Please use EVAL."))?;
        host.reply().bulk(&script.body);
        Ok(Outcome::Done)
    },
    subs: &[],
};
