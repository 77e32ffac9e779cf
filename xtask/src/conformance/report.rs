//! What a run found: a line a unit on the terminal, and `docs/compatibility.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::results::{Results, compare};
use super::unit::Unit;

/// Why a test does not pass: `unit TAB test TAB reason`, `#` begins a comment. A `*` as test stands for all of its unit.
const REASONS: &str = include_str!("reasons.txt");

/// Reasons by unit and test.
pub(super) struct Reasons(BTreeMap<(&'static str, &'static str), &'static str>);

impl Reasons {
    /// The table; an error names a line that is none.
    pub(super) fn load() -> Result<Reasons, String> {
        let mut table = BTreeMap::new();
        for line in REASONS.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let &[unit, test, reason] = fields.as_slice() else {
                return Err(format!("reasons.txt: not `unit TAB test TAB reason`: {line}"));
            };
            table.insert((unit, test), reason);
        }
        Ok(Reasons(table))
    }

    fn of(&self, unit: &str, test: &str) -> Option<&'static str> {
        self.0.get(&(unit, test)).or_else(|| self.0.get(&(unit, "*"))).copied()
    }
}

/// Sums over units.
#[derive(Default)]
pub(super) struct Total {
    expected: usize,
    passed: usize,
    aborted: usize,
}

impl Total {
    /// Adds a unit, and gives its line.
    pub(super) fn add(&mut self, name: &str, reference: &Unit, here: &Unit) -> String {
        let compared = compare(reference, here);
        self.expected += compared.expected;
        self.passed += compared.passed;
        self.aborted += usize::from(here.aborted.is_some());
        let mut line = format!("{name:<28} {:>4} of {:<4}", compared.passed, compared.expected);
        let failed = here.tests.len() - here.passed();
        let _ = write!(line, " {failed:>3} failed {:>4} s", here.seconds);
        if here.restarts > 0 {
            let _ = write!(line, ", {} restarts", here.restarts);
        }
        if !here.setup.is_empty() {
            let _ = write!(line, ", {} errors outside of tests", here.setup.len());
        }
        if let Some(why) = &here.aborted {
            let _ = write!(line, ", ABORTED: {why}");
        }
        line
    }

    /// The sum as text.
    pub(super) fn line(&self) -> String {
        let share = 100.0 * self.passed as f64 / self.expected.max(1) as f64;
        format!(
            "{} of {} tests that pass on redis-server pass here ({share:.1} %), {} units aborted",
            self.passed, self.expected, self.aborted
        )
    }
}

/// `docs/compatibility.md` from the kept results of all units; none while some are missing.
pub(super) fn page(units: &[&str], shards: &[usize], reasons: &Reasons) -> Option<String> {
    let redis = Results::of_redis();
    let mut table = String::new();
    let mut failures = String::new();
    let mut totals: Vec<Total> = shards.iter().map(|_| Total::default()).collect();
    for unit in units {
        let reference = redis.get(unit)?;
        let mut cells = Vec::new();
        let mut missing: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        let mut expected = 0;
        for (&n, total) in shards.iter().zip(&mut totals) {
            let here = Results::of_ringstone(n).get(unit)?;
            total.add(unit, &reference, &here);
            let compared = compare(&reference, &here);
            expected = compared.expected;
            cells.push(compared.passed.to_string());
            for (test, _) in compared.missing {
                missing.entry(test).or_default().insert(n);
            }
        }
        if expected == 0 {
            continue;
        }
        let _ = writeln!(table, "| {unit} | {expected} | {} |", cells.join(" | "));
        if !missing.is_empty() {
            let _ = writeln!(failures, "\n### {unit}\n\n| test | why |\n|---|---|");
            for (test, with) in missing {
                let reason = reasons.of(unit, &test).unwrap_or("**no reason known**");
                let only = if with.len() == shards.len() {
                    String::new()
                } else {
                    format!(" (with {with:?} shards)").replace(['{', '}'], "")
                };
                let _ = writeln!(failures, "| {}{only} | {reason} |", test.replace('|', "\\|"));
            }
        }
    }
    let heads: Vec<String> = shards.iter().map(|n| shards_text(*n)).collect();
    let rule = "---|".repeat(shards.len());
    let mut sums = String::new();
    for (total, head) in totals.iter().zip(&heads) {
        let _ = writeln!(sums, "- {head}: {}", total.line());
    }
    let head = heads.join(" | ");
    Some(format!(
        "{INTRODUCTION}\n{sums}\n| unit | on redis-server | {head} |\n|---|---|{rule}\n{table}\n## What does not pass\n{}",
        if failures.is_empty() { "\nNothing.\n" } else { &failures }
    ))
}

fn shards_text(shards: usize) -> String {
    if shards == 1 { "1 shard".to_owned() } else { format!("{shards} shards") }
}

const INTRODUCTION: &str = "\
# Compatibility

Generated by `cargo xtask conformance`. Do not edit: reasons are in
[`reasons.txt`](../xtask/src/conformance/reasons.txt).

Redis 7.0.15's own Tcl test suite, in its mode for a server that it did not start, is run against redis-server 7.0.15 and against
Ringstone. A test counts when it passes on redis-server in this mode. Other comparisons, which find what the suite does not
look at, are described in [testing](testing.md).
";

#[cfg(test)]
mod tests {
    use super::Reasons;

    #[test]
    fn the_table_of_reasons_reads() {
        Reasons::load().unwrap();
    }
}
