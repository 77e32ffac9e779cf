//! A program whose keys are all on one other shard: the call hops there, and is answered from there.

use ringstone_engine::{ArgBuf, Error, Tree};

use super::program::{Caller, FIRST_KEY, Program};
use crate::cmd::{Outcome, reply_bytes};
use crate::conn::{BatchId, Conn};
use crate::msg::Msg;
use crate::shard::Shard;
use crate::table::Entry;

impl Shard {
    /// The one other shard that has all keys that the call names; none when it names none, or is known to want others as well.
    pub(super) fn owner_of_program(&self, program: &Program) -> Option<usize> {
        if self.shards() == 1 || program.known.wants_whole.get() {
            return None;
        }
        let args = program.words.as_args();
        let keys = args.iter_from(FIRST_KEY).take(program.keys);
        let mut owners = keys.map(|key| self.shared.slots.shard_of_key(key));
        let owner = owners.next().filter(|owner| *owner != self.index)?;
        owners.all(|other| other == owner).then_some(owner)
    }

    /// Sends a call to the shard that has its keys; the connection waits for the answer.
    pub(super) fn send_program(
        &mut self,
        conn: &mut Conn,
        owner: usize,
        program: Program,
    ) -> Outcome {
        self.stats.hops += 1;
        conn.stand_by_task();
        let Program { words, caller, .. } = program;
        self.call(owner, move |there| there.on_program(&words, &caller));
        Outcome::Aside
    }

    /// Runs a call that came from another shard.
    fn on_program(&mut self, words: &ArgBuf, caller: &Caller) {
        let began = self.measure.now();
        let args = words.as_args();
        let program = crate::cmd::script::program_for(self, caller.clone(), args);
        match program.and_then(|program| self.begin_program(program)) {
            Ok(Some((tree, batch))) => {
                self.note_program(words, caller, began, &tree);
                self.observe();
                self.answer_program(caller, tree, batch);
            }
            // A task goes on with it.
            Ok(None) => {}
            Err(error) => {
                if let Some(entry) = self.table.find(args.at(0)) {
                    self.note_call_since(entry, began, Some(&error));
                }
                self.answer_program(caller, Tree::Error(error), 0);
            }
        }
    }

    /// Answers the connection that called, wherever it is.
    pub(super) fn answer_program(&mut self, caller: &Caller, tree: Tree, batch: BatchId) {
        let (home, conn) = (caller.home, caller.conn);
        if home == self.index {
            return self.finish(conn, &tree, batch);
        }
        let call = move |home: &mut Shard| home.finish(conn, &tree, 0);
        self.commit.send_when_safe(batch, home, Msg::Call(Box::new(call)));
        self.wake();
    }

    /// Answers a call that is not to be run, as a script is busy.
    pub(super) fn reject_program(&mut self, program: &Program, busy: Error) {
        if let Some(entry) = self.entry_of(&program.words) {
            self.measure.calls.note_rejected(entry);
        }
        self.note_error(&busy);
        self.answer_program(&program.caller, Tree::Error(busy), 0);
    }

    /// A call that was not answered at once, and that began at `began`, has ended; its error is counted already.
    pub(super) fn note_program(
        &mut self,
        words: &ArgBuf,
        caller: &Caller,
        began: u64,
        reply: &Tree,
    ) {
        let Some(entry) = self.entry_of(words) else { return };
        let (args, bytes) = (words.as_args(), reply_bytes(reply));
        self.note_call_counted(entry, began, reply.as_error().is_some());
        if caller.home == self.index {
            self.remember_of(caller.conn, entry, args, bytes);
        } else {
            self.remember_there(caller.home, caller.conn, entry, args, bytes);
        }
    }

    fn entry_of(&self, words: &ArgBuf) -> Option<&'static Entry> {
        self.table.find(words.as_args().at(0))
    }
}
