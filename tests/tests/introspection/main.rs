//! What a server tells about itself: statistics of commands and errors, INFO's sections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

mod clients;
mod monitor;
mod pause;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ringstone_tests::resp::{Conn, Value};
use ringstone_tests::script::words;
use ringstone_tests::server::{Home, Launch, Server};

/// Ringstone with one shard and with two, and redis-server.
fn all() -> [(Home, Server); 3] {
    Launch::all().map(|launch| {
        let home = Home::new();
        let server = launch.start(&home);
        (home, server)
    })
}

/// The fields of sections of INFO.
fn info(conn: &mut Conn, sections: &str) -> BTreeMap<String, String> {
    let text = conn.line(&format!("INFO {sections}")).text();
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.trim_end().to_owned())).collect()
}

/// What Commandstats says, without times.
fn counts(conn: &mut Conn) -> BTreeMap<String, String> {
    let fields = info(conn, "commandstats").into_iter();
    let timeless = fields.map(|(name, value)| {
        let kept: Vec<&str> = value.split(',').filter(|part| !part.starts_with("usec")).collect();
        (name, kept.join(","))
    });
    timeless.collect()
}

#[test]
fn counts_calls_refusals_and_failures_of_commands_as_redis_does() {
    let told = all().map(|(_home, server)| {
        let mut conn = server.conn();
        conn.line("CONFIG RESETSTAT");
        for line in [
            "SET a 1",
            "SET b 2",
            "SET c{a} 3",
            "GET a",
            "GET b",
            "GET",
            "INCR a b",
            "LPUSH a x",
            "MSET a 1 b 2 c 3 d 4",
            "MGET a b c d",
            "RPUSH l 1",
            "MGET a l",
            "SUNION a b l",
            "DBSIZE",
            "KEYS *",
            "NOSUCH",
            "CONFIG NOSUCH",
            "CONFIG GET",
            "CONFIG SET nosuch 1",
            "CLIENT SETNAME x",
            "CLIENT SETNAME \u{e4}",
            "OBJECT ENCODING a",
            "PING",
            "PING a b",
            "MULTI",
            "SET a 5",
            "LPUSH a 5",
            "GET b",
            "EXEC",
            "MULTI",
            "GET",
            "EXEC",
            "EXEC",
            "SELECT 1",
            "SELECT 100",
        ] {
            conn.line(line);
        }
        (counts(&mut conn), info(&mut conn, "errorstats"), info(&mut conn, "stats"))
    });
    let [one, two, redis] = told;
    for ours in [&one, &two] {
        assert_eq!(ours.0, redis.0);
        assert_eq!(ours.1, redis.1);
        for field in ["total_error_replies", "total_commands_processed"] {
            assert_eq!(ours.2[field], redis.2[field], "{field}");
        }
    }
    assert_eq!(one.0["cmdstat_get"], "calls=3,rejected_calls=2,failed_calls=0");
}

#[test]
fn latencies_are_told_by_percentile_while_they_are_tracked() {
    for (home, server) in all() {
        let mut conn = server.conn();
        conn.call(&["CONFIG", "SET", "latency-tracking-info-percentiles", "0 50 100"]).unwrap();
        conn.line("CONFIG RESETSTAT");
        (0..20).for_each(|i| drop(conn.line(&format!("SET key{i} v"))));
        let fields = info(&mut conn, "latencystats");
        let value = &fields["latency_percentiles_usec_set"];
        let parts: Vec<&str> = value.split(',').map(|p| p.split('=').next().unwrap()).collect();
        assert_eq!(parts, ["p0", "p50", "p100"], "{value}");
        conn.line("CONFIG SET latency-tracking no");
        conn.line("CONFIG RESETSTAT");
        conn.line("SET key v");
        assert_eq!(info(&mut conn, "latencystats"), BTreeMap::new());
        drop((server, home));
    }
}

#[test]
fn sections_are_chosen_as_in_redis() {
    let shown = all().map(|(_home, server)| {
        let mut conn = server.conn();
        conn.line("SET a b");
        [
            "",
            "all",
            "everything",
            "default",
            "modules server",
            "module_list",
            "nope",
            "KEYSPACE Cpu",
        ]
        .map(|words| {
            let text = conn.line(&format!("INFO {words}")).text();
            let heads = text.lines().filter(|line| line.starts_with('#'));
            heads.map(str::to_owned).collect::<Vec<_>>()
        })
    });
    assert_eq!(shown[0], shown[2]);
    assert_eq!(shown[1], shown[2]);
}

/// The words of the commands in the slow log, newest first.
fn slow_commands(conn: &mut Conn) -> Vec<String> {
    let entries = conn.line("SLOWLOG GET -1");
    let text = |entry: &Value| {
        let words: Vec<String> = entry.items()[3].items().iter().map(Value::text).collect();
        words.join(" ")
    };
    entries.items().iter().map(text).collect()
}

#[test]
fn the_slow_log_shows_the_same_commands_as_that_of_redis() {
    let many: Vec<String> = (0..40).map(|i| i.to_string()).collect();
    let logs = all().map(|(_home, server)| {
        let mut conn = server.conn();
        conn.line("CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 100");
        conn.line("SLOWLOG RESET");
        for line in [
            "SET a 1",
            "SET b 2",
            "MSET a 1 b 2 c 3",
            "MULTI",
            "SET a 1",
            "INCR b",
            "MSET a 1 b 2 c 3",
            "EXEC",
            "CONFIG SET requirepass secret",
            "AUTH secret",
            "AUTH default secret",
            "HELLO 2 AUTH default secret SETNAME me",
            "CONFIG SET masterauth x",
            "GET",
            "NOSUCH",
            "LPUSH a x",
            "SLOWLOG LEN",
            "SLOWLOG GET -2",
            "DBSIZE",
        ] {
            conn.line(line);
        }
        conn.call(&["SADD", "long", &"x".repeat(129), &"y".repeat(128)]).unwrap();
        let mut words = vec!["SADD".to_owned(), "many".to_owned()];
        words.extend(many.iter().cloned());
        conn.call(&words).unwrap();
        conn.call(&words[..32]).unwrap();
        slow_commands(&mut conn)
    });
    assert!(logs[2].len() > 15, "{:?}", logs[2]);
    assert_eq!(logs[0], logs[2]);
    assert_eq!(logs[1], logs[2]);
}

#[test]
fn the_slow_log_tells_who_and_keeps_the_newest_of_all_shards() {
    for (home, server) in all() {
        let mut conn = server.conn();
        conn.line("CLIENT SETNAME me");
        conn.line("CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 8");
        conn.line("SLOWLOG RESET");
        let mut others: Vec<Conn> = (0..4).map(|_| server.conn()).collect();
        for i in 0..40 {
            others[i % 4].line(&format!("SET key{i} v"));
        }
        assert_eq!(conn.line("SLOWLOG LEN"), Value::Int(8));
        conn.line("GET key39");
        let entries = conn.line("SLOWLOG GET 3");
        assert_eq!(entries.items().len(), 3);
        let newest = entries.items()[0].items();
        let address = conn.stream().local_addr().unwrap().to_string();
        assert_eq!(newest[3].items()[0].text(), "GET");
        assert_eq!((newest[4].text(), newest[5].text()), (address, "me".to_owned()));
        let ids: Vec<i64> = entries.items().iter().map(|e| e.items()[0].int().unwrap()).collect();
        assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
        conn.line("CONFIG SET slowlog-max-len 0");
        assert_eq!(conn.line("SLOWLOG LEN"), Value::Int(0));
        conn.line("CONFIG SET slowlog-max-len 8 slowlog-log-slower-than -1");
        conn.line("SLOWLOG RESET");
        conn.line("GET key39");
        assert_eq!(conn.line("SLOWLOG LEN"), Value::Int(0));
        drop((server, home));
    }
}

#[test]
fn large_requests_and_replies_are_remembered() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        let mut conn = server.conn();
        conn.line(
            "CONFIG SET commandlog-request-larger-than 1000 commandlog-reply-larger-than 1000",
        );
        for i in 0..4 {
            let key = format!("key{i}");
            conn.call(&["SET", &key, &"x".repeat(2000)]).unwrap();
            conn.line(&format!("GET {key}"));
            conn.line(&format!("STRLEN {key}"));
        }
        let first_words = |reply: Value| -> Vec<String> {
            reply.items().iter().map(|entry| entry.items()[3].items()[0].text()).collect()
        };
        assert_eq!(first_words(conn.line("COMMANDLOG GET -1 large-request")), ["SET"; 4]);
        assert_eq!(first_words(conn.line("COMMANDLOG GET 3 LARGE-REPLY")), ["GET"; 3]);
        assert_eq!(conn.line("COMMANDLOG LEN slow"), conn.line("SLOWLOG LEN"));
        let entry = &conn.line("COMMANDLOG GET 1 large-request");
        // *3 $3 SET $4 keyN $2000 ...
        assert_eq!(entry.items()[0].items()[2], Value::Int(4 + 9 + 10 + 2009));
        conn.line("COMMANDLOG RESET large-request");
        assert_eq!(conn.line("COMMANDLOG LEN large-request"), Value::Int(0));
        assert!(conn.line("COMMANDLOG LEN other").text().contains("type should be one of"));
    }
}

#[test]
fn events_that_take_long_are_sampled() {
    for launch in Launch::all() {
        let home = Home::new();
        let server = launch.set("enable-debug-command", "yes").start(&home);
        let mut conn = server.conn();
        conn.line("DEBUG SLEEP 0.06");
        assert_eq!(conn.line("LATENCY LATEST"), Value::Array(Vec::new()));
        conn.line("CONFIG SET latency-monitor-threshold 50");
        conn.line("DEBUG SLEEP 0.06");
        conn.line("DEBUG SLEEP 0.01");
        let latest = conn.line("LATENCY LATEST");
        let event = latest.items()[0].items();
        assert_eq!((latest.items().len(), event[0].text()), (1, "command".to_owned()));
        assert!(event[2].int() >= Some(60) && event[3] == event[2], "{event:?}");
        let history = conn.line("LATENCY HISTORY command");
        assert_eq!(history.items()[0].items()[1], event[2]);
        assert_eq!(conn.line("LATENCY HISTORY nosuch"), Value::Array(Vec::new()));
        let graph = conn.line("LATENCY GRAPH command").text();
        assert!(
            graph.starts_with("command - high ") && graph.contains("(all time high"),
            "{graph}"
        );
        assert!(conn.line("LATENCY GRAPH nosuch").is_error());
        assert!(conn.line("LATENCY DOCTOR").text().contains("command"));
        assert_eq!(conn.line("LATENCY RESET nosuch"), Value::Int(0));
        assert_eq!(conn.line("LATENCY RESET"), Value::Int(1));
        assert_eq!(conn.line("LATENCY LATEST"), Value::Array(Vec::new()));
    }
}

#[test]
fn histograms_of_latency_are_told_by_command() {
    let told = all().map(|(_home, server)| {
        let mut conn = server.conn();
        conn.line("CONFIG RESETSTAT");
        for line in ["SET a 1", "SET b 2", "GET a", "CLIENT ID", "CLIENT GETNAME"] {
            conn.line(line);
        }
        ["SET nosuch GET", "CLIENT", "client|id", "", "DEL"].map(|words| {
            let reply = conn.line(&format!("LATENCY HISTOGRAM {words}"));
            let mut pairs: Vec<(String, Option<i64>)> = reply
                .items()
                .chunks(2)
                .map(|pair| (pair[0].text(), pair[1].items()[1].int()))
                .collect();
            pairs.sort();
            pairs
        })
    });
    assert_eq!(told[0], told[2]);
    assert_eq!(told[1], told[2]);
}

/// Lines of MONITOR until one has `last` in it, without their times.
fn watched(monitor: &mut Conn, last: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let line = monitor.read().expect("a line").text();
        let (time, rest) = line.split_once(' ').expect("a time");
        assert_eq!(time.split_once('.').map(|(_, us)| us.len()), Some(6), "{line}");
        let done = rest.contains(last);
        lines.push(rest.to_owned());
        if done {
            return lines;
        }
    }
}

#[test]
fn monitor_shows_what_all_clients_run_as_redis_does() {
    let shown = all().map(|(_home, server)| {
        let mut monitors: Vec<Conn> = (0..4).map(|_| server.conn()).collect();
        monitors.iter_mut().for_each(|m| assert_eq!(m.line("MONITOR"), Value::Simple("OK".into())));
        let mut conn = server.conn();
        for line in [
            "set a 1",
            "mset a 1 b 2 c 3",
            "multi",
            "set a 5",
            "select 3",
            "get a",
            "mset a 1 b 2 c 3",
            "exec",
            "get a",
            "select 0",
            "lpush a x",
            "get",
            "nosuch",
            "auth a b",
            "hello 3 auth default x",
            "config get port",
            "config set requirepass \"\"",
            "client list",
            "multi",
            "monitor",
            "exec",
            "dbsize",
            "eval \"redis.call('set', KEYS[1], 1) return redis.pcall('lpush', KEYS[1], 'x')\" 1 a",
            "eval \"redis.call('mset', KEYS[1], 1, KEYS[2], 2) return redis.call('get', KEYS[2])\" 2 a b",
            "eval \"redis.call('set', 'a', 1) redis.call('get', 'b') return redis.pcall('nosuch')\" 0",
            "eval \"redis.call('select', 1) redis.call('publish', 'ch', 'hi') return redis.call('get', 'a')\" 0",
            "eval \"return redis.pcall('config', 'get', 'port')\" 0",
            "eval_ro \"return redis.pcall('set', KEYS[1], 'x')\" 1 c",
            "evalsha short 0",
            "evalsha ffffffffffffffffffffffffffffffffffffffff 0",
            "eval \"return 1\" many",
            "fcall nosuch 0",
            "multi",
            "eval \"return redis.call('get', KEYS[1])\" 1 a",
            "get b",
            "exec",
        ] {
            conn.call(&words(line)).unwrap();
        }
        conn.call(&[&b"SET"[..], b"odd \n\x07\x00\"\\", b"\xff"]).unwrap();
        conn.line("ping last");
        let me = conn.stream().local_addr().unwrap().to_string();
        let lines: Vec<_> = monitors.iter_mut().map(|m| watched(m, "last")).collect();
        assert!(lines.iter().all(|l| *l == lines[0]), "{lines:?}");
        let flags = conn.line("CLIENT LIST").text();
        assert_eq!(flags.lines().filter(|line| line.contains("flags=O ")).count(), 4, "{flags}");
        lines[0].iter().map(|line| line.replace(&me, "me")).collect::<Vec<_>>()
    });
    assert!(shown[2].len() > 15, "{:?}", shown[2]);
    assert_eq!(shown[0], shown[2]);
    assert_eq!(shown[1], shown[2]);
}

#[test]
fn a_monitor_goes_back_to_normal_with_reset_and_one_that_does_not_read_is_dropped() {
    for shards in [1, 2] {
        let home = Home::new();
        let limit = "pubsub 1mb 0 0";
        let launch = Launch::ringstone().shards(shards).set("client-output-buffer-limit", limit);
        let server = launch.start(&home);
        let (mut conn, mut monitor, mut lazy) = (server.conn(), server.conn(), server.conn());
        monitor.line("MONITOR");
        conn.line("PING one");
        watched(&mut monitor, "one");
        assert_eq!(monitor.line("RESET"), Value::Simple("RESET".into()));
        conn.line("PING two");
        assert_eq!(monitor.line("PING"), Value::Simple("PONG".into()));
        lazy.line("MONITOR");
        let big = "x".repeat(100_000);
        let dropped = (0..2000).any(|_| {
            conn.call(&["ECHO", &big]).unwrap();
            !conn.line("CLIENT LIST").text().contains("flags=O")
        });
        assert!(dropped);
    }
}

#[test]
fn a_standalone_server_is_a_master_and_waits_for_nobody() {
    for (home, server) in all() {
        let mut conn = server.conn();
        let role = conn.line("ROLE");
        assert_eq!(role.items()[0].text(), "master");
        assert_eq!(role.items()[1..], [Value::Int(0), Value::Array(Vec::new())]);
        assert_eq!(conn.line("WAIT 0 0"), Value::Int(0));
        let began = Instant::now();
        assert_eq!(conn.line("WAIT 1 150"), Value::Int(0));
        assert!(began.elapsed() >= Duration::from_millis(150));
        for (line, error) in [
            ("WAIT x 1", "ERR value is not an integer or out of range"),
            ("WAIT 1 x", "ERR timeout is not an integer or out of range"),
            ("WAIT 1 -1", "ERR timeout is negative"),
        ] {
            assert_eq!(conn.line(line), Value::Error(error.into()), "{line}");
        }
        conn.line("MULTI");
        conn.line("WAIT 1 0");
        assert_eq!(conn.line("EXEC"), Value::Array(vec![Value::Int(0)]));
        drop((server, home));
    }
}

#[test]
fn waitaof_ends_when_what_was_written_is_durable() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).log("everysec").start(&home);
        let mut conn = server.conn();
        let pair = |local, replicas| Value::Array(vec![Value::Int(local), Value::Int(replicas)]);
        assert_eq!(conn.line("WAITAOF 1 0 0"), pair(1, 0));
        (0..8).for_each(|i| drop(conn.line(&format!("SET key{i} v"))));
        assert_eq!(conn.line("WAITAOF 1 0 0"), pair(1, 0));
        let fields = info(&mut conn, "persistence");
        let gsn = |name: &str| fields[name].parse::<u64>().unwrap();
        assert!(gsn("log_durable_gsn") >= gsn("log_gsn"), "{fields:?}");
        assert_eq!(conn.line("WAITAOF 1 1 50"), pair(1, 0));
        assert!(conn.line("WAITAOF 2 0 0").text().contains("must between 0 and 1"));

        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        let refusal = server.conn().line("WAITAOF 1 0 0").text();
        assert!(refusal.contains("appendonly is disabled"), "{refusal}");
    }
}

/// Fields of Redis's INFO that have no meaning here; docs/operating.md says why.
const WITHOUT_MEANING: &[&str] = &[
    "active_defrag_",
    "atomicvar_api",
    "current_active_defrag_time",
    "current_eviction_exceeded_time",
    "dump_payload_sanitizations",
    "gcc_version",
    "redis_build_id",
    "reply_buffer_",
    "total_active_defrag_time",
    "total_eviction_exceeded_time",
];

/// Fields that come with what is not there yet.
const NOT_YET: &[&str] = &["number_of_", "used_memory_"];

#[test]
fn info_has_the_fields_of_redis() {
    let [(_h1, one), (_h2, two), (_h3, redis)] = all();
    let theirs = info(&mut redis.conn(), "everything");
    for server in [one, two] {
        let ours = info(&mut server.conn(), "everything");
        let expected = theirs.keys().filter(|name| {
            let known = |list: &[&str]| list.iter().any(|known| name.starts_with(known));
            !known(WITHOUT_MEANING)
                && !known(NOT_YET)
                && !name.contains("stat_")
                && !name.starts_with("latency_percentiles")
        });
        let missing: Vec<&String> = expected.filter(|name| !ours.contains_key(*name)).collect();
        assert_eq!(missing, Vec::<&String>::new());
    }
}

#[test]
fn info_counts_what_happens() {
    for (home, server) in all() {
        let mut conn = server.conn();
        let is_redis = !info(&mut conn, "server").contains_key("ringstone_version");
        let big = "x".repeat(20_000);
        for i in 0..10 {
            conn.call(&["SET", &format!("key{i}"), &big, "PX", "100000"]).unwrap();
            conn.line(&format!("GET key{i}"));
        }
        let keyspace = info(&mut conn, "keyspace");
        let db0: Vec<&str> = keyspace["db0"].split(',').collect();
        assert_eq!(db0[..2], ["keys=10", "expires=10"]);
        let ttl_ms: i64 = db0[2].trim_start_matches("avg_ttl=").parse().unwrap();
        // Redis finds the average by and by.
        assert!(ttl_ms == 0 && is_redis || (90_000..=100_000).contains(&ttl_ms), "{ttl_ms}");
        let stats = info(&mut conn, "stats");
        let number = |name: &str| stats[name].parse::<u64>().unwrap();
        assert!(number("total_reads_processed") >= 20 && number("total_writes_processed") >= 20);
        assert!(number("total_net_input_bytes") >= 200_000);
        let memory = info(&mut conn, "memory");
        let bytes = |name: &str| memory[name].parse::<u64>().unwrap();
        assert!(bytes("used_memory_overhead") < bytes("used_memory"));
        assert!(bytes("used_memory_peak") >= bytes("used_memory"));
        conn.line("CONFIG RESETSTAT");
        assert!(info(&mut conn, "stats")["total_reads_processed"].parse::<u64>().unwrap() < 5);
        drop((server, home));
    }
}

#[test]
fn memory_tells_about_the_process_in_the_fields_of_redis() {
    let names = all().map(|(_home, server)| {
        let mut conn = server.conn();
        conn.line("SET key value");
        assert_eq!(conn.line("MEMORY PURGE"), Value::Simple("OK".into()));
        assert!(!conn.line("MEMORY DOCTOR").text().is_empty());
        assert!(conn.line("MEMORY MALLOC-STATS").text().contains("jemalloc"));
        assert!(conn.line("MEMORY USAGE key").int() > Some(0));
        assert!(conn.line("MEMORY NOPE").text().starts_with("ERR unknown subcommand 'NOPE'"));
        conn.line("HELLO 3");
        let stats = conn.line("MEMORY STATS");
        let Value::Map(items) = &stats else { panic!("{stats:?}") };
        items.chunks(2).map(|pair| pair[0].text()).collect::<Vec<_>>()
    });
    let scripts = |name: &&String| !name.ends_with(".caches");
    let redis: Vec<&String> = names[2].iter().filter(scripts).collect();
    for ours in &names[..2] {
        assert_eq!(ours.iter().filter(scripts).collect::<Vec<_>>(), redis);
    }
}
