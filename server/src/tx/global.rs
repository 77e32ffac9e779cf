//! Commands over the whole keyspace, and the cut of a snapshot: a part on every shard at one instant.

use std::sync::atomic::Ordering;

use ringstone_engine::cmd::Flags;
use ringstone_engine::reply::TreeSink;
use ringstone_engine::{ArgBuf, Args, Effects, Reply, Tree};
use ringstone_persist::log::FrameKind;

use crate::conn::{BatchId, Conn};
use crate::flow::execute::run_data;
use crate::msg::{Msg, Part, TxDone, TxWork, WholeRun};
use crate::shard::{Shard, ShardRef};
use crate::table::Entry;

/// How the replies of all shards become one.
pub type Merge = fn(parts: Vec<Tree>, out: &mut dyn Reply);

impl Shard {
    /// Starts a command that runs on every shard; the connection waits for it.
    pub(crate) fn start_on_all(
        &mut self,
        conn: &mut Conn,
        entry: &'static Entry,
        args: Args<'_>,
        merge: Merge,
    ) {
        let Some(me) = self.me() else { return };
        self.stats.transactions += 1;
        conn.blocked = true;
        let id = conn.id;
        let part = Part { db: conn.db, resp3: conn.resp3, entry, args: ArgBuf::from(args) };
        self.queues.spawn(async move {
            let (reply, batch) = run_on_all(&me, part, merge).await;
            me.borrow_mut().finish(id, &reply, batch);
        });
    }

    /// A transaction that has this shard to itself runs something here.
    pub(crate) fn on_tx_run(&mut self, number: u64, coordinator: usize, run: WholeRun) {
        self.commit.hold();
        self.tx.holding.insert(number);
        let (reply, effects) = match run {
            WholeRun::Part(part) => self.run_part(&part),
            WholeRun::Cut => {
                self.begin_snapshot();
                (Tree::Null, Effects::default())
            }
        };
        self.answer(number, coordinator, TxDone::Ran(reply, effects));
    }

    /// Runs this shard's part. What a writing command records is logged once, by the coordinator, whichever shard had
    /// something to change.
    fn run_part(&mut self, part: &Part) -> (Tree, Effects) {
        let writes = part.entry.spec.flags.contains(Flags::WRITE);
        let before = writes.then(|| self.keyspace.effects.take());
        let mut sink = TreeSink::new(part.resp3);
        run_data(
            &mut self.keyspace,
            part.db,
            self.now_ms,
            part.entry,
            part.args.as_args(),
            &mut sink,
        );
        let made = before.map(|before| std::mem::replace(&mut self.keyspace.effects, before));
        (sink.into_reply(), made.unwrap_or_default())
    }

    /// Ends the holding back that a part began.
    pub(crate) fn end_hold(&mut self, number: u64) {
        if self.tx.holding.remove(&number) {
            self.commit.unhold();
        }
    }

    fn end_on_all(&mut self, number: u64, gsn: Option<u64>) {
        for shard in 0..self.shards() {
            if shard == self.index {
                self.on_tx_end(number, gsn, Vec::new());
            } else {
                self.mesh.send(shard, Msg::TxEnd { number, gsn, entries: Vec::new() });
            }
        }
        self.send_now();
    }

    /// Sends messages although this shard holds its replies back.
    fn send_now(&mut self) {
        let net = &mut self.net;
        self.mesh.flush(|fd| {
            net.wake_peer(fd, crate::rt::ring::Token::new(crate::flow::intake::kind::IGNORE, 0))
        });
        self.wake();
    }
}

/// Gets every shard for one transaction alone; its number.
async fn take_all(shard: &ShardRef) -> u64 {
    loop {
        let (number, answers) = {
            let mut this = shard.borrow_mut();
            let number = this.shared.next_transaction.fetch_add(1, Ordering::Relaxed);
            let shards = this.shards();
            let answers = this.tx.expect(number, shards);
            (0..shards).for_each(|to| this.ask(to, number, TxWork::Whole));
            this.send_now();
            (number, answers)
        };
        let answers = answers.await.unwrap_or_default();
        if answers.iter().all(|(_, done)| !matches!(done, TxDone::Refused)) {
            return number;
        }
        shard.borrow_mut().end_on_all(number, None);
        crate::rt::exec::yield_now().await;
    }
}

/// Runs something on every shard, which are all the transaction's; the replies in the order of the shards.
async fn run_all(shard: &ShardRef, number: u64, run: WholeRun) -> Vec<(Tree, Effects)> {
    let answers = {
        let mut this = shard.borrow_mut();
        let (shards, coordinator) = (this.shards(), this.index);
        let answers = this.tx.expect(number, shards);
        for to in 0..shards {
            if to == coordinator {
                this.on_tx_run(number, coordinator, run.clone());
            } else {
                this.mesh.send(to, Msg::TxRun { number, coordinator, run: run.clone() });
            }
        }
        this.send_now();
        answers
    };
    let mut answers = answers.await.unwrap_or_default();
    answers.sort_unstable_by_key(|(shard, _)| *shard);
    let ran = |(_, done)| match done {
        TxDone::Ran(reply, effects) => Some((reply, effects)),
        TxDone::Lent(_) | TxDone::Whole | TxDone::Refused => None,
    };
    answers.into_iter().filter_map(ran).collect()
}

async fn run_on_all(shard: &ShardRef, part: Part, merge: Merge) -> (Tree, BatchId) {
    let number = take_all(shard).await;
    let mut sink = TreeSink::new(part.resp3);
    let (replies, effects): (Vec<Tree>, Vec<Effects>) =
        run_all(shard, number, WholeRun::Part(part)).await.into_iter().unzip();
    merge(replies, &mut sink);
    let effects = effects.into_iter().find(|effects| !effects.is_empty()).unwrap_or_default();
    let mut this = shard.borrow_mut();
    this.commit.unhold();
    let (batch, gsn) = this.append_transaction(&effects);
    this.commit.hold();
    this.end_on_all(number, gsn);
    (sink.into_reply(), batch)
}

/// Takes the point in time of a snapshot on all shards; its GSN, when there is a log.
pub async fn cut(shard: &ShardRef) -> Option<u64> {
    let number = take_all(shard).await;
    run_all(shard, number, WholeRun::Cut).await;
    let mut this = shard.borrow_mut();
    this.commit.unhold();
    let (_, gsn) = this.append(FrameKind::Cut, &[]);
    this.commit.hold();
    this.end_on_all(number, gsn);
    gsn
}
