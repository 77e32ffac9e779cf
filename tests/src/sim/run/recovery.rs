//! What the next start finds, with every check; damage that must not matter.

use std::path::Path;

use ringstone_engine::Keyspace;
use ringstone_engine::serial::Compression;
use ringstone_persist::disk::{Disk as _, block_on};
use ringstone_persist::install::install;
use ringstone_persist::log::recovery::RecoveryPlan;
use ringstone_persist::log::{
    Base, FrameKind, ManifestError, RecoverOptions, Recovered, RecoveryError, SegmentId, Warning,
    scan_segment,
};

use super::{DIR, DUMP, Run, SHARDS_MAX, World, dir};
use crate::sim::commands::{new_keyspace, replay};
use crate::sim::disk::{Chances, Crash, Disk};
use crate::sim::model::Model;
use crate::sim::oracle::{Superseded, Violation, Written};
use crate::sim::snapshot::{self, Part};

/// A start's data, and its log if it has one.
type Started = (Option<Recovered>, Vec<Keyspace>);

impl World {
    /// The first start.
    pub(super) fn start(&mut self) -> Result<Run, Violation> {
        let shards = self.shards();
        let is_logged = self.rng.percent(85);
        let (recovered, keyspaces) = self.come_up(shards, is_logged).map_err(surely)?;
        Ok(self.boot(keyspaces, recovered))
    }

    fn shards(&mut self) -> u32 {
        1 + self.rng.below(SHARDS_MAX) as u32
    }

    /// Recovers, perhaps with crashes in between, and perhaps a second time.
    pub(super) fn recover_and_check(&mut self) -> Result<(), Violation> {
        if self.flips && self.rng.percent(20) {
            self.flip_a_bit_that_does_not_matter();
        }
        let is_logged = self.rng.percent(92);
        while self.rng.percent(45) {
            let most = if self.rng.percent(70) { 25 } else { 80 };
            let operations = self.rng.below(most);
            self.disk.stop_after(Some(operations));
            let shards = self.shards();
            if self.is_about_the_tail() || self.rng.percent(50) {
                let chances = Chances { sync: 3000, space: 300, short: 300, read: 100, write: 100 };
                self.disk.set_chances(chances);
            }
            match self.come_up(shards, is_logged) {
                Ok(_) | Err(Failure::Io) => {}
                Err(Failure::Violation(violation)) => return Err(violation),
            }
            // A sync that failed is followed by one that succeeds, and then by a power cut.
            if self.is_about_the_tail() {
                self.crash_again_by(Crash::Kill);
            } else {
                self.crash_again();
            }
        }
        let shards = self.shards();
        let (mut recovered, mut keyspaces) = self.come_up(shards, is_logged).map_err(surely)?;
        if self.rng.percent(30) {
            let first = recovered.map(|recovered| recovered.gsn);
            let state = Model::of(&mut keyspaces);
            if self.is_about_the_tail() {
                self.crash_again_by(Crash::Power);
            } else {
                self.crash_again();
            }
            let shards = self.shards();
            (recovered, keyspaces) = self.come_up(shards, is_logged).map_err(surely)?;
            let second = recovered.as_ref().map(|recovered| recovered.gsn);
            let difference = Model::of(&mut keyspaces).difference(&state);
            // Without a log a save that did not succeed may be seen once, and be gone after a power cut.
            if second != first || first.is_some() && difference.is_some() {
                let text = format!("recovery of a recovery: {second:?} after {first:?}");
                return Err(Violation(text + &difference.unwrap_or_default()));
            }
        }
        let run = self.boot(keyspaces, recovered);
        self.next = Some(run);
        Ok(())
    }

    fn crash_again(&mut self) {
        let again = if self.rng.percent(50) { Crash::Kill } else { Crash::Power };
        self.crash_again_by(again);
    }

    fn crash_again_by(&mut self, again: Crash) {
        self.stats.in_recovery += 1;
        self.count(again);
        self.disk.crash(again);
    }

    /// A start: with the log, or from `dump.rdb` alone.
    fn come_up(&mut self, shards: u32, is_logged: bool) -> Result<Started, Failure> {
        if !is_logged {
            return Ok((None, self.load_dump(shards)?.unwrap_or_else(|| fresh(shards))));
        }
        let (mut recovered, keyspaces) = self.recover(shards, false)?;
        let superseded = self.oracle.superseded;
        let says = recovered.manifest.is_superseded;
        if says && superseded == Superseded::No || !says && superseded == Superseded::Yes {
            let text = format!("MANIFEST says {says} to superseded, which is {superseded:?}");
            return Err(Violation(text).into());
        }
        let is_first = recovered.base().is_none() && recovered.gsn == 0;
        if !says && !is_first {
            return Ok((Some(recovered), keyspaces));
        }
        let Some(mut keyspaces) = self.load_dump(shards)? else {
            return Ok((Some(recovered), keyspaces));
        };
        self.write_first(&mut recovered, &mut keyspaces)?;
        Ok((Some(recovered), keyspaces))
    }

    /// What `dump.rdb` holds, if it is there.
    fn load_dump(&mut self, shards: u32) -> Result<Option<Vec<Keyspace>>, Failure> {
        if !block_on(self.disk.exists(Path::new(DUMP)))? {
            self.oracle.check_dump(None)?;
            return Ok(None);
        }
        let mut keyspaces = fresh(shards);
        snapshot::load(&self.disk, Path::new(DUMP), &mut keyspaces)?;
        self.oracle.check_dump(Some(&Model::of(&mut keyspaces)))?;
        Ok(Some(keyspaces))
    }

    /// The first base of a log that begins with data from elsewhere.
    fn write_first(
        &mut self,
        recovered: &mut Recovered,
        keyspaces: &mut [Keyspace],
    ) -> Result<(), Failure> {
        let cut_gsn = recovered.next_gsn();
        let model = Model::of(keyspaces.iter_mut());
        self.oracle.may_begin_with(cut_gsn, model);
        let mut parts = Vec::new();
        for keyspace in keyspaces {
            let mut part = Part::begin(keyspace, Compression::Long);
            while !part.step(keyspace, usize::MAX) {}
            parts.push(part);
        }
        let (file_name, disk) = (format!("base-{cut_gsn}.rdb"), self.disk.clone());
        let (temporary, path) = (dir().join("base.rdb.new"), dir().join(&file_name));
        block_on(snapshot::write(&disk, &temporary, parts, true))?;
        block_on(install(&disk, &temporary, &path, self.faults()))?;
        recovered.start_anew(Base { file_name, cut_gsn });
        block_on(recovered.manifest.store(&disk, dir()))?;
        self.oracle.take_base(cut_gsn);
        self.oracle.settle(cut_gsn);
        self.cut_durable = cut_gsn;
        Ok(())
    }

    /// One recovery of the log with every check.
    pub(super) fn recover(
        &mut self,
        shards: u32,
        pending: bool,
    ) -> Result<(Recovered, Vec<Keyspace>), Failure> {
        self.now_ms += 1000;
        let mut options = RecoverOptions::new(DIR, shards, [0x5a; 16], self.now_ms);
        options.faults = self.faults();
        options.pending = pending;
        let disk = self.disk.clone();
        let plan = block_on(RecoveryPlan::load(&disk, &options))?;
        let mut scans = Vec::new();
        for id in plan.segments() {
            let path = dir().join(id.file_name());
            let scan = block_on(scan_segment(&disk, &path, &plan.log(), *id))?;
            for frame in &scan.frames {
                self.oracle.check_frame(*id, frame.epoch, frame.gsn)?;
            }
            scans.push(scan);
        }
        let recovered = block_on(plan.finish(&disk, scans))?;
        let complaint = |w: &&Warning| matches!(w, Warning::Header { .. } | Warning::Cut(_));
        if let Some(warning) = recovered.warnings.iter().find(complaint).filter(|_| !self.flips) {
            return Err(Violation(format!("damage that nobody did: {warning}")).into());
        }
        let cut = recovered.manifest.cut_gsn();
        self.oracle.take_base(cut);
        self.oracle.check_end(recovered.gsn, self.power)?;
        let keyspaces = self.rebuild(&disk, &recovered, shards)?;
        self.cut_durable = cut;
        self.oracle.settle(recovered.gsn);
        self.power = false;
        Ok((recovered, keyspaces))
    }

    /// The base, then the frames above it.
    fn rebuild(
        &mut self,
        disk: &Disk,
        recovered: &Recovered,
        shards: u32,
    ) -> Result<Vec<Keyspace>, Failure> {
        let mut keyspaces = fresh(shards);
        if let Some((path, _)) = recovered.base() {
            snapshot::load(disk, &path, &mut keyspaces)?;
        }
        let mut frames = recovered.replay::<Disk>();
        let (mut next, in_order) = (recovered.manifest.cut_gsn(), self.mutation.is_none());
        while let Some(frame) = block_on(frames.next(disk))? {
            next += 1;
            if in_order && frame.gsn != next {
                let text = format!("replay gives GSN {} instead of {next}", frame.gsn);
                return Err(Violation(text).into());
            }
            self.oracle.check_replayed(frame.gsn, frame.kind, frame.records)?;
            let at = frame.wall_ms;
            if self.is_traced {
                println!("replay: GSN {} {:?} at {at}", frame.gsn, frame.kind);
            }
            if frame.kind != FrameKind::Cut {
                let replayed = replay(&mut keyspaces, frame.records, frame.wall_ms as i64);
                replayed.map_err(|e| Violation(format!("GSN {}: {e}", frame.gsn)))?;
            }
            self.stats.replayed += 1;
        }
        if in_order && next != recovered.gsn {
            return Err(Violation(format!("replay ends at {next}, not {}", recovered.gsn)).into());
        }
        self.oracle.check_state(recovered.gsn, &Model::of(&mut keyspaces))?;
        Ok(keyspaces)
    }

    /// Damages a byte of a segment that no needed frame covers.
    fn flip_a_bit_that_does_not_matter(&mut self) {
        let mut segments: Vec<SegmentId> = self.oracle.written.keys().copied().collect();
        segments.sort_unstable();
        if segments.is_empty() {
            return;
        }
        let id = segments[self.rng.index(segments.len())];
        let path = dir().join(id.file_name());
        let Some(len) = self.disk.len_of(&path).filter(|len| *len > 0) else { return };
        let at = self.rng.below(len);
        let needed = |w: &Written| w.gsn > self.cut_durable && (w.offset..w.end).contains(&at);
        if !self.oracle.written.get(&id).is_some_and(|all| all.iter().any(needed)) {
            let bit = self.rng.below(8);
            self.stats.flips += 1;
            // The cache and what is durable may differ in length.
            self.disk.damage(&path, |bytes| {
                bytes.get_mut(at as usize).into_iter().for_each(|byte| *byte ^= 1 << bit);
            });
        }
    }
}

fn fresh(shards: u32) -> Vec<Keyspace> {
    (0..shards).map(|shard| new_keyspace(u64::from(shard) + 11)).collect()
}

/// Why a recovery did not succeed.
pub(super) enum Failure {
    /// The disk failed or the machine stopped: allowed while it may.
    Io,
    Violation(Violation),
}

fn surely(failure: Failure) -> Violation {
    match failure {
        Failure::Io => Violation("recovery fails on a healthy disk".to_owned()),
        Failure::Violation(violation) => violation,
    }
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Failure::Violation(violation)
    }
}

impl From<std::io::Error> for Failure {
    fn from(_: std::io::Error) -> Self {
        Failure::Io
    }
}

impl From<RecoveryError> for Failure {
    fn from(error: RecoveryError) -> Self {
        match error {
            RecoveryError::Io { .. } => Failure::Io,
            RecoveryError::Manifest(ManifestError::Io(_)) => Failure::Io,
            other => Failure::Violation(Violation(format!("refused: {other}"))),
        }
    }
}
