//! PUBSUB: who listens to what.

use ringstone_engine::cmd::{Arg, ArgKind, Flags, Group, Spec};
use ringstone_engine::{Args, Error, Reply};

use super::super::{Host, HostCommand, Outcome, help, wrong_subcommand};
use crate::pubsub::Kind;

pub(super) static PUBSUB: HostCommand = HostCommand {
    spec: Spec {
        name: "pubsub",
        arity: -2,
        group: Group::Pubsub,
        since: "2.8.0",
        complexity: "Depends on subcommand.",
        summary: "A container for commands about subscriptions.",
        ..Spec::DEFAULT
    },
    run: super::super::container,
    subs: &[&CHANNELS, &NUMPAT, &NUMSUB, &SHARDCHANNELS, &SHARDNUMSUB, &HELP],
};

const SUB: Spec = Spec {
    flags: Flags::PUBSUB.union(Flags::LOADING).union(Flags::STALE),
    group: Group::Pubsub,
    since: "2.8.0",
    ..Spec::DEFAULT
};

static CHANNELS: HostCommand = HostCommand {
    spec: Spec {
        name: "pubsub|channels",
        arity: -2,
        complexity: "O(N) where N is the number of active channels, and assuming constant time pattern matching (relatively short \
                     channels and patterns)",
        summary: "Lists channels that somebody listens to.",
        args: &[Arg::new("pattern", ArgKind::Pattern).optional()],
        ..SUB
    },
    run: |host, args| names(host, args, Kind::Channel),
    subs: &[],
};

static SHARDCHANNELS: HostCommand = HostCommand {
    spec: Spec {
        name: "pubsub|shardchannels",
        arity: -2,
        since: "7.0.0",
        complexity: "O(N) where N is the number of active shard channels, and assuming constant time pattern matching (relatively \
                     short shard channels).",
        summary: "Lists shard channels that somebody listens to.",
        args: &[Arg::new("pattern", ArgKind::Pattern).optional()],
        ..SUB
    },
    run: |host, args| names(host, args, Kind::ShardChannel),
    subs: &[],
};

fn names(host: &mut Host<'_>, args: Args<'_>, kind: Kind) -> Result<Outcome, Error> {
    if args.len() > 3 {
        return Err(wrong_subcommand("PUBSUB", args.at(1)));
    }
    let names = host.shard.shared.subscriptions.names(kind, args.get(2));
    let mut reply = host.reply();
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name));
    Ok(Outcome::Done)
}

static NUMSUB: HostCommand = HostCommand {
    spec: Spec {
        name: "pubsub|numsub",
        arity: -2,
        complexity: "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
        summary: "Tells how many listen to channels, patterns not counted.",
        args: &[Arg::new("channel", ArgKind::String).optional().multiple()],
        ..SUB
    },
    run: |host, args| numbers(host, args, Kind::Channel),
    subs: &[],
};

static SHARDNUMSUB: HostCommand = HostCommand {
    spec: Spec {
        name: "pubsub|shardnumsub",
        arity: -2,
        since: "7.0.0",
        complexity: "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
        summary: "Tells how many listen to shard channels.",
        args: &[Arg::new("shardchannel", ArgKind::String).optional().multiple()],
        ..SUB
    },
    run: |host, args| numbers(host, args, Kind::ShardChannel),
    subs: &[],
};

fn numbers(host: &mut Host<'_>, args: Args<'_>, kind: Kind) -> Result<Outcome, Error> {
    let shared = host.shard.shared.clone();
    let mut reply = host.reply();
    reply.array((args.len() - 2) * 2);
    for name in args.iter_from(2) {
        reply.bulk(name);
        reply.len(shared.subscriptions.subscribers(kind, name));
    }
    Ok(Outcome::Done)
}

static NUMPAT: HostCommand = HostCommand {
    spec: Spec {
        name: "pubsub|numpat",
        arity: 2,
        summary: "Tells how many patterns somebody listens to.",
        ..SUB
    },
    run: |host, _| {
        let count = host.shard.shared.subscriptions.len(Kind::Pattern);
        host.reply().len(count);
        Ok(Outcome::Done)
    },
    subs: &[],
};

static HELP: HostCommand = HostCommand {
    spec: Spec {
        name: "pubsub|help",
        arity: 2,
        flags: Flags::LOADING.union(Flags::STALE),
        since: "6.2.0",
        summary: "Lists the subcommands.",
        ..SUB
    },
    run: |host, _| {
        help(
            host,
            "PUBSUB",
            &[
                "CHANNELS [<pattern>]",
                "    Return the currently active channels matching a <pattern> (default: '*').",
                "NUMPAT",
                "    Return number of subscriptions to patterns.",
                "NUMSUB [<channel> ...]",
                "    Return the number of subscribers for the specified channels, excluding",
                "    pattern subscriptions(default: no channels).",
                "SHARDCHANNELS [<pattern>]",
                "    Return the currently active shard level channels matching a <pattern> (default: '*').",
                "SHARDNUMSUB [<shardchannel> ...]",
                "    Return the number of subscribers for the specified shard level channel(s)",
            ],
        )
    },
    subs: &[],
};
