//! Commands that need more than one shard at one instant.
//!
//! ```text
//!   coordinator (the connection's shard)                   participants (every shard that owns a key; the coordinator too)
//!     number, TxAsk ───────────────────────────────────────> lock the keys, in order of numbers
//!                                                             close the open batch, take the keys out
//!     <──────────────────────────────────────── TxDone: the entries
//!     run the command on a scratch keyspace (`held`)
//!     one frame in its own log: the GSN
//!     TxEnd: the entries, the GSN ──────────────────────────> put them back, unlock
//! ```
//!
//! The command's code does not know of any of this: it sees a keyspace that holds exactly its keys. Whatever a participant
//! wrote to those keys before has a smaller GSN (its batch was closed first), whatever it writes later has a larger one (it
//! gets the keys back only after the GSN was taken). So the log's order is the order of execution.
//!
//! MULTI and scripts run several commands in what they hold, as one unit. A command over the whole keyspace (FLUSHALL, KEYS, a snapshot's cut) first gets every shard to itself, then runs a part on
//! each; a shard holds its replies and its next batch back until the coordinator has the GSN, so that nobody sees half of it.

pub mod asked;
pub mod exec_hop;
pub mod global;
pub mod held;
pub mod lend;
pub mod locks;
pub mod multi;
pub mod watch;

use ringstone_engine::{ArgBuf, Error, Keyspace};

use crate::conn::ConnId;
use crate::map::{Map, Set};
use crate::msg::{Hop, Msg, Patience, TxAsk, TxDone, TxWork};
use crate::rt::oneshot;
use crate::shard::Shard;
use crate::table::Entry;
use locks::{Acquired, LockId, Locks, Need};

/// A command of one of this shard's connections that waits for its keys.
pub struct LocalCommand {
    /// The connection.
    pub conn: ConnId,
    /// The command.
    pub entry: &'static Entry,
    /// Its arguments.
    pub args: ArgBuf,
    /// For SCAN: the shard that its cursor names.
    pub cursor_shard: Option<usize>,
}

/// What goes on when locks are granted.
pub enum Waiter {
    /// A command of a connection of this shard.
    Command(Box<LocalCommand>),
    /// A command of another shard's connection.
    Hop(Box<Hop>),
    /// A transaction of another shard's connection whose keys are all here.
    Exec(Box<exec_hop::ExecHop>),
    /// A transaction's part.
    Tx(Box<TxAsk>),
    /// A task of this shard that wants a key to itself.
    Task(oneshot::Sender<LockId>),
}

/// A shard's side of all transactions.
#[derive(Default)]
pub struct Transactions {
    /// Who has which keys.
    pub locks: Locks<Waiter>,
    /// What this shard has granted to transactions.
    granted: Map<u64, LockId>,
    /// Transactions that asked here and wait.
    asked: Map<u64, LockId>,
    /// Transactions that this shard coordinates, while answers are out.
    open: Map<u64, Answers>,
    /// Where commands over several shards run.
    scratch: Option<Keyspace>,
    /// Transactions that keep this shard's batch from closing.
    holding: Set<u64>,
    /// What waits because the log or a snapshot is behind, and what came after that.
    pub stalled: std::collections::VecDeque<Waiter>,
}

/// Answers of a transaction's participants.
struct Answers {
    missing: usize,
    done: Vec<(usize, TxDone)>,
    ready: Option<oneshot::Sender<Vec<(usize, TxDone)>>>,
}

impl Transactions {
    /// Waits for `shards` answers to transaction `number`.
    fn expect(&mut self, number: u64, shards: usize) -> oneshot::Receiver<Vec<(usize, TxDone)>> {
        let (sender, receiver) = oneshot::channel();
        self.open
            .insert(number, Answers { missing: shards, done: Vec::new(), ready: Some(sender) });
        receiver
    }

    /// An answer has come.
    pub fn on_done(&mut self, number: u64, shard: usize, done: TxDone) {
        let Some(answers) = self.open.get_mut(&number) else { return };
        answers.done.push((shard, done));
        answers.missing -= 1;
        if answers.missing == 0
            && let Some(mut answers) = self.open.remove(&number)
            && let Some(ready) = answers.ready.take()
        {
            ready.send(answers.done);
        }
    }
}

impl Shard {
    /// Queues for locks, or goes on at once when they are free.
    pub(crate) fn enqueue(&mut self, need: Need, waiter: Waiter) {
        if self.tx.locks.is_free() {
            // It is the log or the snapshot that is behind.
            self.tx.stalled.push_back(waiter);
            return;
        }
        match self.tx.locks.acquire(need, None, waiter) {
            Acquired::Granted(id, waiter) => self.on_granted(id, waiter),
            Acquired::Queued(_) => {}
            Acquired::Refused(waiter) => self.tx.stalled.push_back(waiter),
        }
    }

    /// Runs again what waited for the log or the snapshot.
    pub(crate) fn retry_stalled(&mut self) -> bool {
        let waiting = std::mem::take(&mut self.tx.stalled);
        let before = waiting.len();
        for waiter in waiting {
            match waiter {
                Waiter::Command(command) => self.run_again(*command),
                Waiter::Hop(hop) => self.on_hop(*hop),
                Waiter::Exec(exec) => self.on_exec(exec),
                Waiter::Tx(ask) if self.tx.granted.contains_key(&ask.number) => {
                    self.do_tx_work(ask);
                }
                Waiter::Tx(ask) => self.on_tx_ask(ask),
                Waiter::Task(_) => {}
            }
        }
        // What still waits is no work: whoever makes it wait wakes the shard.
        self.tx.stalled.len() < before
    }

    fn run_again(&mut self, command: LocalCommand) {
        let LocalCommand { conn: id, entry, args, cursor_shard } = command;
        let Some(mut conn) = self.conns.take(id) else { return };
        conn.blocked = false;
        self.run_local(&mut conn, entry, args.as_args(), cursor_shard);
        self.mark_dirty(&mut conn);
        self.go_on(&mut conn);
        self.settle(conn);
    }

    /// Locks are granted: whoever waited goes on.
    fn on_granted(&mut self, id: LockId, waiter: Waiter) {
        match waiter {
            Waiter::Command(command) => {
                self.run_granted(*command);
                self.unlock(id);
            }
            Waiter::Hop(hop) => {
                self.execute_hop(*hop);
                self.unlock(id);
            }
            Waiter::Exec(exec) => {
                self.run_exec(*exec);
                self.unlock(id);
            }
            Waiter::Tx(ask) => {
                self.tx.asked.remove(&ask.number);
                self.tx.granted.insert(ask.number, id);
                self.do_tx_work(ask);
            }
            Waiter::Task(task) => task.send(id),
        }
    }

    fn run_granted(&mut self, command: LocalCommand) {
        let LocalCommand { conn: id, entry, args, cursor_shard } = command;
        let Some(mut conn) = self.conns.take(id) else { return };
        conn.blocked = false;
        self.execute(&mut conn, entry, args.as_args(), cursor_shard);
        self.mark_dirty(&mut conn);
        self.go_on(&mut conn);
        self.settle(conn);
    }

    /// Gives locks back; who is next goes on.
    pub(crate) fn unlock(&mut self, id: LockId) {
        for (id, waiter) in self.tx.locks.release(id) {
            self.on_granted(id, waiter);
        }
    }

    /// A transaction asks this shard for its part.
    pub(crate) fn on_tx_ask(&mut self, ask: Box<TxAsk>) {
        if !self.tx.stalled.is_empty() {
            // A hop of the same connection may be among them, for the same keys even: the order is kept. With its locks the
            // transaction would be before them.
            return self.tx.stalled.push_back(Waiter::Tx(ask));
        }
        let TxAsk { number, coordinator, patience, .. } = *ask;
        let need = match &ask.work {
            TxWork::Lend(keys) => {
                Need::Keys(keys.iter().map(|(_, key)| crate::flow::route::key_hash(key)).collect())
            }
            TxWork::Whole => Need::All,
        };
        match self.tx.locks.acquire(need, Some(number), Waiter::Tx(ask)) {
            Acquired::Granted(id, waiter) => self.on_granted(id, waiter),
            Acquired::Queued(id) => {
                let busy = self.shared.running.busy_error();
                if let Some(busy) = busy.filter(|_| patience == Patience::UntilBusy) {
                    self.unlock(id);
                    return self.answer(number, coordinator, TxDone::Busy(busy));
                }
                self.tx.asked.insert(number, id);
            }
            Acquired::Refused(_) => self.answer(number, coordinator, TxDone::Refused),
        }
    }

    /// Sends a transaction away that has waited here since before a script became busy.
    pub(crate) fn send_tx_away(&mut self, ask: &TxAsk, busy: &Error) {
        self.tx.asked.remove(&ask.number);
        self.answer(ask.number, ask.coordinator, TxDone::Busy(busy.clone()));
    }

    /// Answers a transaction's coordinator.
    fn answer(&mut self, number: u64, coordinator: usize, done: TxDone) {
        if coordinator == self.index {
            self.tx.on_done(number, self.index, done);
        } else {
            self.mesh.send(coordinator, Msg::TxDone { number, shard: self.index, done });
        }
    }

    fn do_tx_work(&mut self, ask: Box<TxAsk>) {
        if let TxWork::Lend(keys) = &ask.work
            && self.saves_any(keys)
        {
            // It has its locks, and waits while the snapshot takes the large collections among its keys in slices.
            self.tx.stalled.push_back(Waiter::Tx(ask));
            return;
        }
        let TxAsk { number, coordinator, work, .. } = *ask;
        // What was written before must have a smaller GSN than the transaction.
        self.close_batch();
        let done = match work {
            TxWork::Lend(keys) => self.lend(&keys),
            TxWork::Whole => TxDone::Whole,
        };
        self.answer(number, coordinator, done);
    }

    /// True when the snapshot under way has still to save a large collection among these keys, which leave the index; has it
    /// saved ahead of its turn.
    fn saves_any(&mut self, keys: &[(usize, Vec<u8>)]) -> bool {
        self.keyspace.snapshot_is_running()
            && keys.iter().any(|(db, key)| self.keyspace.snapshot_holds(*db, key))
    }

    fn lend(&mut self, keys: &[(usize, Vec<u8>)]) -> TxDone {
        TxDone::Lent(keys.iter().map(|(db, key)| self.keyspace.checkout(*db, key)).collect())
    }

    /// Has shard `to` do its part of transaction `number`.
    fn ask(&mut self, to: usize, number: u64, work: TxWork, patience: Patience) {
        let coordinator = self.index;
        let ask = Box::new(TxAsk { number, coordinator, work, patience });
        if to == coordinator {
            self.on_tx_ask(ask);
        } else {
            self.mesh.send(to, Msg::TxAsk(ask));
        }
    }
}
