//! The life of a server and its log, ended at each of the steps that the server knows.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringstone_tests::resp::Conn;
use ringstone_tests::server::{Binary, Home, Launch, Server};

const VARIABLE: &str = "RINGSTONE_FAILPOINTS";

/// The names of all steps, from the server itself.
fn steps() -> Vec<String> {
    let output = Command::new(Binary::ringstone().path).env(VARIABLE, "list").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split_once(' ').unwrap().0.to_owned()).collect()
}

/// A server's lives over one directory, and what must be there.
struct Story {
    home: Home,
    armed: String,
    /// INCRs that must not be lost, and all that were sent.
    acked: u64,
    sent: u64,
}

impl Story {
    fn new(armed: &str) -> Story {
        Story { home: Home::new(), armed: armed.to_owned(), acked: 0, sent: 0 }
    }

    fn launch() -> Launch {
        Launch::ringstone().shards(2).set("log-segment-size", "1mb")
    }

    fn start(&self, launch: &Launch) -> io::Result<Server> {
        let launch = launch.clone().env(VARIABLE, &self.armed);
        launch.try_start(&self.home).map_err(|e| io::Error::other(e.to_string()))
    }

    /// Counts on a key of each shard, and fills the log.
    fn count(&mut self, conn: &mut Conn, times: u64, is_kept: bool) -> io::Result<()> {
        let filler = "x".repeat(60_000);
        for _ in 0..times {
            self.sent += 1;
            let reply = conn.call(&["MSET", "a", &self.sent.to_string(), "b", &filler])?;
            assert!(!reply.is_error(), "{reply:?}");
            conn.call(&["SET", &format!("filler{}", self.sent % 7), &filler])?;
            if is_kept {
                self.acked = self.sent;
            }
        }
        Ok(())
    }

    /// All lives; an error when the server was gone.
    fn tell(&mut self) -> io::Result<()> {
        let call = |conn: &mut Conn, line: &str| {
            let args: Vec<&str> = line.split(' ').collect();
            let reply = conn.call(&args)?;
            assert!(!reply.is_error(), "{line}: {reply:?}");
            Ok::<_, io::Error>(())
        };
        let server = self.start(&Story::launch())?;
        let conn = &mut server.conn();
        self.count(conn, 2, false)?;
        call(conn, "SAVE")?;
        self.acked = self.sent;
        server.kill();

        // The log begins with the snapshot, ends, is superseded, begins anew, and is rewritten until segments come round.
        let server = self.start(&Story::launch().log("always"))?;
        let conn = &mut server.conn();
        self.count(conn, 20, true)?;
        call(conn, "CONFIG SET appendonly no")?;
        self.count(conn, 1, false)?;
        call(conn, "SAVE")?;
        self.acked = self.sent;
        call(conn, "CONFIG SET appendonly yes")?;
        for _ in 0..2 {
            self.count(conn, 60, true)?;
            rewrite(conn)?;
        }
        self.count(conn, 3, true)?;
        server.kill();

        // A start with files that were never finished, or do not belong; then stages.
        let log = self.home.data().join("appendonly");
        fs::write(log.join("s0-999999.log.new"), "cut short")?;
        fs::write(log.join("stranger"), "not of this log")?;
        let server = self.start(&Story::launch().log("everysec"))?;
        let conn = &mut server.conn();
        self.count(conn, 40, true)?;
        server.kill();
        let server = self.start(&Story::launch().log("everysec"))?;
        self.count(&mut server.conn(), 1, true)?;
        server.stop();
        Ok(())
    }

    /// What a start without faults finds.
    fn verify(&self) {
        let server = Story::launch().log("everysec").start(&self.home);
        let conn = &mut server.conn();
        let found: u64 = conn.line("GET a").text().parse().unwrap_or(0);
        assert!(
            (self.acked..=self.sent).contains(&found),
            "{}: found {found}, acknowledged {}, sent {}\n{}",
            self.armed,
            self.acked,
            self.sent,
            server.log_text()
        );
        assert_eq!(conn.line("EXISTS b").int() == Some(1), found > 0, "{}", self.armed);
        assert_eq!(conn.line("SET after all").text(), "OK");
    }
}

/// Rewrites the log, and waits for the end.
fn rewrite(conn: &mut Conn) -> io::Result<()> {
    let done = |conn: &mut Conn| {
        let text = conn.call(&["INFO", "persistence"])?.text();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim_start_matches(':').trim().to_owned()
        };
        Ok::<_, io::Error>((field("aof_rewrites"), field("aof_rewrite_in_progress") == "0"))
    };
    let (before, _) = done(conn)?;
    conn.call(&["BGREWRITEAOF"])?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let (rewrites, idle) = done(conn)?;
        if rewrites != before && idle {
            return Ok(());
        }
        assert!(Instant::now() < deadline, "the rewrite did not end: {rewrites} after {before}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How often each step was passed in an undisturbed story.
fn passages() -> BTreeMap<String, u64> {
    let mut story = Story::new("trace");
    story.tell().unwrap();
    story.verify();
    let mut counts = BTreeMap::new();
    for line in fs::read_to_string(story.home.log()).unwrap().lines() {
        if let Some((_, rest)) = line.split_once(" step ")
            && let Some((name, _)) = rest.split_once(" passed")
        {
            *counts.entry(name.to_owned()).or_insert(0) += 1;
        }
    }
    counts
}

#[test]
fn every_step_is_passed_and_an_end_there_loses_nothing() {
    let (steps, passages) = (steps(), passages());
    let missed: Vec<&String> = steps.iter().filter(|s| !passages.contains_key(*s)).collect();
    assert!(missed.is_empty(), "never passed: {missed:?}");
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(step) = steps.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut story = Story::new(step);
                    let told = story.tell();
                    assert!(told.is_err(), "{step}: the server went on");
                    story.verify();
                }
            });
        }
    });
}

#[test]
fn a_step_that_does_not_exist_is_refused_and_named() {
    let home = Home::new();
    let error = Launch::ringstone().env(VARIABLE, "nowhere:1").try_start(&home).unwrap_err();
    assert!(error.log.contains("there is no step `nowhere`"), "{error}");
    assert!(error.log.contains("`list`"), "{error}");
}
