//! Damage to files of every kind, and what a start makes of it: the same data; a prefix with a warning, when nothing that is
//! known to have been durable is gone; or a refusal with a reason. Never anything else, no panic, no hang, memory within bounds.
//!
//! ```text
//!   servers write files ─> seed ─> which file, which damage ─> recovery and loading, in this process ─> one of three outcomes
//!                                                      └─ now and then: ringstone check and a real start, which must agree
//! ```
//!
//! Invariant: a seed fixes file and damage of a case, up to the files' content, which the servers' clocks are part of.

mod files;
mod log;
mod mutation;
mod rdb;
mod real;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::sim::rng::Rng;
use files::Files;

/// How much memory the whole run may take at its peak, in KiB above what it began with.
const PEAK_KIB_MAX: u64 = 512 << 10;
/// How long one case may take.
const CASE_MAX: Duration = Duration::from_secs(20);
/// Violations that are told in full.
const TOLD_MAX: usize = 20;

/// What became of a damaged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The same data.
    Same,
    /// A prefix, with a warning.
    Prefix,
    /// Refused, with a reason.
    Refused,
    /// What must not be.
    Violation(String),
}

/// How much to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Damaged files that are read in this process.
    pub files: u64,
    /// Damaged directories that `ringstone check` and a server are started over.
    pub real: u64,
    /// Where the random choices begin.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// By kind of file: same, prefix, refused.
    pub counts: BTreeMap<&'static str, [u64; 3]>,
    /// What must not be.
    pub violations: Vec<String>,
    /// The longest case.
    pub longest: Duration,
    /// Growth of the peak of memory, in KiB.
    pub peak_kib: u64,
}

impl Report {
    /// Nothing happened that must not be.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.longest < CASE_MAX && self.peak_kib < PEAK_KIB_MAX
    }

    fn note(&mut self, kind: &'static str, seed: u64, what: &str, outcome: Outcome) {
        let counts = self.counts.entry(kind).or_default();
        match outcome {
            Outcome::Same => counts[0] += 1,
            Outcome::Prefix => counts[1] += 1,
            Outcome::Refused => counts[2] += 1,
            Outcome::Violation(why) => self.violations.push(format!("seed {seed}: {what}: {why}")),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, [same, prefix, refused]) in &self.counts {
            writeln!(f, "{kind:28} same {same:7}  prefix {prefix:7}  refused {refused:7}")?;
        }
        let all: u64 = self.counts.values().flatten().sum();
        writeln!(
            f,
            "{all} damaged files, longest case {:?}, peak of memory +{} KiB, {} violations",
            self.longest,
            self.peak_kib,
            self.violations.len()
        )?;
        self.violations.iter().take(TOLD_MAX).try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Does it.
pub fn run(options: &Options) -> Report {
    let files = Files::make();
    let before = peak_kib();
    let mut report = Report::default();
    for case in 0..options.files {
        let seed = options.seed.wrapping_add(case);
        let mut rng = Rng::new(seed);
        let began = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| files.damage(&mut rng)));
        let (kind, what, outcome) = result.unwrap_or_else(|_| {
            ("panic", String::new(), Outcome::Violation("a panic, see above".to_owned()))
        });
        report.longest = report.longest.max(began.elapsed());
        report.note(kind, seed, &what, outcome);
    }
    report.peak_kib = peak_kib().saturating_sub(before);
    for case in 0..options.real {
        let seed = options.seed.wrapping_add(case);
        let (what, outcome) = real::case(&files, &mut Rng::new(seed));
        report.note("real server and check", seed, &what, outcome);
    }
    report
}

/// The process's peak of memory so far.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
