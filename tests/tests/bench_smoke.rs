//! redis-benchmark's default tests complete, and leave no complaint in the log.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

use std::process::Command;

use ringstone_tests::server::{Home, Launch};

fn run(shards: usize, more: &[&str]) {
    let home = Home::new();
    let server = Launch::ringstone().shards(shards).log("everysec").start(&home);
    let output = Command::new("redis-benchmark")
        .args(["-p", &server.port().to_string(), "-q", "-n", "2000", "-c", "20", "-r", "1000"])
        .args(more)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).replace('\r', "\n");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("ERR"), "{text}");
    for test in
        ["PING_INLINE", "PING_MBULK", "SET", "SPOP", "ZPOPMIN", "LRANGE_600", "MSET (10 keys)"]
    {
        let done = |l: &str| l.starts_with(test) && l.contains("requests per second");
        assert!(text.lines().any(done), "{test} is missing:\n{text}");
    }
    let log = server.log_text();
    let complaint =
        log.lines().find(|l| ["error", "panicked", "ERROR"].iter().any(|w| l.contains(w)));
    assert_eq!(complaint, None, "{log}");
}

#[test]
fn all_tests_complete_on_one_shard() {
    run(1, &[]);
}

#[test]
fn all_tests_complete_on_two_shards() {
    run(2, &[]);
}

#[test]
fn all_tests_complete_pipelined_on_two_shards() {
    run(2, &["-P", "16"]);
}

#[test]
fn all_tests_complete_in_resp3() {
    run(2, &["-3", "-P", "4"]);
}
