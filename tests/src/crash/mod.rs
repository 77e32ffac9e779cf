//! Brings faults on a real server under load, again and again, and checks after each restart what it kept.
//!
//! ```text
//!   start ─> load from many clients ─> fault ─> start (maybe with another number of shards, another fsync mode) ─> verify ─┐
//!              ^                                                                                                           │
//!              └───────────────────────────────────────────────────────────────────────────────────────────────────────────┘
//!   faults (a table): kill, stop, failpoint, oom, full ...      places: a directory, a small disk
//!   clients: workers and twins on keys of their own; racers and appenders on shared ones, judged by check::{linear, appends}
//! ```
//!
//! Invariant: every key but those of racers and appenders and the shared group belongs to one client, so that client alone knows
//! what it may hold.

mod appenders;
pub mod check;
pub mod faults;
pub mod oracle;
pub mod place;
mod racers;
mod report;
mod ring;
mod twin;
mod worker;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::resp::Conn;
use crate::server::Binary;
use faults::Kind;
use oracle::Fault;
pub use report::Report;
pub use ring::run;

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub binary: Binary,
    /// How long to go on.
    pub duration: Duration,
    /// `appendfsync`; `all` for another one at each start.
    pub fsync: String,
    /// Shards of the first start; later starts sometimes take another number.
    pub shards: usize,
    /// Connections that write keys of their own; others write shared ones.
    pub clients: usize,
    /// What to bring about.
    pub faults: Vec<Kind>,
    /// Where the data is to be; where builds go otherwise.
    pub dir: Option<PathBuf>,
    /// Where the random choices begin.
    pub seed: u64,
    /// Further parameters of the server.
    pub set: Vec<(String, String)>,
}

/// One life of the server, as clients see it.
#[derive(Debug)]
pub struct Round {
    /// Where it listens.
    pub port: u16,
    /// Writes may be refused, since the disk may be full.
    pub may_refuse: bool,
    began: Instant,
}

impl Round {
    fn new(port: u16, may_refuse: bool) -> Round {
        Round { port, may_refuse, began: Instant::now() }
    }

    /// Nanoseconds since it began; one clock for all clients.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// One that writes while the server runs, and knows what must be there when it runs again.
trait Client: Send {
    /// Its name in reports.
    fn name(&self) -> String;
    /// Writes until the connection breaks or something is wrong.
    fn load(&mut self, round: &Round) -> io::Result<()>;
    /// Compares all its keys with what may be there, and goes on from what is; how many were checked, and what is wrong. After
    /// an error it can be called again.
    fn verify(&mut self, conn: &mut Conn) -> io::Result<(u64, Vec<Fault>)>;
    /// Writes acknowledged since the last call.
    fn take_acked(&mut self) -> u64;
    /// What went wrong under load.
    fn take_faults(&mut self) -> Vec<Fault>;
    /// Judgements since the last call that took too long to be made.
    fn take_undecided(&mut self) -> u64 {
        0
    }
}

/// Numbers from a seed (SplitMix64).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it never ends, and is no iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
