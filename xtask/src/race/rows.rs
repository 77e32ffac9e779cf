//! The rows that redis-benchmark measures: commands, pipelining, fsync modes.

use super::load::{Load, benchmark};
use super::process::cpu_seconds;
use super::table::Table;
use super::{Options, Racer};

/// A row: how the servers are started and what they get.
struct Row {
    name: String,
    test: &'static str,
    clients: u32,
    pipeline: u32,
    /// None: no log.
    fsync: Option<&'static str>,
}

/// The tests of `redis-benchmark` without `-t`.
const ALL_TESTS: &[&str] = &[
    "ping_inline",
    "ping_mbulk",
    "set",
    "get",
    "incr",
    "lpush",
    "rpush",
    "lpop",
    "rpop",
    "sadd",
    "hset",
    "spop",
    "zadd",
    "zpopmin",
    "lrange_100",
    "lrange_300",
    "lrange_500",
    "lrange_600",
    "mset",
];

fn all_rows() -> Vec<Row> {
    let row = |test: &'static str, clients, pipeline, fsync: Option<&'static str>| Row {
        name: format!(
            "{} P={pipeline} c={clients} {}",
            test.to_uppercase(),
            fsync.map_or("no log".to_owned(), |f| format!("fsync {f}"))
        ),
        test,
        clients,
        pipeline,
        fsync,
    };
    let mut rows = vec![
        row("get", 50, 1, None),
        row("set", 50, 1, None),
        row("get", 50, 16, None),
        row("set", 50, 16, None),
        row("set", 50, 1, Some("always")),
        row("set", 50, 16, Some("always")),
        row("set", 500, 1, Some("always")),
        row("set", 50, 1, Some("everysec")),
        row("set", 50, 16, Some("everysec")),
    ];
    for test in ALL_TESTS.iter().filter(|t| !["get", "set"].contains(t)) {
        rows.push(row(test, 50, 16, None));
    }
    rows
}

impl Row {
    /// Commands in a run: about two to four seconds on a fast machine.
    fn requests(&self, quick: bool) -> u64 {
        let full = match (self.test, self.fsync, self.pipeline) {
            ("lrange_100", ..) => 200_000,
            ("lrange_300" | "lrange_500" | "lrange_600", ..) => 60_000,
            ("mset", ..) => 400_000,
            (_, Some("always"), 1) => 150_000,
            (_, Some("always"), _) => 1_000_000,
            (_, _, 1) => 400_000,
            _ => 3_000_000,
        };
        if quick { full / 20 } else { full }
    }
}

/// Measures all rows that are wanted.
pub(crate) fn run(options: &Options, racers: &[Racer; 2], table: &mut Table) {
    for row in all_rows().iter().filter(|r| options.wants(&r.name)) {
        let mut failed = [false; 2];
        for round in 1..=options.rounds {
            for (at, racer) in racers.iter().enumerate() {
                if failed[at] {
                    continue;
                }
                println!("{} round {round} {}", row.name, racer.name);
                if let Err(e) = measure(options, row, racer, at, table) {
                    failed[at] = true;
                    table.fail(&row.name, racer.name, &e);
                }
            }
        }
    }
}

fn measure(
    options: &Options,
    row: &Row,
    racer: &Racer,
    at: usize,
    table: &mut Table,
) -> Result<(), String> {
    let flags: &[(&str, &str)] = match row.fsync {
        Some(fsync) => &[("appendonly", "yes"), ("appendfsync", fsync)],
        None => &[("appendonly", "no")],
    };
    let (_home, server) = racer.start(flags)?;
    let requests = row.requests(options.quick);
    let load = Load { test: row.test, clients: row.clients, pipeline: row.pipeline, requests };
    // What reads finds something there, and every run starts warm.
    let fill = match row.test {
        "lpop" => "lpush",
        "rpop" => "rpush",
        "spop" => "sadd",
        "zpopmin" => "zadd",
        "get" => "set",
        test => test,
    };
    let warm = if fill == row.test { requests / 10 } else { requests };
    benchmark(server.port(), &Load { test: fill, pipeline: 16, requests: warm.max(1000), ..load })?;
    let before = cpu_seconds(server.pid());
    let measured = benchmark(server.port(), &load)?;
    let cpu = cpu_seconds(server.pid()) - before;
    table.add(&row.name, "requests/s", at, measured.rps);
    table.add(&row.name, "p50 ms", at, measured.p50_ms);
    table.add(&row.name, "p99 ms", at, measured.p99_ms);
    table.add(&row.name, "p99.9 ms", at, measured.p999_ms);
    // The LRANGE tests fill their list within the run, which the division leaves in: it is the same for both.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    table.add(&row.name, "server CPU us/op", at, cpu * 1e6 / measured.requests as f64);
    Ok(())
}
