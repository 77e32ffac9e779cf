//! What CLIENT LIST tells about connections, and how they are chosen.

use std::time::{Duration, Instant};

use ringstone_tests::resp::{Conn, Value};
use ringstone_tests::server::{Home, Launch};

#[test]
fn client_list_shows_what_connections_hold() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        let (mut conn, mut other) = (server.conn(), server.conn());
        let id = other.line("CLIENT ID").int().unwrap();
        other.line("WATCH key");
        other.line("MULTI");
        other.line("SET key value");
        other.line("GET key");
        let line = |conn: &mut Conn| conn.line(&format!("CLIENT LIST ID {id}")).text();
        let before = line(&mut conn);
        assert!(before.contains(" flags=x ") && before.contains(" multi=2 "), "{before}");
        assert!(!before.contains(" multi-mem=0 ") && before.contains(" cmd=get "), "{before}");
        conn.line("SET key other");
        assert!(line(&mut conn).contains(" flags=xd "), "{}", line(&mut conn));
        other.line("DISCARD");
        let after = line(&mut conn);
        assert!(after.contains(" flags=N ") && after.contains(" multi=-1 "), "{after}");
        other.send_raw(b"*2\r\n$3\r\nGET\r\n$100\r\nxxxx").unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while line(&mut conn).contains(" qbuf=0 ") {
            assert!(Instant::now() < deadline, "{}", line(&mut conn));
        }
    }
}

#[test]
fn clients_are_chosen_by_many_things() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        let mut conn = server.conn();
        let mut others: Vec<Conn> = (0..4).map(|_| server.conn()).collect();
        let ids: Vec<i64> = others.iter_mut().map(|o| o.line("CLIENT ID").int().unwrap()).collect();
        others[0].line("CLIENT SETNAME zero");
        others[1].line("SELECT 3");
        others[2].line("SUBSCRIBE x");
        let mut listed = |options: &str| -> Vec<i64> {
            let text = conn.line(&format!("CLIENT LIST {options}")).text();
            let id = |line: &str| line.split(' ').next()?.strip_prefix("id=")?.parse().ok();
            text.lines().filter_map(id).collect()
        };
        assert_eq!(listed("NAME zero"), [ids[0]]);
        assert_eq!(listed("DB 3"), [ids[1]]);
        assert_eq!(listed("TYPE pubsub"), [ids[2]]);
        assert_eq!(listed("FLAGS P"), [ids[2]]);
        assert_eq!(listed("SKIPME yes NOT-TYPE pubsub NOT-NAME zero NOT-DB 3"), [ids[3]]);
        assert_eq!(listed("SKIPME yes IP 127.0.0.1").len(), 4);
        assert_eq!(listed("SKIPME yes NOT-IP 127.0.0.1"), []);
        assert_eq!(listed("IDLE 1000"), []);
        let killed = |conn: &mut Conn, options: &str| conn.line(&format!("CLIENT KILL {options}"));
        let one = killed(&mut conn, &format!("ID {} {} 9999 DB 3", ids[0], ids[1]));
        assert_eq!(one, Value::Int(1));
        assert_eq!(killed(&mut conn, "MAXAGE 1000"), Value::Int(0));
        let all_but = format!("NOT-ID {} {}", ids[0], ids[3]);
        assert_eq!(killed(&mut conn, &all_but), Value::Int(1));
        assert_eq!(others[0].line("PING"), Value::Simple("PONG".into()));
        assert_eq!(others[3].line("PING"), Value::Simple("PONG".into()));
        for (options, error) in [
            ("ID 10 wrong", "ERR syntax error"),
            ("ID x", "ERR client-id should be greater than 0"),
            ("MAXAGE 0", "ERR maxage should be greater than 0"),
            ("MAXAGE x", "ERR maxage is not an integer or out of range"),
            ("NOT-MAXAGE 1", "ERR syntax error"),
            ("SKIPME maybe", "ERR syntax error"),
        ] {
            assert_eq!(killed(&mut conn, options), Value::Error(error.into()), "{options}");
        }
    }
}

const LIMIT: &str = "client-output-buffer-limit";

/// One field of a connection's line in CLIENT LIST; nothing when it is gone.
fn field(conn: &mut Conn, name: &str, field: &str) -> Option<usize> {
    let text = conn.line("CLIENT LIST").text();
    let line = text.lines().find(|line| line.contains(&format!(" name={name} ")))?;
    let start = format!("{field}=");
    line.split(' ').find_map(|word| word.strip_prefix(&start))?.parse().ok()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn output_that_waits_is_seen_and_ends_a_reader_that_is_too_slow() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        let (mut conn, mut slow) = (server.conn(), server.conn());
        conn.call(&["CONFIG", "SET", LIMIT, "pubsub 4000000 1000000 1"]).unwrap();
        slow.line("CLIENT SETNAME slow");
        slow.line("SUBSCRIBE news");
        assert_eq!(field(&mut conn, "slow", "omem"), Some(0));
        let text = "x".repeat(10_000);
        // Above the soft limit, and nothing more comes.
        wait_until("output waits", || {
            conn.line(&format!("PUBLISH news {text}"));
            field(&mut conn, "slow", "omem").unwrap() > 1_000_000
        });
        let line = conn.line("CLIENT LIST TYPE pubsub").text();
        assert!(line.contains(" obl=0 ") && !line.contains(" oll=0 "), "{line}");
        assert!(field(&mut conn, "slow", "tot-mem") > field(&mut conn, "slow", "omem"));
        wait_until("the soft limit", || field(&mut conn, "slow", "omem").is_none());
        let mut slow = server.conn();
        slow.line("CLIENT SETNAME slow");
        slow.line("SUBSCRIBE news");
        let mut most = 0;
        wait_until("the hard limit", || {
            conn.line(&format!("PUBLISH news {}", "x".repeat(1_000_000)));
            let seen = field(&mut conn, "slow", "omem");
            most = most.max(seen.unwrap_or(0));
            seen.is_none()
        });
        assert!((1_000_000..=4_000_000).contains(&most), "{most}");
        let stats = super::info(&mut conn, "stats");
        assert_eq!(stats["client_output_buffer_limit_disconnections"], "2");
    }
}

#[test]
fn a_reply_without_end_stops_where_its_client_is_dropped() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        let mut conn = server.conn();
        conn.call(&["CONFIG", "SET", LIMIT, "normal 1000000 0 0"]).unwrap();
        for (fill, endless) in [
            ("HSET h{} f v", "HRANDFIELD h{} -999999999"),
            ("HSET h{} f v", "HRANDFIELD h{} -999999999 WITHVALUES"),
            ("SADD s{} m", "SRANDMEMBER s{} -999999999"),
            ("ZADD z{} 1 m", "ZRANDMEMBER z{} -999999999"),
        ] {
            // Keys of either shard.
            for key in ["a", "b", "c", "d"] {
                conn.line(&fill.replace("{}", key));
                let mut victim = server.conn();
                let endless = endless.replace("{}", key);
                let words: Vec<&str> = endless.split(' ').collect();
                assert!(victim.call(&words).is_err(), "{endless}");
            }
        }
        assert_eq!(conn.line("PING"), Value::Simple("PONG".into()));
        let peak: usize = super::info(&mut conn, "memory")["used_memory_peak"].parse().unwrap();
        assert!(peak < 200_000_000, "{peak}");
    }
}

#[test]
fn clients_that_hold_most_go_when_all_hold_too_much() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        let mut conn = server.conn();
        conn.line("CLIENT SETNAME control");
        conn.line("CLIENT NO-EVICT on");
        let mut others: Vec<Conn> = Vec::new();
        for (at, size) in [300_000, 1_000_000, 3_000_000, 3_000_001].into_iter().enumerate() {
            let mut other = server.conn();
            other.line(&format!("CLIENT SETNAME c{at}"));
            let mut part = format!("*2\r\n$4\r\nECHO\r\n${size}\r\n").into_bytes();
            part.resize(size, b'x');
            other.send_raw(&part).unwrap();
            wait_until("the input is there", || {
                field(&mut conn, &format!("c{at}"), "tot-mem").unwrap() > size
            });
            others.push(other);
        }
        let there = |conn: &mut Conn| -> Vec<usize> {
            (0..4).filter(|at| field(conn, &format!("c{at}"), "id").is_some()).collect()
        };
        // CONFIG SET answers when those are gone that have to go, and no others.
        conn.line("CONFIG SET maxmemory-clients 4mb");
        assert_eq!(there(&mut conn), [0, 1]);
        conn.line("CONFIG SET maxmemory 100mb");
        conn.line("CONFIG SET maxmemory-clients 1%");
        assert_eq!(conn.line("CONFIG GET maxmemory-clients").items()[1].text(), "1%");
        assert_eq!(there(&mut conn), [0]);
        // What comes later counts as well: queued commands, watched keys, subscriptions.
        for line in ["SET k VALUE", "WATCH KEY", "SUBSCRIBE CHANNEL"] {
            let mut greedy = server.conn();
            greedy.line("CLIENT SETNAME greedy");
            if line.starts_with("SET") {
                greedy.line("MULTI");
            }
            let ended = (0..100_000).any(|at| {
                let line = line.replace("VALUE", &"v".repeat(1000));
                let line =
                    line.replace("KEY", &format!("k{at}")).replace("CHANNEL", &format!("c{at}"));
                greedy.call(&line.split(' ').collect::<Vec<_>>()).is_err()
            });
            assert!(ended, "{line}");
            wait_until("it is gone", || field(&mut conn, "greedy", "id").is_none());
        }
        let evicted: usize = super::info(&mut conn, "stats")["evicted_clients"].parse().unwrap();
        assert!(evicted >= 6, "{evicted}");
    }
}
