//! The loop: laps over places, in each of them lives of one server and its data.
//!
//! Invariant: a lap has clients and data of its own, so that what one lap loses is not blamed on another.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::appenders::Appenders;
use super::faults::{Kind, Plan, shrink};
use super::oracle::Fault;
use super::place::{Ground, Place};
use super::racers::Racers;
use super::twin::Twin;
use super::worker::Worker;
use super::{Client, Options, Random, Report, Round};
use crate::server::{Home, Launch, Port, Server, target_dir};

/// Longest lap.
const LAP: Duration = Duration::from_secs(60);
/// Size of a disk that is to be filled.
const SMALL_MIB: u32 = 160;
/// Clients that race for the same keys, and that append to the same lists.
const RACERS: usize = 4;
const APPENDERS: usize = 4;
/// Starts of one life before the server is given up.
const STARTS_MAX: usize = 4;
const MODES: [&str; 3] = ["always", "everysec", "no"];

/// Runs until the time is over or something went wrong.
pub fn run(options: &Options) -> Report {
    let began = Instant::now();
    let mut report = Report::default();
    let dir = options.dir.clone().unwrap_or_else(|| target_dir().join("crash"));
    let mut random = Random::new(options.seed);
    let faults = possible(options, &mut report);
    let mut places: BTreeMap<Ground, Vec<Kind>> = BTreeMap::new();
    faults.iter().for_each(|kind| places.entry(kind.ground()).or_default().push(*kind));
    let laps = u32::try_from(places.len()).unwrap_or(1).max(1);
    let lap = LAP.min(options.duration / laps);
    for (ground, faults) in places.iter().cycle() {
        let left = options.duration.saturating_sub(began.elapsed());
        if left.is_zero() || !report.violations.is_empty() {
            break;
        }
        match Place::new(*ground, &dir, SMALL_MIB) {
            Ok(place) => {
                let mut home = place.home();
                Lap::new(options, &place, &home, faults, lap.min(left), random.next(), &mut report)
                    .run();
                if !report.violations.is_empty() {
                    report.kept = Some(place.keep(&mut home));
                }
            }
            Err(why) => {
                faults.iter().for_each(|kind| drop(report.skipped.insert(*kind, why.clone())));
                if places.len() == 1 {
                    break;
                }
            }
        }
    }
    report.took = began.elapsed();
    report
}

/// The faults that can be brought about here; why others cannot goes into the report.
fn possible(options: &Options, report: &mut Report) -> Vec<Kind> {
    let launch = Launch::new(options.binary.clone());
    let mut possible = Vec::new();
    for kind in options.faults.iter().copied().collect::<BTreeSet<Kind>>() {
        match kind.obstacle(&launch) {
            None => possible.push(kind),
            Some(why) => drop(report.skipped.insert(kind, why)),
        }
    }
    possible
}

struct Lap<'a> {
    options: &'a Options,
    place: &'a Place,
    home: &'a Home,
    faults: &'a [Kind],
    report: &'a mut Report,
    random: Random,
    clients: Vec<Box<dyn Client>>,
    shards: usize,
    fsync: String,
    ends: Instant,
}

impl<'a> Lap<'a> {
    fn new(
        options: &'a Options,
        place: &'a Place,
        home: &'a Home,
        faults: &'a [Kind],
        duration: Duration,
        seed: u64,
        report: &'a mut Report,
    ) -> Self {
        let mut random = Random::new(seed);
        let mut clients: Vec<Box<dyn Client>> = Vec::new();
        for id in 0..options.clients {
            clients.push(Box::new(Worker::new(id, random.next())));
            // They use what redis-server does not have.
            if id % 3 == 0 && !options.binary.is_redis() {
                clients.push(Box::new(Twin::new(id, random.next())));
            }
        }
        clients.push(Box::new(Racers::new(RACERS, random.next())));
        clients.push(Box::new(Appenders::new(APPENDERS, random.next())));
        let ends = Instant::now() + duration;
        let (shards, fsync) = (options.shards, options.fsync.clone());
        Lap { options, place, home, faults, report, random, clients, shards, fsync, ends }
    }

    fn run(&mut self) {
        while Instant::now() < self.ends && self.report.violations.is_empty() {
            self.change_parameters();
            let at = usize::try_from(self.random.below(self.faults.len() as u64)).unwrap_or(0);
            let plan = Plan::new(self.faults[at], &self.launch(), &mut self.random);
            let Some(server) = self.start(&plan) else { continue };
            if !self.report.violations.is_empty() {
                return;
            }
            self.life(server, &plan);
            drop(plan);
            if self.random.one_in(4) {
                self.kill_in_recovery();
            }
        }
        // What the last life left.
        if self.report.violations.is_empty() {
            let plan = Plan::new(Kind::Kill, &self.launch(), &mut self.random);
            if let Some(server) = self.start(&plan) {
                server.kill();
            }
        }
    }

    fn change_parameters(&mut self) {
        if self.options.fsync == "all" {
            let at = usize::try_from(self.random.below(3)).unwrap_or(0);
            MODES[at].clone_into(&mut self.fsync);
        }
        if self.report.ends > 0 && self.random.one_in(3) {
            self.shards = match self.shards == self.options.shards {
                true if self.shards == 1 => 2,
                true => 1,
                false => self.options.shards,
            };
            self.report.reshards += 1;
        }
    }

    fn launch(&self) -> Launch {
        let launch = Launch::new(self.options.binary.clone())
            .log(&self.fsync)
            .set("log-segment-size", "1mb")
            .shards(self.shards);
        self.options.set.iter().fold(launch, |l, (name, value)| l.set(name, value))
    }

    /// A server that has been verified, with what the plan needs where it did not end before it was ready.
    fn start(&mut self, plan: &Plan) -> Option<Server> {
        for attempt in 0..STARTS_MAX {
            let is_armed = attempt == 0 && plan.arms_the_start();
            let launch = if is_armed { plan.arm(self.launch()) } else { self.launch() };
            let began = Instant::now();
            let mut server = match launch.try_start(self.home) {
                Ok(server) => server,
                Err(_) if is_armed => {
                    self.note_end_at(plan);
                    self.report.ends_in_recovery += 1;
                    continue;
                }
                Err(e) => {
                    self.report.violation("refused to start", tail(&e.to_string()));
                    return None;
                }
            };
            self.report.recovery_max = self.report.recovery_max.max(began.elapsed());
            let verified = self.verify(&server);
            match verified {
                Ok(()) => return Some(server),
                Err(_) if is_armed && wait_for_end(&mut server) => self.note_end_at(plan),
                Err(e) => {
                    self.report
                        .violation("unreadable", format!("{e}\n    {}", tail(&server.log_text())));
                    return None;
                }
            }
        }
        self.report.violation("harness", "the server ended again and again".to_owned());
        None
    }

    /// The server ended before it was ready, as planned.
    fn note_end_at(&mut self, plan: &Plan) {
        self.report.ends += 1;
        *self.report.brought.entry(plan.kind).or_default() += 1;
        if let Some(step) = &plan.step {
            let name = step.split(':').next().unwrap_or_default();
            *self.report.steps.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// Load, the fault, the end.
    fn life(&mut self, mut server: Server, plan: &Plan) {
        let round = Round::new(server.port(), plan.may_refuse());
        let ended = AtomicBool::new(plan.ends_by_itself());
        let load_ms = 40 + self.random.below(500);
        let log = self.home.log();
        let (place, random, report) = (self.place, &mut self.random, &mut *self.report);
        thread::scope(|scope| {
            let (ended, round) = (&ended, &round);
            let loads: Vec<_> = self
                .clients
                .iter_mut()
                .map(|client| {
                    scope.spawn(move || {
                        client.load(round).err().filter(|_| !ended.load(Ordering::SeqCst))
                    })
                })
                .collect();
            thread::sleep(Duration::from_millis(load_ms));
            plan.bring(&mut server, place, round, random, report);
            ended.store(true, Ordering::SeqCst);
            server.kill();
            report.ends += 1;
            for load in loads {
                if let Some(e) = load.join().expect("a client does not panic") {
                    let text = format!("the connection broke under load: {e}");
                    report.violations([Fault::WrongReply(text)]);
                }
            }
        });
        self.place.faults().into_iter().for_each(|faults| faults.clear());
        if let Some(disk) = self.place.small_disk()
            && let Err(e) = disk.free()
        {
            self.report.violation("harness", format!("the disk could not be freed: {e}"));
        }
        for client in &mut self.clients {
            self.report.acked += client.take_acked();
            let faults = client.take_faults();
            if !faults.is_empty() {
                let printed = fs::read_to_string(&log).unwrap_or_default();
                self.report.violations(faults);
                self.report.violation("server log", tail(&printed));
            }
        }
    }

    fn kill_in_recovery(&mut self) {
        let server = self.launch().spawn(self.home, Port::lease());
        thread::sleep(Duration::from_millis(self.random.below(60)));
        server.kill();
        self.report.ends += 1;
        self.report.ends_in_recovery += 1;
    }

    fn verify(&mut self, server: &Server) -> std::io::Result<()> {
        let mut conn = crate::resp::Conn::connect(server.port())?;
        shrink(&mut conn)?;
        for client in &mut self.clients {
            let (checked, faults) = client
                .verify(&mut conn)
                .map_err(|e| std::io::Error::new(e.kind(), format!("{}: {e}", client.name())))?;
            self.report.checked += checked;
            self.report.undecided += client.take_undecided();
            self.report.violations(faults);
        }
        if !self.report.violations.is_empty() {
            self.report.violation("server log", tail(&server.log_text()));
        }
        Ok(())
    }
}

/// Whether the server ends within a moment.
fn wait_for_end(server: &mut Server) -> bool {
    let until = Instant::now() + Duration::from_secs(5);
    while !server.has_ended() && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
    }
    server.has_ended()
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n    ")
}
