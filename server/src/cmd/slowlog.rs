//! SLOWLOG, and COMMANDLOG, which has two further logs: of large requests and of large replies.

use ringstone_engine::cmd::{Acl, Arg, ArgKind, Flags, Group, Spec};
use ringstone_engine::num::parse_i64;
use ringstone_engine::{Args, Error, Tree};

use super::{Host, HostCommand, Outcome};
use crate::ask::ask_all;
use crate::measure::remembered::{Remembered, Why};

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&SLOWLOG, &COMMANDLOG];

/// Entries that SLOWLOG GET tells when no number is given.
const GET_DEFAULT: i64 = 10;

const SUB: Spec = Spec {
    arity: 2,
    flags: Flags::ADMIN.union(Flags::LOADING).union(Flags::STALE),
    acl: Acl::empty(),
    group: Group::Server,
    since: "2.2.12",
    ..Spec::DEFAULT
};

const NEWER_SUB: Spec = Spec { since: "8.1.0", ..SUB };

static SLOWLOG: HostCommand = HostCommand {
    spec: Spec {
        name: "slowlog",
        arity: -2,
        group: Group::Server,
        since: "2.2.12",
        complexity: "Depends on subcommand.",
        summary: "A container for commands about slow commands.",
        ..Spec::DEFAULT
    },
    run: super::container,
    subs: &[&SLOWLOG_GET, &SLOWLOG_LEN, &SLOWLOG_RESET, &SLOWLOG_HELP],
};

static SLOWLOG_GET: HostCommand = HostCommand {
    spec: Spec {
        name: "slowlog|get",
        arity: -2,
        complexity: "O(N) where N is the number of entries returned",
        summary: "Tells about the commands that took longest lately, newest first.",
        history: &[("4.0.0", "Added client IP address, port and name to the reply.")],
        tips: &["request_policy:all_nodes", "nondeterministic_output"],
        args: &[Arg::new("count", ArgKind::Integer).optional()],
        ..SUB
    },
    run: |host, args| {
        if args.len() > 3 {
            return Err(super::wrong_subcommand("SLOWLOG", args.at(1)));
        }
        let count = args.get(2).map_or(Ok(GET_DEFAULT), checked_count)?;
        get(host, Why::Slow, count)
    },
    subs: &[],
};

static SLOWLOG_LEN: HostCommand = HostCommand {
    spec: Spec {
        name: "slowlog|len",
        summary: "Tells how many slow commands are remembered.",
        tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
        ..SUB
    },
    run: |host, _| len(host, Why::Slow),
    subs: &[],
};

static SLOWLOG_RESET: HostCommand = HostCommand {
    spec: Spec {
        name: "slowlog|reset",
        complexity: "O(N) where N is the number of entries in the slowlog",
        summary: "Forgets the slow commands.",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..SUB
    },
    run: |host, _| reset(host, Why::Slow),
    subs: &[],
};

static SLOWLOG_HELP: HostCommand = HostCommand {
    spec: Spec {
        name: "slowlog|help",
        flags: Flags::LOADING.union(Flags::STALE),
        since: "6.2.0",
        summary: "Lists the subcommands.",
        ..SUB
    },
    run: |host, _| {
        super::help(
            host,
            "SLOWLOG",
            &[
                "GET [<count>]",
                "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
                "    Entries are made of:",
                "    id, timestamp, time in microseconds, arguments array, client IP and port,",
                "    client name",
                "LEN",
                "    Return the length of the slowlog.",
                "RESET",
                "    Reset the slowlog.",
            ],
        )
    },
    subs: &[],
};

static COMMANDLOG: HostCommand = HostCommand {
    spec: Spec {
        name: "commandlog",
        arity: -2,
        group: Group::Server,
        since: "8.1.0",
        complexity: "Depends on subcommand.",
        summary: "A container for commands about slow commands, large requests and large replies.",
        ..Spec::DEFAULT
    },
    run: super::container,
    subs: &[&COMMANDLOG_GET, &COMMANDLOG_LEN, &COMMANDLOG_RESET, &COMMANDLOG_HELP],
};

const TYPE: Arg = Arg::new("type", ArgKind::String);

static COMMANDLOG_GET: HostCommand = HostCommand {
    spec: Spec {
        name: "commandlog|get",
        arity: 4,
        complexity: "O(N) where N is the number of entries returned",
        summary: "Tells about the commands remembered for one reason, newest first.",
        tips: &["request_policy:all_nodes", "nondeterministic_output"],
        args: &[Arg::new("count", ArgKind::Integer), TYPE],
        ..NEWER_SUB
    },
    run: |host, args| {
        let (count, why) = (checked_count(args.at(2))?, why(args)?);
        get(host, why, count)
    },
    subs: &[],
};

static COMMANDLOG_LEN: HostCommand = HostCommand {
    spec: Spec {
        name: "commandlog|len",
        arity: 3,
        summary: "Tells how many commands are remembered for one reason.",
        tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
        args: &[TYPE],
        ..NEWER_SUB
    },
    run: |host, args| {
        let why = why(args)?;
        len(host, why)
    },
    subs: &[],
};

static COMMANDLOG_RESET: HostCommand = HostCommand {
    spec: Spec {
        name: "commandlog|reset",
        arity: 3,
        complexity: "O(N) where N is the number of entries in the commandlog",
        summary: "Forgets the commands remembered for one reason.",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        args: &[TYPE],
        ..NEWER_SUB
    },
    run: |host, args| {
        let why = why(args)?;
        reset(host, why)
    },
    subs: &[],
};

static COMMANDLOG_HELP: HostCommand = HostCommand {
    spec: Spec {
        name: "commandlog|help",
        flags: Flags::LOADING.union(Flags::STALE),
        summary: "Lists the subcommands.",
        ..NEWER_SUB
    },
    run: |host, _| {
        super::help(
            host,
            "COMMANDLOG",
            &[
                "GET <count> <type>",
                "    Return the newest <count> entries of the log <type> (-1: all):",
                "    id, timestamp, microseconds or bytes, arguments, client address, client name.",
                "    Types: slow, large-request, large-reply.",
                "LEN <type>",
                "    Return the length of the log.",
                "RESET <type>",
                "    Empty the log.",
            ],
        )
    },
    subs: &[],
};

fn checked_count(word: &[u8]) -> Result<i64, Error> {
    let count = parse_i64(word).ok_or(Error::NotInteger)?;
    if count >= -1 {
        Ok(count)
    } else {
        Err(Error::text("ERR count should be greater than or equal to -1"))
    }
}

/// The type that a COMMANDLOG subcommand names last.
fn why(args: Args<'_>) -> Result<Why, Error> {
    let named = Why::ALL.into_iter().find(|why| args.is(args.len() - 1, why.name()));
    named.ok_or(Error::text(
        "ERR type should be one of the following: slow, large-request, large-reply",
    ))
}

fn get(host: &mut Host<'_>, why: Why, count: i64) -> Result<Outcome, Error> {
    let max_len = why.max_len(&host.shard.config);
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(max_len);
    host.later(move |shard| async move {
        let lists = ask_all(&shard, move |there| {
            there.measure.memory.newest(why).take(count).cloned().collect::<Vec<_>>()
        })
        .await;
        let mut all: Vec<Remembered> = lists.into_iter().flatten().collect();
        all.sort_unstable_by_key(|one| std::cmp::Reverse(one.id()));
        Tree::Array(all.into_iter().take(count).map(Remembered::into_tree).collect())
    })
}

fn len(host: &mut Host<'_>, why: Why) -> Result<Outcome, Error> {
    let max_len = why.max_len(&host.shard.config);
    host.later(move |shard| async move {
        let lens = ask_all(&shard, move |there| there.measure.memory.newest(why).count()).await;
        let len = lens.into_iter().sum::<usize>().min(max_len);
        Tree::Int(i64::try_from(len).unwrap_or(i64::MAX))
    })
}

fn reset(host: &mut Host<'_>, why: Why) -> Result<Outcome, Error> {
    host.later(move |shard| async move {
        ask_all(&shard, move |there| there.measure.memory.forget(why)).await;
        Tree::Simple("OK".into())
    })
}
