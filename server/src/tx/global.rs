//! What needs every shard at one instant: commands over the whole keyspace, and the cut of a snapshot.

use std::sync::atomic::Ordering;

use ringstone_engine::cmd::Flags;
use ringstone_engine::reply::TreeSink;
use ringstone_engine::{Effects, Error, Tree};
use ringstone_persist::log::FrameKind;

use super::asked::find_busy;
use super::held::Ends;
use crate::flow::execute::run_data;
use crate::msg::{Msg, Part, Patience, TxDone, TxWork, WholeRun};
use crate::shard::{Shard, ShardRef};
use crate::snapshot::Target;

impl Shard {
    /// A transaction that has this shard to itself runs something here.
    pub(crate) fn on_tx_run(&mut self, number: u64, coordinator: usize, run: WholeRun) {
        let done = match run {
            WholeRun::Lend(keys) => self.lend(&keys),
            WholeRun::Part(part) => {
                self.hold_for(number);
                let (reply, effects) = self.run_part(&part);
                self.observe_records(effects.bytes());
                // What a look has found expired on the way is not of the transaction.
                self.keyspace.effects.end_unit();
                self.publish_events();
                if reply.as_error().is_none() {
                    self.note_flush(part.entry);
                }
                TxDone::Ran(reply, effects)
            }
            WholeRun::Step(step) => {
                self.hold_for(number);
                step(self);
                TxDone::Ran(Tree::Null, Effects::default())
            }
        };
        self.answer(number, coordinator, done);
    }

    /// Replies and the next batch wait until the transaction has its place in the log.
    fn hold_for(&mut self, number: u64) {
        if self.tx.holding.insert(number) {
            self.commit.hold();
        }
    }

    /// Runs this shard's part. What a writing command records is logged once, by the coordinator, whichever shard had
    /// something to change.
    fn run_part(&mut self, part: &Part) -> (Tree, Effects) {
        let writes = part.entry.spec.flags.contains(Flags::WRITE);
        let before = writes.then(|| self.keyspace.effects.take());
        let mut sink = TreeSink::new(part.resp3);
        // The coordinator counts the call and its failure.
        let _counted_there = run_data(
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
        let owners: Vec<usize> = (0..self.shards()).collect();
        self.end_transaction(number, gsn, &owners, Vec::new(), Ends::default());
    }

    /// Sends messages although this shard holds its replies back.
    pub(super) fn send_now(&mut self) {
        let net = &mut self.net;
        self.mesh.flush(|fd| {
            net.wake_peer(fd, crate::rt::ring::Token::new(crate::flow::intake::kind::IGNORE, 0))
        });
        self.wake();
    }
}

/// Gets every shard for one transaction alone; its number, or an error when a script is busy that has some of it.
pub(super) async fn take_all(shard: &ShardRef, patience: Patience) -> Result<u64, Error> {
    loop {
        let (number, answers) = {
            let mut this = shard.borrow_mut();
            let number = this.shared.next_transaction.fetch_add(1, Ordering::Relaxed);
            let shards = this.shards();
            let answers = this.tx.expect(number, shards);
            (0..shards).for_each(|to| this.ask(to, number, TxWork::Whole, patience));
            this.send_now();
            (number, answers)
        };
        let answers = answers.await.unwrap_or_default();
        let refused = answers.iter().any(|(_, done)| matches!(done, TxDone::Refused));
        let busy = find_busy(&answers);
        if !refused && busy.is_none() {
            return Ok(number);
        }
        shard.borrow_mut().end_on_all(number, None);
        if let Some(busy) = busy {
            return Err(busy);
        }
        crate::rt::exec::yield_now().await;
    }
}

/// Runs something on shards which are all the transaction's; what each has done.
pub(super) async fn run_on(
    shard: &ShardRef,
    number: u64,
    runs: Vec<(usize, WholeRun)>,
) -> Vec<(usize, TxDone)> {
    let answers = {
        let mut this = shard.borrow_mut();
        let coordinator = this.index;
        let answers = this.tx.expect(number, runs.len());
        for (to, run) in runs {
            if to == coordinator {
                this.on_tx_run(number, coordinator, run);
            } else {
                this.mesh.send(to, Msg::TxRun { number, coordinator, run });
            }
        }
        this.send_now();
        answers
    };
    answers.await.unwrap_or_default()
}

/// The same for who waits as long as it takes.
async fn wait_for_all(shard: &ShardRef) -> u64 {
    loop {
        if let Ok(number) = take_all(shard, Patience::Endless).await {
            return number;
        }
    }
}

/// Has all shards take a step at one instant, at which no transaction is under way.
pub async fn at_once(shard: &ShardRef, step: fn(&mut Shard)) {
    let number = wait_for_all(shard).await;
    step_on_all(shard, number, step).await;
    shard.borrow_mut().end_on_all(number, None);
}

async fn step_on_all(shard: &ShardRef, number: u64, step: fn(&mut Shard)) {
    let shards = shard.borrow().shards();
    run_on(shard, number, (0..shards).map(|to| (to, WholeRun::Step(step))).collect()).await;
}

/// What a snapshot learns at its point in time.
pub struct Cut {
    /// Its GSN, when there is a log.
    pub gsn: Option<u64>,
    /// The texts of the function libraries.
    pub functions: Vec<Vec<u8>>,
}

/// Takes the point in time of a snapshot on all shards.
pub async fn cut(shard: &ShardRef, target: Target) -> Cut {
    let number = wait_for_all(shard).await;
    let begin = match target {
        Target::Dump => Shard::begin_dump,
        Target::Base => Shard::begin_base,
        Target::Replicas => Shard::begin_for_replicas,
    };
    step_on_all(shard, number, begin).await;
    let mut this = shard.borrow_mut();
    if target == Target::Replicas {
        this.begin_stream_at_cut();
    }
    this.commit.unhold();
    let (_, gsn) = this.append(FrameKind::Cut, &[]);
    this.commit.hold();
    // Whoever changes them has the whole keyspace to himself, as the cut has now.
    let functions = this.shared.libraries.codes();
    this.end_on_all(number, gsn);
    Cut { gsn, functions }
}
