//! Steps at which the process can be made to end, or a call to fail: for the crash ring and the tests of error behaviour.
//!
//! ```text
//!   RINGSTONE_FAILPOINTS=manifest-rename            abort just before MANIFEST is renamed for the first time
//!   RINGSTONE_FAILPOINTS=segment-write:3:enospc     the third write to a segment in preparation finds no space
//!   RINGSTONE_FAILPOINTS=log-written:5+:eio         from the fifth on, every write of the log fails
//!   RINGSTONE_FAILPOINTS=trace                      log every step that is passed
//!   RINGSTONE_FAILPOINTS=list                       print the steps, and end
//! ```
//!
//! Several, separated by commas, may be armed. A step is passed just *before* what it names; a step that writes and aborts has
//! written half. Without the variable a step costs one load, and no step lies on a command's path.
//!
//! Invariant: what is armed is fixed before anything is opened, and never changes.

mod disk;
mod steps;

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

pub use disk::{DISK, StepDisk};
pub use steps::{STEPS, Step};

/// The environment variable.
pub const VARIABLE: &str = "RINGSTONE_FAILPOINTS";

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Linux's numbers, which no other system of ours differs in.
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Abort,
    Fail(i32),
}

#[derive(Debug, PartialEq, Eq)]
struct Point {
    step: Step,
    /// At which passage, from 1 on.
    passage: u64,
    /// At every later one as well.
    and_later: bool,
    action: Action,
}

#[derive(Debug, Default)]
struct Armed {
    points: Vec<Point>,
    traces: bool,
    passages: Vec<AtomicU64>,
}

/// What the variable asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing, or steps that are armed now.
    Run,
    /// The names of all steps.
    List,
}

/// Arms what the variable's value says.
///
/// # Errors
/// The value names no step, or asks for what there is not.
pub fn arm(value: Option<&str>) -> Result<Asked, String> {
    let value = value.unwrap_or_default();
    match value {
        "" => return Ok(Asked::Run),
        "list" => return Ok(Asked::List),
        _ => {}
    }
    let armed = parse(value).map_err(|why| {
        format!(
            "{VARIABLE}: {why}; expected STEP[:PASSAGE[+][:abort|eio|enospc]], several separated by commas, `trace`, or \
             `list` to see the steps"
        )
    })?;
    // A second call would be a mistake of this program; the first one counts.
    let _set_once = ARMED.set(armed);
    Ok(Asked::Run)
}

/// True when steps are armed, so that whoever reads the server's log learns of it.
pub fn is_armed() -> bool {
    ARMED.get().is_some()
}

fn parse(value: &str) -> Result<Armed, String> {
    let passages = STEPS.iter().map(|_| AtomicU64::new(0)).collect();
    let mut armed = Armed { passages, ..Armed::default() };
    for item in value.split(',') {
        if item == "trace" {
            armed.traces = true;
            continue;
        }
        let mut parts = item.split(':');
        let name = parts.next().unwrap_or_default();
        let step = Step::named(name).ok_or_else(|| format!("there is no step `{name}`"))?;
        let number = parts.next().unwrap_or("1");
        let (number, and_later) = match number.strip_suffix('+') {
            Some(number) => (number, true),
            None => (number, false),
        };
        let passage = number.parse().ok().filter(|n| *n > 0);
        let passage = passage.ok_or_else(|| format!("`{number}` is no passage"))?;
        let action = match parts.next().unwrap_or("abort") {
            "abort" => Action::Abort,
            "eio" => Action::Fail(EIO),
            "enospc" => Action::Fail(ENOSPC),
            other => return Err(format!("`{other}` is no action")),
        };
        if parts.next().is_some() {
            return Err(format!("`{item}` has too many parts"));
        }
        armed.points.push(Point { step, passage, and_later, action });
    }
    Ok(armed)
}

/// A step is about to be passed.
///
/// # Errors
/// The failure that is armed there.
#[inline]
pub fn reach(step: Step) -> io::Result<()> {
    match ARMED.get() {
        None => Ok(()),
        Some(armed) => armed.reach(step, || {}),
    }
}

/// The same for a step whose failure has no caller to hear of it.
#[inline]
pub fn pass(step: Step) {
    let _no_one_to_tell = reach(step);
}

impl Armed {
    /// `before_abort` is done first, should the process end here.
    fn reach(&self, step: Step, before_abort: impl FnOnce()) -> io::Result<()> {
        let Some(count) = self.passages.get(step as usize) else { return Ok(()) };
        let passage = count.fetch_add(1, Ordering::Relaxed) + 1;
        if self.traces {
            tracing::info!("step {} passed, passage {passage}", step.name());
        }
        let hit = |point: &&Point| {
            point.step == step
                && (point.passage == passage || point.and_later && point.passage < passage)
        };
        match self.points.iter().find(hit).map(|point| point.action) {
            None => Ok(()),
            Some(Action::Fail(number)) => {
                let error = io::Error::from_raw_os_error(number);
                tracing::warn!("step {}, passage {passage}: failing with {error}", step.name());
                Err(error)
            }
            Some(Action::Abort) => {
                before_abort();
                tracing::warn!("step {}, passage {passage}: aborting", step.name());
                std::process::abort()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_names_of_their_own_that_are_found() {
        for (at, step) in STEPS.iter().enumerate() {
            assert_eq!(*step as usize, at, "{}", step.name());
            assert_eq!(Step::named(step.name()), Some(*step));
            assert!(step.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
        }
    }

    #[test]
    fn what_is_asked_for_is_parsed() {
        let armed = parse("manifest-rename,log-written:5+:eio,trace").unwrap();
        assert!(armed.traces);
        let point = |step, passage, and_later, action| Point { step, passage, and_later, action };
        let first = point(Step::ManifestRename, 1, false, Action::Abort);
        let second = point(Step::LogWritten, 5, true, Action::Fail(EIO));
        assert_eq!(armed.points, [first, second]);
        for wrong in ["nowhere", "dir-sync:0", "dir-sync:x", "dir-sync:1:melt", "dir-sync:1:eio:2"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn fails_at_its_passage_only() {
        let armed = parse("segment-write:2:enospc,dir-sync:2+:eio").unwrap();
        let fails = |step| armed.reach(step, || {}).is_err();
        assert_eq!([1, 2, 3].map(|_| fails(Step::SegmentWrite)), [false, true, false]);
        assert_eq!([1, 2, 3].map(|_| fails(Step::DirSync)), [false, true, true]);
        assert!(!fails(Step::ManifestRename));
    }
}
