//! Many connections at once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

use std::thread;

use ringstone_tests::resp::{Conn, Value};
use ringstone_tests::server::{Home, Launch};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors that the two sides need beside the connections.
const SPARE_FILES: u64 = 200;

/// Raises the limit of open files, which the server inherits, to the hard one; how many that is.
fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    limit.maximum.unwrap_or(u64::MAX)
}

#[test]
fn a_thousand_clients_write_at_once_and_all_are_answered() {
    raise_file_limit();
    let home = Home::new();
    let server = Launch::ringstone().shards(2).start(&home);
    let port = server.port();
    thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || {
                let mut conns: Vec<Conn> = (0..250).map(|_| Conn::connect(port).unwrap()).collect();
                for round in 0..5 {
                    let command = ringstone_tests::resp::encode(&["INCR", "shared"]).repeat(4);
                    conns.iter_mut().for_each(|c| c.send_raw(&command).unwrap());
                    for (n, conn) in conns.iter_mut().enumerate() {
                        let replies: Vec<_> = (0..4).map(|_| conn.read().unwrap().int()).collect();
                        assert!(
                            replies.is_sorted() && replies[0].is_some(),
                            "{part} {n} {round}: {replies:?}"
                        );
                    }
                }
            });
        }
    });
    assert_eq!(server.conn().line("GET shared").int(), Some(4 * 250 * 5 * 4));
}

#[test]
fn ten_thousand_idle_clients_disturb_nobody() {
    let files = raise_file_limit();
    let count = usize::try_from(files.saturating_sub(SPARE_FILES).min(10_000)).unwrap();
    if count < 10_000 {
        eprintln!("RLIMIT_NOFILE allows {count} idle clients only");
    }
    let home = Home::new();
    let server = Launch::ringstone().shards(2).set("maxclients", count + 50).start(&home);
    let idle: Vec<Conn> = (0..count).map(|_| server.conn()).collect();
    let mut conn = server.conn();
    assert_eq!(conn.line("SET k v"), Value::Simple("OK".into()));
    let text = conn.line("INFO clients").text();
    assert!(text.contains(&format!("connected_clients:{}", count + 1)), "{text}");
    drop(idle);
    for _ in 0..200 {
        if conn.line("INFO clients").text().contains("connected_clients:1\r\n") {
            return;
        }
        thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("closed clients are still counted: {}", conn.line("INFO clients").text());
}

#[test]
fn a_client_beyond_maxclients_is_told_so() {
    let home = Home::new();
    let server = Launch::ringstone().shards(2).set("maxclients", 3).start(&home);
    let mut kept: Vec<Conn> = (0..3).map(|_| server.conn()).collect();
    for conn in &mut kept {
        // A connection whose predecessor's close was not seen yet may be refused; the wait for readiness made one.
        assert_eq!(conn.line("PING"), Value::Simple("PONG".into()));
    }
    let refused = server.conn().read();
    assert_eq!(refused.unwrap().text(), "ERR max number of clients reached");
    kept.pop();
    for _ in 0..200 {
        let mut conn = server.conn();
        if conn.call(&["PING"]).is_ok_and(|r| !r.is_error()) {
            return;
        }
        thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("no room after a client has gone");
}
