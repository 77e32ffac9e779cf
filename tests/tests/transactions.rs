//! MULTI, EXEC, WATCH over one and several shards.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::thread;
use std::time::{Duration, Instant};

use ringstone_tests::resp::{Conn, Value};
use ringstone_tests::server::{Home, Launch, Server};

fn on_shards(test: impl Fn(&Server)) {
    for shards in [1, 2] {
        let home = Home::new();
        let server =
            Launch::ringstone().shards(shards).set("enable-debug-command", "yes").start(&home);
        test(&server);
    }
}

fn texts(reply: &Value) -> Vec<String> {
    reply.items().iter().map(Value::text).collect()
}

#[test]
fn exec_runs_what_was_queued_over_any_shards() {
    on_shards(|server| {
        let mut conn = server.conn();
        assert_eq!(conn.line("MULTI").text(), "OK");
        for line in ["SET a 1", "SET b 2", "MGET a b c d", "INCR a", "LPUSH a x", "DBSIZE", "PING"]
        {
            assert_eq!(conn.line(line).text(), "QUEUED", "{line}");
        }
        let reply = conn.line("EXEC");
        let items = reply.items();
        assert_eq!(texts(&items[2]), ["1", "2", "", ""]);
        assert_eq!(items[3].int(), Some(2));
        assert!(items[4].is_error(), "{:?}", items[4]);
        assert_eq!(items[5].int(), Some(2));
        assert_eq!(items[6].text(), "PONG");
        assert_eq!(conn.line("GET a").text(), "2");
    });
}

#[test]
fn a_refused_command_aborts_the_whole() {
    on_shards(|server| {
        let mut conn = server.conn();
        conn.line("MULTI");
        conn.line("SET k v");
        assert!(conn.line("NOSUCHCOMMAND").is_error());
        assert!(conn.line("EXEC").text().starts_with("EXECABORT"));
        assert_eq!(conn.line("EXISTS k").int(), Some(0));
        assert_eq!(conn.line("EXEC").text(), "ERR EXEC without MULTI");
        assert_eq!(conn.line("DISCARD").text(), "ERR DISCARD without MULTI");
    });
}

#[test]
fn a_watched_key_that_changes_stops_exec() {
    on_shards(|server| {
        let (mut conn, mut other) = (server.conn(), server.conn());
        let changes = [
            "SET w 2",
            "DEL w",
            "APPEND w x",
            "RENAME w w2",
            "EXPIRE w 100",
            "FLUSHDB",
            "FLUSHALL",
            "SWAPDB 0 1",
            "MSET w 1 v 1 u 1 t 1",
            "RENAME other w",
            "COPY other w REPLACE",
            "PEXPIREAT w 1",
        ];
        for change in changes {
            conn.line("FLUSHALL");
            conn.line("MSET w 1 other 5");
            assert_eq!(conn.line("WATCH w x y z").text(), "OK");
            assert!(!other.line(change).is_error(), "{change}");
            conn.line("MULTI");
            conn.line("SET done 1");
            assert_eq!(conn.line("EXEC"), Value::Null, "{change}");
            assert_eq!(conn.line("EXISTS done").int(), Some(0), "{change}");
        }
        for change in
            ["SET q 2", "GET w", "DEL nothing", "SADD s 1", "SWAPDB 3 4", "EXPIRE nothing 100"]
        {
            conn.line("FLUSHALL");
            conn.line("SET w 1");
            conn.line("WATCH w x");
            other.line(change);
            conn.line("MULTI");
            conn.line("SET done 1");
            assert_eq!(texts(&conn.line("EXEC")), ["OK"], "{change}");
        }
    });
}

/// As in Redis, where only what XADD and its like change is a change of the stream.
#[test]
fn groups_of_a_watched_stream_do_not_stop_exec() {
    on_shards(|server| {
        let (mut conn, mut other) = (server.conn(), server.conn());
        other.line("XADD s 1-1 a b");
        let lines = [
            ("XGROUP CREATE s g 0", false),
            ("XREADGROUP GROUP g c STREAMS s >", false),
            ("XCLAIM s g d 0 1-1", false),
            ("XACK s g 1-1", false),
            ("XREADGROUP GROUP g c STREAMS s s >  0", false),
            ("XGROUP DESTROY s g", false),
            ("XSETID s 5-1", false),
            ("XADD s 6-1 a b", true),
            ("DEL s", true),
            ("XGROUP CREATE s g 0 MKSTREAM", true),
        ];
        for (line, changes) in lines {
            conn.line("WATCH s");
            assert!(!other.line(line).is_error(), "{line}");
            conn.line("MULTI");
            assert_eq!(conn.line("EXEC") == Value::Null, changes, "{line}");
        }
    });
}

#[test]
fn unwatch_discard_and_an_end_forget_what_is_watched() {
    on_shards(|server| {
        let (mut conn, mut other) = (server.conn(), server.conn());
        conn.line("WATCH a b c d");
        conn.line("UNWATCH");
        other.line("MSET a 1 b 1 c 1 d 1");
        conn.line("MULTI");
        assert_eq!(conn.line("EXEC").items().len(), 0);
        conn.line("WATCH a b c d");
        conn.line("MULTI");
        conn.line("DISCARD");
        other.line("MSET a 1 b 1 c 1 d 1");
        conn.line("MULTI");
        conn.line("PING");
        assert_eq!(conn.line("EXEC").items().len(), 1);
    });
}

#[test]
fn a_watched_key_that_expires_stops_exec_and_a_stale_one_does_not() {
    on_shards(|server| {
        let mut conn = server.conn();
        conn.line("DEBUG SET-ACTIVE-EXPIRE 0");
        conn.line("SET w 1 PX 300");
        conn.line("WATCH w x y");
        let deadline = Instant::now() + Duration::from_secs(5);
        while conn.line("PTTL w").int() != Some(-2) {
            assert!(Instant::now() < deadline);
        }
        conn.line("MULTI");
        conn.line("PING");
        assert_eq!(conn.line("EXEC"), Value::Null);

        conn.line("SET stale 1 PXAT 1");
        conn.line("WATCH stale x y");
        conn.line("MULTI");
        conn.line("PING");
        assert_eq!(conn.line("EXEC").items().len(), 1);
    });
}

/// Transfers between accounts keep their sum, whoever looks.
#[test]
fn transfers_under_watch_keep_the_sum() {
    on_shards(|server| {
        let accounts: Vec<String> = (0..8).map(|n| format!("account-{n}")).collect();
        let mut conn = server.conn();
        for account in &accounts {
            conn.line(&format!("SET {account} 100"));
        }
        let port = server.port();
        let movers: Vec<_> = (0..4u64)
            .map(|seed| {
                let accounts = accounts.clone();
                thread::spawn(move || {
                    let mut conn = Conn::connect(port).unwrap();
                    let (mut done, mut x) = (0, seed * 7919 + 1);
                    for _ in 0..300 {
                        x = x
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        let (a, b) = ((x >> 33) as usize % 8, (x >> 40) as usize % 8);
                        if a == b {
                            continue;
                        }
                        let (a, b) = (&accounts[a], &accounts[b]);
                        conn.line(&format!("WATCH {a} {b}"));
                        let both = texts(&conn.line(&format!("MGET {a} {b}")));
                        let both: Vec<i64> = both.iter().map(|n| n.parse().unwrap()).collect();
                        conn.line("MULTI");
                        conn.line(&format!("SET {a} {}", both[0] - 1));
                        conn.line(&format!("SET {b} {}", both[1] + 1));
                        done += i32::from(conn.line("EXEC") != Value::Null);
                    }
                    done
                })
            })
            .collect();
        let all = format!("MGET {}", accounts.join(" "));
        while movers.iter().any(|mover| !mover.is_finished()) {
            let sum: i64 = texts(&conn.line(&all)).iter().map(|n| n.parse::<i64>().unwrap()).sum();
            assert_eq!(sum, 800);
        }
        let done: i32 = movers.into_iter().map(|mover| mover.join().unwrap()).sum();
        assert!(done > 0);
    });
}

#[test]
fn select_within_multi_holds_for_what_follows() {
    on_shards(|server| {
        let mut conn = server.conn();
        for line in ["MULTI", "SET a 0", "SELECT 5", "SET a 5", "SET b 5", "SELECT 99", "SET c 5"] {
            conn.line(line);
        }
        let reply = conn.line("EXEC");
        assert!(reply.items()[4].is_error());
        assert_eq!(texts(&conn.line("MGET a b c")), ["5", "5", "5"]);
        conn.line("SELECT 0");
        assert_eq!(conn.line("GET a").text(), "0");
    });
}

#[test]
fn sort_follows_patterns_over_any_shards() {
    on_shards(|server| {
        let mut conn = server.conn();
        conn.line("RPUSH l 1 2 3 4 5 6 7 8");
        for n in 1..=8 {
            conn.line(&format!("SET weight_{n} {}", 9 - n));
            conn.line(&format!("HSET object_{n} name name-{n}"));
        }
        let reply = conn.line("SORT l BY weight_* GET object_*->name LIMIT 0 2");
        assert_eq!(texts(&reply), ["name-8", "name-7"]);
        assert_eq!(conn.line("SORT l BY weight_* STORE sorted").int(), Some(8));
        assert_eq!(texts(&conn.line("LRANGE sorted 0 1")), ["8", "7"]);
        assert_eq!(conn.line("GET weight_3").text(), "6");
    });
}

fn stat(conn: &mut Conn, name: &str) -> u64 {
    let text = conn.line("INFO stats").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').parse().unwrap()
}

#[test]
fn a_transaction_on_keys_of_one_other_shard_takes_one_hop() {
    let home = Home::new();
    let server = Launch::ringstone().shards(2).start(&home);
    let mut conn = server.conn();
    let (mut hops, mut away) = (stat(&mut conn, "shard_hops"), 0);
    let before = stat(&mut conn, "shard_transactions");
    for n in 0..8 {
        // In one go, so that replies come in order although some come from another shard.
        let lines =
            ["MULTI", "SET {t}a 1", "INCR {t}n", "LPUSH {t}a x", "GET {t}a", "EXEC", "GET {t}n"];
        let commands: Vec<Vec<String>> = lines
            .iter()
            .map(|line| {
                line.replace("{t}", &format!("{{{n}}}")).split(' ').map(str::to_owned).collect()
            })
            .collect();
        let replies = conn.pipeline(&commands).unwrap();
        let exec = texts(&replies[5]);
        assert_eq!([&exec[0], &exec[1], &exec[3]], ["OK", "1", "1"]);
        assert!(exec[2].starts_with("WRONGTYPE"));
        assert_eq!(replies[6].text(), "1");
        let now = stat(&mut conn, "shard_hops");
        // The transaction, and the GET.
        assert!(now == hops || now == hops + 2, "{n}: {now} after {hops}");
        away += usize::from(now != hops);
        hops = now;
        // One that is watched and was changed does nothing.
        conn.line(&format!("WATCH {{{n}}}a"));
        server.conn().line(&format!("SET {{{n}}}a 2"));
        conn.line("MULTI");
        conn.line(&format!("SET {{{n}}}a 3"));
        assert_eq!(conn.line("EXEC"), Value::Null);
        assert_eq!(conn.line(&format!("GET {{{n}}}a")).text(), "2");
        hops = stat(&mut conn, "shard_hops").max(hops);
    }
    assert!(away > 0 && away < 8, "{away} of 8");
    assert_eq!(stat(&mut conn, "shard_transactions"), before);
}

#[test]
fn no_update_under_watch_is_lost_beside_commands_over_several_shards() {
    on_shards(|server| {
        let keys = ["k0", "k1", "k2", "k3"];
        server.conn().line("MSET k0 0 k1 0 k2 0 k3 0");
        let stop = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            let beside = scope.spawn(|| {
                let mut conn = server.conn();
                let mut rounds = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    // Takes all keys away from their shards, and changes them all.
                    conn.line("MULTI");
                    keys.iter().for_each(|key| drop(conn.line(&format!("INCR {key}"))));
                    conn.line("EXEC");
                    conn.line("MGET k0 k1 k2 k3");
                    rounds += 1;
                }
                rounds
            });
            let writers: Vec<_> = (0..4)
                .map(|at| {
                    let key = keys[at];
                    scope.spawn(move || {
                        let (mut conn, mut done) = (server.conn(), 0);
                        while done < 60 {
                            conn.line(&format!("WATCH {key}"));
                            let value = conn.line(&format!("GET {key}")).text();
                            let next = value.parse::<u64>().unwrap() + 1;
                            conn.line("MULTI");
                            conn.line(&format!("SET {key} {next}"));
                            done += u64::from(conn.line("EXEC") != Value::Null);
                        }
                    })
                })
                .collect();
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            let rounds: u64 = beside.join().unwrap();
            let values = texts(&server.conn().line("MGET k0 k1 k2 k3"));
            assert_eq!(values, vec![(rounds + 60).to_string(); 4]);
        });
    });
}

fn library(name: &str, version: u32) -> String {
    format!(
        "#!lua name={name}\nredis.register_function{{function_name='{name}', flags={{'no-writes'}}, callback=function() return {version} end}}"
    )
}

/// Loads two libraries and sets two keys, all of one version, as one unit.
fn write_version(conn: &mut Conn, version: u32) -> std::io::Result<Value> {
    let number = version.to_string();
    let load = |name| ["FUNCTION".into(), "LOAD".into(), "REPLACE".into(), library(name, version)];
    let set = |key: &str| ["SET".to_owned(), key.to_owned(), number.clone()];
    conn.call(&["MULTI"])?;
    conn.call(&load("one"))?;
    conn.call(&set("a"))?;
    conn.call(&load("two"))?;
    conn.call(&set("b"))?;
    conn.call(&["EXEC"])
}

/// What versions are there, of libraries and keys.
fn versions(conn: &mut Conn) -> Vec<String> {
    ["FCALL one 0", "GET a", "FCALL two 0", "GET b"].map(|line| conn.line(line).text()).to_vec()
}

#[test]
fn libraries_and_keys_of_a_transaction_are_there_together_after_a_crash() {
    for (shards, fsync) in [(1, "always"), (2, "always"), (2, "everysec")] {
        let home = Home::new();
        let mut version = 0;
        for round in 0..5 {
            let server = Launch::ringstone().shards(shards).log(fsync).start(&home);
            let mut conn = server.conn();
            if version > 0 {
                let there = versions(&mut conn);
                let number: u32 = there[0].parse().unwrap_or_else(|_| panic!("{there:?}"));
                assert!(there.iter().all(|other| *other == there[0]), "torn: {there:?}");
                assert!(number >= version, "{number} is there, {version} was acknowledged");
                version = number;
            }
            let other = server.conn();
            let acknowledged = thread::scope(|scope| {
                let writer = scope.spawn(move || {
                    let (mut conn, mut last) = (other, version);
                    while write_version(&mut conn, last + 1).is_ok_and(|reply| !reply.is_error()) {
                        last += 1;
                    }
                    last
                });
                thread::sleep(Duration::from_millis(150 + round * 37));
                server.kill();
                writer.join().unwrap()
            });
            version = acknowledged.max(version);
        }
        assert!(version > 0);
    }
}

#[test]
fn a_function_that_a_transaction_loads_can_be_called_in_it() {
    on_shards(|server| {
        let mut conn = server.conn();
        conn.line("MULTI");
        conn.call(&["FUNCTION", "LOAD", &library("one", 7)]).unwrap();
        conn.call(&["FUNCTION", "LOAD", &library("one", 8)]).unwrap();
        conn.line("FCALL one 0");
        conn.line("FUNCTION DELETE one");
        conn.line("FCALL one 0");
        conn.line("FUNCTION FLUSH WRONG");
        conn.line("SET k v");
        let reply = conn.line("EXEC");
        let wanted = [
            "one",
            "ERR Library 'one' already exists",
            "7",
            "OK",
            "ERR Function not found",
            "ERR FUNCTION FLUSH only supports SYNC|ASYNC option",
            "OK",
        ];
        assert_eq!(texts(&reply), wanted);
        assert_eq!(conn.line("FUNCTION LIST").items().len(), 0);
    });
}

/// Redis's hash slot of a key without a hash tag: CRC-16/XMODEM.
fn slot(key: &str) -> u16 {
    let step = |crc: u16| if crc & 0x8000 > 0 { (crc << 1) ^ 0x1021 } else { crc << 1 };
    let sum = key
        .bytes()
        .fold(0, |crc: u16, byte| (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| step(crc)));
    sum % 16384
}

/// Keys of each of two shards.
fn keys_by_shard(name: &str, count: usize) -> [Vec<String>; 2] {
    let keys = (0..).map(|n| format!("{name}{n}"));
    [0, 1].map(|shard| {
        let here = keys.clone().filter(|key| usize::from(slot(key) >= 8192) == shard);
        here.take(count).collect()
    })
}

#[test]
fn a_transaction_does_not_overtake_what_its_connection_sent_before() {
    let home = Home::new();
    let server = Launch::ringstone().shards(2).set("save", "").start(&home);
    let mut conn = server.conn();
    let lists = keys_by_shard("list", 12);
    let to = keys_by_shard("to", 1);
    let large = "x".repeat(400_000);
    for list in lists.iter().flatten() {
        for _ in 0..5 {
            conn.call(&["RPUSH", list, &large]).unwrap();
        }
    }
    // Connections of both shards; those lists that are on the other one are hopped to. While the snapshot has a list to save, a
    // write to it waits.
    for round in 0..6 {
        let mut conn = server.conn();
        conn.line("BGSAVE");
        let mut commands: Vec<Vec<String>> = Vec::new();
        for (shard, lists) in lists.iter().enumerate() {
            let to = &to[1 - shard][0];
            for list in lists {
                let last = format!("last-{round}");
                commands.push(vec!["RPUSH".into(), list.clone(), last]);
                commands.push(vec!["RPOPLPUSH".into(), list.clone(), to.clone()]);
            }
        }
        let replies = conn.pipeline(&commands).unwrap();
        for (command, reply) in commands.iter().zip(&replies).filter(|(c, _)| c[0] != "RPUSH") {
            let text = reply.text();
            assert!(text == format!("last-{round}"), "{command:?}: {}", &text[..text.len().min(9)]);
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        while conn.line("INFO persistence").text().contains("rdb_bgsave_in_progress:1") {
            assert!(Instant::now() < deadline);
            thread::sleep(Duration::from_millis(5));
        }
    }
}
