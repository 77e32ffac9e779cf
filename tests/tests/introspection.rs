//! What a server tells about itself: statistics of commands and errors, INFO's sections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

use std::collections::BTreeMap;

use ringstone_tests::resp::Conn;
use ringstone_tests::server::{Home, Launch, Server};

/// Ringstone with one shard and with two, and redis-server.
fn all() -> [(Home, Server); 3] {
    [Launch::ringstone().shards(1), Launch::ringstone().shards(2), Launch::redis()].map(|launch| {
        let home = Home::new();
        let server = launch.start(&home);
        (home, server)
    })
}

/// The fields of sections of INFO.
fn info(conn: &mut Conn, sections: &str) -> BTreeMap<String, String> {
    let text = conn.line(&format!("INFO {sections}")).text();
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.trim_end().to_owned())).collect()
}

/// What Commandstats says, without times.
fn counts(conn: &mut Conn) -> BTreeMap<String, String> {
    let fields = info(conn, "commandstats").into_iter();
    let timeless = fields.map(|(name, value)| {
        let kept: Vec<&str> = value.split(',').filter(|part| !part.starts_with("usec")).collect();
        (name, kept.join(","))
    });
    timeless.collect()
}

#[test]
fn counts_calls_refusals_and_failures_of_commands_as_redis_does() {
    let told = all().map(|(_home, server)| {
        let mut conn = server.conn();
        conn.line("CONFIG RESETSTAT");
        for line in [
            "SET a 1",
            "SET b 2",
            "SET c{a} 3",
            "GET a",
            "GET b",
            "GET",
            "INCR a b",
            "LPUSH a x",
            "MSET a 1 b 2 c 3 d 4",
            "MGET a b c d",
            "RPUSH l 1",
            "MGET a l",
            "SUNION a b l",
            "DBSIZE",
            "KEYS *",
            "NOSUCH",
            "CONFIG NOSUCH",
            "CONFIG GET",
            "CONFIG SET nosuch 1",
            "CLIENT SETNAME x",
            "CLIENT SETNAME \u{e4}",
            "OBJECT ENCODING a",
            "PING",
            "PING a b",
            "MULTI",
            "SET a 5",
            "LPUSH a 5",
            "GET b",
            "EXEC",
            "MULTI",
            "GET",
            "EXEC",
            "EXEC",
            "SELECT 1",
            "SELECT 100",
        ] {
            conn.line(line);
        }
        (counts(&mut conn), info(&mut conn, "errorstats"), info(&mut conn, "stats"))
    });
    let [one, two, redis] = told;
    for ours in [&one, &two] {
        assert_eq!(ours.0, redis.0);
        assert_eq!(ours.1, redis.1);
        for field in ["total_error_replies", "total_commands_processed"] {
            assert_eq!(ours.2[field], redis.2[field], "{field}");
        }
    }
    assert_eq!(one.0["cmdstat_get"], "calls=3,rejected_calls=2,failed_calls=0");
}

#[test]
fn latencies_are_told_by_percentile_while_they_are_tracked() {
    for (home, server) in all() {
        let mut conn = server.conn();
        conn.call(&["CONFIG", "SET", "latency-tracking-info-percentiles", "0 50 100"]).unwrap();
        conn.line("CONFIG RESETSTAT");
        (0..20).for_each(|i| drop(conn.line(&format!("SET key{i} v"))));
        let fields = info(&mut conn, "latencystats");
        let value = &fields["latency_percentiles_usec_set"];
        let parts: Vec<&str> = value.split(',').map(|p| p.split('=').next().unwrap()).collect();
        assert_eq!(parts, ["p0", "p50", "p100"], "{value}");
        conn.line("CONFIG SET latency-tracking no");
        conn.line("CONFIG RESETSTAT");
        conn.line("SET key v");
        assert_eq!(info(&mut conn, "latencystats"), BTreeMap::new());
        drop((server, home));
    }
}

#[test]
fn sections_are_chosen_as_in_redis() {
    let shown = all().map(|(_home, server)| {
        let mut conn = server.conn();
        conn.line("SET a b");
        [
            "",
            "all",
            "everything",
            "default",
            "modules server",
            "module_list",
            "nope",
            "KEYSPACE Cpu",
        ]
        .map(|words| {
            let text = conn.line(&format!("INFO {words}")).text();
            let heads = text.lines().filter(|line| line.starts_with('#'));
            heads.map(str::to_owned).collect::<Vec<_>>()
        })
    });
    assert_eq!(shown[0], shown[2]);
    assert_eq!(shown[1], shown[2]);
}
