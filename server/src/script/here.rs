//! A program in the shard's own keyspace, in the batch at hand: what nearly every call does.
//!
//! One that takes its time, or calls a command that has to wait, is set aside with the shard locked; its records stay out of the
//! batches that are closed meanwhile.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ringstone_engine::cmd::Flags;
use ringstone_engine::keyspace::Stats;
use ringstone_engine::raw::Entry as KeyEntry;
use ringstone_engine::reply::TreeSink;
use ringstone_engine::{Args, Effects, Error, Tree};
use ringstone_script::{Answer, Done, Interpreter, Job, Step};

use super::cache::Script;
use super::errand::Errand;
use super::program::{Program, What};
use super::running::Running;
use super::turn::{Asked, Called, HostReply, Turn};
use crate::cmd::Outcome;
use crate::cmd::script::NO_SCRIPT;
use crate::conn::{BatchId, Conn};
use crate::flow::execute::RespReply;
use crate::flow::route::key_hash;
use crate::migrate::moves_keys;
use crate::observe::{Touched, each_touched};
use crate::rt::exec::yield_now;
use crate::rt::oneshot;
use crate::shard::{Shard, ShardRef};
use crate::table::Run;
use crate::tx::Waiter;
use crate::tx::locks::{Acquired, LockId, Need};

/// Entries above this size are not copied in case that they have to be put back: the program gets the whole keyspace instead.
pub(super) const COPY_BYTES_MAX: usize = 64 << 10;

/// An entry as it was before the program changed it: database, key, what was there.
pub(super) type Former = (usize, Vec<u8>, Option<KeyEntry>);

/// A run here.
struct Here {
    program: Program,
    turn: Turn,
    interpreter: Interpreter,
    /// The batch that the reply waits for.
    batch: BatchId,
    former: Vec<Former>,
    /// The keyspace's counters when it began.
    stats: Stats,
    /// The time for all of its commands, in ms since 1970.
    now_ms: i64,
}

/// How far a run came.
enum Progress {
    Done(Done),
    /// It goes on with the result of this.
    Later(Pending),
    /// It goes on when others had their turn.
    Tick,
    /// It needs what is not here.
    NeedsWhole,
}

/// What a run that is set aside waits for.
enum Pending {
    /// A command's reply.
    Task(Pin<Box<dyn Future<Output = Tree>>>),
    /// Keys are being sent.
    Errand(Box<Errand>),
}

impl Shard {
    /// Runs a program for a connection: at once if that is possible.
    pub(crate) fn start_program(
        &mut self,
        conn: &mut Conn,
        program: Program,
    ) -> Result<Outcome, Error> {
        if let Some(owner) = self.owner_of_program(&program) {
            return Ok(self.send_program(conn, owner, program));
        }
        let Some((tree, batch)) = self.begin_program(program)? else {
            conn.stand_by_task();
            return Ok(Outcome::Aside);
        };
        let (mark, resp3) = (conn.reply_mark(), conn.resp3);
        tree.write_to(&mut RespReply::new(conn.reply_buffer(), resp3));
        if batch > 0 {
            conn.hold_since(mark, batch);
        }
        self.observe();
        let failed = matches!(tree, Tree::Error(_));
        Ok(if failed { Outcome::Failed } else { Outcome::Done })
    }

    /// Runs a program: its reply, and the batch that it waits for. None: a task goes on with it, and will answer.
    pub(super) fn begin_program(
        &mut self,
        program: Program,
    ) -> Result<Option<(Tree, BatchId)>, Error> {
        let kind = program.what.kind();
        if !self.can_run_here(&program) {
            let busy = self.shared.running.busy_error();
            if let Some(busy) = busy.filter(|_| !self.has_interpreter(kind)) {
                return Err(busy);
            }
            return self.start_held(program).map(|()| None);
        }
        let mut interpreter = self.take_interpreter(kind).map_err(Error::owned)?;
        if let Err(error) = self.make_ready(&mut interpreter, &program) {
            self.give_interpreter(kind, interpreter);
            return Err(error);
        }
        let turn = Turn::new(&program);
        let (batch, former, now_ms) = (0, Vec::new(), self.now_ms);
        let stats = self.keyspace.stats;
        let mut here = Here { program, turn, interpreter, batch, former, stats, now_ms };
        let before = self.keyspace.effects.take();
        self.keyspace.set_quiet(here.program.caller.no_touch);
        let step = here.interpreter.start(here.program.job());
        let progress = self.drive(&mut here, step);
        let made = std::mem::replace(&mut self.keyspace.effects, before);
        let task = match progress {
            Progress::Done(done) => return Ok(Some(self.end_here(here, done, &made))),
            Progress::NeedsWhole => {
                let program = self.undo_here(here);
                return self.start_held(program).map(|()| None);
            }
            Progress::Later(task) => Some(task),
            Progress::Tick => None,
        };
        self.park(here, made, task);
        Ok(None)
    }

    fn can_run_here(&mut self, program: &Program) -> bool {
        let one = self.shards() == 1;
        if !self.tx.locks.is_free()
            || !self.tx.stalled.is_empty()
            || self.commit.is_stalled()
            || self.snapshot.is_some()
            || !self.has_interpreter(program.what.kind())
        {
            return false;
        }
        if one {
            return true;
        }
        let args = program.words.as_args();
        !program.known.wants_whole.get()
            && (program.keys > 0 || program.known.touches_nothing.get())
            && args
                .iter_from(super::program::FIRST_KEY)
                .take(program.keys)
                .all(|key| self.shared.slots.shard_of_key(key) == self.index)
    }

    /// Compiles a script that was not run here before; loads the library of a function.
    pub(super) fn make_ready(
        &mut self,
        interpreter: &mut Interpreter,
        program: &Program,
    ) -> Result<(), Error> {
        let what = &program.what;
        match what {
            What::Script(_, None) if program.flushes == self.script_flushes() => Ok(()),
            What::Script(sha, None) => {
                // It was flushed while the call waited.
                let args = program.words.as_args();
                if args.at(0).to_ascii_lowercase().starts_with(b"evalsha") {
                    return Err(NO_SCRIPT);
                }
                let script = Script::new(args.at(1));
                let script = Arc::new(script.map_err(|why| Error::owned(format!("ERR {why}")))?);
                self.compile(interpreter, program, sha, &script)
            }
            What::Script(sha, Some(script)) => self.compile(interpreter, program, sha, script),
            What::Function(..) => self.load_libraries(interpreter),
        }
    }

    fn compile(
        &mut self,
        interpreter: &mut Interpreter,
        program: &Program,
        sha: &str,
        script: &Arc<Script>,
    ) -> Result<(), Error> {
        let job = Job::Compile { name: sha.to_owned(), code: script.code().to_vec() };
        match self.run_job(program.what.kind(), interpreter, job) {
            Done::Broken(why) => Err(Error::owned(format!("ERR {why}"))),
            Done::Failed(error) => Err(error),
            Done::Ready | Done::Reply(_) | Done::Loaded(_) => {
                self.know_script(sha, script, &program.known);
                Ok(())
            }
        }
    }

    fn drive(&mut self, here: &mut Here, step: Step) -> Progress {
        self.keyspace.set_in_script(true);
        let progress = self.drive_on(here, step);
        self.keyspace.set_in_script(false);
        progress
    }

    fn drive_on(&mut self, here: &mut Here, mut step: Step) -> Progress {
        loop {
            let ask = match step {
                Step::Done(done, bytes) => {
                    self.scripts.engine(here.program.what.kind()).bytes = bytes;
                    return Progress::Done(done);
                }
                Step::Ask(ask) => ask,
            };
            let answer = match here.turn.ask(self, ask) {
                Asked::Answer(answer) => answer,
                Asked::Tick => return Progress::Tick,
                Asked::Call(call) => {
                    let reply = match call.entry.run {
                        Run::Host(_) if moves_keys(call.entry) && self.shards() > 1 => {
                            return Progress::NeedsWhole;
                        }
                        Run::Host(_) if moves_keys(call.entry) => {
                            match self.pack_errand(&mut here.turn, &call) {
                                Ok(errand) => {
                                    here.turn.show(self, &call, self.shards() > 1);
                                    return Progress::Later(Pending::Errand(Box::new(errand)));
                                }
                                Err(tree) => HostReply::Tree(tree),
                            }
                        }
                        Run::Host(_) => {
                            let reply = self.run_host_for_script(&mut here.turn, &call);
                            self.say_within();
                            reply
                        }
                        Run::Data(_) => match self.call_here(here, &call) {
                            Some(tree) => HostReply::Tree(tree),
                            None => return Progress::NeedsWhole,
                        },
                    };
                    here.turn.show(self, &call, self.shards() > 1);
                    match reply {
                        HostReply::Tree(tree) => Answer::Reply(tree),
                        HostReply::Later(task) => return Progress::Later(Pending::Task(task)),
                    }
                }
            };
            step = here.interpreter.answer(answer);
        }
    }

    /// Runs a command on the shard's keyspace; none where it needs more than that.
    fn call_here(&mut self, here: &mut Here, call: &Called) -> Option<Tree> {
        let (db, args) = (here.turn.caller.db, call.words.as_args());
        if self.shards() > 1 && !self.prepare_undo(here, call, args) {
            return None;
        }
        here.turn.reads |= call.entry.spec.flags.contains(Flags::READONLY);
        let mut sink = TreeSink::new(call.resp3);
        let kept = (!here.turn.logs).then(|| self.keyspace.effects.take());
        let batch = self.run_and_note_into(db, call.entry, args, &mut sink);
        here.batch = here.batch.max(batch);
        if let Some(kept) = kept {
            let unlogged = std::mem::replace(&mut self.keyspace.effects, kept);
            self.observe_records(unlogged.bytes());
        }
        if self.shards() == 1 {
            self.publish_events();
        }
        let tree = sink.into_reply();
        here.turn.note_reply(&tree);
        Some(tree)
    }

    /// Makes sure that a call needs nothing of other shards, and that what it changes can be put back.
    fn prepare_undo(&mut self, here: &mut Here, call: &Called, args: Args<'_>) -> bool {
        if self.needs_whole(call.entry, args) {
            return false;
        }
        let keys = self.lent_keys(here.turn.caller.db, call.entry, args);
        if keys.iter().any(|(owner, _, _)| *owner != self.index) {
            return false;
        }
        if !call.entry.spec.flags.contains(Flags::WRITE) {
            return true;
        }
        for (_, db, key) in keys {
            if here.former.iter().any(|(at, known, _)| *at == db && *known == key) {
                continue;
            }
            let now_ms = self.now_ms;
            let mut view = self.keyspace.db(db, now_ms, ringstone_engine::keyspace::Mode::Live);
            let entry = view.peek(&key);
            if entry.is_some_and(|entry| entry.memory_bytes() > COPY_BYTES_MAX) {
                return false;
            }
            let entry = entry.cloned();
            here.former.push((db, key, entry));
        }
        true
    }

    /// Takes back what a run did; the program.
    fn undo_here(&mut self, here: Here) -> Program {
        let Here { mut program, turn, mut interpreter, former, stats, .. } = here;
        program.undone = turn.into_undone();
        self.keyspace.stats = stats;
        unwind(&mut interpreter);
        self.give_interpreter(program.what.kind(), interpreter);
        drop(self.keyspace.events.take());
        for (db, key, entry) in former {
            drop(self.keyspace.checkout(db, &key));
            if let Some(entry) = entry {
                self.keyspace.checkin(db, entry);
            }
        }
        program.known.wants_whole.set(true);
        program
    }

    /// The end of a run: its records join the open batch.
    fn end_here(&mut self, here: Here, done: Done, made: &Effects) -> (Tree, BatchId) {
        let Here { program, mut turn, interpreter, batch, .. } = here;
        turn.show_all(self);
        let tree = to_tree(done);
        self.note_script_end(&turn, &tree);
        self.give_interpreter(program.what.kind(), interpreter);
        program.known.touches_nothing.set(program.keys == 0 && !turn.touched);
        let mut batch = batch;
        self.publish_events();
        self.publish_deferred(turn.messages);
        // Before its own changes are seen: it is told of what it has read and changed.
        if let Some(tracks) = turn.caller.tracks.filter(|tracks| tracks.remembers && turn.reads) {
            program.named_keys().for_each(|key| self.track(key, tracks.client));
        }
        self.tracking.caller = turn.caller.writer();
        if made.is_empty() {
            // It may have said something, for all that.
            self.keyspace.effects.append_seen(made);
        } else {
            self.keyspace.effects.append_seen(made);
            self.observe_records(made.bytes());
            if self.commit.holds_replies() {
                batch = self.commit.open_batch();
            }
        }
        self.tracking.caller = None;
        (tree, batch)
    }

    /// Sets a run aside.
    fn park(&mut self, here: Here, made: Effects, task: Option<Pending>) {
        let Some(me) = self.me() else { return };
        let (sender, receiver) = oneshot::channel();
        let lock = match self.tx.locks.acquire(Need::All, None, Waiter::Task(sender)) {
            Acquired::Granted(id, _) | Acquired::Queued(id) => Some(id),
            // Without a number nobody is refused.
            Acquired::Refused(_) => None,
        };
        drop(receiver);
        // One that has named no key may want any.
        let has_whole = self.shards() == 1 || here.program.keys == 0;
        let running = here.announce(self, has_whole);
        self.scripts_aside += 1;
        let aside = Aside { running, lock, began: self.measure.began() };
        self.queues.spawn(go_on(me, here, made, aside, task));
    }

    /// What a run that was set aside has changed: replies about it wait for the batch that is open now.
    fn note_changes(&mut self, made: &Effects) {
        let (table, databases) = (self.table, self.keyspace.databases());
        let mut hashes = Vec::new();
        each_touched(table, databases, made.bytes(), &mut |change| {
            if let Touched::Key(_, key, _) = change {
                hashes.push(key_hash(key));
            }
        });
        for hash in hashes {
            self.commit.note_key(hash, true);
        }
    }
}

impl Here {
    fn announce(&self, shard: &Shard, has_whole: bool) -> Arc<Running> {
        announce(shard, &self.program, &self.turn, has_whole)
    }
}

/// Makes a run known that gives way to others.
pub(super) fn announce(
    shard: &Shard,
    program: &Program,
    turn: &Turn,
    has_whole: bool,
) -> Arc<Running> {
    let age_ms = i64::try_from(turn.duration().as_millis()).unwrap_or(i64::MAX);
    let since_ms = crate::rt::clock::unix_ms().saturating_sub(age_ms);
    let what = &program.what;
    let (name, words) = (what.name().to_owned(), program.words.clone());
    let running = Arc::new(Running::new(what.kind(), name, words, since_ms, has_whole));
    running.wrote.store(turn.wrote, Ordering::Release);
    shard.shared.running.add(&running);
    running
}

/// Lets others have their turn, and says how the script goes on.
pub(super) async fn give_way(shard: &ShardRef, running: &Running, turn: &Turn) -> Answer {
    running.wrote.store(turn.wrote, Ordering::Release);
    {
        let mut this = shard.borrow_mut();
        let threshold = this.config.busy_reply_threshold;
        let age_ms = u64::try_from(turn.duration().as_millis()).unwrap_or(u64::MAX);
        if threshold > 0 && age_ms >= threshold && this.shared.running.mark_slow(running) {
            tracing::warn!(
                "Slow script detected: still in execution after {age_ms} milliseconds. You can try killing the script using \
                 the {} command. Script name is: {}.",
                match running.kind {
                    ringstone_script::Kind::Scripts => "SCRIPT KILL",
                    ringstone_script::Kind::Functions => "FUNCTION KILL",
                },
                running.name
            );
            for to in 0..this.shards() {
                this.call(to, Shard::send_waiting_away);
            }
        }
    }
    yield_now().await;
    if running.killed.load(Ordering::Acquire) {
        tracing::warn!("Lua script killed by user with SCRIPT KILL.");
        return Answer::Stop("Script killed by user with SCRIPT KILL...");
    }
    Answer::Nothing
}

/// What a run has that was set aside.
struct Aside {
    running: Arc<Running>,
    lock: Option<LockId>,
    /// When its call began.
    began: u64,
}

async fn go_on(
    me: ShardRef,
    mut here: Here,
    mut made: Effects,
    aside: Aside,
    mut task: Option<Pending>,
) {
    loop {
        let answer = match task.take() {
            Some(Pending::Task(task)) => {
                let tree = task.await;
                here.turn.note_reply(&tree);
                Answer::Reply(tree)
            }
            Some(Pending::Errand(errand)) => {
                let returned = errand.run(&me).await;
                let settle = |shard: &mut Shard, here: &mut Here| {
                    shard.settle_errand(&mut here.turn, returned)
                };
                Answer::Reply(me.borrow_mut().within(&mut here, &mut made, settle))
            }
            None => give_way(&me, &aside.running, &here.turn).await,
        };
        let progress = me.borrow_mut().within(&mut here, &mut made, |shard, here| {
            let step = here.interpreter.answer(answer);
            shard.drive(here, step)
        });
        match progress {
            Progress::Tick => {}
            Progress::Later(next) => task = Some(next),
            Progress::Done(done) => {
                return me.borrow_mut().end_aside(here, done, &made, &aside);
            }
            Progress::NeedsWhole => {
                let began = aside.began;
                let program = me.borrow_mut().give_up_aside(here, &aside);
                return super::held::run(me, program, began).await;
            }
        }
    }
}

impl Shard {
    /// Does something for a run that was set aside: at its time, with its records.
    fn within<T>(
        &mut self,
        here: &mut Here,
        made: &mut Effects,
        work: impl FnOnce(&mut Shard, &mut Here) -> T,
    ) -> T {
        std::mem::swap(&mut self.keyspace.effects, made);
        let now_ms = std::mem::replace(&mut self.now_ms, here.now_ms);
        self.keyspace.set_quiet(here.program.caller.no_touch);
        let result = work(self, here);
        self.now_ms = now_ms;
        std::mem::swap(&mut self.keyspace.effects, made);
        result
    }

    fn end_aside(&mut self, here: Here, done: Done, made: &Effects, aside: &Aside) {
        self.shared.running.remove(&aside.running);
        self.scripts_aside -= 1;
        let program = here.program.clone();
        self.note_changes(made);
        let (tree, batch) = self.end_here(here, done, made);
        self.note_program(&program.words, &program.caller, aside.began, &tree);
        self.serve_blocked(aside.lock);
        aside.lock.into_iter().for_each(|lock| self.unlock(lock));
        self.answer_program(&program.caller, tree, batch);
    }

    fn give_up_aside(&mut self, here: Here, aside: &Aside) -> Program {
        self.shared.running.remove(&aside.running);
        self.scripts_aside -= 1;
        let program = self.undo_here(here);
        aside.lock.into_iter().for_each(|lock| self.unlock(lock));
        program
    }
}

/// Ends a run that is not to be finished.
pub(super) fn unwind(interpreter: &mut Interpreter) {
    let mut step = interpreter.answer(Answer::Stop("run again"));
    while let Step::Ask(_) = step {
        step = interpreter.answer(Answer::Stop("run again"));
    }
}

/// The reply of a run.
pub(super) fn to_tree(done: Done) -> Tree {
    match done {
        Done::Reply(tree) => tree,
        Done::Failed(error) => Tree::Error(error),
        Done::Broken(why) => Tree::Error(Error::owned(format!("ERR {why}"))),
        Done::Ready | Done::Loaded(_) => Tree::Null,
    }
}
