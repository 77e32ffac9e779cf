//! LATENCY: events that took long, and the distribution of commands' latencies.

mod doctor;
mod graph;
mod histogram;

use ringstone_engine::cmd::{Arg, ArgKind, Flags, Group, Spec};
use ringstone_engine::error::word;
use ringstone_engine::{Error, Tree};

use super::HostCommand;
use crate::ask::ask_all;
use crate::measure::latency::Events;
use crate::rt::clock;
use crate::shard::ShardRef;

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&LATENCY];

const SUB: Spec = Spec {
    flags: Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE),
    group: Group::Server,
    since: "2.8.13",
    tips: TIPS,
    ..Spec::DEFAULT
};

const TIPS: &[&str] =
    &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];

const EVENT: Arg = Arg::new("event", ArgKind::String);

static LATENCY: HostCommand = HostCommand {
    spec: Spec {
        name: "latency",
        arity: -2,
        group: Group::Server,
        since: "2.8.13",
        complexity: "Depends on subcommand.",
        summary: "A container for commands about what took long.",
        ..Spec::DEFAULT
    },
    run: super::container,
    subs: &[&DOCTOR, &GRAPH, &HISTOGRAM, &HISTORY, &LATEST, &RESET, &HELP],
};

/// The events of all shards.
async fn events(shard: &ShardRef) -> Events {
    let mut all = Events::default();
    ask_all(shard, |there| there.measure.events.clone()).await.iter().for_each(|e| all.merge(e));
    all
}

fn int(value: u64) -> Tree {
    Tree::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

static LATEST: HostCommand = HostCommand {
    spec: Spec {
        name: "latency|latest",
        arity: 2,
        summary: "Tells the latest sample of each event.",
        ..SUB
    },
    run: |host, _| {
        host.later(|shard| async move {
            let events = events(&shard).await;
            let latest = events.iter().filter_map(|(event, series)| {
                let (at_s, ms) = *series.samples.last()?;
                let event = Tree::Bulk(event.as_bytes().to_vec());
                Some(Tree::Array(vec![event, Tree::Int(at_s), int(ms), int(series.max_ms)]))
            });
            Tree::Array(latest.collect())
        })
    },
    subs: &[],
};

static HISTORY: HostCommand = HostCommand {
    spec: Spec {
        name: "latency|history",
        arity: 3,
        summary: "Tells the samples of an event.",
        args: &[EVENT],
        ..SUB
    },
    run: |host, args| {
        let event = args.at(2).to_vec();
        host.later(|shard| async move {
            let events = events(&shard).await;
            let samples = events.get(&event).map(|series| series.samples.clone());
            let pairs = samples.unwrap_or_default().into_iter();
            Tree::Array(pairs.map(|(at, ms)| Tree::Array(vec![Tree::Int(at), int(ms)])).collect())
        })
    },
    subs: &[],
};

static GRAPH: HostCommand = HostCommand {
    spec: Spec {
        name: "latency|graph",
        arity: 3,
        summary: "Draws the samples of an event.",
        args: &[EVENT],
        ..SUB
    },
    run: |host, args| {
        let event = args.at(2).to_vec();
        host.later(|shard| async move {
            let events = events(&shard).await;
            let name = word(&event);
            match events.get(&event) {
                Some(series) => {
                    let text = graph::draw(&name, series, clock::unix_ms() / 1000);
                    Tree::Verbatim("txt".into(), text.into_bytes())
                }
                None => Tree::Error(Error::owned(format!(
                    "ERR No samples available for event '{name}'"
                ))),
            }
        })
    },
    subs: &[],
};

static RESET: HostCommand = HostCommand {
    spec: Spec {
        name: "latency|reset",
        arity: -2,
        summary: "Forgets the samples of events.",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        args: &[EVENT.optional().multiple()],
        ..SUB
    },
    run: |host, args| {
        let named: Vec<Vec<u8>> = args.iter_from(2).map(<[u8]>::to_vec).collect();
        host.later(|shard| async move {
            let gone = ask_all(&shard, move |there| there.measure.events.forget(&named)).await;
            let mut gone: Vec<&str> = gone.into_iter().flatten().collect();
            gone.sort_unstable();
            gone.dedup();
            int(gone.len() as u64)
        })
    },
    subs: &[],
};

static DOCTOR: HostCommand = HostCommand {
    spec: Spec {
        name: "latency|doctor",
        arity: 2,
        summary: "Explains what took long, and what to do about it.",
        ..SUB
    },
    run: |host, _| {
        let config = host.shard.config.clone();
        host.later(|shard| async move {
            let events = events(&shard).await;
            let text = doctor::report(&events, &config);
            Tree::Verbatim("txt".into(), text.into_bytes())
        })
    },
    subs: &[],
};

static HISTOGRAM: HostCommand = HostCommand {
    spec: Spec {
        name: "latency|histogram",
        arity: -2,
        since: "7.0.0",
        complexity: "O(N) where N is the number of commands with latency information being retrieved.",
        summary: "Tells how the latencies of commands are distributed.",
        args: &[Arg::new("command", ArgKind::String).optional().multiple()],
        ..SUB
    },
    run: histogram::run,
    subs: &[],
};

static HELP: HostCommand = HostCommand {
    spec: Spec {
        name: "latency|help",
        arity: 2,
        flags: Flags::LOADING.union(Flags::STALE),
        summary: "Lists the subcommands.",
        tips: &[],
        ..SUB
    },
    run: |host, _| {
        super::help(
            host,
            "LATENCY",
            &[
                "DOCTOR",
                "    Return a human readable latency analysis report.",
                "GRAPH <event>",
                "    Return an ASCII latency graph for the <event> class.",
                "HISTORY <event>",
                "    Return time-latency samples for the <event> class.",
                "LATEST",
                "    Return the latest latency samples for all events.",
                "RESET [<event> ...]",
                "    Reset latency data of one or more <event> classes.",
                "    (default: reset all data for all event classes)",
                "HISTOGRAM [COMMAND ...]",
                "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
                "    If no commands are specified then all histograms are replied.",
            ],
        )
    },
    subs: &[],
};
