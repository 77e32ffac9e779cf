//! A key was changed: who waits for it is served, before anybody else's command sees the change.

use std::sync::Arc;

use ringstone_engine::keyspace::Mode;
use ringstone_engine::{Ctx, Error, Keyspace};

use super::Waiting;
use crate::conn::BatchId;
use crate::flow::execute::RespReply;
use crate::flow::route::key_hash;
use crate::msg::Patience;
use crate::shard::Shard;
use crate::tx::held::Held;
use crate::tx::locks::LockId;

/// How the turn of a command in a key's queue went.
enum Turn {
    /// It was served, or goes on waiting.
    Over,
    /// It is being served by a task, and all others behind it wait for that.
    Pending,
}

impl Shard {
    /// Serves who waits for the keys that were changed. `under` is the lock under which they were.
    pub(crate) fn serve_blocked(&mut self, under: Option<LockId>) {
        if under.is_none() && self.tx.locks.all_is_held() {
            // Changes of a transaction that has not ended.
            return;
        }
        if self.blocked.queues.has_ready() {
            // What has changed the keys may have taken its time, and they may have expired by now.
            self.now_ms = crate::rt::clock::unix_ms();
        }
        while let Some((db, key)) = self.blocked.queues.next_ready() {
            let mut after = 0;
            while let Some((order, place)) = self.blocked.queues.next_place(db, &key, after) {
                after = order;
                let (waiting, key_at) = (Arc::clone(&place.waiting), place.key_at);
                if let Turn::Pending = self.serve_one(&waiting, key_at, under) {
                    break;
                }
            }
        }
    }

    fn serve_one(&mut self, waiting: &Arc<Waiting>, key_at: usize, under: Option<LockId>) -> Turn {
        let mut db = self.keyspace.db(waiting.db, self.now_ms, Mode::Live);
        let has_something = waiting.block.has_something(&mut db, key_at);
        // The look may have found the key expired.
        self.observe_changes();
        if !has_something || !waiting.claim() {
            return Turn::Over;
        }
        if !self.reaches_target(waiting, key_at, under) {
            self.start_move(waiting);
            return Turn::Pending;
        }
        let mut bytes = Vec::new();
        let outer = self.tracking.caller;
        if waiting.block.target().is_some() {
            // What is written besides is a change of the one who waited; of the rest it was told with the change that serves it.
            self.tracking.caller = waiting.caller;
        }
        let (before, began) = (self.keyspace.effects.count(), self.measure.now());
        let result = serve_in(&mut self.keyspace, waiting, key_at, self.now_ms, &mut bytes);
        self.note_call_end(waiting.entry, began, result.as_ref().err());
        self.remember_served(waiting, bytes.len());
        let wrote = self.keyspace.effects.count() != before;
        let batch = self.batch_of_serve(waiting, key_at, wrote);
        self.observe_changes();
        self.tracking.caller = outer;
        self.unregister(waiting);
        self.answer_waiting(waiting, bytes, batch);
        Turn::Over
    }

    fn remember_served(&mut self, waiting: &Waiting, reply_bytes: usize) {
        let Waiting { home, conn, entry, ref args, .. } = *waiting;
        self.remember_there(home, conn, entry, args.as_args(), reply_bytes);
    }

    /// The batch that the reply waits for.
    fn batch_of_serve(&mut self, waiting: &Waiting, key_at: usize, wrote: bool) -> BatchId {
        if !self.commit.holds_replies() {
            return 0;
        }
        let key = waiting.block.keys.get(key_at).map(Vec::as_slice);
        let keys = key.into_iter().chain(waiting.block.target().filter(|_| wrote));
        keys.map(|key| self.commit.note_key(key_hash(key), wrote)).max().unwrap_or(0)
    }

    /// True when the key that is written besides is here and nobody else has it.
    fn reaches_target(&self, waiting: &Waiting, key_at: usize, under: Option<LockId>) -> bool {
        let Some(target) = waiting.block.target() else { return true };
        waiting.block.keys.get(key_at).is_some_and(|key| key == target)
            || (self.shared.slots.shard_of_key(target) == self.index
                && self.tx.locks.is_in_reach(key_hash(target), under))
    }

    /// Serves a command that moves an element to a key which is not at hand: a transaction gets both.
    fn start_move(&mut self, waiting: &Arc<Waiting>) {
        let Some(me) = self.me() else { return };
        let keys = waiting.block.keys.iter().map(Vec::as_slice).chain(waiting.block.target());
        let mut keys: Vec<_> = keys
            .map(|key| (self.shared.slots.shard_of_key(key), waiting.db, key.to_vec()))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        self.stats.transactions += 1;
        // Asked for now, so that nobody gets at the element in between.
        let asked = self.ask_for_keys(&keys, Patience::Endless);
        let waiting = Arc::clone(waiting);
        self.queues.spawn(async move {
            // Who has endless patience is not sent away.
            let Ok(mut held) = Held::asked(&me, keys, asked).await else { return };
            held.set_caller(waiting.caller);
            let mut bytes = Vec::new();
            // Not when its connection has gone meanwhile.
            let is_wanted = me.borrow().blocked.queues.has(&waiting);
            let served = is_wanted && held.serve(&waiting, &mut bytes);
            if served {
                me.borrow_mut().unregister(&waiting);
            } else {
                waiting.put_claim_back();
            }
            // Those behind it get their turn with the key's return.
            let source = waiting.block.keys.first().cloned();
            source.into_iter().for_each(|key| held.touch(waiting.db, key));
            let batch = held.end();
            let mut this = me.borrow_mut();
            if served {
                this.answer_waiting(&waiting, bytes, batch);
            } else {
                let home = waiting.home;
                this.call(home, move |home| home.wait_goes_on(&waiting));
            }
        });
    }
}

/// Takes what the command waits for; the reply may be an error, which is returned as well.
fn serve_in(
    keyspace: &mut Keyspace,
    waiting: &Waiting,
    key_at: usize,
    now_ms: i64,
    bytes: &mut Vec<u8>,
) -> Result<(), Error> {
    keyspace.set_quiet(waiting.no_touch);
    let before = crate::replication::before(&keyspace.effects);
    let mut reply = RespReply::new(bytes, waiting.resp3);
    let mut ctx = Ctx { db: keyspace.db(waiting.db, now_ms, Mode::Live), reply: &mut reply };
    let result = waiting.block.serve(&mut ctx, key_at);
    if let Err(error) = &result {
        ctx.reply.error(error);
    }
    if let Some(before) = before {
        let args = waiting.args.as_args();
        crate::replication::note(keyspace, before, waiting.db, waiting.entry, args);
    }
    result
}

impl Held {
    /// Serves a command from its first key; false when there is nothing.
    fn serve(&mut self, waiting: &Waiting, bytes: &mut Vec<u8>) -> bool {
        let (now_ms, began) = {
            let this = self.shard().borrow();
            (this.now_ms, this.measure.now())
        };
        let mut db = self.data().db(waiting.db, now_ms, Mode::Live);
        if !waiting.block.has_something(&mut db, 0) {
            return false;
        }
        let result = serve_in(self.data(), waiting, 0, now_ms, bytes);
        self.tell();
        let failure = result.as_ref().err();
        let mut this = self.shard().borrow_mut();
        this.note_call_end(waiting.entry, began, failure);
        this.remember_served(waiting, bytes.len());
        true
    }
}
