//! Scripts that have run for a while: who they are, and who may end them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ringstone_engine::{ArgBuf, Error};
use ringstone_script::Kind;

/// Said while a script of EVAL is busy.
pub(super) const BUSY_SCRIPT: Error = Error::text(
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
);
/// Said while a function is busy.
const BUSY_FUNCTION: Error = Error::text(
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.",
);

/// A script that has given way to others since it began.
pub struct Running {
    /// EVAL or FCALL.
    pub kind: Kind,
    /// Digest or function.
    pub name: String,
    /// The command that runs it.
    pub command: ArgBuf,
    /// When it began, in ms since 1970.
    pub since_ms: i64,
    /// Nothing that others could want is left to them.
    pub has_whole: bool,
    /// It has written.
    pub wrote: AtomicBool,
    /// It is to end.
    pub killed: AtomicBool,
    /// It is above `busy-reply-threshold`.
    slow: AtomicBool,
}

impl Running {
    /// One that has just given way for the first time.
    pub fn new(
        kind: Kind,
        name: String,
        command: ArgBuf,
        since_ms: i64,
        has_whole: bool,
    ) -> Running {
        let (wrote, killed, slow) =
            (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
        Running { kind, name, command, since_ms, has_whole, wrote, killed, slow }
    }

    /// The error that others get.
    pub fn busy_error(&self) -> Error {
        match self.kind {
            Kind::Scripts => BUSY_SCRIPT,
            Kind::Functions => BUSY_FUNCTION,
        }
    }
}

/// All of them.
#[derive(Default)]
pub struct RunningList {
    list: Mutex<Vec<Arc<Running>>>,
    /// Those above the threshold.
    pub slow: AtomicUsize,
    /// Those of them that have everything.
    pub slow_whole: AtomicUsize,
}

impl RunningList {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<Arc<Running>>) -> T) -> T {
        work(&mut self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds one.
    pub fn add(&self, running: &Arc<Running>) {
        self.with(|list| list.push(Arc::clone(running)));
    }

    /// It is above the threshold now; true the first time.
    pub fn mark_slow(&self, running: &Running) -> bool {
        if running.slow.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.slow.fetch_add(1, Ordering::AcqRel);
        if running.has_whole {
            self.slow_whole.fetch_add(1, Ordering::AcqRel);
        }
        true
    }

    /// It has ended.
    pub fn remove(&self, running: &Arc<Running>) {
        self.with(|list| list.retain(|other| !Arc::ptr_eq(other, running)));
        if running.slow.load(Ordering::Acquire) {
            self.slow.fetch_sub(1, Ordering::AcqRel);
            if running.has_whole {
                self.slow_whole.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }

    /// The one that began first.
    pub fn first(&self) -> Option<Arc<Running>> {
        self.with(|list| list.first().cloned())
    }

    /// What others get while one is slow.
    pub fn busy_error(&self) -> Option<Error> {
        if self.slow.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.with(|list| {
            let slow = list.iter().find(|running| running.slow.load(Ordering::Acquire));
            slow.map(|running| running.busy_error())
        })
    }

    /// SCRIPT KILL, FUNCTION KILL.
    pub fn kill(&self, kind: Kind) -> Result<(), Error> {
        let Some(running) = self.first() else {
            return Err(Error::text("NOTBUSY No scripts in execution right now."));
        };
        if running.wrote.load(Ordering::Acquire) {
            return Err(Error::text(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the \
                 script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
            ));
        }
        if running.kind != kind {
            return Err(match kind {
                Kind::Scripts => BUSY_FUNCTION,
                Kind::Functions => BUSY_SCRIPT,
            });
        }
        running.killed.store(true, Ordering::Release);
        Ok(())
    }
}
