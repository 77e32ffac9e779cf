//! REPLCONF, SYNC and PSYNC: what a replica says.

use ringstone_engine::cmd::{Arg, ArgKind, Flags, Group, Spec};
use ringstone_engine::num::parse_i64;
use ringstone_engine::{Args, Error};

use super::super::{Host, HostCommand, Outcome};
use crate::replication::configure;

const FOLLOW: Spec = Spec {
    flags: Flags::ADMIN
        .union(Flags::NOSCRIPT)
        .union(Flags::NO_ASYNC_LOADING)
        .union(Flags::NO_MULTI),
    group: Group::Server,
    complexity: "",
    ..Spec::DEFAULT
};

pub(super) static REPLCONF: HostCommand = HostCommand {
    spec: Spec {
        name: "replconf",
        arity: -1,
        flags: Flags::ADMIN
            .union(Flags::NOSCRIPT)
            .union(Flags::LOADING)
            .union(Flags::STALE)
            .union(Flags::ALLOW_BUSY),
        group: Group::Server,
        since: "3.0.0",
        is_internal: true,
        summary: "What replicas use to tell about themselves.",
        ..Spec::DEFAULT
    },
    run: replconf,
    subs: &[],
};

fn replconf(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    if args.len().is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    for at in (1..args.len()).step_by(2) {
        if args.is(at, "ack") {
            if let Some(offset) = parse_i64(args.at(at + 1)).and_then(|n| u64::try_from(n).ok()) {
                host.shard.acknowledge(host.conn, offset);
            }
            return Ok(Outcome::Silent);
        }
        if args.is(at, "getack") {
            // Only a primary is answered.
            return Ok(Outcome::Silent);
        }
        configure(host.conn.replica.get_or_insert_default(), args, at)?;
    }
    host.ok()
}

pub(super) static SYNC: HostCommand = HostCommand {
    spec: Spec {
        name: "sync",
        arity: 1,
        summary: "What replicas use to get everything, and all changes from there on.",
        ..FOLLOW
    },
    run: |host, _| follow(host, None),
    subs: &[],
};

pub(super) static PSYNC: HostCommand = HostCommand {
    spec: Spec {
        name: "psync",
        arity: -3,
        since: "2.8.0",
        summary: "What replicas use to get all changes from an offset on.",
        args: &[Arg::new("replicationid", ArgKind::String), Arg::new("offset", ArgKind::Integer)],
        ..FOLLOW
    },
    run: |host, args| {
        let next = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
        if args.is(3, "failover") {
            return Err(Error::text("ERR Ringstone cannot become a replica"));
        }
        follow(host, Some((args.at(1), u64::try_from(next).ok())))
    },
    subs: &[],
};

fn follow(host: &mut Host<'_>, asks: Option<(&[u8], Option<u64>)>) -> Result<Outcome, Error> {
    if !host.conn.is_replica() {
        host.shard.begin_following(host.conn, asks)?;
    }
    Ok(Outcome::Silent)
}
