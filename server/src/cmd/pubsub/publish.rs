//! PUBLISH and SPUBLISH.

use ringstone_engine::cmd::{Arg, ArgKind, Flags, Group, KeyFlags, KeySpec, Spec};
use ringstone_engine::{Args, Error, Reply};

use super::super::{Host, HostCommand, Outcome};
use crate::conn::ReplyMode;
use crate::flow::execute::RespReply;
use crate::msg::Msg;
use crate::pubsub::Kind;

const ANY: Spec = Spec {
    arity: 3,
    flags: Flags::PUBSUB
        .union(Flags::LOADING)
        .union(Flags::STALE)
        .union(Flags::FAST)
        .union(Flags::MAY_REPLICATE),
    group: Group::Pubsub,
    ..Spec::DEFAULT
};

pub(super) static PUBLISH: HostCommand = HostCommand {
    spec: Spec {
        name: "publish",
        since: "2.0.0",
        complexity: "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number of \
                     subscribed patterns (by any client).",
        summary: "Sends a message to the listeners of a channel.",
        args: &[Arg::new("channel", ArgKind::String), Arg::new("message", ArgKind::String)],
        ..ANY
    },
    run: |host, args| publish(host, args, Kind::Channel),
    subs: &[],
};

pub(super) static SPUBLISH: HostCommand = HostCommand {
    spec: Spec {
        name: "spublish",
        since: "7.0.0",
        complexity: "O(N) where N is the number of clients subscribed to the receiving shard channel.",
        summary: "Sends a message to the listeners of a shard channel.",
        args: &[Arg::new("shardchannel", ArgKind::String), Arg::new("message", ArgKind::String)],
        keys: &[KeySpec::one(KeyFlags::NOT_KEY)],
        ..ANY
    },
    run: |host, args| publish(host, args, Kind::ShardChannel),
    subs: &[],
};

fn publish(host: &mut Host<'_>, args: Args<'_>, kind: Kind) -> Result<Outcome, Error> {
    let receivers = host.shard.publish(kind, args.at(1), args.at(2));
    host.shard.tell_replicas(host.conn.db, args);
    // Whoever listens to himself hears his message before he is answered.
    if host.conn.in_exec {
        // Within EXEC's reply there is no place for it; nor may the answer come later.
        host.reply().len(receivers);
        return Ok(Outcome::Done);
    }
    host.shard.push_late(host.conn);
    if host.conn.reply_mode != ReplyMode::On {
        // Taking the reply back would take the message back as well.
        if host.conn.reply_mode == ReplyMode::Skip {
            host.conn.reply_mode = ReplyMode::On;
        }
        return Ok(Outcome::Silent);
    }
    if let Some(behind) = host.shard.mesh.crowded() {
        answer_from(host, behind, receivers);
        return Ok(Outcome::Silent);
    }
    host.reply().len(receivers);
    Ok(Outcome::Done)
}

/// The answer takes the way of the messages, so that a publisher is no faster than the shards that deliver.
fn answer_from(host: &mut Host<'_>, shard: usize, receivers: usize) {
    let mut bytes = Vec::new();
    RespReply::new(&mut bytes, host.conn.resp3).len(receivers);
    let (origin, conn, number) = (host.shard.index, host.conn.id, host.conn.expect_reply());
    host.shard.call(shard, move |there| {
        there.mesh.send(origin, Msg::HopReply { conn, number, bytes });
    });
}
