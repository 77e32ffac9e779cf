//! What is done to the server: a table, and each fault's own file.
//!
//! Invariant: when a fault's `bring` returns, the server has ended, or can be killed: nothing that was done to it is left.

mod cgroup;
mod disk;
mod full;
mod steps;
mod stop;

use std::time::Duration;

use rustix::process::Signal;

pub use cgroup::MemoryLimit;
pub(super) use cgroup::shrink;
pub use steps::steps_of;

use super::place::{Ground, Place};
use super::{Random, Report, Round};
use crate::resp::Conn;
use crate::server::{Launch, Server};

/// The faults, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// SIGKILL.
    Kill,
    /// SIGSTOP for a while, then SIGCONT.
    Stop,
    /// The server ends itself at a step that changes what is on the disk.
    Failpoint,
    /// The kernel kills it for want of memory.
    Oom,
    /// Its disk is full for a while.
    Full,
    /// Its disk fails.
    Eio,
    /// Its disk is slow for a while.
    Slow,
}

/// A row of the table.
pub struct Row {
    /// Which.
    pub kind: Kind,
    /// Its name for `--faults`.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
}

/// All faults.
pub const FAULTS: &[Row] = &[
    Row {
        kind: Kind::Kill,
        name: "kill",
        what: "kill -9 at a random moment, in a rewrite or a snapshot at times",
    },
    Row {
        kind: Kind::Stop,
        name: "stop",
        what: "SIGSTOP for a while, SIGCONT, then kill -9; or kill -9 while stopped",
    },
    Row {
        kind: Kind::Failpoint,
        name: "failpoint",
        what: "the server ends itself at a random passage of a random step",
    },
    Row {
        kind: Kind::Oom,
        name: "oom",
        what: "the kernel kills the server at a memory limit (a cgroup; needs root)",
    },
    Row {
        kind: Kind::Full,
        name: "full",
        what: "the disk is filled, writes are refused, space comes back (a small disk; needs root)",
    },
    Row {
        kind: Kind::Eio,
        name: "eio",
        what: "writes, syncs or renames fail (a FUSE layer; needs root)",
    },
    Row {
        kind: Kind::Slow,
        name: "slow",
        what: "writes wait for up to 60 ms each, reads go on (a FUSE layer; needs root)",
    },
];

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        FAULTS.iter().find(|row| row.kind == self).map_or("", |row| row.name)
    }

    /// The fault with this name.
    pub fn named(name: &str) -> Option<Kind> {
        FAULTS.iter().find(|row| row.name == name).map(|row| row.kind)
    }

    /// Where it can be brought about.
    pub fn ground(self) -> Ground {
        match self {
            Kind::Kill | Kind::Stop | Kind::Failpoint | Kind::Oom => Ground::Plain,
            Kind::Full => Ground::Small,
            Kind::Eio | Kind::Slow => Ground::Faulty,
        }
    }

    /// Why the machine, or the server, does not allow it; `None` when it does.
    pub fn obstacle(self, launch: &Launch) -> Option<String> {
        match self {
            Kind::Failpoint => steps_of(launch.binary()).err(),
            Kind::Oom => MemoryLimit::new(cgroup::LIMIT_BYTES).err(),
            Kind::Kill | Kind::Stop | Kind::Full | Kind::Eio | Kind::Slow => None,
        }
    }
}

/// What one life of the server is to suffer, decided before it starts.
pub struct Plan {
    /// The fault.
    pub kind: Kind,
    /// The step at which it ends itself.
    pub step: Option<String>,
    limit: Option<MemoryLimit>,
}

impl Plan {
    /// Chooses what there is to choose.
    pub fn new(kind: Kind, launch: &Launch, random: &mut Random) -> Plan {
        let step = (kind == Kind::Failpoint)
            .then(|| steps::choose(&steps_of(launch.binary()).unwrap_or_default(), random));
        let limit = (kind == Kind::Oom)
            .then(|| MemoryLimit::new(cgroup::LIMIT_BYTES).expect("it was possible before"));
        Plan { kind, step, limit }
    }

    /// The launch with what the fault needs.
    pub fn arm(&self, mut launch: Launch) -> Launch {
        if let Some(step) = &self.step {
            launch = launch.env(steps::VARIABLE, step);
        }
        match &self.limit {
            Some(limit) => limit.around(launch),
            None => launch,
        }
    }

    /// Whether the server may end of its own accord.
    pub fn ends_by_itself(&self) -> bool {
        matches!(self.kind, Kind::Failpoint | Kind::Oom | Kind::Eio)
    }

    /// Whether that may be before it is ready.
    pub fn arms_the_start(&self) -> bool {
        matches!(self.kind, Kind::Failpoint | Kind::Oom)
    }

    /// Whether writes may be refused.
    pub fn may_refuse(&self) -> bool {
        matches!(self.kind, Kind::Full | Kind::Eio)
    }

    /// Brings it about, under load. What it finds wrong goes into the report.
    pub fn bring(
        &self,
        server: &mut Server,
        place: &Place,
        round: &Round,
        random: &mut Random,
        report: &mut Report,
    ) {
        *report.brought.entry(self.kind).or_default() += 1;
        match self.kind {
            Kind::Kill => rewrite_at_times(round, random, report),
            Kind::Stop => stop::bring(server, random),
            Kind::Failpoint => steps::bring(self.step.as_deref(), server, round, random, report),
            Kind::Oom => cgroup::bring(server, round),
            Kind::Full => full::bring(place, round, random, report),
            Kind::Eio => disk::fail(place, server, round, random),
            Kind::Slow => disk::slow_down(place, round, random, report),
        }
    }
}

/// Begins a rewrite or a snapshot every other time, and waits a moment.
fn rewrite_at_times(round: &Round, random: &mut Random, report: &mut Report) {
    let choice = usize::try_from(random.below(4)).unwrap_or(9);
    let wait_ms = random.below(60);
    if let Some(command) = ["BGREWRITEAOF", "BGSAVE"].get(choice) {
        let reply = Conn::connect(round.port).and_then(|mut c| c.call(&[command]));
        report.ends_in_rewrite += 1;
        report.rewrites_refused += u64::from(reply.as_ref().is_ok_and(|v| v.is_error()));
        std::thread::sleep(Duration::from_millis(wait_ms));
    }
}

/// Sends a signal, whether or not anybody is there to get it.
fn signal(server: &Server, signal: Signal) {
    let _may_be_gone = server.signal(signal);
}
