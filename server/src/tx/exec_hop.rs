//! EXEC whose keys are all on one other shard: the commands hop there together.

use std::sync::atomic::Ordering;

use ringstone_engine::cmd::Scope;
use ringstone_engine::{ArgBuf, Error, Reply};

use super::Waiter;
use super::locks::Need;
use super::multi::{Queue, Queued, Tx, discarded};
use super::watch::Dirty;
use crate::conn::{Conn, ConnId};
use crate::flow::execute::RespReply;
use crate::flow::route::key_hash;
use crate::msg::Msg;
use crate::shard::Shard;
use crate::table::{Entry, Run};
use crate::tracking::Caller;

/// A transaction for the shard that owns its keys.
pub struct ExecHop {
    /// Shard of the connection.
    origin: usize,
    /// The connection.
    conn: ConnId,
    /// Place of the reply there.
    number: u64,
    /// Form of the reply.
    resp3: bool,
    /// Commands do not count as accesses.
    no_touch: bool,
    /// Who runs it, if it is a client that tracks keys.
    caller: Option<Caller>,
    steps: Vec<Step>,
    watched: Vec<(usize, Vec<u8>)>,
    dirty: Dirty,
}

struct Step {
    entry: &'static Entry,
    args: ArgBuf,
    db: usize,
    /// Why it may not be run.
    refusal: Option<Error>,
}

impl Shard {
    /// The one other shard that has all keys of a queue and all that are watched; none when something else is needed as well.
    pub(super) fn owner_of(&self, tx: &Tx, queue: &Queue) -> Option<usize> {
        if self.is_monitored() {
            // Commands are shown where the connection is.
            return None;
        }
        let mut owner = None;
        let mut is_same = |key: &[u8]| {
            let at = self.shared.slots.shard_of_key(key);
            *owner.get_or_insert(at) == at
        };
        let commands = queue.commands().iter().all(|Queued { entry, args, .. }| {
            let args = args.as_args();
            matches!((&entry.run, entry.spec.scope), (Run::Data(_), Scope::Keys))
                && !self.needs_whole(entry, args)
                && entry
                    .spec
                    .key_positions(args)
                    .is_ok_and(|keys| keys.iter().all(|at| is_same(args.at(*at))))
        });
        let all = commands && tx.watched.iter().all(|(_, key)| is_same(key));
        owner.filter(|owner| all && *owner != self.index)
    }

    /// Sends the commands behind EXEC to the shard that has their keys.
    pub(super) fn exec_there(&mut self, conn: &mut Conn, owner: usize, tx: Tx, queue: Queue) {
        self.stats.hops += 1;
        let number = conn.expect_reply();
        if queue.writes() && self.shared.waits_on_several.load(Ordering::Acquire) > 0 {
            conn.stand_by_hop(number);
        }
        let commands = queue.into_commands().into_iter();
        let steps = commands.map(|Queued { entry, args, db }| {
            let refusal = self.permit_in_exec(conn, entry, args.as_args()).err();
            Step { entry, args, db, refusal }
        });
        let steps = steps.collect();
        let Tx { watched, dirty, .. } = tx;
        let (origin, id, resp3, no_touch) = (self.index, conn.id, conn.resp3, conn.no_touch);
        let caller = conn.caller(origin);
        let exec =
            ExecHop { origin, conn: id, number, resp3, no_touch, caller, steps, watched, dirty };
        self.mesh.send(owner, Msg::Exec(Box::new(exec)));
    }

    /// Runs a transaction that came from another shard, unless somebody has its keys.
    pub(crate) fn on_exec(&mut self, exec: Box<ExecHop>) {
        if !self.tx.stalled.is_empty() {
            return self.tx.stalled.push_back(Waiter::Exec(exec));
        }
        let watched_are_free = self.are_free(&exec.watched);
        let steps = &mut exec.steps.iter();
        if watched_are_free && steps.all(|s| self.may_run_now(s.db, s.entry, s.args.as_args())) {
            self.run_exec(*exec);
        } else if let Some(busy) = self.shared.running.busy_error() {
            self.refuse_exec(&exec, &busy);
        } else {
            self.enqueue(exec.need(), Waiter::Exec(exec));
        }
    }

    /// True when no transaction has one of these keys.
    pub(super) fn are_free(&self, keys: &[(usize, Vec<u8>)]) -> bool {
        self.tx.locks.is_free()
            || keys.iter().all(|(_, key)| self.tx.locks.may_run(&[key_hash(key)]))
    }

    /// Answers a transaction of another shard with the error of a busy script.
    pub(crate) fn refuse_exec(&mut self, exec: &ExecHop, busy: &Error) {
        let mut bytes = Vec::new();
        let error = discarded(busy);
        self.note_error(&error);
        RespReply::new(&mut bytes, exec.resp3).error(&error);
        self.unwatch_here(exec);
        let (conn, number) = (exec.conn, exec.number);
        self.commit.send_when_safe(0, exec.origin, Msg::HopReply { conn, number, bytes });
    }

    fn unwatch_here(&mut self, exec: &ExecHop) {
        exec.watched.iter().for_each(|(_, key)| self.unwatch_key(key, &exec.dirty));
    }

    /// Runs a transaction of another shard whose keys are all here and free.
    pub(crate) fn run_exec(&mut self, exec: ExecHop) {
        let changed = self.are_changed_here(&exec.watched, &exec.dirty);
        self.unwatch_here(&exec);
        let ExecHop { origin, conn, number, resp3, no_touch, caller, steps, .. } = exec;
        let (mut bytes, mut batch) = (Vec::new(), 0);
        if changed {
            RespReply::new(&mut bytes, resp3).null_array();
        } else {
            RespReply::new(&mut bytes, resp3).array(steps.len());
            self.keyspace.set_quiet(no_touch);
            self.tracking.caller = caller;
            for Step { entry, args, db, refusal } in &steps {
                if let Some(error) = refusal {
                    RespReply::new(&mut bytes, resp3).error(error);
                    continue;
                }
                let (from, args) = (bytes.len(), args.as_args());
                batch = batch.max(self.run_and_note(*db, resp3, entry, args, &mut bytes));
                self.remember_there(origin, conn, entry, args, bytes.len() - from);
            }
            self.observe();
            self.tracking.caller = None;
        }
        self.commit.send_when_safe(batch, origin, Msg::HopReply { conn, number, bytes });
    }
}

impl ExecHop {
    fn need(&self) -> Need {
        let mut keys = smallvec::SmallVec::new();
        for Step { entry, args, .. } in &self.steps {
            let args = args.as_args();
            let positions = entry.spec.key_positions(args).unwrap_or_default();
            keys.extend(positions.iter().map(|at| key_hash(args.at(*at))));
        }
        keys.extend(self.watched.iter().map(|(_, key)| key_hash(key)));
        Need::Keys(keys)
    }
}
