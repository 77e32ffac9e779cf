//! What a run did and found.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::faults::Kind;
use super::oracle::Fault;

/// What a run found.
#[derive(Debug, Default)]
pub struct Report {
    /// How often each fault was brought about.
    pub brought: BTreeMap<Kind, u64>,
    /// Faults that this machine does not allow, and why.
    pub skipped: BTreeMap<Kind, String>,
    /// Steps at which the server was ended, and how often.
    pub steps: BTreeMap<String, u64>,
    /// Times that the server ended, or was ended.
    pub ends: u64,
    /// Of them while it was still recovering.
    pub ends_in_recovery: u64,
    /// Restarts with another number of shards.
    pub reshards: u64,
    /// Ends with a log rewrite or a snapshot begun just before.
    pub ends_in_rewrite: u64,
    /// Rewrites and snapshots that the server refused to begin.
    pub rewrites_refused: u64,
    /// Writes acknowledged.
    pub acked: u64,
    /// Values, operations and transactions checked after restarts.
    pub checked: u64,
    /// Histories that were too large to be judged.
    pub undecided: u64,
    /// Longest time from start to ready.
    pub recovery_max: Duration,
    /// How long it went on.
    pub took: Duration,
    /// What went wrong, by kind, the first few of each.
    pub violations: BTreeMap<&'static str, (u64, Vec<String>)>,
    /// Where the data was kept, when something went wrong.
    pub kept: Option<String>,
}

impl Report {
    /// True when nothing went wrong and something was tried.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.ends > 0 && self.acked > 0
    }

    /// Notes what went wrong.
    pub fn violation(&mut self, kind: &'static str, text: String) {
        let (count, texts) = self.violations.entry(kind).or_default();
        *count += 1;
        if texts.len() < 5 {
            texts.push(text);
        }
    }

    pub(super) fn violations(&mut self, faults: impl IntoIterator<Item = Fault>) {
        faults.into_iter().for_each(|f| self.violation(f.kind(), f.to_string()));
    }

    /// How often this went wrong.
    pub fn count(&self, kind: &str) -> u64 {
        self.violations.get(kind).map_or(0, |(count, _)| *count)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brought = self.brought.iter().map(|(kind, n)| format!("{} {n}", kind.name()));
        writeln!(f, "faults: {}", brought.collect::<Vec<_>>().join(", "))?;
        for (kind, why) in &self.skipped {
            writeln!(f, "skipped: {}: {why}", kind.name())?;
        }
        if !self.steps.is_empty() {
            let steps = self.steps.iter().map(|(step, n)| format!("{step} {n}"));
            writeln!(f, "ended at steps: {}", steps.collect::<Vec<_>>().join(", "))?;
        }
        writeln!(
            f,
            "{} ends ({} in recovery, {} in a rewrite or snapshot, {} of those refused), {} restarts with another number of shards",
            self.ends,
            self.ends_in_recovery,
            self.ends_in_rewrite,
            self.rewrites_refused,
            self.reshards
        )?;
        writeln!(
            f,
            "{} writes acknowledged, {} values and operations checked ({} histories too large), longest recovery {} ms, {} s",
            self.acked,
            self.checked,
            self.undecided,
            self.recovery_max.as_millis(),
            self.took.as_secs()
        )?;
        write!(f, "lost {}, torn {}", self.count("lost"), self.count("torn"))?;
        let others = self.violations.iter().filter(|(k, _)| !["lost", "torn"].contains(*k));
        for (kind, (count, _)) in others {
            write!(f, ", {kind} {count}")?;
        }
        for (kind, (_, texts)) in &self.violations {
            texts.iter().try_for_each(|text| write!(f, "\n  {kind}: {text}"))?;
        }
        self.kept.iter().try_for_each(|dir| write!(f, "\n  data kept in {dir}"))
    }
}
