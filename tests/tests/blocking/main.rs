//! Commands that wait for keys: the same story on redis-server and on one and several shards.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests"
)]

mod ends;
mod races;
mod serving;
mod streams;

use std::thread;
use std::time::{Duration, Instant};

use ringstone_tests::resp::{Conn, Value, encode};
use ringstone_tests::server::{Home, Launch, Server};

/// redis-server, which shows that the story is told right, and Ringstone.
fn on_servers(test: impl Fn(&Server)) {
    let launches = [Launch::redis(), Launch::ringstone().shards(1), Launch::ringstone().shards(2)];
    for launch in launches {
        let home = Home::new();
        eprintln!("{launch:?}");
        let server = launch.set("enable-debug-command", "yes").start(&home);
        test(&server);
    }
}

fn send(conn: &mut Conn, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    conn.send_raw(&encode(&words)).unwrap();
}

/// The next reply on one line: `[a, [b, nil]]`.
fn read(conn: &mut Conn) -> String {
    show(&conn.read().unwrap())
}

fn call(conn: &mut Conn, line: &str) -> String {
    show(&conn.line(line))
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "nil".into(),
        Value::Array(items) | Value::Map(items) | Value::Push(items) => {
            let items: Vec<String> = items.iter().map(show).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.text(),
    }
}

/// Waits until so many clients wait.
fn until_blocked(server: &Server, count: usize) {
    let wanted = format!("blocked_clients:{count}\r");
    let (mut conn, begin) = (server.conn(), Instant::now());
    while !conn.line("INFO clients").text().contains(&wanted) {
        assert!(begin.elapsed() < Duration::from_secs(20), "never {wanted:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A connection on which a command waits; `before` clients wait already.
fn waiting(server: &Server, line: &str, before: usize) -> Conn {
    let mut conn = server.conn();
    send(&mut conn, line);
    until_blocked(server, before + 1);
    conn
}
