//! Scripts and functions: Lua on a shard.
//!
//! ```text
//!   EVAL, FCALL ─> Program (what runs, on which keys) ─> ground ──┬─ here:  the shard's own keyspace, in the batch at hand
//!                                                                └─ held:  keys or the whole keyspace, lent (tx/held.rs)
//!   Lua asks ─> Turn (may it? run it) ─> Lua goes on ... ─> reply, one frame of the log
//! ```
//!
//! A script that names its keys runs where they are. One that touches others that are not held is undone and run again with the
//! whole keyspace, which is remembered for the next time.
//!
//! Invariant: what a script did is seen by nobody before it ends, and is in the log as one frame or not at all.

mod cache;
mod errand;
mod held;
mod here;
mod hop;
pub(crate) mod library;
pub mod program;
mod reply;
mod running;
mod turn;

pub use cache::{Cache, Known, Script};
pub(crate) use held::run_in;
pub(crate) use library::replayed_name;
pub use library::{Libraries, Library, LibraryChange, Policy, replay};
pub(crate) use library::{change_alone, change_in};
pub use program::{Program, What};
pub use running::{Running, RunningList};

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ringstone_engine::Error;
use ringstone_script::{Done, Interpreter, Job, Kind, Step};

use crate::conn::Conn;
use crate::map::Map;
use crate::msg::Patience;
use crate::rt::oneshot;
use crate::shard::Shard;
use crate::tx::Waiter;

/// A shard's side of scripts.
#[derive(Default)]
pub struct Scripts {
    scripts: Engine,
    functions: Engine,
    /// Compiled here.
    known: Map<String, Rc<Known>>,
    /// Flushes of the cache that were noticed here.
    flushes: u64,
    /// Changes of the libraries that `known_functions` knows of.
    known_changes: u64,
    /// Functions that were run here.
    known_functions: Map<String, Rc<Known>>,
    /// Libraries loaded here, with their versions.
    loaded: Map<String, u64>,
    /// Changes of the libraries that were noticed here.
    library_changes: u64,
    /// Commands of the server that scripts call are run for this one.
    client: Option<Box<Conn>>,
}

/// An interpreter, and who waits for it.
#[derive(Default)]
struct Engine {
    interpreter: Option<Interpreter>,
    /// A script has it that goes on later.
    is_out: bool,
    waiting: VecDeque<(oneshot::Sender<()>, Patience)>,
    /// Bytes that its values took after the last job.
    bytes: usize,
}

impl Scripts {
    fn engine(&mut self, kind: Kind) -> &mut Engine {
        match kind {
            Kind::Scripts => &mut self.scripts,
            Kind::Functions => &mut self.functions,
        }
    }

    /// Bytes that the interpreters' values take: those of scripts, those of functions.
    pub fn memory_bytes(&self) -> (usize, usize) {
        (self.scripts.bytes, self.functions.bytes)
    }
}

impl Shard {
    /// True when a script of this kind may start at once.
    fn has_interpreter(&mut self, kind: Kind) -> bool {
        let engine = self.scripts.engine(kind);
        !engine.is_out && engine.waiting.is_empty()
    }

    /// Takes the interpreter, which is there.
    fn take_interpreter(&mut self, kind: Kind) -> Result<Interpreter, String> {
        let engine = self.scripts.engine(kind);
        let interpreter = match engine.interpreter.take() {
            Some(interpreter) => interpreter,
            None => Interpreter::new(kind)
                .map_err(|error| format!("ERR no stack for the interpreter: {error}"))?,
        };
        engine.is_out = true;
        Ok(interpreter)
    }

    /// Gives the interpreter back; who waits for it goes on.
    fn give_interpreter(&mut self, kind: Kind, interpreter: Interpreter) {
        let engine = self.scripts.engine(kind);
        engine.interpreter = Some(interpreter);
        engine.is_out = false;
        if let Some((next, _)) = engine.waiting.pop_front() {
            // It is kept for this one.
            engine.is_out = true;
            next.send(());
            self.wake();
        }
    }

    /// Waits in the interpreter's queue: until it is the next one's turn, or a script is busy and patience at its end.
    fn wait_for_interpreter(
        &mut self,
        kind: Kind,
        patience: Patience,
    ) -> Option<oneshot::Receiver<()>> {
        let engine = self.scripts.engine(kind);
        if !engine.is_out {
            engine.is_out = true;
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        engine.waiting.push_back((sender, patience));
        Some(receiver)
    }

    /// Forgets what was compiled before the last SCRIPT FLUSH.
    pub(crate) fn notice_flush(&mut self) {
        let flushes = self.shared.scripts.flushes();
        if self.scripts.flushes != flushes && !self.scripts.scripts.is_out {
            self.scripts.flushes = flushes;
            self.scripts.known.clear();
            self.scripts.scripts.interpreter = None;
            self.scripts.scripts.bytes = 0;
        }
    }

    /// Flushes of compiled scripts that were noticed here.
    pub(crate) fn script_flushes(&self) -> u64 {
        self.scripts.flushes
    }

    /// What is known of a script that was compiled here.
    pub(crate) fn known_script(&mut self, sha: &str) -> Option<Rc<Known>> {
        self.notice_flush();
        if self.scripts.flushes != self.shared.scripts.flushes() {
            return None;
        }
        self.scripts.known.get(sha).cloned()
    }

    /// A script was compiled here.
    fn know_script(&mut self, sha: &str, script: &Arc<Script>, known: &Rc<Known>) {
        self.scripts.known.insert(sha.to_owned(), Rc::clone(known));
        if self.shared.scripts.find(sha).is_none() {
            self.shared.scripts.add(sha, Arc::clone(script));
        }
    }

    /// Compiles a script to see whether it is one.
    pub(crate) fn check_script(&mut self, sha: &str, script: &Script) -> Result<(), Error> {
        let fail = |error: std::io::Error| Error::owned(format!("ERR {error}"));
        let mut fresh = None;
        let kind = Kind::Scripts;
        let job = Job::Compile { name: sha.to_owned(), code: script.code().to_vec() };
        let done = if self.has_interpreter(kind) {
            let mut interpreter = self.take_interpreter(kind).map_err(Error::owned)?;
            let done = self.run_job(kind, &mut interpreter, job);
            self.give_interpreter(kind, interpreter);
            done
        } else {
            let interpreter = fresh.insert(Interpreter::new(kind).map_err(fail)?);
            self.run_job(kind, interpreter, job)
        };
        match done {
            Done::Broken(why) => Err(Error::owned(format!("ERR {why}"))),
            Done::Failed(error) => Err(error),
            Done::Ready | Done::Reply(_) | Done::Loaded(_) => Ok(()),
        }
    }

    /// Runs a job that asks nothing but what can be answered at once.
    fn run_job(&mut self, kind: Kind, interpreter: &mut Interpreter, job: Job) -> Done {
        let began = std::time::Instant::now();
        let mut step = interpreter.start(job);
        loop {
            match step {
                Step::Done(done, bytes) => {
                    self.scripts.engine(kind).bytes = bytes;
                    return done;
                }
                Step::Ask(ask) => step = interpreter.answer(turn::answer_loading(ask, began)),
            }
        }
    }

    /// Commands that have waited for keys since before a script became busy get the error that later ones get.
    pub(crate) fn send_waiting_away(&mut self) {
        let Some(busy) = self.shared.running.busy_error() else { return };
        let is_clients = |waiter: &Waiter| match waiter {
            Waiter::Command(_) | Waiter::Hop(_) | Waiter::Exec(_) => true,
            Waiter::Tx(ask) => ask.patience == Patience::UntilBusy,
            Waiter::Task(_) => false,
        };
        for (id, waiter) in self.tx.locks.take_waiting(is_clients) {
            self.unlock(id);
            match waiter {
                Waiter::Command(command) => {
                    let Some(mut conn) = self.conns.take(command.conn) else { continue };
                    conn.blocked = false;
                    self.mark_dirty(&mut conn);
                    self.reply_error(&mut conn, &busy);
                    self.go_on(&mut conn);
                    self.settle(conn);
                }
                Waiter::Hop(hop) => self.refuse_hop(*hop, &busy),
                Waiter::Exec(exec) => self.refuse_exec(&exec, &busy),
                Waiter::Tx(ask) => self.send_tx_away(&ask, &busy),
                Waiter::Task(_) => {}
            }
        }
        for kind in [Kind::Scripts, Kind::Functions] {
            let waiting = &mut self.scripts.engine(kind).waiting;
            waiting.retain(|(_, patience)| *patience == Patience::Endless);
        }
        self.wake();
    }

    /// What a command gets while a script is busy that has all it could want.
    pub(crate) fn busy_error(&self) -> Option<Error> {
        if self.shared.running.slow_whole.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.shared.running.busy_error()
    }
}
