//! What was found.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::offline::Verdict;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Good to know.
    Note,
    /// A start goes on and warns; nothing acknowledged is lost.
    Warning,
    /// A start is refused.
    Refused,
}

/// One thing that is not as it should be.
#[derive(Debug)]
struct Finding {
    level: Level,
    file: PathBuf,
    offset: Option<u64>,
    what: String,
}

/// The report.
#[derive(Debug)]
pub(super) struct Report {
    path: PathBuf,
    kind: &'static str,
    /// Names and figures, in the order found.
    facts: Vec<(String, Value)>,
    findings: Vec<Finding>,
    /// What `--force-truncate` would do.
    forced: Vec<String>,
}

impl Report {
    pub(super) fn new(path: &Path) -> Report {
        Report {
            path: path.to_owned(),
            kind: "",
            facts: Vec::new(),
            findings: Vec::new(),
            forced: Vec::new(),
        }
    }

    /// What it is.
    pub(super) fn kind(&mut self, kind: &'static str) {
        self.kind = kind;
    }

    /// A figure.
    pub(super) fn fact(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.facts.push((name.into(), value.into()));
    }

    /// Something that is not as it should be.
    pub(super) fn find(
        &mut self,
        level: Level,
        file: &Path,
        offset: Option<u64>,
        what: impl std::fmt::Display,
    ) {
        self.findings.push(Finding {
            level,
            file: file.to_owned(),
            offset,
            what: what.to_string(),
        });
    }

    /// A line about a start with `--force-truncate`.
    pub(super) fn forced(&mut self, line: String) {
        self.forced.push(line);
    }

    /// The worst of what was found.
    pub(super) fn verdict(&self) -> Verdict {
        match self.findings.iter().map(|finding| finding.level).max() {
            None | Some(Level::Note) => Verdict::Sound,
            Some(Level::Warning) => Verdict::Damaged,
            Some(Level::Refused) => Verdict::Refused,
        }
    }

    fn verdict_word(&self) -> &'static str {
        match self.verdict() {
            Verdict::Sound => "sound",
            Verdict::Damaged => "damaged",
            Verdict::Refused => "refused",
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let level = |level| match level {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Refused => "refused",
        };
        let findings = self.findings.iter().map(|f| {
            json!({ "level": level(f.level), "file": f.file.display().to_string(), "offset": f.offset, "what": f.what })
        });
        json!({
            "path": self.path.display().to_string(),
            "kind": self.kind,
            "verdict": self.verdict_word(),
            "facts": self.facts.iter().cloned().collect::<serde_json::Map<_, _>>(),
            "findings": findings.collect::<Vec<_>>(),
            "with_force_truncate": self.forced,
        })
    }

    pub(super) fn to_lines(&self) -> Vec<String> {
        let mut out = vec![format!("{}: {}", self.path.display(), self.kind)];
        out.extend(self.facts.iter().map(|(name, value)| match value.as_str() {
            Some(text) => format!("  {name}: {text}"),
            None => format!("  {name}: {value}"),
        }));
        for Finding { level, file, offset, what } in &self.findings {
            let place = match offset {
                Some(offset) => format!("{}, offset {offset}", file.display()),
                None => file.display().to_string(),
            };
            let word = match level {
                Level::Note => "note",
                Level::Warning => "WARNING",
                Level::Refused => "DAMAGED",
            };
            out.push(format!("{word} {place}: {what}"));
        }
        out.extend(self.forced.iter().map(|line| format!("with --force-truncate: {line}")));
        out.push(match self.verdict() {
            Verdict::Sound => "sound".to_owned(),
            Verdict::Damaged => {
                "damaged: a start goes on with a warning, and nothing acknowledged is lost"
                    .to_owned()
            }
            Verdict::Refused => "damaged: a start is refused".to_owned(),
        });
        out
    }
}
