//! A recorded history of a server that archives its log, with rewrites, other numbers of shards, stops and kill -9 on the way;
//! then instants of it, restored and compared with the record.
//!
//! ```text
//!   teller: write n = MULTI over shards, what it does follows from n alone ─> GSN before, GSN after, times
//!   noise:  transfers between two keys by other connections, whose sum stays 0
//!   restore to a GSN or a time ─> start ─> exactly the state after write n, n as the record says
//! ```
//!
//! Invariant: the teller's writes are the only ones to its keys, and it sends one after the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::resp::{Conn, Value};
use crate::server::{Binary, Home, Launch, Server};

/// How to run it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server; `ringstone` stands beside it.
    pub binary: Binary,
    /// Starts of the server.
    pub rounds: u32,
    /// How long each of them lasts.
    pub round: Duration,
    /// Instants that are restored.
    pub instants: u32,
    /// `appendfsync`.
    pub fsync: String,
    /// Where the random choices begin.
    pub seed: u64,
    /// Further parameters of the server.
    pub set: Vec<(String, String)>,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    /// Writes of the teller.
    pub writes: u64,
    /// The last GSN.
    pub gsn: u64,
    /// Times the server was killed.
    pub kills: u32,
    /// Bases made on the way.
    pub rewrites: u32,
    /// Instants restored exactly.
    pub restored: u32,
    /// Objects in the archive, and their bytes.
    pub archive: (usize, u64),
}

/// Keys of the teller, but for `seq`.
const KEYS: u64 = 40;

struct Rng(u64);

impl Rng {
    fn next(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below.max(1)
    }
}

/// What write `n` does, `seq` left out.
fn operations(seed: u64, n: u64) -> Vec<Vec<String>> {
    let mut rng = Rng(seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let words = |line: String| line.split(' ').map(str::to_owned).collect();
    let mut out = Vec::new();
    for _ in 0..=rng.next(4) {
        let key = rng.next(KEYS);
        out.push(words(match rng.next(6) {
            0..=2 => format!(
                "SET s{key} {n}-{}",
                "x".repeat(usize::try_from(rng.next(200)).unwrap_or(0))
            ),
            3 => format!("DEL s{key}"),
            4 => format!("RPUSH l{} {n}", key % 4),
            _ => format!("INCRBY c{} {n}", key % 4),
        }));
    }
    out
}

/// The teller's keys after write `n`.
fn state(seed: u64, n: u64) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for at in 1..=n {
        all.insert("seq".to_owned(), vec![at.to_string()]);
        for words in operations(seed, at) {
            match &words[..] {
                [set, key, value] if set == "SET" => {
                    all.insert(key.clone(), vec![value.clone()]);
                }
                [push, key, value] if push == "RPUSH" => {
                    all.entry(key.clone()).or_default().push(value.clone());
                }
                [incr, key, by] if incr == "INCRBY" => {
                    let count = all.entry(key.clone()).or_insert_with(|| vec!["0".to_owned()]);
                    let sum = count[0].parse::<u64>().unwrap_or(0) + by.parse::<u64>().unwrap_or(0);
                    count[0] = sum.to_string();
                }
                [_, key] => {
                    all.remove(key);
                }
                _ => {}
            }
        }
    }
    all
}

/// What a server holds of those keys.
fn found(conn: &mut Conn) -> BTreeMap<String, Vec<String>> {
    let strings = (0..KEYS).map(|k| format!("s{k}")).chain((0..4).map(|c| format!("c{c}")));
    let mut all = BTreeMap::new();
    for key in strings.chain(["seq".to_owned()]) {
        let value = conn.line(&format!("GET {key}"));
        if value != Value::Null {
            all.insert(key, vec![value.text()]);
        }
    }
    for key in (0..4).map(|l| format!("l{l}")) {
        let items: Vec<String> =
            conn.line(&format!("LRANGE {key} 0 -1")).items().iter().map(Value::text).collect();
        if !items.is_empty() {
            all.insert(key, items);
        }
    }
    all
}

fn number(conn: &mut Conn, field: &str) -> u64 {
    conn.info("persistence", field).parse().unwrap_or(0)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0)
}

/// When a write of the teller happened.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// Its GSN is above this one.
    above_gsn: u64,
    /// Its GSN is at most this one.
    gsn_max: u64,
    sent_ms: u64,
    acked_ms: u64,
}

/// `ringstone restore`, with these arguments behind `--from`.
pub fn restore(binary: &Binary, archive: &Path, args: &[&str]) -> Result<String, String> {
    let program = binary.path.with_file_name("ringstone");
    let done = Command::new(&program).arg("restore").arg("--from").arg(archive).args(args).output();
    let done = done.map_err(|e| format!("{}: {e}", program.display()))?;
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    if done.status.success() { Ok(out.into_owned()) } else { Err(err.into_owned()) }
}

/// Runs it all; the first difference is an error.
pub fn run(options: &Options) -> Result<Report, String> {
    let home = Home::new();
    let archive = home.file("archive");
    let (mut report, mut told) = (Report::default(), vec![Told::default()]);
    let mut rng = Rng(options.seed);
    let began_ms = now_ms();
    for round in 0..options.rounds {
        let shards = 1 + usize::try_from(rng.next(3)).unwrap_or(0);
        let server = launch(options, &archive).shards(shards).start(&home);
        tell(options, &server, &mut rng, &mut told, &mut report)?;
        let mut conn = server.conn();
        report.gsn = number(&mut conn, "log_gsn");
        let is_last = round + 1 == options.rounds;
        if is_last || rng.next(3) == 0 {
            drop(conn);
            server.stop();
        } else {
            server.kill();
            report.kills += 1;
        }
    }
    report.writes = told.len() as u64 - 1;
    let end_ms = now_ms();
    await_archive(options, &home, &archive, &told)?;
    for entry in walk(&archive) {
        report.archive.0 += 1;
        report.archive.1 += std::fs::metadata(&entry).map_or(0, |m| m.len());
    }
    for at in 0..options.instants {
        let by_time = at % 2 == 0;
        let wanted = if by_time {
            let (first, last) = (told[1].acked_ms, told[told.len() - 1].acked_ms);
            first.max(began_ms) + rng.next(last.min(end_ms) - first + 1)
        } else {
            1 + rng.next(told[told.len() - 1].gsn_max)
        };
        check(options, &archive, &told, (by_time, wanted), 1 + at as usize % 3)
            .map_err(|e| format!("seed {}: instant {at}: {e}", options.seed))?;
        report.restored += 1;
    }
    Ok(report)
}

/// Whatever was in the archive at the last stop, which waits for it ten seconds: a server that starts again makes up for it.
fn await_archive(
    options: &Options,
    home: &Home,
    archive: &Path,
    told: &[Told],
) -> Result<(), String> {
    let last_gsn = told.last().map_or(0, |last| last.gsn_max);
    let server = launch(options, archive).shards(1).start(home);
    let mut conn = server.conn();
    let until = Instant::now() + Duration::from_secs(60);
    while number(&mut conn, "log_archive_last_gsn") < last_gsn {
        if Instant::now() > until {
            return Err(format!("GSN {last_gsn} did not reach the archive in a minute"));
        }
        thread::sleep(Duration::from_millis(50));
    }
    drop(conn);
    server.stop();
    Ok(())
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn launch(options: &Options, archive: &Path) -> Launch {
    let launch = Launch::new(options.binary.clone())
        .log(&options.fsync)
        .set("log-segment-size", "1mb")
        .set("log-archive-dir", archive.display())
        .set("log-archive-interval-seconds", "1");
    options.set.iter().fold(launch, |launch, (name, value)| launch.set(name, value))
}

/// One round of load.
fn tell(
    options: &Options,
    server: &Server,
    rng: &mut Rng,
    told: &mut Vec<Told>,
    report: &mut Report,
) -> Result<(), String> {
    let mut conn = server.conn();
    let kept: u64 = conn.line("GET seq").text().parse().unwrap_or(0);
    if kept != told.len() as u64 - 1 {
        return Err(format!("{} writes were acknowledged, {kept} are there", told.len() - 1));
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for client in 0..2 {
            let (mut conn, over) = (server.conn(), &over);
            scope.spawn(move || {
                let mut amount = client;
                while !over.load(Ordering::Relaxed) {
                    amount = (amount * 31 + 7) % 1000;
                    let lines = [
                        "MULTI",
                        &format!("INCRBY from {amount}"),
                        &format!("DECRBY to {amount}"),
                        "EXEC",
                    ];
                    let words =
                        lines.map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
                    if conn.pipeline(&words).is_err() {
                        return;
                    }
                }
            });
        }
        let until = Instant::now() + options.round;
        let mut rewrite_at = Instant::now() + options.round.mul_f64(rng.next(100) as f64 / 100.0);
        let mut result = Ok(());
        while Instant::now() < until && result.is_ok() {
            if Instant::now() >= rewrite_at {
                conn.line("BGREWRITEAOF");
                report.rewrites += 1;
                rewrite_at = until + options.round;
            }
            result = tell_one(options.seed, &mut conn, told);
        }
        over.store(true, Ordering::Relaxed);
        result
    })
}

fn tell_one(seed: u64, conn: &mut Conn, told: &mut Vec<Told>) -> Result<(), String> {
    let n = told.len() as u64;
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut lines = vec![words("MULTI"), words(&format!("SET seq {n}"))];
    lines.extend(operations(seed, n));
    lines.push(words("EXEC"));
    let above_gsn = number(conn, "log_gsn");
    let sent_ms = now_ms();
    let replies = conn.pipeline(&lines).map_err(|e| e.to_string())?;
    let acked_ms = now_ms();
    if let Some(error) = replies.iter().find(|reply| reply.is_error()) {
        return Err(format!("write {n}: {error:?}"));
    }
    let gsn_max = number(conn, "log_gsn");
    told.push(Told { above_gsn, gsn_max, sent_ms, acked_ms });
    Ok(())
}

/// Restores an instant and compares.
fn check(
    options: &Options,
    archive: &Path,
    told: &[Told],
    (by_time, wanted): (bool, u64),
    shards: usize,
) -> Result<(), String> {
    let home = Home::new();
    let dir = home.data().display().to_string();
    let (flag, value) = if by_time {
        ("--to-time", format!("{}.{:03}", wanted / 1000, wanted % 1000))
    } else {
        ("--to-gsn", wanted.to_string())
    };
    let said = restore(&options.binary, archive, &[flag, &value, "--dir", &dir, "--json"])
        .map_err(|e| format!("{flag} {value}: {e}"))?;
    // The first number behind the name; a JSON crate would make `[]` ambiguous for all suites.
    let digits = said.split("\"gsn\":").nth(1).unwrap_or_default().trim_start();
    let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
    let gsn: u64 = digits.parse().map_err(|_| format!("no GSN in {said}"))?;
    if !by_time && gsn != wanted {
        return Err(format!("wanted GSN {wanted}, restored {gsn}"));
    }
    let server = Launch::new(options.binary.clone()).log("everysec").shards(shards);
    let server = options.set.iter().fold(server, |launch, (name, value)| launch.set(name, value));
    let server = server.start(&home);
    let mut conn = server.conn();
    let state_found = found(&mut conn);
    let n: u64 = conn.line("GET seq").text().parse().unwrap_or(0);
    if state_found != state(options.seed, n) {
        return Err(format!("{flag} {value}: the state is none that was after write {n}"));
    }
    let sum = |conn: &mut Conn, key: &str| {
        conn.line(&format!("GET {key}")).text().parse::<i64>().unwrap_or(0)
    };
    if sum(&mut conn, "from") + sum(&mut conn, "to") != 0 {
        return Err(format!("{flag} {value}: half of a transaction"));
    }
    let lowest = told.iter().filter(|t| t.gsn_max <= gsn).count().saturating_sub(1) as u64;
    let highest = told.iter().filter(|t| t.above_gsn < gsn).count() as u64;
    if n < lowest || n > highest {
        return Err(format!("{flag} {value}: GSN {gsn} has {lowest} to {highest} writes, not {n}"));
    }
    if by_time {
        // What was acknowledged by then is there; what was sent a second later is not.
        let acked = told.iter().skip(1).filter(|t| t.acked_ms <= wanted).count() as u64;
        let sent = told.iter().skip(1).filter(|t| t.sent_ms <= wanted + 1000).count() as u64;
        if n < acked || n > sent {
            return Err(format!("at {wanted} there were {acked} to {sent} writes, not {n}"));
        }
    }
    server.stop();
    Ok(())
}
