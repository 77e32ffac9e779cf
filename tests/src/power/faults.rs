//! Which calls to a faulty directory fail or wait.
//!
//! Invariant: rules are looked at in the order in which they were added; the first that fits a call and is not used up decides.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Opening or creating a file.
    Open,
    /// Reading.
    Read,
    /// Writing, with O_DSYNC too; changing a length; reserving blocks.
    Write,
    /// fsync, fdatasync, of directories too.
    Sync,
    /// Renaming; the name is the new one.
    Rename,
}

/// What happens instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The call fails with an I/O error.
    Eio,
    /// There is no space.
    Enospc,
    /// The call waits before it is done.
    Delay(Duration),
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// For which calls.
    pub call: Call,
    /// For paths that contain this; empty for all.
    pub path: String,
    /// Calls that pass first.
    pub after: u64,
    /// Calls that it then happens to.
    pub times: u64,
    /// What happens.
    pub effect: Effect,
}

impl Rule {
    /// It happens to all such calls from now on.
    pub fn always(call: Call, path: &str, effect: Effect) -> Rule {
        Rule { call, path: path.to_owned(), after: 0, times: u64::MAX, effect }
    }

    /// It happens to the next such call.
    pub fn once(call: Call, path: &str, effect: Effect) -> Rule {
        Rule { times: 1, ..Rule::always(call, path, effect) }
    }
}

/// The rules in force; clones share them, and they can change while the directory is in use.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Arc<Mutex<Vec<(Rule, u64)>>>,
}

impl Faults {
    /// None yet.
    pub fn new() -> Faults {
        Faults::default()
    }

    /// Adds a rule.
    pub fn add(&self, rule: Rule) {
        self.lock().push((rule, 0));
    }

    /// Takes all rules back.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Calls that something happened to.
    pub fn hits(&self) -> u64 {
        self.lock().iter().map(|(_, hits)| hits).sum()
    }

    /// What a call must do first: wait, or fail.
    pub(super) fn meet(&self, call: Call, path: &Path) -> io::Result<()> {
        match self.effect(call, path) {
            None => Ok(()),
            Some(Effect::Eio) => Err(rustix::io::Errno::IO.into()),
            Some(Effect::Enospc) => Err(rustix::io::Errno::NOSPC.into()),
            Some(Effect::Delay(time)) => {
                thread::sleep(time);
                Ok(())
            }
        }
    }

    fn effect(&self, call: Call, path: &Path) -> Option<Effect> {
        let path = path.to_string_lossy();
        for (rule, hits) in self.lock().iter_mut() {
            if rule.call != call || !path.contains(&rule.path) || *hits == rule.times {
                continue;
            }
            if rule.after > 0 {
                rule.after -= 1;
                continue;
            }
            *hits += 1;
            return Some(rule.effect);
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Rule, u64)>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_lets_calls_pass_happens_and_is_used_up() {
        let faults = Faults::new();
        let rule = Rule::once(Call::Sync, "s0-", Effect::Eio);
        faults.add(Rule { after: 1, ..rule });
        let met = |path| faults.meet(Call::Sync, Path::new(path)).is_ok();
        assert_eq!(["s1-1", "s0-1", "s0-1", "s0-1"].map(met), [true, true, false, true]);
        assert!(faults.meet(Call::Write, Path::new("s0-1")).is_ok());
        assert_eq!(faults.hits(), 1);
    }
}
