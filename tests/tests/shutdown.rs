//! How the server stops: SIGTERM and SHUTDOWN.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

use ringstone_tests::server::{Home, Launch};

#[test]
fn sigterm_flushes_the_log_and_ends_well() {
    for fsync in ["always", "everysec", "no"] {
        let home = Home::new();
        let server = Launch::ringstone().shards(2).log(fsync).start(&home);
        for n in 0..100 {
            server.conn().line(&format!("SET k{n} {n}"));
        }
        let status = server.stop();
        assert!(status.success(), "{fsync}: {status}");
        let server = Launch::ringstone().shards(2).log(fsync).start(&home);
        assert_eq!(server.conn().line("DBSIZE").int(), Some(100), "{fsync}");
    }
}

#[test]
fn sigterm_saves_where_save_points_are_set() {
    let home = Home::new();
    let launch = Launch::ringstone().shards(2).set("save", "3600 1000");
    let server = launch.start(&home);
    server.conn().line("SET k v");
    assert!(server.stop().success());
    assert_eq!(launch.start(&home).conn().line("GET k").text(), "v");
}

#[test]
fn shutdown_saves_or_not_as_told() {
    for (word, expected) in [("SAVE", "v"), ("NOSAVE", "")] {
        let home = Home::new();
        let launch = Launch::ringstone().shards(2);
        let mut server = launch.start(&home);
        let mut conn = server.conn();
        conn.line("SET k v");
        let reply = conn.call(&["SHUTDOWN", word]);
        assert!(reply.is_err(), "the connection ends without a reply: {reply:?}");
        let status = server.wait_exit();
        assert!(status.success(), "{word}: {status}");
        assert_eq!(launch.start(&home).conn().line("GET k").text(), expected, "{word}");
    }
}

#[test]
fn a_stop_under_load_loses_no_acknowledged_write() {
    let home = Home::new();
    let server = Launch::ringstone().shards(2).log("everysec").start(&home);
    let mut conn = server.conn();
    let writer = std::thread::spawn(move || {
        let mut acked = 0;
        while conn.call(&["INCR", "counter"]).is_ok_and(|r| !r.is_error()) {
            acked += 1;
        }
        acked
    });
    let mut watcher = server.conn();
    while watcher.line("GET counter").int() < Some(200) {
        std::thread::yield_now();
    }
    assert!(server.stop().success());
    let acked: i64 = writer.join().unwrap();
    let server = Launch::ringstone().shards(2).log("everysec").start(&home);
    let found = server.conn().line("GET counter").int().unwrap();
    assert!(found >= acked && found <= acked + 1, "acknowledged {acked}, found {found}");
}
