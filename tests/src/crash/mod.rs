//! Kills the real server with SIGKILL under load, again and again, and checks after each restart what it kept.
//!
//! ```text
//!   start ─> load from many clients ─> kill -9 ─> start (maybe with another number of shards) ─> verify ─┐
//!              ^                                                                                         │
//!              └─────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Invariant: every key but the shared group belongs to one client, so that client alone knows what it may hold.

pub mod oracle;
pub mod place;
mod twin;
mod worker;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::resp::Conn;
use crate::server::{Binary, Home, Launch, Server, target_dir};
use oracle::Fault;
use twin::Twin;
use worker::Worker;

/// How to run the loop.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub binary: Binary,
    /// How long to go on.
    pub duration: Duration,
    /// `appendfsync`.
    pub fsync: String,
    /// Shards of the first start; later starts sometimes take another number.
    pub shards: usize,
    /// Connections that write.
    pub clients: usize,
    /// Where the random choices begin.
    pub seed: u64,
    /// Further parameters of the server.
    pub set: Vec<(String, String)>,
}

/// What a run found.
#[derive(Debug, Default)]
pub struct Report {
    /// Times the server was killed.
    pub kills: u64,
    /// Of them while it was still recovering.
    pub kills_in_recovery: u64,
    /// Restarts with another number of shards.
    pub reshards: u64,
    /// Kills with a log rewrite or a snapshot begun just before.
    pub kills_in_rewrite: u64,
    /// Rewrites and snapshots that the server refused to begin.
    pub rewrites_refused: u64,
    /// Writes acknowledged.
    pub acked: u64,
    /// Values checked after restarts.
    pub checked: u64,
    /// Longest time from start to ready.
    pub recovery_max: Duration,
    /// What went wrong, by kind, the first few of each.
    pub faults: BTreeMap<&'static str, (u64, Vec<String>)>,
    /// Where the data was kept, when something went wrong.
    pub kept: Option<String>,
}

impl Report {
    /// True when nothing went wrong and something was tried.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty() && self.kills > 0 && self.acked > 0
    }

    fn fault(&mut self, kind: &'static str, text: String) {
        let (count, texts) = self.faults.entry(kind).or_default();
        *count += 1;
        if texts.len() < 5 {
            texts.push(text);
        }
    }

    fn faults(&mut self, faults: impl IntoIterator<Item = Fault>) {
        faults.into_iter().for_each(|f| self.fault(f.kind(), f.to_string()));
    }

    fn count(&self, kind: &str) -> u64 {
        self.faults.get(kind).map_or(0, |(count, _)| *count)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} kills ({} in recovery, {} in a rewrite or snapshot, {} of those refused), {} restarts with another number of shards",
            self.kills,
            self.kills_in_recovery,
            self.kills_in_rewrite,
            self.rewrites_refused,
            self.reshards
        )?;
        writeln!(
            f,
            "{} writes acknowledged, {} values checked, longest recovery {} ms",
            self.acked,
            self.checked,
            self.recovery_max.as_millis()
        )?;
        write!(f, "lost {}, torn {}", self.count("lost"), self.count("torn"))?;
        for (kind, (count, _)) in self.faults.iter().filter(|(k, _)| !["lost", "torn"].contains(*k))
        {
            write!(f, ", {kind} {count}")?;
        }
        for (kind, (_, texts)) in &self.faults {
            texts.iter().try_for_each(|text| write!(f, "\n  {kind}: {text}"))?;
        }
        self.kept.iter().try_for_each(|dir| write!(f, "\n  data kept in {dir}"))
    }
}

/// Runs the loop until the time is over or something went wrong.
pub fn run(options: &Options) -> Report {
    let mut home = Home::within(&target_dir().join("crash"));
    let mut report = Report::default();
    Loop::new(options, &home, &mut report).run();
    if !report.faults.is_empty() {
        report.kept = Some(home.keep().display().to_string());
    }
    report
}

/// One that writes while the server runs, and knows what must be there when it runs again.
trait Client: Send {
    /// Its name in reports.
    fn name(&self) -> String;
    /// Writes until the connection breaks or something is wrong.
    fn load(&mut self, conn: &mut Conn) -> io::Result<()>;
    /// Compares all its keys with what may be there, and goes on from what is; how many were checked, and what is wrong.
    fn verify(&mut self, conn: &mut Conn) -> io::Result<(u64, Vec<Fault>)>;
    /// Writes acknowledged since the last call.
    fn take_acked(&mut self) -> u64;
    /// What went wrong under load.
    fn take_faults(&mut self) -> Vec<Fault>;
}

struct Loop<'a> {
    options: &'a Options,
    home: &'a Home,
    report: &'a mut Report,
    random: Random,
    clients: Vec<Box<dyn Client>>,
    shards: usize,
    ends: Instant,
}

impl<'a> Loop<'a> {
    fn new(options: &'a Options, home: &'a Home, report: &'a mut Report) -> Self {
        let mut random = Random::new(options.seed);
        let mut clients: Vec<Box<dyn Client>> = Vec::new();
        for id in 0..options.clients {
            clients.push(Box::new(Worker::new(id, random.next())));
            // They use what redis-server does not have.
            if id % 3 == 0 && !options.binary.is_redis() {
                clients.push(Box::new(Twin::new(id, random.next())));
            }
        }
        let ends = Instant::now() + options.duration;
        Loop { options, home, report, random, clients, shards: options.shards, ends }
    }

    fn run(&mut self) {
        let Some(mut server) = self.start() else { return };
        while Instant::now() < self.ends && self.report.faults.is_empty() {
            self.load_and_kill(server);
            self.report.kills += 1;
            if self.random.one_in(4) {
                self.kill_in_recovery();
            }
            if self.random.one_in(3) {
                self.shards = if self.shards == self.options.shards {
                    if self.shards == 1 { 2 } else { 1 }
                } else {
                    self.options.shards
                };
                self.report.reshards += 1;
            }
            let Some(next) = self.start() else { return };
            server = next;
            self.verify(&server);
        }
    }

    fn launch(&self) -> Launch {
        let launch = Launch::new(self.options.binary.clone())
            .log(&self.options.fsync)
            .set("log-segment-size", "1mb")
            .shards(self.shards);
        self.options.set.iter().fold(launch, |l, (name, value)| l.set(name, value))
    }

    fn start(&mut self) -> Option<Server> {
        let began = Instant::now();
        match self.launch().try_start(self.home) {
            Ok(server) => {
                self.report.recovery_max = self.report.recovery_max.max(began.elapsed());
                Some(server)
            }
            Err(e) => {
                self.report.fault("refused to start", tail(&e.to_string()));
                None
            }
        }
    }

    fn load_and_kill(&mut self, server: Server) {
        let port = server.port();
        let killed = AtomicBool::new(false);
        let load_ms = 40 + self.random.below(500);
        let (rewrite, wait_ms) = (self.random.below(4), self.random.below(60));
        let log = self.home.log();
        thread::scope(|scope| {
            let killed = &killed;
            let loads: Vec<_> = self
                .clients
                .iter_mut()
                .map(|client| {
                    scope.spawn(move || {
                        let broken =
                            Conn::connect(port).and_then(|mut conn| client.load(&mut conn));
                        broken.err().filter(|_| !killed.load(Ordering::SeqCst))
                    })
                })
                .collect();
            thread::sleep(Duration::from_millis(load_ms));
            let command = ["BGREWRITEAOF", "BGSAVE"].get(usize::try_from(rewrite).unwrap_or(9));
            if let Some(command) = command {
                let reply = Conn::connect(port).and_then(|mut c| c.call(&[command]));
                self.report.kills_in_rewrite += 1;
                let refused = reply.as_ref().is_ok_and(|v| v.is_error());
                self.report.rewrites_refused += u64::from(refused);
                thread::sleep(Duration::from_millis(wait_ms));
            }
            killed.store(true, Ordering::SeqCst);
            server.kill();
            for load in loads {
                if let Some(e) = load.join().expect("a client does not panic") {
                    let text = format!("the connection broke under load: {e}");
                    self.report.faults([Fault::WrongReply(text)]);
                }
            }
        });
        for client in &mut self.clients {
            self.report.acked += client.take_acked();
            let faults = client.take_faults();
            if !faults.is_empty() {
                let printed = fs::read_to_string(&log).unwrap_or_default();
                self.report.faults(faults);
                self.report.fault("server log", tail(&printed));
            }
        }
    }

    fn kill_in_recovery(&mut self) {
        let server = self.launch().spawn(self.home, crate::server::Port::lease());
        thread::sleep(Duration::from_millis(self.random.below(60)));
        server.kill();
        self.report.kills += 1;
        self.report.kills_in_recovery += 1;
    }

    fn verify(&mut self, server: &Server) {
        let mut conn = server.conn();
        for client in &mut self.clients {
            match client.verify(&mut conn) {
                Ok((checked, faults)) => {
                    self.report.checked += checked;
                    self.report.faults(faults);
                }
                Err(e) => self.report.fault("unreadable", format!("{}: {e}", client.name())),
            }
        }
        if !self.report.faults.is_empty() {
            self.report.fault("server log", tail(&server.log_text()));
        }
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n    ")
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
