//! What the next start finds, with every check; damage that must not matter.

use std::collections::HashMap;
use std::path::Path;

use ringstone_persist::disk::block_on;
use ringstone_persist::log::recovery::RecoveryPlan;
use ringstone_persist::log::{
    ManifestError, RecoverOptions, Recovered, RecoveryError, SegmentId, scan_segment,
};

use super::{DIR, KEYS, SHARDS_MAX, World, dir};
use crate::sim::disk::{Crash, Disk, Faults};
use crate::sim::oracle::{Violation, Written};

impl World {
    /// Recovers, perhaps with crashes in between, and a second time.
    pub(super) fn recover_and_check(&mut self, crash: Crash) -> Result<(), Violation> {
        let mut power = crash == Crash::Power;
        if self.rng.percent(10) {
            self.flip_a_bit_that_does_not_matter();
        }
        while self.rng.percent(35) {
            let operations = self.rng.below(60);
            self.disk.stop_after(Some(operations));
            let shards = 1 + self.rng.below(SHARDS_MAX) as u32;
            if self.rng.percent(50) {
                self.disk.set_faults(Faults { sync: 4000, space: 500, short: 500 });
            }
            match self.recover(shards, power) {
                Ok((recovered, _)) => self.oracle.settle(recovered.gsn),
                Err(Failure::Io) => {}
                Err(Failure::Violation(violation)) => return Err(violation),
            }
            self.stats.crashes += 1;
            let again = if self.rng.percent(50) { Crash::Kill } else { Crash::Power };
            power |= again == Crash::Power;
            self.disk.crash(again);
        }
        let (first, state) =
            self.recover_surely(1 + self.rng.clone().below(SHARDS_MAX) as u32, power)?;
        self.oracle.settle(first.gsn);
        if self.rng.percent(40) {
            self.stats.crashes += 1;
            self.disk.crash(if self.rng.percent(50) { Crash::Kill } else { Crash::Power });
            let (second, again) = self.recover_surely(2, true)?;
            if second.gsn != first.gsn || again != state {
                let text = format!("recovery of a recovery: {} after {}", second.gsn, first.gsn);
                return Err(Violation(text));
            }
        }
        Ok(())
    }

    pub(super) fn start(
        &mut self,
        shards: u32,
        power: bool,
    ) -> Result<(Recovered, [u64; KEYS]), Violation> {
        let (recovered, state) = self.recover_surely(shards, power)?;
        self.oracle.settle(recovered.gsn);
        Ok((recovered, state))
    }

    fn recover_surely(
        &mut self,
        shards: u32,
        power: bool,
    ) -> Result<(Recovered, [u64; KEYS]), Violation> {
        self.recover(shards, power).map_err(|failure| match failure {
            Failure::Io => Violation("recovery fails on a healthy disk".to_owned()),
            Failure::Violation(violation) => violation,
        })
    }

    /// One recovery with every check.
    fn recover(&mut self, shards: u32, power: bool) -> Result<(Recovered, [u64; KEYS]), Failure> {
        self.now_ms += 1000;
        let mut options = RecoverOptions::new(DIR, shards, [0x5a; 16], self.now_ms);
        options.faults = self.faults();
        let disk = self.disk.clone();
        let plan = block_on(RecoveryPlan::load(&disk, &options))?;
        let mut scans = Vec::new();
        for id in plan.segments() {
            let path = dir().join(id.file_name());
            let scan = block_on(scan_segment(&disk, &path, &plan.log(), *id));
            let scan = scan.map_err(|_| Failure::Io)?;
            for frame in &scan.frames {
                self.oracle.check_frame(*id, frame.epoch, frame.gsn)?;
            }
            scans.push(scan);
        }
        let recovered = block_on(plan.finish(&disk, scans))?;
        self.oracle.check_end(recovered.gsn, power)?;
        let mut state = [0; KEYS];
        if let Some((path, cut)) = recovered.base() {
            state = read_base(&disk, &path, cut)?;
        }
        self.cut_durable = recovered.manifest.cut_gsn();
        let mut parts = HashMap::new();
        let mut replay = recovered.replay::<Disk>();
        let mut next = self.cut_durable;
        while let Some(frame) = block_on(replay.next(&disk)).map_err(|_| Failure::Io)? {
            next += 1;
            if frame.gsn != next {
                let text = format!("replay gives GSN {} instead of {next}", frame.gsn);
                return Err(Violation(text).into());
            }
            self.oracle.replay(frame.gsn, frame.kind, frame.records, &mut state, &mut parts)?;
            self.stats.replayed += 1;
        }
        if next != recovered.gsn {
            return Err(Violation(format!("replay ends at {next}, not {}", recovered.gsn)).into());
        }
        self.oracle.check_parts(&parts)?;
        Ok((recovered, state))
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
        let Some(bytes) = self.disk.bytes(&path) else { return };
        let at = self.rng.below(bytes.len() as u64);
        let needed = |w: &Written| w.gsn > self.cut_durable && (w.offset..w.end).contains(&at);
        if !self.oracle.written.get(&id).is_some_and(|all| all.iter().any(needed)) {
            let bit = self.rng.below(8);
            // The cache and what is durable may differ in length.
            self.disk.damage(&path, |bytes| {
                bytes.get_mut(at as usize).into_iter().for_each(|byte| *byte ^= 1 << bit);
            });
        }
    }
}

/// Why a recovery did not succeed.
enum Failure {
    /// The disk failed or the machine stopped: allowed while it may.
    Io,
    Violation(Violation),
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Failure::Violation(violation)
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

fn read_base(disk: &Disk, path: &Path, cut: u64) -> Result<[u64; KEYS], Violation> {
    let broken = || Violation(format!("the base at {} cannot be read", path.display()));
    let bytes = disk.bytes(path).ok_or_else(broken)?;
    let (content, crc) = bytes.split_last_chunk::<4>().ok_or_else(broken)?;
    let number = |i: usize| {
        content.get(i * 8..i * 8 + 8).map(|b| u64::from_le_bytes(b.try_into().expect("8 bytes")))
    };
    if u32::from_le_bytes(*crc) != crc32fast::hash(content) || number(0) != Some(cut) {
        return Err(broken());
    }
    let mut state = [0; KEYS];
    for (i, value) in state.iter_mut().enumerate() {
        *value = number(i + 1).ok_or_else(broken)?;
    }
    Ok(state)
}
