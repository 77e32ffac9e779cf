//! Real programs over client libraries: the same outcome on Ringstone, with one shard and with two, as on redis-server.
//!
//! A program is a file of `tests/programs/python` or `tests/programs/node`. It is given a port, does what such programs do, and
//! prints what came of it, a line of JSON each, nothing that depends on chance or on how fast it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

mod redis_py;

use std::thread;
use std::time::Duration;

use ringstone_tests::programs::{Language, run};
use ringstone_tests::server::{Home, Launch};

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(90);

/// Runs a program over each server, and shows the first line that differs.
fn same_outcome(language: Language, program: &str) {
    if language.interpreter().is_none() {
        return;
    }
    let launches = [Launch::redis(), Launch::ringstone().shards(1), Launch::ringstone().shards(2)];
    let outcomes = thread::scope(|scope| {
        let runs = launches.map(|launch| scope.spawn(|| outcome(language, program, launch)));
        runs.map(|run| run.join().unwrap())
    });
    let [theirs, ours @ ..] = outcomes.map(|outcome| outcome.unwrap_or_else(|e| panic!("{e}")));
    assert!(theirs.ends_with("[\"done\",true]\n"), "the program did not get to its end:\n{theirs}");
    for (shards, ours) in (1..).zip(ours) {
        if let Some((a, b)) = ours.lines().zip(theirs.lines()).find(|(a, b)| a != b) {
            panic!("{program}, {shards} shards\n    ringstone {a}\n    redis     {b}");
        }
        assert_eq!(ours, theirs, "{program}, {shards} shards");
    }
}

fn outcome(language: Language, program: &str, launch: Launch) -> Result<String, String> {
    let home = Home::new();
    let server = launch.start(&home);
    let mut command = language.interpreter().unwrap();
    command.arg(language.sources().join(program)).arg(server.port().to_string());
    run(command, &home, LIMIT)
        .map_err(|e| format!("{program} on {}: {e}", launch.binary().path.display()))
}

#[test]
fn ioredis() {
    same_outcome(Language::Node, "ioredis.js");
}

#[test]
fn node_redis() {
    same_outcome(Language::Node, "node_redis.js");
}

#[test]
fn bullmq() {
    same_outcome(Language::Node, "bullmq.js");
}

#[test]
fn sessions_of_express() {
    same_outcome(Language::Node, "sessions.js");
}

#[test]
fn rate_limiter_flexible_and_redlock() {
    same_outcome(Language::Node, "limits_and_locks.js");
}

#[test]
fn celery() {
    same_outcome(Language::Python, "celery_app.py");
}

#[test]
fn rq() {
    same_outcome(Language::Python, "rq_app.py");
}

#[test]
fn dramatiq() {
    same_outcome(Language::Python, "dramatiq_actors.py");
}

#[test]
fn django_caches_and_sessions() {
    same_outcome(Language::Python, "django_cache.py");
}

#[test]
fn limits_locks_and_sessions_of_flask() {
    same_outcome(Language::Python, "limits_and_locks.py");
}

#[test]
fn channels_and_huey() {
    same_outcome(Language::Python, "channels_and_huey.py");
}
