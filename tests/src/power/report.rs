//! What a run found.

use std::collections::BTreeMap;
use std::fmt;

use super::check::{Found, Job};
use super::record::Recording;

/// Faults after which a run ends.
const FAULTS_MAX: u64 = 20;

/// What a run found.
#[derive(Debug, Default)]
pub struct Report {
    /// Power cuts tried.
    pub cuts: u64,
    /// Images they left: every subset where few writes were open.
    pub images: u64,
    /// Second cuts, within the recovery from the first.
    pub cuts_in_recovery: u64,
    /// Recordings.
    pub rounds: u64,
    /// Writes acknowledged while recording.
    pub acked: u64,
    /// Writes of the disk, flushes, bytes.
    pub writes: u64,
    /// Flushes.
    pub flushes: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Keys and groups compared.
    pub checked: u64,
    /// Images with at least one write that could be there or not.
    pub open: u64,
    /// Most of such writes.
    pub open_max: usize,
    /// Images in which acknowledged writes were missing, as far as the mode allows it.
    pub forgiven: u64,
    /// Age of the oldest of those, in milliseconds.
    pub lost_ms_max: u64,
    /// Images whose file system did not survive a torn block of its own; they were tried again with whole blocks.
    pub unmountable: u64,
    /// Longest start.
    pub started_ms_max: u64,
    /// What went wrong, by kind, the first few of each.
    pub faults: BTreeMap<&'static str, (u64, Vec<String>)>,
}

impl Report {
    /// True when nothing went wrong and something was tried.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty() && self.cuts > 0 && self.acked > 0
    }

    /// How often something of that kind was wrong.
    pub fn count(&self, kind: &str) -> u64 {
        self.faults.get(kind).map_or(0, |(count, _)| *count)
    }

    pub(super) fn is_hopeless(&self) -> bool {
        self.faults.values().map(|(count, _)| count).sum::<u64>() >= FAULTS_MAX
    }

    pub(super) fn fault(&mut self, kind: &'static str, text: String) {
        let (count, texts) = self.faults.entry(kind).or_default();
        *count += 1;
        if texts.len() < 5 {
            texts.push(text);
        }
    }

    pub(super) fn recorded(&mut self, recording: &Recording, acked: u64) {
        let (writes, flushes, bytes) = recording.counts();
        self.rounds += 1;
        self.acked += acked;
        self.writes += writes as u64;
        self.flushes += flushes as u64;
        self.bytes += bytes;
    }

    pub(super) fn add(&mut self, job: &Job, found: Found) {
        self.cuts += u64::from(job.is_first);
        self.images += 1;
        self.cuts_in_recovery += u64::from(found.cut_again);
        self.checked += found.checked;
        self.unmountable += found.unmountable;
        self.open += u64::from(job.pending > 0);
        self.open_max = self.open_max.max(job.pending);
        self.forgiven += u64::from(found.lost_us > 0);
        self.lost_ms_max = self.lost_ms_max.max(found.lost_us / 1000);
        self.started_ms_max = self.started_ms_max.max(found.started_ms);
        for (kind, text) in found.faults {
            let text = format!("cut at {} of round {}: {text}", job.position, self.rounds);
            self.fault(kind, text);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} power cuts, {} images ({} with open writes, at most {}), {} second cuts within recovery",
            self.cuts, self.images, self.open, self.open_max, self.cuts_in_recovery
        )?;
        if self.unmountable > 0 {
            writeln!(
                f,
                "{} images broke the file system itself, by a block torn between sectors, and were tried again with whole blocks",
                self.unmountable
            )?;
        }
        writeln!(
            f,
            "{} recordings: {} writes acknowledged; {} block writes, {} flushes, {} MiB",
            self.rounds,
            self.acked,
            self.writes,
            self.flushes,
            self.bytes >> 20
        )?;
        writeln!(
            f,
            "{} keys compared; {} images without acknowledged writes that the mode may lose, the oldest {} ms old; longest start {} ms",
            self.checked, self.forgiven, self.lost_ms_max, self.started_ms_max
        )?;
        write!(
            f,
            "lost {}, torn {}, refused to start {}",
            self.count("lost"),
            self.count("torn"),
            self.count("refused to start")
        )?;
        let told = ["lost", "torn", "refused to start"];
        for (kind, (count, _)) in self.faults.iter().filter(|(kind, _)| !told.contains(kind)) {
            write!(f, ", {kind} {count}")?;
        }
        for (kind, (_, texts)) in &self.faults {
            texts.iter().try_for_each(|text| write!(f, "\n  {kind}: {text}"))?;
        }
        Ok(())
    }
}
