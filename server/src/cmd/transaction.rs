//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use std::sync::atomic::Ordering;

use ringstone_engine::cmd::{Acl, Arg, ArgKind, Flags, Group, KeyFlags, KeySpec, Spec};
use ringstone_engine::{Args, Error, Tree};

use super::{Host, HostCommand, Outcome};
use crate::ask::ask;
use crate::tx::multi::{Queue, Tx};
use crate::tx::watch::Dirty;

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&DISCARD, &EXEC, &MULTI, &UNWATCH, &WATCH];

const ROW: Spec = Spec {
    arity: 1,
    flags: Flags::NOSCRIPT
        .union(Flags::LOADING)
        .union(Flags::STALE)
        .union(Flags::FAST)
        .union(Flags::ALLOW_BUSY),
    acl: Acl::TRANSACTION,
    group: Group::Transactions,
    ..Spec::DEFAULT
};

static MULTI: HostCommand = HostCommand {
    spec: Spec {
        name: "multi",
        since: "1.2.0",
        summary: "Begins a transaction: commands are queued until EXEC.",
        ..ROW
    },
    run: |host, _| {
        if host.conn.is_queueing() {
            return Err(Error::text("ERR MULTI calls can not be nested"));
        }
        let queue = Queue::new(host.conn.db);
        host.conn.tx.get_or_insert_default().queue = Some(queue);
        host.ok()
    },
    subs: &[],
};

static EXEC: HostCommand = HostCommand {
    spec: Spec {
        name: "exec",
        flags: Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE).union(Flags::SKIP_SLOWLOG),
        since: "1.2.0",
        complexity: "Depends on commands in the transaction",
        summary: "Runs the commands queued since MULTI as one unit.",
        ..ROW
    },
    run: |host, args| host.shard.exec(host.conn, args),
    subs: &[],
};

static DISCARD: HostCommand = HostCommand {
    spec: Spec {
        name: "discard",
        since: "2.0.0",
        complexity: "O(N), when N is the number of queued commands",
        summary: "Forgets the commands queued since MULTI, and what is watched.",
        ..ROW
    },
    run: |host, _| {
        if !host.conn.is_queueing() {
            return Err(Error::text("ERR DISCARD without MULTI"));
        }
        host.shard.forget_tx(host.conn);
        host.ok()
    },
    subs: &[],
};

static UNWATCH: HostCommand = HostCommand {
    spec: Spec {
        name: "unwatch",
        since: "2.2.0",
        summary: "Forgets which keys are watched.",
        ..ROW
    },
    run: |host, _| {
        if !host.conn.in_exec {
            host.shard.forget_tx(host.conn);
        }
        host.ok()
    },
    subs: &[],
};

static WATCH: HostCommand = HostCommand {
    spec: Spec {
        name: "watch",
        arity: -2,
        keys: &[KeySpec::range(KeyFlags::RO, 1, -1, 1)],
        since: "2.2.0",
        complexity: "O(1) for every key.",
        summary: "Has EXEC do nothing if one of the keys was changed meanwhile.",
        args: &[Arg::new("key", ArgKind::Key).multiple()],
        ..ROW
    },
    run: watch,
    subs: &[],
};

fn watch(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    if host.conn.is_queueing() {
        return Err(Error::text("ERR WATCH inside MULTI is not allowed"));
    }
    let db = host.conn.db;
    let tx: &mut Tx = host.conn.tx.get_or_insert_default();
    if tx.dirty.load(Ordering::Acquire) {
        // EXEC will do nothing anyway.
        return host.ok();
    }
    let dirty = Dirty::clone(&tx.dirty);
    let mut elsewhere = Vec::new();
    for key in args.iter_from(1) {
        if tx.watched.iter().any(|(known, watched)| *known == db && watched == key) {
            continue;
        }
        tx.watched.push((db, key.to_vec()));
        let owner = host.shard.shared.slots.shard_of_key(key);
        if owner == host.shard.index {
            host.shard.watch_key(db, key.to_vec(), Dirty::clone(&dirty));
        } else {
            elsewhere.push((owner, key.to_vec()));
        }
    }
    if elsewhere.is_empty() {
        return host.ok();
    }
    let (id, names) = (host.conn.id, elsewhere.iter().map(|(_, key)| (db, key.clone())).collect());
    host.later(move |shard| async move {
        for (owner, key) in elsewhere {
            let dirty = Dirty::clone(&dirty);
            ask(&shard, owner, move |there| there.watch_key(db, key, dirty)).await;
        }
        let mut this = shard.borrow_mut();
        if this.conns.get(id).is_none() {
            // It went away meanwhile, and with it what would have ended the watching.
            this.unwatch(&Tx { queue: None, watched: names, dirty });
        }
        Tree::Simple("OK".into())
    })
}
