//! A program in what a transaction holds: keys of any shards, or the whole keyspace.

use std::sync::Arc;

use ringstone_engine::cmd::{Flags, Scope};
use ringstone_engine::keyspace::Mode;
use ringstone_engine::reply::TreeSink;
use ringstone_engine::{Error, Tree};
use ringstone_script::{Answer, Done, Interpreter, Step};

use super::here::{COPY_BYTES_MAX, Former, announce, give_way, to_tree, unwind};
use super::program::{FIRST_KEY, Program, Undone};
use super::running::{BUSY_SCRIPT, Running};
use super::turn::{Asked, Called, HostReply, Turn};
use crate::migrate::{Request, migrate_in, moves_keys};
use crate::msg::Patience;
use crate::shard::{Shard, ShardRef};
use crate::table::Run;
use crate::tx::held::{Call, Held, LentKey};

impl Shard {
    /// Starts a program that waits for what it needs.
    pub(super) fn start_held(&mut self, program: Program) -> Result<(), Error> {
        let me = self.me().ok_or(Error::text("ERR the server is shutting down"))?;
        self.stats.transactions += 1;
        self.queues.spawn(run(me, program, self.measure.began()));
        Ok(())
    }

    fn keys_of(&self, program: &Program) -> Vec<LentKey> {
        let args = program.words.as_args();
        let keys = args.iter_from(FIRST_KEY).take(program.keys);
        keys.map(|key| (self.shared.slots.shard_of_key(key), program.caller.db, key.to_vec()))
            .collect()
    }
}

/// Runs a program whose connection waits since `began`, and replies.
pub(super) async fn run(shard: ShardRef, mut program: Program, began: u64) {
    loop {
        let whole = program.keys == 0 || program.known.wants_whole.get();
        let held = if whole {
            Held::whole(&shard).await
        } else {
            let keys = shard.borrow().keys_of(&program);
            Held::keys(&shard, keys).await
        };
        let mut held = match held {
            Ok(held) => held,
            Err(busy) => return shard.borrow_mut().reject_program(&program, busy),
        };
        match run_in(&mut held, &program, Patience::UntilBusy).await {
            Ok(tree) => {
                let batch = held.end();
                let mut this = shard.borrow_mut();
                this.note_program(&program.words, &program.caller, began, &tree);
                return this.answer_program(&program.caller, tree, batch);
            }
            // What it did is undone: what is logged now is nothing.
            Err(undone) => {
                program.undone = undone;
                held.end();
            }
        }
    }
}

/// Runs a program in what is held. An error: it needs the whole keyspace, and nothing of it is left but what others have seen.
pub(crate) async fn run_in(
    held: &mut Held,
    program: &Program,
    patience: Patience,
) -> Result<Tree, Undone> {
    let shard = ShardRef::clone(held.shard());
    let kind = program.what.kind();
    let turn = shard.borrow_mut().wait_for_interpreter(kind, patience);
    if let Some(turn) = turn
        && turn.await.is_none()
    {
        let mut this = shard.borrow_mut();
        let busy = this.shared.running.busy_error().unwrap_or(BUSY_SCRIPT);
        this.note_error(&busy);
        return Ok(Tree::Error(busy));
    }
    let ready = {
        let mut this = shard.borrow_mut();
        match this.take_interpreter(kind) {
            Ok(mut interpreter) => match this.make_ready(&mut interpreter, program) {
                Ok(()) => Ok(interpreter),
                Err(error) => {
                    this.give_interpreter(kind, interpreter);
                    Err(error)
                }
            },
            Err(why) => Err(Error::owned(why)),
        }
    };
    let interpreter = match ready {
        Ok(interpreter) => interpreter,
        Err(error) => return Ok(Tree::Error(error)),
    };
    held.set_caller(program.caller.writer());
    held.keep_events(!held.is_whole());
    let turn = Turn::new(program);
    let mut run = Session { program, turn, interpreter, former: Vec::new(), running: None };
    held.data().set_in_script(true);
    let done = run.drive(held).await;
    held.data().set_in_script(false);
    let Session { mut turn, mut interpreter, former, running, .. } = run;
    let mut this = shard.borrow_mut();
    if let Some(running) = running {
        this.shared.running.remove(&running);
        this.scripts_aside -= 1;
    }
    if done.is_none() {
        unwind(&mut interpreter);
        held.undo(former);
        program.known.wants_whole.set(true);
    } else {
        turn.show_all(&mut this);
        program.known.touches_nothing.set(program.keys == 0 && !turn.touched);
        if let Some(tracks) = program.caller.tracks.filter(|t| t.remembers && turn.reads) {
            held.set_caller(Some(tracks));
            program.named_keys().for_each(|key| held.note_key(key));
        }
        this.publish_these(&held.data().events.take());
        this.publish_deferred(std::mem::take(&mut turn.messages));
    }
    this.give_interpreter(kind, interpreter);
    match done.map(to_tree) {
        Some(tree) => {
            this.note_script_end(&turn, &tree);
            Ok(tree)
        }
        None => Err(turn.into_undone()),
    }
}

struct Session<'a> {
    program: &'a Program,
    turn: Turn,
    interpreter: Interpreter,
    former: Vec<Former>,
    running: Option<Arc<Running>>,
}

impl Session<'_> {
    /// None: it needs what is not held.
    async fn drive(&mut self, held: &mut Held) -> Option<Done> {
        let shard = ShardRef::clone(held.shard());
        let mut step = self.interpreter.start(self.program.job());
        loop {
            let ask = match step {
                Step::Done(done, bytes) => {
                    shard.borrow_mut().scripts.engine(self.program.what.kind()).bytes = bytes;
                    return Some(done);
                }
                Step::Ask(ask) => ask,
            };
            let asked = self.turn.ask(&mut shard.borrow_mut(), ask);
            let answer = match asked {
                Asked::Answer(answer) => answer,
                Asked::Tick => self.tick(&shard, held.is_whole()).await,
                Asked::Call(call) => {
                    let tree = match call.entry.run {
                        Run::Host(_) if moves_keys(call.entry) => self.migrate(held, &call).await?,
                        Run::Host(_) => {
                            let reply = {
                                let mut this = shard.borrow_mut();
                                let reply = this.run_host_for_script(&mut self.turn, &call);
                                this.add_said(&mut held.data().effects);
                                reply
                            };
                            let tree = match reply {
                                HostReply::Tree(tree) => tree,
                                HostReply::Later(task) => task.await,
                            };
                            self.turn.note_reply(&tree);
                            tree
                        }
                        Run::Data(_) => self.call(held, &call).await?,
                    };
                    self.turn.show(&mut shard.borrow_mut(), &call, !held.is_whole());
                    Answer::Reply(tree)
                }
            };
            step = self.interpreter.answer(answer);
        }
    }

    async fn tick(&mut self, shard: &ShardRef, has_whole: bool) -> Answer {
        let running = match &self.running {
            Some(running) => Arc::clone(running),
            None => {
                let mut this = shard.borrow_mut();
                let running = announce(&this, self.program, &self.turn, has_whole);
                this.scripts_aside += 1;
                self.running = Some(Arc::clone(&running));
                running
            }
        };
        give_way(shard, &running, &self.turn).await
    }

    async fn call(&mut self, held: &mut Held, call: &Called) -> Option<Tree> {
        let (entry, args, resp3) = (call.entry, call.words.as_args(), call.resp3);
        let (db, no_touch) = (self.turn.caller.db, self.turn.caller.no_touch);
        let call = Call { db, resp3, no_touch, entry, args };
        if !held.is_whole() && !self.prepare_undo(held, &call) {
            return None;
        }
        self.turn.reads |= entry.spec.flags.contains(Flags::READONLY);
        let mut sink = TreeSink::new(resp3);
        let kept = (!self.turn.logs).then(|| held.data().effects.take());
        held.set_counting(!self.turn.is_repeated());
        let ran = held.run_any(&call, &mut sink).await;
        held.set_counting(true);
        if let Some(kept) = kept {
            drop(std::mem::replace(&mut held.data().effects, kept));
        }
        let tree = sink.into_reply();
        self.turn.note_reply(&tree);
        ran.then_some(tree)
    }

    /// MIGRATE, whose effect on another server cannot be undone: nothing may be lacking later.
    async fn migrate(&mut self, held: &mut Held, call: &Called) -> Option<Tree> {
        if !held.is_whole() {
            return None;
        }
        let kept = (!self.turn.logs).then(|| held.data().effects.take());
        let tree = match Request::parse(call.words.as_args()) {
            Ok(request) => migrate_in(held, self.turn.caller.db, &request).await,
            Err(error) => Tree::Error(error),
        };
        if let Some(kept) = kept {
            drop(std::mem::replace(&mut held.data().effects, kept));
        }
        held.shard().borrow_mut().note_call(call.entry, tree.as_error());
        self.turn.note_reply(&tree);
        Some(tree)
    }

    /// Makes sure that a call needs nothing but what is held, and that what it changes can be put back.
    fn prepare_undo(&mut self, held: &mut Held, call: &Call<'_>) -> bool {
        let derived = call.entry.spec.derived_keys.is_some_and(|keys| (keys.wanted)(call.args));
        if !matches!(call.entry.spec.scope, Scope::Keys) || derived || !held.has_keys_of(call) {
            return false;
        }
        if !call.entry.spec.flags.contains(Flags::WRITE) {
            return true;
        }
        let keys = held.shard().borrow().lent_keys(call.db, call.entry, call.args);
        let now_ms = held.now_ms();
        for (_, db, key) in keys {
            if self.former.iter().any(|(at, known, _)| *at == db && *known == key) {
                continue;
            }
            let mut view = held.data().db(db, now_ms, Mode::Live);
            let entry = view.peek(&key);
            if entry.is_some_and(|entry| entry.memory_bytes() > COPY_BYTES_MAX) {
                return false;
            }
            let entry = entry.cloned();
            self.former.push((db, key, entry));
        }
        true
    }
}
