//! The test suite of redis-py, from its source distribution: what passes on redis-server passes here.
//!
//! Left out: clusters, sentinels, modules, TLS, and tests that no server takes part in.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use ringstone_tests::programs::{Language, redis_py, run};
use ringstone_tests::server::{Home, Launch, workspace};

/// How long a part of the suite may take.
const LIMIT: Duration = Duration::from_secs(240);
/// Marks of tests that need what is not started here.
const CHOSEN: &str = "not onlycluster and not redismod and not ssl";

/// Test, outcome.
type Outcomes = BTreeMap<String, String>;

/// Runs tests, named as pytest names them.
fn outcomes(launch: &Launch, tests: &[&str]) -> Outcomes {
    let home = Home::new();
    let server = launch.clone().set("enable-debug-command", "yes").start(&home);
    let (suite, plugin) = (redis_py(), workspace().join("tests/programs/redis_py"));
    let mut command: Command = Language::Python.interpreter().unwrap();
    command.env("PYTHONPATH", format!("{}:{}", suite.display(), plugin.display()));
    command.env("OUTCOMES", home.file("outcomes")).args(["-m", "pytest", "-p", "outcomes"]);
    command.args(["-p", "no:cacheprovider", "--quiet", "--tb=short", "-W", "ignore"]);
    command.args(["--timeout", "30", "-m", CHOSEN]);
    command.arg("--rootdir").arg(&suite).arg("-c").arg(suite.join("pyproject.toml"));
    command.arg(format!("--redis-url=redis://127.0.0.1:{}/0", server.port()));
    command.args(tests.iter().map(|test| suite.join(test)));
    let path = launch.binary().path.display();
    run(command, &home, LIMIT).unwrap_or_else(|e| panic!("redis-py on {path}: {e}"));
    let text = fs::read_to_string(home.file("outcomes")).unwrap();
    let pair = |line: &str| {
        let (outcome, test) = line.split_once(' ').unwrap();
        (test.to_owned(), outcome.to_owned())
    };
    text.lines().map(pair).collect()
}

/// Those of `tests` that did not pass.
fn not_passed<'a>(tests: &[&'a str], outcomes: &Outcomes) -> Vec<&'a str> {
    tests.iter().filter(|t| outcomes.get(**t).is_none_or(|o| o != "passed")).copied().collect()
}

/// What passes on redis-server passes on one shard and over two. A test that did not is tried once more by itself, since
/// many of them take for granted that the machine is quick.
fn passes_as_on_redis(files: &[&str], least: usize) {
    if Language::Python.interpreter().is_none() {
        return;
    }
    let ours = [1, 2].map(|shards| Launch::ringstone().shards(shards));
    let (reference, runs) = thread::scope(|scope| {
        let reference = scope.spawn(|| outcomes(&Launch::redis(), files));
        let runs = ours.each_ref().map(|launch| scope.spawn(move || outcomes(launch, files)));
        (reference.join().unwrap(), runs.map(|run| run.join().unwrap()))
    });
    let passed = reference.iter().filter(|(_, outcome)| *outcome == "passed");
    let passed: Vec<&str> = passed.map(|(test, _)| test.as_str()).collect();
    assert!(passed.len() >= least, "only {} pass on redis-server", passed.len());
    let known =
        fs::read_to_string(workspace().join("tests/programs/redis_py/differs.txt")).unwrap();
    let known: Vec<&str> =
        known.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    for (launch, outcomes_here) in ours.iter().zip(&runs) {
        let mut failed = not_passed(&passed, outcomes_here);
        for test in known.iter().filter(|test| passed.contains(test) && !failed.contains(test)) {
            eprintln!("passes now, and is still listed in differs.txt: {test}");
        }
        failed.retain(|test| !known.contains(test));
        if !failed.is_empty() && failed.len() < 10 {
            failed = not_passed(&failed, &outcomes(launch, &failed));
        }
        assert!(failed.is_empty(), "pass on redis-server only: {failed:#?}");
    }
}

#[test]
fn commands() {
    passes_as_on_redis(&["tests/test_commands.py", "tests/test_command_parser.py"], 400);
}

#[test]
fn commands_of_tasks() {
    passes_as_on_redis(&["tests/test_asyncio/test_commands.py"], 500);
}

#[test]
fn messages() {
    passes_as_on_redis(&["tests/test_pubsub.py", "tests/test_keyspace_notifications.py"], 200);
}

#[test]
fn messages_of_tasks() {
    let files =
        ["tests/test_asyncio/test_pubsub.py", "tests/test_asyncio/test_keyspace_notifications.py"];
    passes_as_on_redis(&files, 180);
}

#[test]
fn connections_pipelines_scripts_locks_caches() {
    let both =
        ["pipeline", "lock", "scripting", "monitor", "encoding", "client", "connection_pool"];
    let one = ["function", "cache", "multiprocessing", "connection", "max_connections_error"];
    let files = both.iter().map(|name| format!("tests/test_asyncio/test_{name}.py"));
    let files = files.chain(both.iter().chain(&one).map(|name| format!("tests/test_{name}.py")));
    let files: Vec<String> = files.collect();
    passes_as_on_redis(&files.iter().map(String::as_str).collect::<Vec<_>>(), 600);
}
