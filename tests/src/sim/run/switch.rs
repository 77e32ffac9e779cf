//! CONFIG SET appendonly: logging begins with a base of its own, and ends at one instant of all shards.

use ringstone_persist::disk::block_on;

use super::recovery::Failure;
use super::transaction::Whole;
use super::{Run, World, dir};
use crate::sim::mutation::Mutation;
use crate::sim::oracle::Violation;

impl World {
    /// Begins to begin or to end logging.
    pub(super) fn switch_log(&mut self, run: &mut Run) -> Result<(), Violation> {
        let is_free = run.whole.is_none() && run.transactions.is_empty();
        if !is_free || run.saving.is_some() || run.is_ending {
            return Ok(());
        }
        if run.shards[0].is_logged() {
            self.begin_whole(run, Whole::StopLogging);
            return Ok(());
        }
        let shards = run.shards.len() as u32;
        self.perhaps_stop_within(40);
        let recovered = match self.recover(shards, true) {
            Ok((recovered, _)) => recovered,
            Err(Failure::Io) => return Ok(()),
            Err(Failure::Violation(violation)) => return Err(violation),
        };
        run.marks.go_on_at(recovered.next_gsn());
        self.oracle.is_beginning = !self.is(Mutation::OkBeforeBase);
        let logs = self.open(run, recovered);
        self.begin_whole(run, Whole::Begin(logs.into_iter().map(Some).collect()));
        Ok(())
    }

    /// The log that was to begin is given up: before its base is in MANIFEST nothing was promised.
    pub(super) fn give_up_log(&mut self, run: &mut Run) {
        run.manifest = None;
        for at in 0..run.shards.len() {
            let shard = &mut run.shards[at];
            shard.keyspace.effects.set_enabled(false);
            shard.keyspace.effects.clear();
            shard.drop_log();
            run.marks.publish(at, None, None);
        }
        run.jobs.clear();
    }

    /// What was logged until logging stopped becomes durable; then the log is let go.
    pub(super) fn advance_end(&mut self, run: &mut Run) -> Result<(), Violation> {
        if !run.is_ending || run.whole.is_some() || run.saving.is_some() {
            return Ok(());
        }
        for shard in 0..run.shards.len() {
            if let Some(log) = &mut run.shards[shard].log {
                log.request_sync();
            }
            self.submit(run, shard)?;
            while !run.shards[shard].writes.is_empty() {
                self.complete(run, shard)?;
                self.submit(run, shard)?;
            }
        }
        self.help(run);
        let is_idle = |log: &ringstone_persist::log::LogWriter| log.is_idle();
        if !run.shards.iter().filter_map(|shard| shard.log.as_ref()).all(is_idle) {
            return Ok(());
        }
        let last = run.marks.synced();
        if let Some(mut manifest) = run.manifest.take() {
            manifest.close_epoch(last);
            // Without it the next start finds the same: everything is durable.
            drop(block_on(manifest.store(&self.disk, dir())));
        }
        self.oracle.note_synced(last);
        for at in 0..run.shards.len() {
            run.shards[at].drop_log();
            run.marks.publish(at, None, None);
        }
        run.jobs.clear();
        run.is_ending = false;
        self.stats.switches += 1;
        Ok(())
    }
}
