//! What a replica may cost.

use std::time::Duration;

use ringstone_tests::server::Home;

use super::{Stream, primary, until, until_online};

#[test]
fn a_replica_that_does_not_read_is_dropped_and_nobody_waits_for_it() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = primary(shards)
            .set("client-output-buffer-limit", "replica 2mb 0 0")
            .set("repl-backlog-size", "1mb")
            .start(&home);
        let mut conn = server.conn();
        let _silent = Stream::attach(&server);
        until_online(&mut conn, 1);
        let value = "x".repeat(100_000);
        until("it is dropped", || {
            assert_eq!(conn.call(&["SET", "key", &value]).unwrap().text(), "OK");
            conn.info("replication", "connected_slaves") == "0"
        });
    }
}

#[test]
fn a_backlog_that_nobody_comes_back_for_is_dropped() {
    let home = Home::new();
    let server = primary(2).set("repl-backlog-ttl", "1").start(&home);
    let mut conn = server.conn();
    let stream = Stream::attach(&server);
    conn.line("SET key value");
    until("there is a backlog", || conn.info("replication", "repl_backlog_active") == "1");
    let (name, offset) =
        (conn.info("replication", "master_replid"), conn.info("replication", "master_repl_offset"));
    drop(stream);
    until("it is dropped", || conn.info("replication", "repl_backlog_active") == "0");
    conn.line("SET key other");
    assert_eq!(conn.info("replication", "master_repl_offset"), offset);
    // Whoever follows from now on follows another stream.
    let (mut stream, _) = Stream::after(&server, &["SYNC"]);
    assert_ne!(conn.info("replication", "master_replid"), name);
    conn.line("SET key third");
    assert_eq!(stream.commands(2), ["SELECT 0", "SET key third"]);
}

#[test]
fn who_wants_a_snapshot_only_gets_no_stream() {
    let home = Home::new();
    let server = primary(2).start(&home);
    let mut conn = server.conn();
    conn.line("SET key a-value-that-can-be-found");
    let find = |snapshot: &[u8]| snapshot.windows(9).any(|bytes| bytes == b"can-be-fo");
    let (stream, snapshot) = Stream::after(&server, &["REPLCONF rdb-only 1", "SYNC"]);
    assert!(find(&snapshot));
    conn.line("SET key other");
    let socket = stream.reader.get_ref();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(stream.reader.buffer().is_empty());
    let (_, snapshot) = Stream::after(&server, &["REPLCONF rdb-filter-only functions", "SYNC"]);
    assert!(snapshot.starts_with(b"REDIS0010") && !find(&snapshot));
}
