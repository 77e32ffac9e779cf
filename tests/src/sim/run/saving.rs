//! Snapshots: the base of the log, and `dump.rdb`.
//!
//! ```text
//!   cut ─> parts, while writes go on ─> one file ─> installed ─> base: MANIFEST names it ─> what it covers is given up
//!                                                               dump: of a time without log: MANIFEST says it is newer
//! ```

use std::path::{Path, PathBuf};

use ringstone_engine::serial::Compression;
use ringstone_persist::disk::{Disk as _, block_on};
use ringstone_persist::install::install;
use ringstone_persist::log::{Base, Manifest};

use super::transaction::Whole;
use super::{DIR, DUMP, Job, Run, World, dir};
use crate::sim::model::Model;
use crate::sim::mutation::Mutation;
use crate::sim::oracle::{Superseded, Violation};
use crate::sim::shard::Shard;
use crate::sim::snapshot::{self, Part};

/// What a snapshot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Dump,
    Base,
}

/// A snapshot under way.
pub(super) struct Saving {
    target: Target,
    /// The cut's GSN; none: nothing is logged.
    cut: Option<u64>,
    /// Logging begins with it.
    pub(super) begins_log: bool,
    model: Model,
    progress: Progress,
}

enum Progress {
    Parts,
    Written,
    /// With what MANIFEST is to say of each shard.
    Installed(Vec<(u32, u64)>),
}

fn temporary(target: Target) -> PathBuf {
    match target {
        Target::Dump => PathBuf::from("/data/temp-1.rdb"),
        Target::Base => Path::new(DIR).join("base.rdb.new"),
    }
}

impl World {
    /// Now and then a snapshot begins.
    pub(super) fn begin_saving(&mut self, run: &mut Run) {
        if run.saving.is_some() || run.is_ending || !self.rng.percent(40) {
            return;
        }
        let is_logged = run.shards[0].is_logged();
        let target = if is_logged && self.rng.percent(85) { Target::Base } else { Target::Dump };
        self.begin_whole(run, Whole::Cut(target));
    }

    /// The cut on one shard.
    pub(super) fn begin_part(&mut self, shard: &mut Shard, target: Target) {
        let compression = match target {
            Target::Dump => Compression::All,
            Target::Base => Compression::Long,
        };
        shard.part = Some(Part::begin(&mut shard.keyspace, compression));
        if let Some(log) = &mut shard.log {
            log.rotate();
        }
    }

    /// All shards have taken the cut.
    pub(super) fn begun_saving(
        &mut self,
        run: &mut Run,
        target: Target,
        cut: Option<u64>,
        begins_log: bool,
        model: Model,
    ) {
        if let Some(cut) = cut.filter(|_| begins_log) {
            self.oracle.may_begin_with(cut, model.clone());
        }
        let progress = Progress::Parts;
        run.saving = Some(Saving { target, cut, begins_log, model, progress });
    }

    /// A shard writes a piece of its part, or the file goes one step on.
    pub(super) fn advance_saving(&mut self, run: &mut Run) -> Result<(), Violation> {
        let Some(mut saving) = run.saving.take() else { return Ok(()) };
        self.perhaps_stop_within(12);
        let goes_on = match saving.progress {
            Progress::Parts => self.advance_parts(run, &mut saving),
            Progress::Written => self.install(run, &mut saving),
            Progress::Installed(_) => self.name_base(run, &mut saving)?,
        };
        if goes_on {
            run.saving = Some(saving);
        } else {
            self.end_saving(run, &saving);
        }
        Ok(())
    }

    fn advance_parts(&mut self, run: &mut Run, saving: &mut Saving) -> bool {
        let budget = [50, 500, 3000, 20_000][self.rng.index(4)];
        let count = run.shards.len();
        let first = self.rng.index(count);
        for own in (0..count).map(|at| (first + at) % count) {
            let own = &mut run.shards[own];
            let Some(part) = &mut own.part else { continue };
            if !part.step(&mut own.keyspace, budget) {
                return true;
            }
        }
        let parts = run.shards.iter_mut().filter_map(|shard| shard.part.take()).collect();
        saving.progress = Progress::Written;
        let path = temporary(saving.target);
        let is_base = saving.target == Target::Base;
        let written = block_on(snapshot::write(&self.disk, &path, parts, is_base));
        if written.is_err() {
            drop(block_on(self.disk.remove(&path)));
        }
        written.is_ok()
    }

    /// False when the snapshot is over.
    fn install(&mut self, run: &mut Run, saving: &mut Saving) -> bool {
        let (faults, from) = (self.faults(), temporary(saving.target));
        let (Target::Base, Some(cut)) = (saving.target, saving.cut) else {
            self.oracle.may_dump(&saving.model);
            let installed = block_on(install(&self.disk, &from, Path::new(DUMP), faults));
            if installed.is_ok() && (saving.cut.is_some() || self.supersede()) {
                self.oracle.dumped();
                self.stats.dumps += 1;
            }
            return false;
        };
        let live = |(at, shard): (usize, &Shard)| {
            shard.log.as_ref().map(|log| (at as u32, log.first_live_seq(cut)))
        };
        let first_live = run.shards.iter().enumerate().filter_map(live).collect();
        let path = dir().join(format!("base-{cut}.rdb"));
        saving.progress = Progress::Installed(first_live);
        block_on(install(&self.disk, &from, &path, faults)).is_ok()
    }

    /// Says in the MANIFEST of a log that is off that `dump.rdb` is newer.
    fn supersede(&mut self) -> bool {
        match block_on(Manifest::load(&self.disk, dir())) {
            Ok(None) => true,
            Ok(Some(manifest)) if manifest.is_superseded => true,
            Ok(Some(mut manifest)) => {
                manifest.is_superseded = true;
                manifest.log.faults = self.faults();
                self.oracle.superseded = Superseded::Perhaps;
                let stored = block_on(manifest.store(&self.disk, dir())).is_ok();
                if stored {
                    self.oracle.superseded = Superseded::Yes;
                }
                stored
            }
            Err(_) => false,
        }
    }

    /// MANIFEST names the base; then what it covers is given up.
    fn name_base(&mut self, run: &mut Run, saving: &mut Saving) -> Result<bool, Violation> {
        let Progress::Installed(first_live) = &saving.progress else { return Ok(false) };
        let (Some(cut), Some(mut manifest)) = (saving.cut, run.manifest.take()) else {
            return Ok(false);
        };
        let file_name = format!("base-{cut}.rdb");
        let old = manifest.base.as_ref().map(|base| base.file_name.clone());
        let old = old.filter(|old| *old != file_name);
        if self.is(Mutation::RetireBeforeManifest) {
            let logs = run.shards.iter_mut().filter_map(|shard| shard.log.as_mut());
            logs.for_each(|log| log.retire_below(cut));
            (0..6).for_each(|_| self.help(run));
        }
        if self.is(Mutation::BaseRemovedEarly)
            && let Some(old) = &old
        {
            let removed = block_on(self.disk.remove(&dir().join(old)));
            drop(removed.and_then(|()| block_on(self.disk.sync_dir(dir()))));
        }
        let first_live = first_live.iter().copied().chain(run.vanished.iter().copied());
        manifest.set_base(Base { file_name, cut_gsn: cut }, first_live);
        let stored = block_on(manifest.store(&self.disk, dir())).is_ok();
        run.manifest = Some(manifest);
        if !stored {
            return Ok(false);
        }
        if saving.begins_log {
            self.oracle.take_base(cut);
            self.oracle.note_synced(cut);
            self.stats.switches += 1;
            saving.begins_log = false;
        }
        run.jobs.extend(old.map(Job::RemoveBase));
        self.cut_durable = cut;
        self.stats.cuts += 1;
        for shard in 0..run.shards.len() {
            if let Some(log) = &mut run.shards[shard].log {
                log.retire_below(cut);
            }
            self.publish(run, shard)?;
        }
        Ok(false)
    }

    /// The snapshot is over, whether it succeeded or not.
    fn end_saving(&mut self, run: &mut Run, saving: &Saving) {
        for shard in &mut run.shards {
            shard.part = None;
            if shard.keyspace.snapshot_is_running() {
                shard.keyspace.snapshot_abort();
            }
        }
        if saving.begins_log {
            self.give_up_log(run);
        }
    }
}
