//! What clients ask for: commands on one shard, and the replies that wait.

use ringstone_engine::cmd::{Command, Scope};
use ringstone_engine::serial::{RdbWriter, SnapshotWriter};
use ringstone_engine::{ArgBuf, cmd};
use ringstone_persist::log::{Health, SyncMode, Watermarks};

use super::{Run, World};
use crate::generate::Line;
use crate::generate::pair::DATABASES;
use crate::sim::commands::{self, hash_of, shard_of};
use crate::sim::mutation::Mutation;
use crate::sim::oracle::Violation;
use crate::sim::shard::{Reply, Seen};

/// A command as a client sends it.
pub(super) struct Call {
    pub(super) command: &'static Command,
    pub(super) args: ArgBuf,
    pub(super) db: usize,
    pub(super) keys: Vec<Vec<u8>>,
}

/// A command as text.
pub(super) fn shown(call: &Call) -> String {
    let args = call.args.as_args();
    let words: Vec<String> =
        args.iter_from(0).map(|word| word.escape_ascii().to_string()).collect();
    let mut text = format!("{}> {}", call.db, words.join(" "));
    text.truncate(200);
    text
}

impl World {
    /// A command whose keys are known beforehand, or one over the whole keyspace.
    pub(super) fn call(&mut self) -> Option<Call> {
        let (command, words): Line = if self.rng.percent(3) {
            self.filling()?
        } else {
            self.generator.command(&mut self.rng)
        };
        let args = ArgBuf::from_parts(&words);
        let spec = &command.spec;
        if !spec.arity_fits(words.len()) || matches!(spec.scope, Scope::Cursor(_)) {
            return None;
        }
        if spec.derived_keys.is_some_and(|derived| (derived.wanted)(args.as_args())) {
            return None;
        }
        let positions = spec.key_positions(args.as_args()).ok()?;
        let keys: Vec<Vec<u8>> = positions.iter().map(|at| words[*at].clone()).collect();
        if keys.is_empty() && matches!(spec.scope, Scope::Keys) {
            return None;
        }
        let db = if self.rng.percent(80) { 0 } else { DATABASES - 1 };
        Some(Call { command, args, db, keys })
    }

    /// A value that makes frames of many sizes, longer than a segment at times.
    fn filling(&mut self) -> Option<Line> {
        let set = cmd::all().find(|command| command.spec.name == "set")?;
        let len = match self.rng.below(100) {
            0..60 => self.rng.below(900),
            60..97 => self.rng.below(9000),
            _ => self.rng.below(40_000),
        };
        let key = format!("filling:{}", self.rng.below(3));
        let value = vec![len as u8; len as usize];
        Some((set, vec![b"set".to_vec(), key.into_bytes(), value]))
    }

    /// Runs a command where its keys are.
    pub(super) fn execute(&mut self, run: &mut Run) -> Result<(), Violation> {
        let Some(call) = self.call() else { return Ok(()) };
        if !matches!(call.command.spec.scope, Scope::Keys) {
            self.begin_whole_command(run, call);
            return Ok(());
        }
        let shards = run.shards.len();
        let owner = shard_of(&call.keys[0], shards);
        if call.keys.iter().any(|key| shard_of(key, shards) != owner) {
            return self.begin_transaction(run, vec![call]);
        }
        self.run_on(run, owner, &call)
    }

    /// Whether a shard accepts writes now.
    pub(super) fn may_write(run: &Run, shard: usize) -> bool {
        let log = run.shards[shard].log.as_ref();
        log.is_none_or(|log| log.health() == Health::Ok && !log.is_stalled())
    }

    fn run_on(&mut self, run: &mut Run, shard: usize, call: &Call) -> Result<(), Violation> {
        let now_ms = self.now_ms();
        let may_write = Self::may_write(run, shard);
        let own = &mut run.shards[shard];
        if !may_write || own.is_taken || call.keys.iter().any(|key| own.locked.contains(key)) {
            return Ok(());
        }
        if self.mutation == Some(Mutation::PreImageLost) {
            let mut lost = SnapshotWriter::new(RdbWriter::default());
            for key in &call.keys {
                own.keyspace.snapshot_save_key(call.db, key, &mut lost);
            }
        }
        if self.is_traced {
            println!("shard {shard}: {}", shown(call));
        }
        let before = own.keyspace.effects.count();
        commands::run(&mut own.keyspace, call.command, call.args.as_args(), call.db, now_ms);
        self.stats.commands += 1;
        if own.log.is_none() {
            return Ok(());
        }
        let wrote = own.keyspace.effects.count() != before;
        let open = own.batches.open();
        let hashes = call.keys.iter().map(|key| hash_of(key));
        let noted = hashes.map(|hash| own.batches.note_key(hash, wrote)).max().unwrap_or(0);
        let batch = if wrote { open } else { noted };
        let mut replies: Vec<Reply> = Vec::new();
        if wrote {
            if own.is_ending {
                return Ok(());
            }
            let seen = Seen::Batch(open);
            own.last_write.extend(call.keys.iter().map(|key| (key.clone(), seen)));
            replies.push(Reply { batch, seen });
        } else {
            let seen = call.keys.iter().filter_map(|key| own.seen_of(key));
            replies.extend(seen.map(|seen| Reply { batch, seen }));
        }
        for reply in replies {
            self.reply_or_wait(run, shard, reply)?;
        }
        Ok(())
    }

    /// A reply leaves now or later.
    pub(super) fn reply_or_wait(
        &mut self,
        run: &mut Run,
        shard: usize,
        reply: Reply,
    ) -> Result<(), Violation> {
        if reply.batch > run.shards[shard].batches.released() {
            run.shards[shard].replies.push(reply);
            return Ok(());
        }
        self.leave(run, shard, reply.seen)
    }

    /// A reply leaves: what it has seen must not be lost any more.
    fn leave(&mut self, run: &Run, shard: usize, seen: Seen) -> Result<(), Violation> {
        let own = &run.shards[shard];
        let Some(log) = &own.log else { return Ok(()) };
        let always = log.mode() == SyncMode::Always;
        // A shard that is alone lets reads pass where a kill loses nothing that is in the log's memory.
        if !always && run.shards.len() == 1 {
            let lost_by_kill = own.gsn_of(seen).is_none_or(|gsn| run.marks.written() < gsn);
            if lost_by_kill {
                return Ok(());
            }
        }
        let Some(gsn) = own.gsn_of(seen) else {
            return Err(Violation("a reply leaves that has seen an open batch".to_owned()));
        };
        self.oracle.acknowledge(gsn, always && gsn >= run.always_since);
        self.stats.acknowledged += 1;
        Ok(())
    }

    /// Publishes how far a shard's log is, and lets replies of all shards leave that are safe by now.
    pub(super) fn publish(&mut self, run: &mut Run, shard: usize) -> Result<(), Violation> {
        if let Some(log) = &run.shards[shard].log {
            run.marks.publish(shard, log.written_below(), log.synced_below());
        }
        self.oracle.note_synced(run.marks.synced());
        for at in 0..run.shards.len() {
            let own = &mut run.shards[at];
            let Some(log) = own.log.as_ref().filter(|_| !own.batches.is_held()) else { continue };
            if self.mutation == Some(Mutation::AckLocal) {
                let local = Watermarks::new(1, run.marks.next_gsn());
                local.publish(0, log.written_below(), log.synced_below());
                own.batches.release(log.mode(), &local);
            } else {
                own.batches.release(log.mode(), &run.marks);
            }
            let released = own.batches.released();
            let (leaving, waiting) =
                std::mem::take(&mut own.replies).into_iter().partition(|r| r.batch <= released);
            own.replies = waiting;
            let leaving: Vec<Reply> = leaving;
            for reply in leaving {
                self.leave(run, at, reply.seen)?;
            }
        }
        Ok(())
    }

    /// The active expiry of a shard, where no transaction has anything.
    pub(super) fn expire(&mut self, run: &mut Run) {
        let shard = self.rng.index(run.shards.len());
        let now_ms = self.now_ms();
        let own = &mut run.shards[shard];
        if !own.is_taken && own.locked.is_empty() {
            own.keyspace.expire_cycle(now_ms, 100);
        }
    }
}
