//! ROLE, WAIT and WAITAOF; and what replicas say.

mod follow;

use std::time::{Duration, Instant};

use ringstone_engine::cmd::{Acl, Arg, ArgKind, Flags, Group, Spec};
use ringstone_engine::num::parse_i64;
use ringstone_engine::{Args, Error, Tree};
use ringstone_peer::replication::{Replica, Source, Stage};

use super::{Host, HostCommand, Outcome};
use crate::ask::{ask, ask_all};
use crate::conn::ConnId;
use crate::replication::ReplicaId;
use crate::rt::exec::sleep;
use crate::shard::ShardRef;

/// The family's commands.
pub const COMMANDS: &[&HostCommand] =
    &[&ROLE, &WAIT, &WAITAOF, &follow::REPLCONF, &follow::SYNC, &follow::PSYNC];

/// How often one who waits looks again.
const LOOK: Duration = Duration::from_millis(2);

static ROLE: HostCommand = HostCommand {
    spec: Spec {
        name: "role",
        arity: 1,
        flags: Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE).union(Flags::FAST),
        acl: Acl::ADMIN.union(Acl::DANGEROUS),
        group: Group::Server,
        since: "2.8.12",
        summary: "Tells whether the server is a master or a replica.",
        ..Spec::DEFAULT
    },
    run: |host, _| {
        host.later(|shard| async move {
            ask(&shard, 0, |first| role(first.replication.source())).await.unwrap_or(Tree::Null)
        })
    },
    subs: &[],
};

static WAIT: HostCommand = HostCommand {
    spec: Spec {
        name: "wait",
        arity: 3,
        flags: Flags::NOSCRIPT,
        acl: Acl::CONNECTION,
        since: "3.0.0",
        summary: "Waits until replicas have what the connection wrote.",
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        args: &[Arg::new("numreplicas", ArgKind::Integer), Arg::new("timeout", ArgKind::Integer)],
        ..Spec::DEFAULT
    },
    run: |host, args| {
        let replicas = parse_i64(args.at(1)).ok_or(Error::NotInteger)?;
        let until = deadline(args.at(2))?;
        let (id, in_exec, wrote) = (host.conn.id, host.conn.in_exec, host.conn.wrote);
        host.later(move |shard| async move {
            let target = if wrote { written_offset(&shard, in_exec).await } else { 0 };
            let mut have = replicas_with(&shard, target).await;
            if have < replicas && !in_exec {
                ask(&shard, 0, |first| first.ask_replicas()).await;
                while have < replicas && may_wait(&shard, id, until) {
                    sleep(LOOK).await;
                    have = replicas_with(&shard, target).await;
                }
            }
            Tree::Int(have)
        })
    },
    subs: &[],
};

static WAITAOF: HostCommand = HostCommand {
    spec: Spec {
        name: "waitaof",
        arity: 4,
        flags: Flags::NOSCRIPT,
        acl: Acl::CONNECTION,
        since: "7.2.0",
        summary: "Waits until what the connection wrote is durable here and on replicas.",
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        args: &[
            Arg::new("numlocal", ArgKind::Integer),
            Arg::new("numreplicas", ArgKind::Integer),
            Arg::new("timeout", ArgKind::Integer),
        ],
        ..Spec::DEFAULT
    },
    run: wait_durable,
    subs: &[],
};

fn wait_durable(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let local = parse_i64(args.at(1)).ok_or(Error::NotInteger)?;
    if !(0..=1).contains(&local) {
        return Err(Error::text("ERR value is out of range, value must between 0 and 1"));
    }
    let replicas = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    if replicas < 0 {
        return Err(Error::NotPositive);
    }
    let until = deadline(args.at(3))?;
    if local > 0 && !host.shard.commit.has_log() {
        return Err(Error::text(
            "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
        ));
    }
    let (id, in_exec, wrote) = (host.conn.id, host.conn.in_exec, host.conn.wrote);
    let has_log = host.shard.commit.has_log();
    // What replicas have on their disks no replica tells a Redis 7.0.
    host.later(move |shard| async move {
        let target = if wrote { last_gsn(&shard).await } else { 0 };
        let is_durable = || has_log && shard.borrow().shared.watermarks.synced() >= target;
        let is_met = || i64::from(is_durable()) >= local && replicas == 0;
        while !in_exec && !is_met() && may_wait(&shard, id, until) {
            sleep(LOOK).await;
        }
        Tree::Array(vec![Tree::Int(i64::from(is_durable())), Tree::Int(0)])
    })
}

fn role(source: &Source<ReplicaId>) -> Tree {
    let bulk = |text: String| Tree::Bulk(text.into_bytes());
    let online = source.replicas().filter(|(_, replica)| replica.stage == Stage::Online);
    let replicas = online.map(|(_, replica)| {
        let Replica { ip, port, offset, .. } = replica;
        Tree::Array(vec![bulk(ip.clone()), bulk(port.to_string()), bulk(offset.to_string())])
    });
    let replicas = Tree::Array(replicas.collect());
    let offset = i64::try_from(source.offset()).unwrap_or(i64::MAX);
    Tree::Array(vec![Tree::Bulk(b"master".to_vec()), Tree::Int(offset), replicas])
}

/// An offset of the stream behind everything that anybody has written so far. `in_exec`: a transaction keeps batches open, so that
/// what is still in them is not waited for.
async fn written_offset(shard: &ShardRef, in_exec: bool) -> u64 {
    if !in_exec {
        close_batches(shard).await;
    }
    let next = shard.borrow().shared.replication.next_chunk();
    loop {
        let offset = ask(shard, 0, move |first| {
            let source = first.replication.source();
            let is_there = in_exec || !source.is_active() || source.next_chunk() >= next;
            is_there.then(|| source.offset())
        });
        match offset.await {
            Some(Some(offset)) => return offset,
            Some(None) => sleep(LOOK).await,
            None => return 0,
        }
    }
}

async fn replicas_with(shard: &ShardRef, offset: u64) -> i64 {
    let have = ask(shard, 0, move |first| first.replication.source().have(offset)).await;
    i64::try_from(have.unwrap_or(0)).unwrap_or(i64::MAX)
}

/// Waits until every batch that was open is closed.
async fn close_batches(shard: &ShardRef) {
    loop {
        // A batch cannot be closed while a transaction holds it.
        let closed = ask_all(shard, |there| {
            there.close_batch();
            there.keyspace.effects.is_empty()
        });
        if closed.await.into_iter().all(|closed| closed) {
            break;
        }
        sleep(LOOK).await;
    }
}

/// The number of the last batch that anybody has logged: whatever the connection wrote is not behind it.
async fn last_gsn(shard: &ShardRef) -> u64 {
    close_batches(shard).await;
    shard.borrow().shared.watermarks.next_gsn().saturating_sub(1)
}

fn may_wait(shard: &ShardRef, id: ConnId, until: Option<Instant>) -> bool {
    let mut this = shard.borrow_mut();
    let is_there = this.conns.get(id).is_some_and(|conn| !conn.closing);
    is_there && !this.stopping && until.is_none_or(|until| Instant::now() < until)
}

/// When a timeout in ms is over; 0 = never.
fn deadline(word: &[u8]) -> Result<Option<Instant>, Error> {
    let ms = parse_i64(word).ok_or(Error::text("ERR timeout is not an integer or out of range"))?;
    let ms = u64::try_from(ms).map_err(|_| Error::text("ERR timeout is negative"))?;
    if ms == 0 {
        return Ok(None);
    }
    let until = Instant::now().checked_add(Duration::from_millis(ms));
    until.map(Some).ok_or(Error::text("ERR timeout is out of range"))
}
