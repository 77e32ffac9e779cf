//! Commands whose keys lie on several shards: the keys come here, the command runs, the keys go home.

use ringstone_engine::cmd::Flags;
use ringstone_engine::{ArgBuf, Args, Effects, Error};
use ringstone_persist::log::FrameKind;
use std::sync::atomic::Ordering;

use super::held::{Call, Held, ReadKeys};
use crate::blocked::Asker;
use crate::conn::{BatchId, Conn};
use crate::flow::execute::RespReply;
use crate::flow::route::key_hash;
use crate::msg::TxEnd;
use crate::observe::Touched;
use crate::shard::Shard;
use crate::table::Entry;
use crate::tracking::Client;

impl Shard {
    /// Starts a command whose keys lie on several shards, or which needs the whole keyspace; the connection waits for it.
    pub(crate) fn start_transaction(
        &mut self,
        conn: &mut Conn,
        entry: &'static Entry,
        args: Args<'_>,
    ) {
        let Some(me) = self.me() else { return };
        self.stats.transactions += 1;
        conn.stand_by_task();
        let (id, db, resp3, no_touch) = (conn.id, conn.db, conn.resp3, conn.no_touch);
        let keys = self.lent_keys(db, entry, args);
        let caller = conn.caller(self.index);
        let (whole, args) = (self.needs_whole(entry, args), ArgBuf::from(args));
        self.queues.spawn(async move {
            let held = if whole { Held::whole(&me).await } else { Held::keys(&me, keys).await };
            let mut held = match held {
                Ok(held) => held,
                Err(busy) => return me.borrow_mut().reject_late(id, entry, &busy),
            };
            held.set_caller(caller);
            let mut bytes = Vec::new();
            let call = Call { db, resp3, no_touch, entry, args: args.as_args() };
            let mut reply = RespReply::new(&mut bytes, resp3);
            let mut waits = None;
            if entry.spec.flags.contains(Flags::BLOCKING) {
                if let Err(Error::WouldBlock(block)) = held.run_or_wait(&call, &mut reply) {
                    waits = Some(block);
                }
            } else {
                held.run_any(&call, &mut reply).await;
            }
            let Some(block) = waits else {
                me.borrow_mut().remember_of(id, entry, call.args, bytes.len());
                let batch = held.end();
                return me.borrow_mut().finish_raw(id, &bytes, batch);
            };
            let home = me.borrow().index;
            let args = call.args;
            let asker = Asker { home, conn: id, entry, args, db, resp3, no_touch, caller };
            me.borrow_mut().wait_on_several(asker, *block);
            held.end();
        });
    }

    /// A transaction is over: its keys come home and the next in their queues goes on.
    pub(crate) fn on_tx_end(&mut self, end: TxEnd) {
        let TxEnd { number, gsn, entries, touched, read, author } = end;
        if let Some(gsn) = gsn {
            // The open batch keeps its number: replies wait for it.
            self.close_batch();
            let changed = touched.iter().map(|(_, key, _)| key_hash(key));
            let there = entries.iter().map(|(_, entry)| key_hash(entry.key()));
            let hashes: Vec<_> = there.chain(changed).collect();
            self.commit.note_foreign(gsn, &hashes, self.tx.holding.contains(&number));
        }
        for (db, entry) in entries {
            self.keyspace.checkin(db, entry);
        }
        let reader = author.caller.map(|caller| caller.client);
        self.tracking.set_author(Some(author));
        // A change that came after the read is told to the reader, the others are not.
        self.track_all(reader, &read, true);
        for (db, key, change) in &touched {
            self.on_touched(Touched::Key(*db, key, *change));
        }
        self.tracking.set_author(None);
        self.track_all(reader, &read, false);
        self.end_hold(number);
        let granted = self.tx.granted.remove(&number);
        self.serve_blocked(granted);
        let asked = self.tx.asked.remove(&number);
        for id in granted.into_iter().chain(asked) {
            self.unlock(id);
        }
    }

    fn track_all(&mut self, reader: Option<Client>, read: &ReadKeys, changed: bool) {
        let Some(reader) = reader else { return };
        for (key, _) in read.iter().filter(|(_, after)| *after == changed) {
            self.track(key, reader);
        }
    }

    /// One frame with all that a transaction did, whoever owns the keys.
    pub(super) fn append_transaction(
        &mut self,
        number: u64,
        effects: &Effects,
    ) -> (BatchId, Option<u64>) {
        if effects.is_empty() {
            self.feed_transaction(number, effects);
            // A read: it must not be seen before what it read is safe. All that was closed on the way is enough.
            return (self.fence(), None);
        }
        let changes = i64::try_from(effects.count()).unwrap_or(i64::MAX);
        self.shared.saving.changes.fetch_add(changes, Ordering::Relaxed);
        // The parts that ran here hold the batch back for this very frame.
        let holding = self.tx.holding.contains(&number);
        if holding {
            self.commit.unhold();
        }
        self.close_batch();
        let placed = self.append(FrameKind::Transaction, effects.bytes());
        self.feed(effects, true);
        if holding {
            self.commit.hold();
        }
        placed
    }

    /// Replicas may be told something although nothing was changed.
    fn feed_transaction(&mut self, number: u64, effects: &Effects) {
        if effects.notes().is_empty() {
            return;
        }
        let holding = self.tx.holding.contains(&number);
        if holding {
            self.commit.unhold();
        }
        self.close_batch();
        self.feed(effects, true);
        if holding {
            self.commit.hold();
        }
    }

    /// A batch number that is released when all that any shard has closed so far is safe.
    fn fence(&mut self) -> BatchId {
        if !self.commit.has_log() {
            return 0;
        }
        self.close_batch();
        let last = self.shared.watermarks.next_gsn().saturating_sub(1);
        let batch = self.commit.open_batch();
        self.commit.note_foreign(last, &[], false);
        batch
    }
}
