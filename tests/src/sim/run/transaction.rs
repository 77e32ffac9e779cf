//! Transactions over several shards, as the server runs them.
//!
//! ```text
//!   keys:   owners close their batch, lend ─> run on a keyspace apart ─> one frame, GSN ─> keys go home, owner by owner
//!   whole:  every shard closes its batch and is taken ─> each does its part and holds ─> GSN ─> each lets go
//! ```

use ringstone_engine::cmd::Command;
use ringstone_engine::effect::Records;
use ringstone_engine::{ArgBuf, Keyspace};
use ringstone_persist::log::{FrameKind, LogWriter};

use super::client::Call;
use super::saving::Target;
use super::{Run, World};
use crate::sim::commands::{self, by_opcode, hash_of, lend, new_keyspace, shard_of};
use crate::sim::model::{Changes, Key, Model, changes_of, keys_of};
use crate::sim::mutation::Mutation;
use crate::sim::oracle::Violation;
use crate::sim::shard::{Reply, Seen};

/// A transaction that has some keys.
pub(super) struct KeysHeld {
    coordinator: usize,
    /// Those that have still to get their keys back.
    owners: Vec<usize>,
    keys: Vec<Vec<u8>>,
    data: Keyspace,
    changes: Vec<(Key, Option<u64>)>,
    /// It has its place in the log, where there is one.
    is_placed: bool,
    gsn: Option<u64>,
}

/// What a transaction over everything does.
pub(super) enum Whole {
    Run {
        command: &'static Command,
        args: ArgBuf,
        db: usize,
    },
    Cut(Target),
    /// The cut with which logging begins; each shard's log.
    Begin(Vec<Option<LogWriter>>),
    StopLogging,
}

/// A transaction that has everything.
pub(super) struct WholeHeld {
    whole: Whole,
    untaken: Vec<usize>,
    undone: Vec<usize>,
    unended: Vec<usize>,
    gsn: Option<u64>,
    is_placed: bool,
    /// What the shards hold right after their parts.
    model: Model,
    /// What the command recorded.
    records: Vec<u8>,
}

impl World {
    /// MULTI and EXEC with a few commands.
    pub(super) fn begin_multi(&mut self, run: &mut Run) -> Result<(), Violation> {
        let calls: Vec<Call> = (0..1 + self.rng.below(3)).filter_map(|_| self.call()).collect();
        if calls.is_empty() || calls.iter().any(|call| call.keys.is_empty()) {
            return Ok(());
        }
        self.begin_transaction(run, calls)
    }

    pub(super) fn begin_transaction(
        &mut self,
        run: &mut Run,
        calls: Vec<Call>,
    ) -> Result<(), Violation> {
        let shards = run.shards.len();
        let coordinator = self.rng.index(shards);
        let mut keys: Vec<Vec<u8>> = calls.iter().flat_map(|call| call.keys.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut owners: Vec<usize> = keys.iter().map(|key| shard_of(key, shards)).collect();
        owners.sort_unstable();
        owners.dedup();
        let is_locked = |key: &Vec<u8>| run.shards[shard_of(key, shards)].locked.contains(key);
        if run.whole.is_some()
            || run.transactions.len() >= 3
            || !Self::may_write(run, coordinator)
            || keys.iter().any(is_locked)
        {
            return Ok(());
        }
        if !self.is(Mutation::TxNoClose) {
            owners.iter().for_each(|owner| self.close(run, *owner));
        }
        let mut data = new_keyspace(self.rng.next());
        data.effects.set_enabled(run.shards[coordinator].is_logged());
        for key in &keys {
            let owner = &mut run.shards[shard_of(key, shards)];
            owner.locked.insert(key.clone());
            lend(&mut owner.keyspace, &mut data, key);
        }
        for call in &calls {
            self.say(format_args!("transaction: {}", super::client::shown(call)));
            commands::run(&mut data, call.command, call.args.as_args(), call.db, self.now_ms());
        }
        let changes = changes_of(&keys, &mut data);
        let mut held =
            KeysHeld { coordinator, owners, keys, data, changes, is_placed: false, gsn: None };
        if self.is(Mutation::TxKeysHomeEarly) {
            for owner in held.owners.clone() {
                bring_home(run, &mut held, owner);
            }
        }
        run.transactions.push(held);
        self.stats.transactions += 1;
        Ok(())
    }

    /// A transaction gets its GSN, or one more owner its keys.
    pub(super) fn advance_transaction(&mut self, run: &mut Run) -> Result<(), Violation> {
        if run.transactions.is_empty() {
            return Ok(());
        }
        let at = self.rng.index(run.transactions.len());
        let mut held = run.transactions.swap_remove(at);
        if !held.is_placed {
            self.place_transaction(run, &mut held)?;
            run.transactions.push(held);
            return Ok(());
        }
        let owner = held.owners.swap_remove(self.rng.index(held.owners.len()));
        if let Some(gsn) = held.gsn {
            self.close(run, owner);
            let shards = run.shards.len();
            let mine = held.keys.iter().filter(|key| shard_of(key, shards) == owner);
            run.shards[owner].batches.note_foreign(gsn, mine.map(|key| hash_of(key)), false);
        }
        bring_home(run, &mut held, owner);
        if !held.owners.is_empty() {
            run.transactions.push(held);
        }
        self.publish(run, owner)
    }

    fn place_transaction(&mut self, run: &mut Run, held: &mut KeysHeld) -> Result<(), Violation> {
        held.is_placed = true;
        let (shard, shards) = (held.coordinator, run.shards.len());
        let effects = held.data.effects.take();
        if !run.shards[shard].is_logged() {
            return Ok(());
        }
        self.close(run, shard);
        if effects.is_empty() {
            // A read: it waits for all that any shard has closed so far.
            let last = run.marks.next_gsn() - 1;
            let batch = run.shards[shard].batches.open();
            run.shards[shard].batches.note_foreign(last, [], false);
            let seen: Vec<Seen> = held
                .keys
                .iter()
                .filter_map(|key| {
                    let owner = &run.shards[shard_of(key, shards)];
                    owner.seen_of(key).map(|seen| owner.gsn_of(seen).map_or(seen, Seen::Gsn))
                })
                .collect();
            for seen in seen {
                self.reply_or_wait(run, shard, Reply { batch, seen })?;
            }
            return Ok(());
        }
        let batch = run.shards[shard].batches.open();
        let keys = keys_of(effects.bytes()).unwrap_or_default();
        let changes: Vec<_> = held.changes.iter().filter(|c| keys.contains(&c.0.1)).collect();
        if self.is(Mutation::TxSplit) && held.owners.len() > 1 {
            self.place_split(run, held, effects.bytes());
            return Ok(());
        }
        let changes = Changes::Keys(changes.into_iter().cloned().collect());
        let kind = FrameKind::Transaction;
        held.gsn = self.append(run, shard, kind, effects.bytes(), changes, None);
        let Some(gsn) = held.gsn else { return Ok(()) };
        for key in keys {
            run.shards[shard_of(&key, shards)].last_write.insert(key, Seen::Gsn(gsn));
        }
        self.reply_or_wait(run, shard, Reply { batch, seen: Seen::Gsn(gsn) })?;
        self.publish(run, shard)
    }

    /// The mutation: each owner logs what belongs to its keys.
    fn place_split(&mut self, run: &mut Run, held: &mut KeysHeld, records: &[u8]) {
        let shards = run.shards.len();
        let mut by_owner: Vec<Vec<u8>> = vec![Vec::new(); shards];
        let (mut buf, mut spans) = (Vec::new(), Vec::new());
        let mut records = Records::new(records);
        while let Some(Ok(record)) = records.next_raw() {
            let Some(command) = by_opcode(record.opcode) else { continue };
            record.read_into(command.spec.name.as_bytes(), &mut buf, &mut spans);
            let first = record.first_arg().unwrap_or_default();
            by_owner[shard_of(first, shards)].extend_from_slice(record.bytes);
        }
        let parts = by_owner.iter().filter(|records| !records.is_empty()).count() as u8;
        self.transactions += 1;
        for (owner, records) in by_owner.iter().enumerate().filter(|(_, r)| !r.is_empty()) {
            let keys = keys_of(records).unwrap_or_default();
            let changes = held.changes.iter().filter(|change| keys.contains(&change.0.1)).cloned();
            let changes = Changes::Keys(changes.collect());
            let part = Some((self.transactions, parts));
            held.gsn = self.append(run, owner, FrameKind::Transaction, records, changes, part);
        }
    }

    pub(super) fn begin_whole_command(&mut self, run: &mut Run, call: Call) {
        let coordinator = 0;
        if Self::may_write(run, coordinator) {
            let Call { command, args, db, .. } = call;
            self.begin_whole(run, Whole::Run { command, args, db });
        }
    }

    /// Takes every shard, if nothing else has one; false otherwise.
    pub(super) fn begin_whole(&mut self, run: &mut Run, whole: Whole) -> bool {
        if run.whole.is_some() || !run.transactions.is_empty() {
            return false;
        }
        let all: Vec<usize> = (0..run.shards.len()).collect();
        run.whole = Some(WholeHeld {
            whole,
            untaken: all.clone(),
            undone: all.clone(),
            unended: all,
            gsn: None,
            is_placed: false,
            model: Model::default(),
            records: Vec::new(),
        });
        true
    }

    /// One more shard is taken, does its part, or is let go; or the transaction gets its GSN.
    pub(super) fn advance_whole(&mut self, run: &mut Run) -> Result<(), Violation> {
        let Some(mut held) = run.whole.take() else {
            self.begin_saving(run);
            return Ok(());
        };
        if let Some(shard) = pick(&mut self.rng, &mut held.untaken) {
            let is_cut = matches!(held.whole, Whole::Cut(_) | Whole::Begin(_));
            if !(is_cut && self.is(Mutation::CutNoClose)) {
                self.close(run, shard);
            }
            run.shards[shard].is_taken = true;
        } else if let Some(shard) = pick(&mut self.rng, &mut held.undone) {
            run.shards[shard].batches.hold();
            self.do_part(run, &mut held, shard);
        } else if !held.is_placed {
            held.is_placed = true;
            self.place_whole(run, &mut held)?;
        } else if let Some(shard) = pick(&mut self.rng, &mut held.unended) {
            if let Some(gsn) = held.gsn {
                self.close(run, shard);
                let own = &mut run.shards[shard];
                own.batches.note_foreign(gsn, [], true);
                if matches!(held.whole, Whole::Run { .. }) {
                    own.last_write.clear();
                    own.all_written = Some(Seen::Gsn(gsn));
                }
            }
            run.shards[shard].batches.unhold();
            run.shards[shard].is_taken = false;
            self.publish(run, shard)?;
            if held.unended.is_empty() {
                return Ok(());
            }
        }
        run.whole = Some(held);
        Ok(())
    }

    fn do_part(&mut self, run: &mut Run, held: &mut WholeHeld, shard: usize) {
        let (shards, faults) = (run.shards.len(), self.faults());
        let own = &mut run.shards[shard];
        match &mut held.whole {
            Whole::Run { command, args, db } => {
                let before = own.keyspace.effects.take();
                let (now_ms, args) = (self.now_ms(), args.as_args());
                commands::run(&mut own.keyspace, command, args, *db, now_ms);
                let made = std::mem::replace(&mut own.keyspace.effects, before);
                if held.records.is_empty() {
                    held.records = made.bytes().to_vec();
                }
            }
            Whole::Cut(target) => {
                let target = *target;
                self.begin_part(own, target);
            }
            Whole::Begin(logs) => {
                self.begin_part(own, Target::Base);
                if let Some(log) = logs[shard].take() {
                    own.begin_log(log, shards, faults);
                }
            }
            Whole::StopLogging => {
                own.is_ending = true;
                own.keyspace.effects.set_enabled(false);
            }
        }
        held.model.add(&mut run.shards[shard].keyspace);
    }

    fn place_whole(&mut self, run: &mut Run, held: &mut WholeHeld) -> Result<(), Violation> {
        let shard = self.rng.index(run.shards.len());
        run.shards[shard].batches.unhold();
        let (kind, model) = (FrameKind::Transaction, held.model.clone());
        match &held.whole {
            Whole::Run { .. } if held.records.is_empty() => {}
            Whole::Run { .. } => {
                self.close(run, shard);
                held.gsn = self.append(run, shard, kind, &held.records, Changes::All(model), None);
            }
            Whole::Cut(_) | Whole::Begin(_) => {
                let begins = matches!(held.whole, Whole::Begin(_));
                let target =
                    if let Whole::Cut(target) = held.whole { target } else { Target::Base };
                let changes =
                    if begins { Changes::All(model.clone()) } else { Changes::Keys(Vec::new()) };
                held.gsn = self.append(run, shard, FrameKind::Cut, &[], changes, None);
                if let Some(gsn) = held.gsn.filter(|_| !begins) {
                    self.oracle.check_live(gsn, &model)?;
                }
                self.begun_saving(run, target, held.gsn, begins, model);
            }
            Whole::StopLogging => run.is_ending = true,
        }
        run.shards[shard].batches.hold();
        Ok(())
    }
}

fn pick(rng: &mut crate::sim::Rng, of: &mut Vec<usize>) -> Option<usize> {
    if of.is_empty() { None } else { Some(of.swap_remove(rng.index(of.len()))) }
}

fn bring_home(run: &mut Run, held: &mut KeysHeld, owner: usize) {
    let shards = run.shards.len();
    for key in held.keys.iter().filter(|key| shard_of(key, shards) == owner) {
        let own = &mut run.shards[owner];
        lend(&mut held.data, &mut own.keyspace, key);
        own.locked.remove(key);
    }
}
