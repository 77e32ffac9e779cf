//! SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE and what ends them. Each name is confirmed by a push of its own, which CLIENT REPLY
//! does not keep back.

use ringstone_engine::cmd::{Arg, ArgKind, Flags, Group, KeyFlags, KeySpec, Spec};
use ringstone_engine::{Args, Error};

use super::super::{Host, HostCommand, Outcome};
use crate::conn::ReplyMode;
use crate::pubsub::Kind;

/// What all of them have in common.
const ANY: Spec = Spec {
    flags: Flags::PUBSUB.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE),
    group: Group::Pubsub,
    since: "2.0.0",
    ..Spec::DEFAULT
};

const SHARD_CHANNELS: &[KeySpec] = &[KeySpec::range(KeyFlags::NOT_KEY, 1, -1, 1)];

pub(super) static SUBSCRIBE: HostCommand = HostCommand {
    spec: Spec {
        name: "subscribe",
        arity: -2,
        complexity: "O(N) where N is the number of channels to subscribe to.",
        summary: "Listens to channels.",
        args: &[Arg::new("channel", ArgKind::String).multiple()],
        ..ANY
    },
    run: |host, args| begin(host, args, Kind::Channel),
    subs: &[],
};

pub(super) static UNSUBSCRIBE: HostCommand = HostCommand {
    spec: Spec {
        name: "unsubscribe",
        arity: -1,
        complexity: "O(N) where N is the number of clients already subscribed to a channel.",
        summary: "Stops listening to channels, or to all of them.",
        args: &[Arg::new("channel", ArgKind::String).optional().multiple()],
        ..ANY
    },
    run: |host, args| end(host, args, Kind::Channel),
    subs: &[],
};

pub(super) static PSUBSCRIBE: HostCommand = HostCommand {
    spec: Spec {
        name: "psubscribe",
        arity: -2,
        complexity: "O(N) where N is the number of patterns the client is already subscribed to.",
        summary: "Listens to all channels that match a pattern.",
        args: &[Arg {
            multiple: true,
            ..Arg::block("pattern", &[Arg::new("pattern", ArgKind::Pattern)])
        }],
        ..ANY
    },
    run: |host, args| begin(host, args, Kind::Pattern),
    subs: &[],
};

pub(super) static PUNSUBSCRIBE: HostCommand = HostCommand {
    spec: Spec {
        name: "punsubscribe",
        arity: -1,
        complexity: "O(N+M) where N is the number of patterns the client is already subscribed and M is the number of total patterns \
                     subscribed in the system (by any client).",
        summary: "Stops listening to patterns, or to all of them.",
        args: &[Arg::new("pattern", ArgKind::Pattern).optional().multiple()],
        ..ANY
    },
    run: |host, args| end(host, args, Kind::Pattern),
    subs: &[],
};

pub(super) static SSUBSCRIBE: HostCommand = HostCommand {
    spec: Spec {
        name: "ssubscribe",
        arity: -2,
        since: "7.0.0",
        complexity: "O(N) where N is the number of shard channels to subscribe to.",
        summary: "Listens to shard channels.",
        args: &[Arg::new("shardchannel", ArgKind::String).multiple()],
        keys: SHARD_CHANNELS,
        ..ANY
    },
    run: |host, args| begin(host, args, Kind::ShardChannel),
    subs: &[],
};

pub(super) static SUNSUBSCRIBE: HostCommand = HostCommand {
    spec: Spec {
        name: "sunsubscribe",
        arity: -1,
        since: "7.0.0",
        complexity: "O(N) where N is the number of clients already subscribed to a shard channel.",
        summary: "Stops listening to shard channels, or to all of them.",
        args: &[Arg::new("shardchannel", ArgKind::String).optional().multiple()],
        keys: SHARD_CHANNELS,
        ..ANY
    },
    run: |host, args| end(host, args, Kind::ShardChannel),
    subs: &[],
};

fn begin(host: &mut Host<'_>, args: Args<'_>, kind: Kind) -> Result<Outcome, Error> {
    args.iter_from(1).for_each(|name| host.shard.subscribe(host.conn, kind, name));
    Ok(pushed(host))
}

fn end(host: &mut Host<'_>, args: Args<'_>, kind: Kind) -> Result<Outcome, Error> {
    if args.len() == 1 {
        host.shard.unsubscribe_all(host.conn, kind);
    }
    args.iter_from(1).for_each(|name| host.shard.unsubscribe(host.conn, kind, name));
    Ok(pushed(host))
}

/// There is no reply that CLIENT REPLY could keep back.
fn pushed(host: &mut Host<'_>) -> Outcome {
    if host.conn.reply_mode == ReplyMode::Skip {
        host.conn.reply_mode = ReplyMode::On;
    }
    Outcome::Silent
}
