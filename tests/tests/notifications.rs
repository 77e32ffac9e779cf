//! Keyspace notifications: after every command of the comparison scripts, the events that redis-server publishes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

use std::fs;

use ringstone_tests::resp::{Conn, Value, encode};
use ringstone_tests::script::words;
use ringstone_tests::server::{Home, Launch, Server, workspace};

/// A connection for commands, and one that hears of all events.
struct Heard {
    _server: (Home, Server),
    conn: Conn,
    listener: Conn,
}

impl Heard {
    fn start(launch: Launch) -> Heard {
        let home = Home::new();
        let launch = launch.set("notify-keyspace-events", "KEAnm");
        let server = launch.set("enable-debug-command", "yes").start(&home);
        let (conn, mut listener) = (server.conn(), server.conn());
        listener.line("HELLO 3");
        listener.line("PSUBSCRIBE __key*");
        Heard { _server: (home, server), conn, listener }
    }

    /// Runs a command; its reply, and the events that it led to.
    fn run(&mut self, args: &[Vec<u8>]) -> (String, Vec<String>) {
        self.conn.send_raw(&encode(args)).unwrap();
        let reply = self.conn.read_raw().unwrap_or_else(|e| format!("no reply: {e}").into_bytes());
        (String::from_utf8_lossy(&reply).into_owned(), self.events())
    }

    /// The events that have not been looked at yet. CLIENT LIST asks all shards, so what they have sent before is here by then.
    fn events(&mut self) -> Vec<String> {
        self.listener.send_raw(&encode(&["CLIENT", "LIST"])).unwrap();
        let mut events = Vec::new();
        while let Value::Push(push) = self.listener.read().unwrap() {
            events.push(format!("{} {}", push[2].text(), push[3].text()));
        }
        events
    }
}

/// The events that every line of a script leads to, on both servers.
fn same_events(script: &str) {
    let path = workspace().join("tests/tests/compat").join(format!("{script}.txt"));
    let text = fs::read_to_string(&path).unwrap();
    let mut differences = Vec::new();
    for shards in [1, 2] {
        let mut ours = Heard::start(Launch::ringstone().shards(shards));
        let mut theirs = Heard::start(Launch::redis());
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let args = words(line);
            let (reply, events) = ours.run(&args);
            if reply.starts_with("-ERR unknown command") {
                continue;
            }
            let (_, expected) = theirs.run(&args);
            if events != expected {
                let line = format!("{script}:{} {shards} shards: {line}", number + 1);
                differences
                    .push(format!("{line}\n    ringstone {events:?}\n    redis     {expected:?}"));
            }
        }
    }
    let count = differences.len();
    assert!(differences.is_empty(), "{count} commands differ:\n{}", differences.join("\n"));
}

#[test]
fn special_cases() {
    same_events("events");
}

#[test]
fn strings() {
    same_events("strings");
}

#[test]
fn keys() {
    same_events("keys");
}

#[test]
fn lists() {
    same_events("lists");
}

#[test]
fn sets() {
    same_events("sets");
}

#[test]
fn hashes() {
    same_events("hashes");
}

#[test]
fn sorted_sets() {
    same_events("sorted_sets");
}

#[test]
fn streams() {
    same_events("streams");
}

#[test]
fn bits_and_hyperloglogs() {
    same_events("bits");
}

#[test]
fn geo() {
    same_events("geo");
}

#[test]
fn the_parameter_is_live_and_chooses_classes_and_channels() {
    for launch in Launch::all() {
        let mut heard = Heard::start(launch);
        let mut set = |letters: &str| {
            let reply = heard.conn.call(&["CONFIG", "SET", "notify-keyspace-events", letters]);
            let reply = reply.unwrap().text();
            let shown = heard.conn.line("CONFIG GET notify-keyspace-events").items()[1].text();
            heard.conn.line("DEL l");
            heard.conn.line("SET k v");
            heard.conn.line("RPUSH l a");
            (reply, shown, heard.events())
        };
        assert_eq!(set("KEA").1, "AKE");
        assert_eq!(set("E$"), ("OK".into(), "$E".into(), vec!["__keyevent@0__:set k".into()]));
        assert_eq!(set("Kl"), ("OK".into(), "lK".into(), vec!["__keyspace@0__:l rpush".into()]));
        let (reply, shown, events) = set("Kq");
        let expected = "ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid event class \
                        character. Use 'Ag$lshzxeKEtmdn'.";
        assert_eq!(reply, expected);
        assert_eq!((shown.as_str(), events.len()), ("lK", 1), "a refused value changes nothing");
        assert_eq!(set("A"), ("OK".into(), "A".into(), vec![]), "neither K nor E");
        assert_eq!(set(""), ("OK".into(), String::new(), vec![]));
    }
}

#[test]
fn keys_that_nobody_asks_for_are_announced_when_they_expire() {
    for shards in [1, 2] {
        let mut heard = Heard::start(Launch::ringstone().shards(shards));
        let keys: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
        heard.conn.line("CONFIG SET notify-keyspace-events Ex");
        keys.iter().for_each(|key| drop(heard.conn.line(&format!("SET {key} v PX 20"))));
        let mut seen: Vec<String> = keys
            .iter()
            .map(|_| heard.listener.read().unwrap())
            .map(|push| format!("{} {}", push.items()[2].text(), push.items()[3].text()))
            .collect();
        let mut expected: Vec<String> =
            keys.iter().map(|key| format!("__keyevent@0__:expired {key}")).collect();
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected);
    }
}

#[test]
fn what_exec_did_is_announced_in_its_order() {
    let run = |launch| {
        let mut heard: Heard = Heard::start(launch);
        heard.conn.line("CONFIG SET notify-keyspace-events KEA");
        for line in
            ["MULTI", "MSET a 1 b 2 c 3", "RENAME a d", "PUBLISH __key:between x", "DEL b d"]
        {
            heard.conn.line(line);
        }
        assert_eq!(heard.events(), [] as [&str; 0]);
        heard.conn.line("EXEC");
        heard.events()
    };
    let expected = run(Launch::redis());
    assert_eq!(expected.len(), 15);
    assert_eq!(run(Launch::ringstone().shards(1)), expected);
    assert_eq!(run(Launch::ringstone().shards(2)), expected);
}

#[test]
fn what_a_script_did_and_published_is_heard_once_and_in_its_order() {
    let run = |launch| {
        let mut heard: Heard = Heard::start(launch);
        heard.conn.line("CONFIG SET notify-keyspace-events KEA");
        let scripts = [
            // Named keys; a key that is not named, which takes the whole keyspace on several shards; none.
            (
                "redis.call('SET', KEYS[1], 1) redis.call('INCR', KEYS[1]) return redis.call('PUBLISH', '__key:a', 'x')",
                1,
            ),
            (
                "redis.call('SET', KEYS[1], 1) local n = redis.call('PUBLISH', '__key:b', 'x') \
              for i = 1, 8 do redis.call('DEL', 'k' .. i) redis.call('RPUSH', 'k' .. i, 'v') end return n",
                1,
            ),
            (
                "redis.call('SPUBLISH', '__key:c', 'x') return redis.call('PUBLISH', '__key:d', 'x')",
                0,
            ),
        ];
        let mut all = Vec::new();
        for (script, keys) in scripts {
            for _ in 0..2 {
                let words = ["EVAL", script, &keys.to_string(), "a"];
                let reply = heard.conn.call(&words[..3 + keys]).unwrap();
                assert_eq!(reply.int(), Some(1), "{script}");
                let mut events = heard.events();
                // Where a script may be undone, its messages come behind its events.
                events.sort_by_key(|event| event.starts_with("__key:"));
                all.extend(events);
            }
        }
        all
    };
    let expected = run(Launch::redis());
    assert_eq!(run(Launch::ringstone().shards(1)), expected);
    assert_eq!(run(Launch::ringstone().shards(2)), expected);
}
