//! Results of units, kept as files, so that a part of the suite can be run again and the report still knows the rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::source::directory;
use super::unit::{Test, Unit, unescape};

/// The results of one server.
pub(super) struct Results {
    dir: PathBuf,
}

impl Results {
    /// Those of redis-server.
    pub(super) fn of_redis() -> Results {
        Results { dir: directory().join("results/redis") }
    }

    /// Those of Ringstone with a number of shards.
    pub(super) fn of_ringstone(shards: usize) -> Results {
        Results { dir: directory().join(format!("results/ringstone-{shards}")) }
    }

    /// The kept result of a unit.
    pub(super) fn get(&self, unit: &str) -> Option<Unit> {
        let text = fs::read_to_string(self.file(unit)).ok()?;
        let mut out = Unit::default();
        for line in text.lines() {
            let mut fields = line.split('\t').map(unescape);
            let kind = fields.next()?;
            let first = fields.next()?;
            match kind.as_str() {
                "seconds" => out.seconds = first.parse().ok()?,
                "restarts" => out.restarts = first.parse().ok()?,
                "aborted" => out.aborted = Some(first),
                "setup" => out.setup.push(first),
                "ok" => out.tests.push(Test { name: first, failure: None }),
                "err" => out.tests.push(Test { name: first, failure: fields.next() }),
                _ => return None,
            }
        }
        Some(out)
    }

    /// Keeps the result of a unit.
    pub(super) fn put(&self, unit: &str, result: &Unit) -> Result<(), String> {
        let mut text = String::new();
        let mut line = |fields: &[&str]| {
            let fields: Vec<String> = fields.iter().map(|f| escape(f)).collect();
            text.push_str(&fields.join("\t"));
            text.push('\n');
        };
        line(&["seconds", &result.seconds.to_string()]);
        line(&["restarts", &result.restarts.to_string()]);
        if let Some(why) = &result.aborted {
            line(&["aborted", why]);
        }
        for step in &result.setup {
            line(&["setup", step]);
        }
        for test in &result.tests {
            match &test.failure {
                None => line(&["ok", &test.name]),
                Some(why) => line(&["err", &test.name, why]),
            }
        }
        let file = self.file(unit);
        fs::create_dir_all(&self.dir)
            .and_then(|()| fs::write(&file, text))
            .map_err(|e| format!("{}: {e}", file.display()))
    }

    fn file(&self, unit: &str) -> PathBuf {
        self.dir.join(format!("{}.txt", unit.replace('/', "_")))
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

/// One unit beside the reference.
pub(super) struct Comparison {
    /// Tests that pass on redis-server.
    pub(super) expected: usize,
    /// How many of them pass here.
    pub(super) passed: usize,
    /// Those that do not, with what was seen, or none when the test did not run.
    pub(super) missing: Vec<(String, Option<String>)>,
}

/// Compares a unit with redis-server's; each of several tests of the same name counts.
pub(super) fn compare(reference: &Unit, here: &Unit) -> Comparison {
    let mut names: Vec<&str> = Vec::new();
    let mut expected: BTreeMap<&str, usize> = BTreeMap::new();
    for test in reference.tests.iter().filter(|t| t.failure.is_none()) {
        if !expected.contains_key(test.name.as_str()) {
            names.push(&test.name);
        }
        *expected.entry(&test.name).or_default() += 1;
    }
    let mut missing = Vec::new();
    for name in names {
        let wanted = expected.get(name).copied().unwrap_or(0);
        let same = || here.tests.iter().filter(|t| t.name == name);
        let passed = same().filter(|t| t.failure.is_none()).count();
        let mut failures = same().filter_map(|t| t.failure.clone());
        for _ in passed..wanted {
            missing.push((name.to_owned(), failures.next()));
        }
    }
    let expected = expected.values().sum::<usize>();
    Comparison { expected, passed: expected - missing.len(), missing }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(tests: &[(&str, bool)]) -> Unit {
        let test = |(name, ok): &(&str, bool)| Test {
            name: (*name).to_owned(),
            failure: (!ok).then(|| "why".to_owned()),
        };
        Unit { tests: tests.iter().map(test).collect(), ..Unit::default() }
    }

    #[test]
    fn each_of_several_tests_of_one_name_counts() {
        let reference = unit(&[("a", true), ("a", true), ("b", true), ("c", false), ("d", true)]);
        let here = unit(&[("a", true), ("a", false), ("b", true), ("e", true)]);
        let result = compare(&reference, &here);
        assert_eq!((result.expected, result.passed), (4, 2));
        let missing = [("a".to_owned(), Some("why".to_owned())), ("d".to_owned(), None)];
        assert_eq!(result.missing, missing);
    }
}
