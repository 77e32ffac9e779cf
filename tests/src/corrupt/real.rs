//! The same with the real programs: `ringstone check` says what the start then does.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Outcome;
use super::files::Files;
use super::mutation::Mutation;
use crate::server::{Binary, Home, Launch};
use crate::sim::rng::Rng;

/// Damages a file of a copy, checks it, and starts a server over it.
pub(super) fn case(files: &Files, rng: &mut Rng) -> (String, Outcome) {
    // Directories of Ringstone only: the last one is Redis's.
    let from = files.homes[rng.index(files.homes.len() - 1)].data();
    let home = Home::new();
    let dir = home.data().join("appendonly");
    fs::create_dir(&dir).expect("a directory");
    let mut names = Vec::new();
    for entry in fs::read_dir(from.join("appendonly")).expect("a log") {
        let entry = entry.expect("an entry");
        if entry.path().is_file() {
            fs::copy(entry.path(), dir.join(entry.file_name())).expect("space");
            names.push(entry.file_name());
        }
    }
    names.sort_unstable();
    let path = dir.join(&names[rng.index(names.len())]);
    let bytes = fs::read(&path).expect("a file");
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    let mutation = Mutation::choose(rng, bytes.len(), used, &[]);
    let what = format!("{}: {mutation:?}", path.display());
    match &mutation {
        Mutation::Remove => fs::remove_file(&path).expect("a file"),
        Mutation::Rename { .. } => fs::rename(&path, dir.join("x")).expect("a file"),
        Mutation::Foreign => fs::write(&path, b"REDIS0010").expect("space"),
        other => fs::write(&path, other.apply(&bytes)).expect("space"),
    }
    (what, judge(&home))
}

fn judge(home: &Home) -> Outcome {
    let status = check(&home.data());
    let started = Launch::ringstone().shards(2).log("everysec").try_start(home);
    match (status, started) {
        (Some(2), Err(error)) if error.status.is_some() => {
            if error.log.contains("panicked") {
                return Outcome::Violation(format!("a panic: {}", error.log));
            }
            Outcome::Refused
        }
        (Some(0), Ok(_)) => Outcome::Same,
        (Some(1), Ok(_)) => Outcome::Prefix,
        (status, Ok(_)) => Outcome::Violation(format!("check says {status:?}, and it starts")),
        (status, Err(error)) => Outcome::Violation(format!("check says {status:?}: {error}")),
    }
}

fn check(dir: &Path) -> Option<i32> {
    let output = Command::new(Binary::tool()).arg("check").arg(dir).output();
    output.expect("ringstone runs").status.code()
}
