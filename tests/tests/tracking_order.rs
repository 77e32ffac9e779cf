//! Client-side caching: when a client is told, beside its replies, and by whose change.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringstone_tests::resp::{Conn, Value, encode};
use ringstone_tests::server::{Launch, Server};

/// Keys of both shards, when there are two.
const KEYS: [&str; 8] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];

fn tracking(server: &Server, options: &str) -> Conn {
    let mut conn = server.conn();
    conn.line("HELLO 3");
    assert_eq!(conn.line(&format!("CLIENT TRACKING ON {options}")).text(), "OK");
    conn
}

/// The keys that a push names, `*` for all; none when it is a reply.
fn invalidated(value: &Value) -> Option<Vec<String>> {
    let Value::Push(push) = value else { return None };
    assert_eq!(push[0].text(), "invalidate");
    let all = push[1] == Value::Null;
    let keys = || push[1].items().iter().map(Value::text).collect();
    Some(if all { vec!["*".to_owned()] } else { keys() })
}

/// What comes until all shards have answered, in order: `!key` for a push.
fn all_that_comes(conn: &mut Conn) -> Vec<String> {
    conn.send_raw(&encode(&["CLIENT", "LIST"])).unwrap();
    let mut seen = Vec::new();
    loop {
        let value = conn.read().unwrap();
        match invalidated(&value) {
            Some(keys) => seen.extend(keys.iter().map(|key| format!("!{key}"))),
            None if value.text().contains("id=") => return seen,
            None => seen.push(value.text()),
        }
    }
}

fn wait_for_blocked(conn: &mut Conn) {
    let limit = Instant::now() + Duration::from_secs(10);
    while !conn.line("INFO clients").text().contains("blocked_clients:1") {
        assert!(Instant::now() < limit, "nobody waits");
    }
}

#[test]
fn what_a_transaction_changes_is_told_to_its_own_client_behind_the_reply() {
    for launch in Launch::all() {
        let (_home, server) = launch.start_alone();
        let mut conn = tracking(&server, "");
        for key in KEYS {
            conn.line(&format!("SET {key} v"));
            conn.line(&format!("GET {key}"));
            conn.line("MULTI");
            conn.line(&format!("APPEND {key} w"));
            assert!(matches!(conn.line("EXEC"), Value::Array(_)));
            assert_eq!(all_that_comes(&mut conn), [format!("!{key}")]);
        }
        // Over all shards.
        conn.line("GET k3");
        for line in ["MULTI", "MSET k0 1 k1 1 k2 1 k3 1", "EXEC"] {
            assert!(invalidated(&conn.line(line)).is_none());
        }
        assert_eq!(all_that_comes(&mut conn), ["!k3"]);
        conn.line("GET k3");
        for line in ["MULTI", "FLUSHDB", "EXEC"] {
            assert!(invalidated(&conn.line(line)).is_none());
        }
        assert_eq!(all_that_comes(&mut conn)[0], "!*");
        conn.line("GET k3");
        assert_eq!(conn.line("FLUSHALL").text(), "OK");
        assert_eq!(all_that_comes(&mut conn)[0], "!*");
    }
}

#[test]
fn a_transaction_that_reads_a_key_after_its_last_change_is_not_told_of_that() {
    for launch in Launch::all() {
        let (_home, server) = launch.start_alone();
        let mut conn = tracking(&server, "");
        for (key, other) in KEYS.iter().zip(KEYS.iter().skip(1)) {
            conn.line("MULTI");
            conn.line(&format!("MSET {key} 1 {other} 2"));
            conn.line(&format!("MGET {key} {other}"));
            conn.line(&format!("APPEND {other} x"));
            conn.line("EXEC");
            assert_eq!(all_that_comes(&mut conn), [format!("!{other}")]);
            conn.line(&format!("DEL {key}"));
            assert_eq!(all_that_comes(&mut conn), [format!("!{key}")]);
        }
    }
}

#[test]
fn whoever_waits_for_a_key_has_his_answer_before_he_is_told_of_what_it_changes() {
    for launch in Launch::all() {
        let (_home, server) = launch.start_alone();
        let mut pusher = server.conn();
        for (from, to) in [("k0", "k1"), ("k1", "k0"), ("k2", "k3"), ("k5", "k6"), ("k0", "k7")] {
            let mut waiter = tracking(&server, "");
            pusher.line("FLUSHALL");
            all_that_comes(&mut waiter);
            waiter.line(&format!("LRANGE {to} 0 -1"));
            waiter.send_raw(&encode(&["BLMOVE", from, to, "LEFT", "LEFT", "0"])).unwrap();
            wait_for_blocked(&mut pusher);
            pusher.line(&format!("RPUSH {from} element"));
            assert_eq!(waiter.read().unwrap().text(), "element");
            assert_eq!(invalidated(&waiter.read().unwrap()), Some(vec![to.to_owned()]));
        }
    }
}

#[test]
fn an_element_that_is_moved_for_a_waiter_is_his_own_change() {
    for launch in Launch::all() {
        let (_home, server) = launch.start_alone();
        for (from, to) in [("k0", "k1"), ("k1", "k0"), ("k2", "k3"), ("k5", "k6")] {
            let mut waiter = tracking(&server, "NOLOOP");
            let mut pusher = tracking(&server, "NOLOOP");
            waiter.line("FLUSHALL");
            all_that_comes(&mut waiter);
            all_that_comes(&mut pusher);
            waiter.line(&format!("LRANGE {to} 0 -1"));
            pusher.line(&format!("LRANGE {to} 0 -1"));
            waiter.send_raw(&encode(&["BLMOVE", from, to, "LEFT", "LEFT", "0"])).unwrap();
            let mut other = server.conn();
            wait_for_blocked(&mut other);
            pusher.send_raw(&encode(&["RPUSH", from, "element"])).unwrap();
            assert_eq!(waiter.read().unwrap().text(), "element");
            other.line("CLIENT LIST");
            assert_eq!(all_that_comes(&mut waiter), [""; 0]);
            assert_eq!(all_that_comes(&mut pusher), ["1".to_owned(), format!("!{to}")]);
        }
    }
}

#[test]
fn that_a_key_has_expired_is_nobodys_own_change() {
    for launch in Launch::all() {
        let redis = launch.binary().is_redis();
        let (_home, server) = launch.set("enable-debug-command", "yes").start_alone();
        let mut conn = tracking(&server, "BCAST NOLOOP");
        assert_eq!(conn.line("DEBUG SET-ACTIVE-EXPIRE 0").text(), "OK");
        for key in KEYS {
            conn.line(&format!("SET {key} v PX 1"));
            std::thread::sleep(Duration::from_millis(3));
            assert_eq!(conn.line(&format!("GET {key}")), Value::Null);
            let told = conn.read().unwrap();
            assert_eq!(invalidated(&told), Some(vec![key.to_owned()]), "redis: {redis}");
        }
        // The same within a transaction over all shards.
        for key in ["k0", "k1"] {
            conn.line(&format!("SET {key} v PX 1"));
        }
        std::thread::sleep(Duration::from_millis(3));
        for line in ["MULTI", "MGET k0 k1", "SET k2 own", "EXEC"] {
            conn.line(line);
        }
        let mut told =
            [conn.read().unwrap()].iter().flat_map(invalidated).flatten().collect::<Vec<_>>();
        if told.len() < 2 {
            told.extend(invalidated(&conn.read().unwrap()).unwrap());
        }
        told.sort();
        assert_eq!(told, ["k0", "k1"]);
    }
}

#[test]
fn no_more_keys_are_tracked_than_allowed_on_all_shards_together() {
    for launch in Launch::all() {
        let (_home, server) = launch.start_alone();
        let (mut reader, mut admin) = (tracking(&server, ""), server.conn());
        for n in 0..250 {
            reader.line(&format!("GET key:{n}"));
        }
        admin.line("CONFIG SET tracking-table-max-keys 1");
        let mut told = Vec::new();
        while told.len() < 249 {
            told.extend(invalidated(&reader.read().unwrap()).unwrap());
        }
        assert_eq!(all_that_comes(&mut reader), [""; 0]);
        assert!(admin.line("INFO stats").text().contains("tracking_total_keys:1\r\n"));
        // As many as are allowed may be of one shard.
        admin.line("CONFIG SET tracking-table-max-keys 6");
        reader.line("GET {a}0");
        all_that_comes(&mut reader);
        for n in 1..5 {
            reader.line(&format!("GET {{a}}{n}"));
        }
        assert_eq!(all_that_comes(&mut reader), [""; 0]);
    }
}

#[test]
fn a_key_that_goes_for_a_command_is_told_before_the_commands_reply() {
    for launch in [Launch::ringstone().shards(1), Launch::redis()] {
        let (_home, server) = launch.start_alone();
        let mut conn = tracking(&server, "");
        let memory = conn.line("INFO memory").text();
        let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        let limit = used.parse::<u64>().unwrap() + 200_000;
        conn.line("CONFIG SET maxmemory-policy volatile-random");
        conn.line(&format!("CONFIG SET maxmemory {limit}"));
        conn.line("SET volatile v EX 1000");
        conn.line("GET volatile");
        assert_eq!(conn.line("SETBIT big 3200000 0"), Value::Int(0));
        let told = conn.line("GETBIT big 0");
        assert_eq!(invalidated(&told), Some(vec!["volatile".to_owned()]));
        assert_eq!(conn.read().unwrap(), Value::Int(0));
    }
}

#[test]
fn what_a_cache_holds_when_all_is_quiet_is_what_the_server_holds() {
    for shards in [1, 2] {
        let (_home, server) = Launch::ringstone().shards(shards).start_alone();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..2 {
                let (stop, mut conn) = (&stop, server.conn());
                scope.spawn(move || {
                    for n in (0usize..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                        let (a, b) = (KEYS[n % 8], KEYS[(n * 3 + writer) % 8]);
                        conn.line(&format!("SET {a} {writer}-{n}"));
                        conn.line(&format!("MSET {a} {writer}={n} {b} {writer}={n}"));
                    }
                });
            }
            let mut reader = tracking(&server, "");
            let mut cache: HashMap<String, String> = HashMap::new();
            let forget = |cache: &mut HashMap<String, String>, value: &Value| {
                let keys = invalidated(value);
                keys.iter().flatten().for_each(|key| drop(cache.remove(key)));
                keys.is_some()
            };
            for round in 0..150 {
                let keys = if round % 2 == 0 { &KEYS[..] } else { &KEYS[round % 8..=round % 8] };
                let words: Vec<&str> =
                    std::iter::once("MGET").chain(keys.iter().copied()).collect();
                reader.send_raw(&encode(&words)).unwrap();
                loop {
                    let value = reader.read().unwrap();
                    if !forget(&mut cache, &value) {
                        let values = value.items().iter().map(Value::text);
                        cache.extend(keys.iter().map(|key| (*key).to_owned()).zip(values));
                        break;
                    }
                }
            }
            stop.store(true, Ordering::Relaxed);
            // Writers end, and whatever was sent about their last changes has arrived when all shards have answered.
            std::thread::sleep(Duration::from_millis(200));
            reader.send_raw(&encode(&["CLIENT", "LIST"])).unwrap();
            loop {
                let value = reader.read().unwrap();
                if !forget(&mut cache, &value) {
                    break;
                }
            }
            let mut other = server.conn();
            for (key, value) in &cache {
                assert_eq!(other.line(&format!("GET {key}")).text(), *value, "{shards}: {key}");
            }
        });
    }
}
