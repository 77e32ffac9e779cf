//! Commands whose keys lie on several shards: the keys come here, the command runs, the keys go home.

use std::sync::atomic::Ordering;

use ringstone_engine::effect::Effects;
use ringstone_engine::raw::Entry as KeyEntry;
use ringstone_engine::{ArgBuf, Args, Keyspace};
use ringstone_persist::log::FrameKind;

use crate::conn::{BatchId, Conn, ConnId};
use crate::flow::execute::{RespReply, run_data};
use crate::flow::route::{KeyPositions, key_hash};
use crate::msg::{Msg, TxDone, TxWork};
use crate::shard::{Shard, ShardRef};
use crate::table::Entry;

/// A key of a transaction: owner, database, name.
type LentKey = (usize, usize, Vec<u8>);

struct Job {
    conn: ConnId,
    db: usize,
    resp3: bool,
    no_touch: bool,
    entry: &'static Entry,
    args: ArgBuf,
    keys: Vec<LentKey>,
}

impl Shard {
    /// Starts a command whose keys lie on several shards; the connection waits for it.
    pub(crate) fn start_transaction(
        &mut self,
        conn: &mut Conn,
        entry: &'static Entry,
        args: Args<'_>,
        positions: &KeyPositions,
    ) {
        let Some(me) = self.me() else { return };
        self.stats.transactions += 1;
        conn.blocked = true;
        let dbs = self.databases_of(conn.db, entry);
        let mut keys: Vec<LentKey> = Vec::new();
        for at in positions {
            let key = args.at(*at);
            let owner = self.shared.slots.shard_of_key(key);
            keys.extend(dbs.iter().map(|db| (owner, *db, key.to_vec())));
        }
        keys.sort_unstable();
        keys.dedup();
        let job = Job {
            conn: conn.id,
            db: conn.db,
            resp3: conn.resp3,
            no_touch: conn.no_touch,
            entry,
            args: ArgBuf::from(args),
            keys,
        };
        self.queues.spawn(async move { run(me, job).await });
    }

    /// The databases in which a command's keys may be touched: the selected one, or all where the command names one.
    fn databases_of(&self, selected: usize, entry: &Entry) -> Vec<usize> {
        let names_one = entry.spec.names_database();
        if names_one { (0..self.keyspace.databases()).collect() } else { vec![selected] }
    }

    /// A transaction is over: its keys come home and the next in their queues goes on.
    pub(crate) fn on_tx_end(
        &mut self,
        number: u64,
        gsn: Option<u64>,
        entries: Vec<(usize, KeyEntry)>,
    ) {
        if let Some(gsn) = gsn {
            let hashes: Vec<_> = entries.iter().map(|(_, entry)| key_hash(entry.key())).collect();
            self.commit.note_foreign(gsn, &hashes);
        }
        for (db, entry) in entries {
            self.keyspace.checkin(db, entry);
        }
        self.end_hold(number);
        let granted = self.tx.granted.remove(&number);
        let asked = self.tx.asked.remove(&number);
        for id in granted.into_iter().chain(asked) {
            self.unlock(id);
        }
    }
}

async fn run(shard: ShardRef, job: Job) {
    let (number, lent) = borrow_keys(&shard, &job).await;
    let mut this = shard.borrow_mut();
    let (bytes, batch) = this.run_lent(&job, lent, number);
    this.finish_raw(job.conn, &bytes, batch);
}

/// Gets all keys here. Refused anywhere means: give everything back and ask again with a new number.
async fn borrow_keys(shard: &ShardRef, job: &Job) -> (u64, Vec<(usize, KeyEntry)>) {
    loop {
        let (number, answers) = {
            let mut this = shard.borrow_mut();
            let number = this.shared.next_transaction.fetch_add(1, Ordering::Relaxed);
            let mut owners: Vec<usize> = job.keys.iter().map(|key| key.0).collect();
            owners.dedup();
            let answers = this.tx.expect(number, owners.len());
            for owner in owners {
                let keys = job
                    .keys
                    .iter()
                    .filter(|key| key.0 == owner)
                    .map(|(_, db, key)| (*db, key.clone()))
                    .collect();
                this.ask(owner, number, TxWork::Lend(keys));
            }
            this.wake();
            (number, answers)
        };
        let answers = answers.await.unwrap_or_default();
        let refused = answers.iter().any(|(_, done)| matches!(done, TxDone::Refused));
        let mut lent = Vec::new();
        for (owner, done) in answers {
            let TxDone::Lent(entries) = done else { continue };
            let dbs = job.keys.iter().filter(|key| key.0 == owner).map(|key| key.1);
            lent.extend(dbs.zip(entries).filter_map(|(db, entry)| entry.map(|entry| (db, entry))));
        }
        if !refused {
            return (number, lent);
        }
        shard.borrow_mut().end_transaction(job, number, None, lent);
        crate::rt::exec::yield_now().await;
    }
}

impl Shard {
    fn run_lent(
        &mut self,
        job: &Job,
        lent: Vec<(usize, KeyEntry)>,
        number: u64,
    ) -> (Vec<u8>, BatchId) {
        let databases = self.keyspace.databases();
        let mut scratch =
            self.tx.scratch.take().unwrap_or_else(|| Keyspace::new(databases, number));
        scratch.limits = self.keyspace.limits;
        scratch.set_clock(self.now_ms);
        scratch.set_quiet(job.no_touch);
        scratch.effects.set_enabled(self.commit.has_log());
        for (db, entry) in lent {
            scratch.checkin(db, entry);
        }
        let mut bytes = Vec::new();
        run_data(
            &mut scratch,
            job.db,
            self.now_ms,
            job.entry,
            job.args.as_args(),
            &mut RespReply::new(&mut bytes, job.resp3),
        );
        let entries = job
            .keys
            .iter()
            .filter_map(|(_, db, key)| Some((*db, scratch.checkout(*db, key)?)))
            .collect();
        let effects = scratch.effects.take();
        self.tx.scratch = Some(scratch);
        let (batch, gsn) = self.append_transaction(&effects);
        self.end_transaction(job, number, gsn, entries);
        (bytes, batch)
    }

    /// One frame with all that a transaction did, whoever owns the keys.
    pub(crate) fn append_transaction(&mut self, effects: &Effects) -> (BatchId, Option<u64>) {
        if effects.is_empty() {
            // A read: it must not be seen before what it read is safe. All that was closed on the way is enough.
            return (self.fence(), None);
        }
        let changes = i64::try_from(effects.count()).unwrap_or(i64::MAX);
        self.shared.saving.changes.fetch_add(changes, Ordering::Relaxed);
        self.close_batch();
        self.append(FrameKind::Transaction, effects.bytes())
    }

    /// A batch number that is released when all that any shard has closed so far is safe.
    fn fence(&mut self) -> BatchId {
        if !self.commit.has_log() {
            return 0;
        }
        self.close_batch();
        let last = self.shared.watermarks.next_gsn().saturating_sub(1);
        let batch = self.commit.open_batch();
        self.commit.note_foreign(last, &[]);
        batch
    }

    fn end_transaction(
        &mut self,
        job: &Job,
        number: u64,
        gsn: Option<u64>,
        entries: Vec<(usize, KeyEntry)>,
    ) {
        let mut home: Vec<Vec<(usize, KeyEntry)>> =
            (0..self.shards()).map(|_| Vec::new()).collect();
        for (db, entry) in entries {
            let owner = self.shared.slots.shard_of_key(entry.key());
            if let Some(list) = home.get_mut(owner) {
                list.push((db, entry));
            }
        }
        let mut owners: Vec<usize> = job.keys.iter().map(|key| key.0).collect();
        owners.dedup();
        for owner in owners {
            let entries = home.get_mut(owner).map(std::mem::take).unwrap_or_default();
            if owner == self.index {
                self.on_tx_end(number, gsn, entries);
            } else {
                self.mesh.send(owner, Msg::TxEnd { number, gsn, entries });
            }
        }
        self.wake();
    }
}
