//! `maxmemory`: what is refused, which keys go, and that the log knows of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use ringstone_tests::resp::Conn;
use ringstone_tests::server::{Home, Launch, Server};

const VALUE_LEN: usize = 10_000;

fn info(conn: &mut Conn, field: &str) -> u64 {
    let text = conn.call(&["INFO"]).unwrap().text();
    let line = text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("INFO has {field}")).parse().unwrap()
}

/// Sets a limit that leaves room for about `keys` more values.
fn limit(conn: &mut Conn, keys: usize) -> u64 {
    let max = info(conn, "used_memory") + (keys * VALUE_LEN) as u64;
    assert_eq!(conn.line(&format!("CONFIG SET maxmemory {max}")).text(), "OK");
    max
}

fn fill(conn: &mut Conn, keys: std::ops::Range<usize>) -> Vec<String> {
    let value = "x".repeat(VALUE_LEN);
    let set = |n: usize| conn.call(&["SET", &format!("k{n}"), &value]).unwrap().text();
    keys.map(set).collect()
}

fn with_shards(test: impl Fn(Launch)) {
    for shards in [1, 2] {
        test(Launch::ringstone().shards(shards));
    }
}

fn start(launch: &Launch) -> (Home, Server, Conn) {
    let home = Home::new();
    let server = launch.start(&home);
    let conn = server.conn();
    (home, server, conn)
}

#[test]
fn without_eviction_commands_that_need_memory_are_refused_and_others_go_on() {
    with_shards(|launch| {
        let (_home, _server, mut conn) = start(&launch);
        fill(&mut conn, 0..10);
        conn.line("MULTI");
        conn.line("SET in-multi v");
        let mut other = _server.conn();
        other.line("CONFIG SET maxmemory 1");
        let oom = "OOM command not allowed when used memory > 'maxmemory'.";
        assert_eq!(conn.line("GET k1").text(), oom, "what is queued needs memory");
        assert_eq!(
            conn.line("EXEC").text(),
            "EXECABORT Transaction discarded because of previous errors."
        );
        assert_eq!(conn.line("SET k1 v").text(), oom);
        assert_eq!(conn.line("GET k1").text().len(), VALUE_LEN);
        assert_eq!(conn.line("DEL k1").int(), Some(1));
        assert_eq!(conn.line("CONFIG SET maxmemory 0").text(), "OK");
        assert_eq!(conn.line("SET k1 v").text(), "OK");
    });
}

#[test]
fn exec_is_refused_when_memory_is_short_by_then() {
    with_shards(|launch| {
        let (_home, server, mut conn) = start(&launch);
        conn.line("MULTI");
        conn.line("SET k v");
        server.conn().line("CONFIG SET maxmemory 1");
        let text = conn.line("EXEC").text();
        assert_eq!(
            text,
            "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'."
        );
        conn.line("MULTI");
        server.conn().line("CONFIG SET maxmemory 0");
        assert_eq!(conn.line("GET k").text(), "QUEUED");
        server.conn().line("CONFIG SET maxmemory 1");
        assert_eq!(conn.line("EXEC").items().len(), 1, "nothing in it needs memory");
    });
}

#[test]
fn keys_go_until_the_limit_is_kept_on_every_shard() {
    with_shards(|launch| {
        for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
            let (_home, _server, mut conn) = start(&launch);
            conn.line(&format!("CONFIG SET maxmemory-policy {policy}"));
            let max = limit(&mut conn, 100);
            assert!(fill(&mut conn, 0..1000).iter().all(|reply| reply == "OK"), "{policy}");
            assert!(info(&mut conn, "used_memory") < max + 500_000, "{policy}");
            conn.line("CONFIG SET maxmemory 0");
            let left = conn.line("DBSIZE").int().unwrap();
            assert!((40..=200).contains(&left), "{policy}: {left} keys are left");
            assert_eq!(info(&mut conn, "evicted_keys"), 1000 - u64::try_from(left).unwrap());
        }
    });
}

#[test]
fn only_keys_that_expire_go_if_so_wished() {
    with_shards(|launch| {
        let (_home, _server, mut conn) = start(&launch);
        conn.line("CONFIG SET maxmemory-policy volatile-lru");
        let value = "x".repeat(VALUE_LEN);
        (0..50).for_each(|n| drop(conn.call(&["SET", &format!("kept{n}"), &value])));
        (0..50).for_each(|n| drop(conn.call(&["SET", &format!("v{n}"), &value, "EX", "1000"])));
        limit(&mut conn, 10);
        let replies = fill(&mut conn, 0..200);
        assert!(replies.iter().any(|reply| reply.starts_with("OOM")), "the rest may not go");
        assert!(replies.first().unwrap() == "OK");
        for n in 0..50 {
            assert_eq!(conn.line(&format!("EXISTS kept{n}")).int(), Some(1));
        }
        assert_eq!(info(&mut conn, "evicted_keys"), 50);
    });
}

#[test]
fn what_was_evicted_is_gone_after_a_restart() {
    with_shards(|launch| {
        let launch = launch.log("always").set("maxmemory-policy", "allkeys-lru");
        let home = Home::new();
        let server = launch.start(&home);
        let mut conn = server.conn();
        limit(&mut conn, 50);
        fill(&mut conn, 0..300);
        conn.line("CONFIG SET maxmemory 0");
        let left = conn.line("DBSIZE").int();
        assert!(left < Some(300), "some were evicted");
        server.kill();
        let server = launch.start(&home);
        assert_eq!(server.conn().line("DBSIZE").int(), left);
    });
}
