//! A script that runs for too long: nobody waits for it, wherever the keys are, and all goes on when it has been ended.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::time::{Duration, Instant};

use ringstone_tests::resp::{Conn, Value, encode};
use ringstone_tests::server::{Home, Launch, Server};

const FOREVER: &str = "while true do end";
/// The same, and the log tells that it runs.
const TELLS: &str = "redis.log(redis.LOG_WARNING, 'runs ' .. KEYS[1]) while true do end";

fn start(launch: Launch) -> (Home, Server) {
    launch.set("lua-time-limit", 30).start_alone()
}

fn send(conn: &mut Conn, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    conn.send_raw(&encode(&words)).unwrap();
}

/// Ends the script, and waits until it has ended.
fn kill(server: &Server, script: &mut Conn) {
    let limit = Instant::now() + Duration::from_secs(20);
    let mut conn = server.conn();
    while conn.line("SCRIPT KILL").text() != "OK" {
        assert!(Instant::now() < limit, "it cannot be ended");
    }
    assert!(script.read().unwrap().text().contains("killed by user"));
}

/// Waits until the script is known to be busy.
fn wait_until_busy(server: &Server, line: &str) {
    let (limit, mut conn) = (Instant::now() + Duration::from_secs(20), server.conn());
    while !conn.line(line).text().starts_with("BUSY") {
        assert!(Instant::now() < limit, "nobody is busy");
    }
}

#[test]
fn while_a_script_without_keys_is_busy_everybody_is_told_so_each_time() {
    for launch in Launch::all() {
        let (_home, server) = start(launch);
        let (mut script, mut conn) = (server.conn(), server.conn());
        for round in 0..3 {
            send(&mut conn, "MULTI");
            send(&mut conn, "SET k0 v");
            assert_eq!(
                [conn.read().unwrap().text(), conn.read().unwrap().text()],
                ["OK", "QUEUED"]
            );
            script.send_raw(&encode(&["EVAL", FOREVER, "0"])).unwrap();
            wait_until_busy(&server, "GET k0");
            for key in ["k0", "k1", "k2", "k3", "k4", "k5"] {
                let answer = server.conn().line(&format!("GET {key}")).text();
                assert!(answer.starts_with("BUSY"), "round {round}: {answer}");
            }
            let answer = conn.line("EXEC").text();
            assert!(
                answer.starts_with("EXECABORT Transaction discarded because of: BUSY"),
                "{answer}"
            );
            kill(&server, &mut script);
            assert_eq!(conn.line("GET k0"), Value::Null);
        }
    }
}

#[test]
fn what_needs_a_key_of_a_busy_script_is_refused_also_over_several_shards() {
    let (_home, server) = start(Launch::ringstone().shards(2));
    for key in ["k0", "k1", "k2", "k3"] {
        let mut script = server.conn();
        let mut admin = server.conn();
        admin.line("MSET k0 0 k1 1 k2 2 k3 3");
        // Some ask before it is busy, and wait; so do all kinds of commands when it is.
        script.send_raw(&encode(&["EVAL", TELLS, "1", key])).unwrap();
        let limit = Instant::now() + Duration::from_secs(20);
        while !server.log_text().contains(&format!("runs {key}")) {
            assert!(Instant::now() < limit, "it does not run");
        }
        let lines = ["MGET k0 k1 k2 k3", "MSET k0 x k1 x k2 x k3 x", "DBSIZE", "FLUSHALL"];
        let early: Vec<Conn> = lines
            .iter()
            .map(|line| {
                let mut conn = server.conn();
                send(&mut conn, line);
                conn
            })
            .collect();
        let mut queued = server.conn();
        for line in ["WATCH k0", "MULTI", "MGET k0 k1 k2 k3", "INCR n"] {
            send(&mut queued, line);
        }
        send(&mut queued, "EXEC");
        let mut scripts: Vec<Conn> = (0..2).map(|_| server.conn()).collect();
        let read = "return redis.call('GET', KEYS[1])";
        scripts[0].send_raw(&encode(&["EVAL", read, "1", key])).unwrap();
        scripts[1].send_raw(&encode(&["EVAL", read, "4", key, "k0", "k1", "k2"])).unwrap();
        for mut conn in early.into_iter().chain(scripts) {
            let answer = conn.read().unwrap().text();
            assert!(answer.starts_with("BUSY"), "{key}: {answer}");
        }
        let answers: Vec<String> = (0..5).map(|_| queued.read().unwrap().text()).collect();
        let last = &answers[4];
        assert!(last.starts_with("EXECABORT Transaction discarded because of: BUSY"), "{last}");
        for line in lines {
            let answer = server.conn().line(line).text();
            assert!(answer.starts_with("BUSY"), "{key}, {line}: {answer}");
        }
        kill(&server, &mut script);
        // Nothing of them was done, and nothing is held any more.
        let values = admin.line("MGET k0 k1 k2 k3 n");
        let values: Vec<String> = values.items().iter().map(Value::text).collect();
        assert_eq!(values[..4], ["0", "1", "2", "3"]);
        assert_eq!(values[4], Value::Null.text());
        assert_eq!(queued.line("PING").text(), "PONG");
        assert_eq!(admin.line("FLUSHALL").text(), "OK");
        let move_all = "return redis.call('SET', KEYS[1], redis.call('DBSIZE'))";
        assert_eq!(admin.call(&["EVAL", move_all, "1", key]).unwrap().text(), "OK");
    }
    let answer = server.conn().line("INFO errorstats").text();
    assert!(answer.contains("errorstat_BUSY"), "{answer}");
}
