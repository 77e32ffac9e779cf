//! Power loss on the real server: its disk is an image in this process, which notes every write and every flush; then images
//! are built that a power cut at some moment may have left, and the server is started on them.
//!
//! ```text
//!   record   clients ─> server ─> ext4 or XFS ─> loop device ─> FUSE ─> stream of writes and flushes
//!               └─ acknowledgements, each with its position in the stream
//!   check    position ─> image: what was flushed, and some of the rest ─> loop device ─> mount ─> server ─> histories
//! ```
//!
//! Invariant: nothing that is mounted or started outlives its guard.

mod check;
mod disk;
mod faults;
mod faulty;
mod guard;
mod history;
mod image;
mod load;
mod record;
mod report;
mod round;

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use crate::crash::Random;
use crate::server::{Binary, Launch};
use check::{Bench, Job};
pub use faults::{Call, Effect, Faults, Rule};
pub use faulty::FaultyDir;
pub use guard::{Device, Mounted, Run, is_interrupted, unavailable};
pub use image::Image;
pub use report::Report;
use round::Round;

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub binary: Binary,
    /// `ext4` or `xfs`.
    pub filesystem: String,
    /// `appendfsync`.
    pub fsync: String,
    /// Power cuts to try.
    pub cuts: u64,
    /// Cuts of one recording.
    pub cuts_of_round: u64,
    /// How long the clients write in one life of the server, three lives a recording.
    pub load: Duration,
    /// Age from which an acknowledged write may not be missing with `everysec`.
    pub everysec_window: Duration,
    /// Where the random choices begin.
    pub seed: u64,
    /// Images that are checked at a time.
    pub parallel: usize,
    /// A rule that is broken on purpose, to see that it is noticed.
    pub mutation: Option<Mutation>,
}

/// What shows that the checks bite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The disk answers flushes and forgets them.
    DropFlushes,
    /// The server runs with `everysec`, and is judged as if it had promised `always`.
    JudgeAsAlways,
}

impl Options {
    /// The programs that are needed beside the kernel's FUSE, loop devices and file system.
    pub fn programs(&self) -> Vec<&'static str> {
        vec![if self.filesystem == "xfs" { "mkfs.xfs" } else { "mkfs.ext4" }, "losetup", "setpriv"]
    }

    /// Why it cannot run on this machine, if it cannot.
    pub fn unavailable(&self) -> Option<String> {
        unavailable(&self.programs()).or_else(|| {
            guard::lacks_filesystem(&self.filesystem)
                .then(|| format!("the kernel has no {}", self.filesystem))
        })
    }

    /// Age from which an acknowledged write may not be missing; none when all must be there.
    fn window(&self) -> Option<Duration> {
        match (self.fsync.as_str(), self.mutation) {
            ("always", _) | (_, Some(Mutation::JudgeAsAlways)) => None,
            ("everysec", _) => Some(self.everysec_window),
            _ => Some(Duration::from_secs(60)),
        }
    }

    fn image_bytes(&self) -> u64 {
        // mkfs.xfs makes nothing below 300 MiB.
        if self.filesystem == "xfs" { 320 << 20 } else { 160 << 20 }
    }

    fn launch(&self, shards: usize) -> Launch {
        Launch::new(self.binary.clone())
            .log(&self.fsync)
            .set("log-segment-size", "1mb")
            .shards(shards)
            // Should this process be killed, the server goes too, and lets the mount go.
            .under(&["setpriv", "--pdeathsig", "KILL"])
    }
}

/// Records, cuts and checks, tells how far it is after each recording, until all cuts are done, somebody interrupts, or enough is wrong.
pub fn run(options: &Options, progress: &mut dyn FnMut(&Report)) -> io::Result<Report> {
    let run = Run::begin()?;
    let device = run.device(Image::zeros(options.image_bytes()))?;
    device.make(&options.filesystem)?;
    let formatted = device.content.image();
    let benches: Vec<Bench> = (0..options.parallel)
        .map(|_| Bench::new(&run, formatted.clone()))
        .collect::<io::Result<_>>()?;
    let mut random = Random::new(options.seed);
    let mut report = Report::default();
    while report.cuts < options.cuts && !report.is_hopeless() && !is_interrupted() {
        device.content.insert(formatted.clone());
        let round = Round::record(options, &run, &device, &mut random, &mut report)?;
        let cuts = options.cuts_of_round.min(options.cuts - report.cuts);
        check_all(options, &round, cuts, &benches, &mut random, &mut report);
        progress(&report);
    }
    Ok(report)
}

/// Tries cuts of one recording on all benches.
fn check_all(
    options: &Options,
    round: &Round,
    cuts: u64,
    benches: &[Bench],
    random: &mut Random,
    report: &mut Report,
) {
    let jobs = Mutex::new(round.jobs(cuts, random));
    let shared = Mutex::new(std::mem::take(report));
    std::thread::scope(|scope| {
        for bench in benches {
            scope.spawn(|| {
                while let Some(job) = next(&jobs) {
                    let found = bench.check(options, round, &job);
                    let mut report = shared.lock().expect("no check panics with the report");
                    report.add(&job, found);
                    if report.is_hopeless() || is_interrupted() {
                        return;
                    }
                }
            });
        }
    });
    *report = shared.into_inner().expect("no check panicked with the report");
}

fn next(jobs: &Mutex<impl Iterator<Item = Job>>) -> Option<Job> {
    jobs.lock().expect("no job panics").next()
}
