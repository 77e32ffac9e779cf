//! The rows about many keys: bytes a key, a snapshot under write load, restart from snapshot and from log.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ringstone_tests::resp::{Conn, encode_into};
use ringstone_tests::server::Server;

use super::process::{pss_bytes, rss_bytes};
use super::table::Table;
use super::{Options, Racer};

/// Longest wait for a snapshot, or for a restart's keys to be there.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Commands in one pipelined write of the filler.
const FILL_DEPTH: u64 = 500;

/// Measures all rows that are wanted.
pub(crate) fn run(options: &Options, racers: &[Racer; 2], table: &mut Table) {
    let rows: [(&str, Row); 3] =
        [("memory", memory), ("snapshot under writes", snapshot), ("restart", restart)];
    let millions = format!("{} keys", options.keys());
    for (name, row) in rows {
        let name = format!("{name}, {millions}");
        if !options.wants(&name) {
            continue;
        }
        let mut failed = [false; 2];
        for round in 1..=options.rounds {
            for (at, racer) in racers.iter().enumerate() {
                if failed[at] {
                    continue;
                }
                println!("{name} round {round} {}", racer.name);
                let mut out = Figures { row: &name, racer: at, table };
                if let Err(e) = row(options, racer, &mut out) {
                    out.table.fail(&name, racer.name, &e);
                    failed[at] = true;
                }
            }
        }
    }
}

type Row = fn(&Options, &Racer, &mut Figures<'_>) -> Result<(), String>;

struct Figures<'a> {
    row: &'a str,
    racer: usize,
    table: &'a mut Table,
}

impl Figures<'_> {
    fn add(&mut self, figure: &'static str, value: f64) {
        self.table.add(self.row, figure, self.racer, value);
    }
}

fn memory(options: &Options, racer: &Racer, out: &mut Figures<'_>) -> Result<(), String> {
    let (_home, server) = racer.start(&[("appendonly", "no")])?;
    let mut conn = server.conn();
    let (rss, used) = (rss_bytes(server.pid()), used_memory(&mut conn));
    fill(&mut conn, options.keys()).map_err(text)?;
    let keys = count(options.keys());
    out.add("RSS bytes/key (16 B key, 64 B value)", (rss_bytes(server.pid()) - rss) / keys);
    if let (Some(before), Some(after)) = (used, used_memory(&mut conn)) {
        out.add("used_memory bytes/key", (after - before) / keys);
    }
    Ok(())
}

fn snapshot(options: &Options, racer: &Racer, out: &mut Figures<'_>) -> Result<(), String> {
    let (home, server) = racer.start(&[("appendonly", "no")])?;
    fill(&mut server.conn(), options.keys()).map_err(text)?;
    let done = AtomicBool::new(false);
    let calm = probe_for(&server, Duration::from_millis(500)).map_err(text)?;
    let (port, keys) = (server.port(), options.keys());
    let figures = thread::scope(|scope| {
        let done = &done;
        let writer = scope.spawn(move || overwrite(port, keys, done));
        let probe = scope.spawn(move || probe(port, done));
        let rss = rss_bytes(server.pid());
        let (took, peak) = match save(&server) {
            Ok(saved) => saved,
            Err(e) => {
                done.store(true, Ordering::SeqCst);
                return Err(e);
            }
        };
        done.store(true, Ordering::SeqCst);
        let join = |e| format!("a thread of the race failed: {e:?}");
        let written = writer.join().map_err(join)?.map_err(text)?;
        let slowest = probe.join().map_err(join)?.map_err(text)?;
        Ok((took, peak - rss, written, slowest))
    })?;
    let (took, growth, written, slowest) = figures;
    out.add("duration s", took.as_secs_f64());
    out.add("memory growth MiB (PSS, children too)", growth / f64::from(1 << 20));
    out.add("writes/s meanwhile", count(written) / took.as_secs_f64());
    out.add("slowest reply ms", slowest.as_secs_f64() * 1e3);
    out.add("slowest reply ms, before and idle", calm.as_secs_f64() * 1e3);
    let size = std::fs::metadata(home.data().join("dump.rdb")).map_or(0, |m| m.len());
    out.add("file MiB", count(size) / f64::from(1 << 20));
    Ok(())
}

fn restart(options: &Options, racer: &Racer, out: &mut Figures<'_>) -> Result<(), String> {
    let log: &[(&str, &str)] = &[("appendonly", "yes"), ("appendfsync", "everysec")];
    let no_log: &[(&str, &str)] = &[("appendonly", "no")];
    for (figure, flags) in [("from snapshot s", no_log), ("from log s", log)] {
        let (home, mut server) = racer.start(flags)?;
        fill(&mut server.conn(), options.keys()).map_err(text)?;
        if flags == log {
            server.kill();
        } else {
            // The connection ends without a reply when all went well.
            let reply = server.conn().call(&["SHUTDOWN", "SAVE"]);
            if let Ok(reply) = reply {
                return Err(format!("SHUTDOWN SAVE answered {reply:?}"));
            }
            server.wait_exit();
        }
        let began = Instant::now();
        let server = racer.start_on(&home, flags)?;
        let mut conn = server.conn();
        wait_for("all keys", || {
            let len = conn.call(&["DBSIZE"]).map_err(text)?;
            Ok(len.int() == i64::try_from(options.keys()).ok())
        })?;
        out.add(figure, began.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Starts a snapshot and waits for its end; how long it took, and the most memory meanwhile.
fn save(server: &Server) -> Result<(Duration, f64), String> {
    let mut conn = server.conn();
    let began = Instant::now();
    let reply = conn.call(&["BGSAVE"]).map_err(text)?;
    if reply.is_error() {
        return Err(format!("BGSAVE: {}", reply.text()));
    }
    let mut peak = pss_bytes(server.pid());
    wait_for("the end of BGSAVE", || {
        peak = peak.max(pss_bytes(server.pid()));
        let info = conn.call(&["INFO", "persistence"]).map_err(text)?.text();
        if info.contains("rdb_last_bgsave_status:err") {
            return Err("BGSAVE failed".to_owned());
        }
        Ok(info.contains("rdb_bgsave_in_progress:0"))
    })?;
    Ok((began.elapsed(), peak))
}

fn wait_for(what: &str, mut done: impl FnMut() -> Result<bool, String>) -> Result<(), String> {
    let began = Instant::now();
    while !done()? {
        if began.elapsed() > WAIT_MAX {
            return Err(format!("{what} did not come in {} s", WAIT_MAX.as_secs()));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// 16-byte keys, 64-byte values.
fn fill(conn: &mut Conn, keys: u64) -> io::Result<()> {
    let mut at = 0;
    while at < keys {
        let end = (at + FILL_DEPTH).min(keys);
        set_range(conn, at..end)?;
        at = end;
    }
    Ok(())
}

fn set_range(conn: &mut Conn, keys: impl Iterator<Item = u64> + Clone) -> io::Result<()> {
    let mut out = Vec::new();
    for key in keys.clone() {
        // Hardly compressible, and the same on both servers.
        let word = |n: u64| (key * 4 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        let value = format!("{:016x}{:016x}{:016x}{:016x}", word(0), word(1), word(2), word(3));
        encode_into(&mut out, &["SET", &format!("key:{key:012}"), &value]);
    }
    conn.send_raw(&out)?;
    keys.map(|_| conn.read()).try_for_each(|reply| match reply? {
        reply if reply.is_error() => Err(io::Error::other(reply.text())),
        _ => Ok(()),
    })
}

/// Overwrites keys all over the keyspace until told to stop; how many.
fn overwrite(port: u16, keys: u64, done: &AtomicBool) -> io::Result<u64> {
    let mut conn = Conn::connect(port)?;
    let mut written = 0_u64;
    while !done.load(Ordering::SeqCst) {
        // A stride that is coprime to any even number of keys and spreads neighbours.
        set_range(&mut conn, (written..written + 16).map(|n| n.wrapping_mul(7_368_787) % keys))?;
        written += 16;
    }
    Ok(written)
}

/// Asks for one key every millisecond until told to stop; the slowest reply.
fn probe(port: u16, done: &AtomicBool) -> io::Result<Duration> {
    let mut conn = Conn::connect(port)?;
    let mut slowest = Duration::ZERO;
    while !done.load(Ordering::SeqCst) {
        let began = Instant::now();
        conn.call(&["GET", "key:000000000000"])?;
        slowest = slowest.max(began.elapsed());
        thread::sleep(Duration::from_millis(1));
    }
    Ok(slowest)
}

fn probe_for(server: &Server, time: Duration) -> io::Result<Duration> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(time);
            done.store(true, Ordering::SeqCst);
        });
        probe(server.port(), &done)
    })
}

fn used_memory(conn: &mut Conn) -> Option<f64> {
    let info = conn.call(&["INFO", "memory"]).ok()?.text();
    info.lines().find_map(|l| l.strip_prefix("used_memory:"))?.trim().parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count(value: u64) -> f64 {
    value as f64
}

fn text(error: io::Error) -> String {
    error.to_string()
}
