//! Scripts beside redis-server: how calls are counted, what time it is, how much fits into a call, on one shard and over two.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use ringstone_tests::resp::{Conn, Value};
use ringstone_tests::server::{Home, Launch, Server};

fn start(launch: Launch) -> (Home, Server) {
    launch.set("enable-debug-command", "yes").start_alone()
}

fn eval(conn: &mut Conn, code: &str, keys: &[&str]) -> Value {
    let count = keys.len().to_string();
    let words: Vec<&str> = ["EVAL", code, &count].into_iter().chain(keys.iter().copied()).collect();
    conn.call(&words).unwrap()
}

/// The counts of a command: calls, rejected, failed.
fn counts(conn: &mut Conn, command: &str) -> [u64; 3] {
    let text = conn.line("INFO commandstats").text();
    let name = format!("cmdstat_{command}:");
    let line = text.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_default();
    ["calls=", "rejected_calls=", "failed_calls="].map(|field| {
        let value = line.split(',').find_map(|part| part.strip_prefix(field));
        value.map_or(0, |value| value.parse().unwrap())
    })
}

#[test]
fn a_script_that_fails_is_one_failed_call_and_its_error_counts_once() {
    for launch in Launch::all() {
        let (_home, server) = start(launch);
        let mut conn = server.conn();
        for keys in [&[][..], &["k0"], &["k1"], &["k0", "k1", "k2", "k3"]] {
            conn.line("SET k0 text");
            conn.line("SET k1 text");
            for code in [
                "return redis.call('INCR', 'k0')",
                "return redis.call('INCR', 'k1')",
                "return redis.call('SELECT', 99)",
            ] {
                conn.line("CONFIG RESETSTAT");
                assert!(eval(&mut conn, code, keys).is_error());
                assert_eq!(counts(&mut conn, "eval"), [1, 0, 1], "{code} {keys:?}");
                let command = if code.contains("INCR") { "incr" } else { "select" };
                assert_eq!(counts(&mut conn, command), [1, 0, 1], "{code} {keys:?}");
                let stats = conn.line("INFO stats").text();
                assert!(stats.contains("total_error_replies:1\r\n"), "{code} {keys:?}: {stats}");
                let protected = code.replace("return redis.call", "redis.pcall");
                conn.line("CONFIG RESETSTAT");
                assert!(!eval(&mut conn, &protected, keys).is_error());
                assert_eq!(counts(&mut conn, "eval"), [1, 0, 0], "{code} {keys:?}");
                let errors = conn.line("INFO errorstats").text();
                assert!(errors.contains("errorstat_ERR:count=1\r\n"), "{code} {keys:?}: {errors}");
            }
            // Within a transaction it is a call like any other.
            conn.line("CONFIG RESETSTAT");
            conn.line("MULTI");
            eval(&mut conn, "return redis.call('INCR', 'k0')", keys);
            conn.line("EXEC");
            assert_eq!(counts(&mut conn, "eval"), [1, 0, 1], "{keys:?}");
            assert_eq!(counts(&mut conn, "exec"), [1, 0, 0], "{keys:?}");
        }
    }
}

#[test]
fn a_script_may_call_with_as_many_arguments_as_lua_can_unpack() {
    for launch in Launch::all() {
        let (_home, server) = start(launch);
        let mut conn = server.conn();
        for key in ["k0", "k1"] {
            let code = "local a = {} for i = 1, 7999 do a[i] = i end \
                        redis.call('RPUSH', KEYS[1], unpack(a)) return redis.call('LRANGE', KEYS[1], -2, -1)";
            let last: Vec<String> =
                eval(&mut conn, code, &[key]).items().iter().map(Value::text).collect();
            assert_eq!(last, ["7998", "7999"]);
        }
        let code = "local a = {} for i = 1, 5000 do a[i] = i end a[4500] = {} return redis.pcall('DEL', unpack(a))";
        let refusal = eval(&mut conn, code, &["k0"]).text();
        assert!(
            refusal.contains("Lua redis lib command arguments must be strings or integers"),
            "{refusal}"
        );
        let code = "local a = {} for i = 1, 5000 do a[i] = i end return redis.acl_check_cmd('DEL', unpack(a))";
        assert_eq!(eval(&mut conn, code, &["k0"]), Value::Int(1));
    }
}

#[test]
fn time_stands_still_while_a_script_runs() {
    for launch in Launch::all() {
        let (_home, server) = start(launch);
        let mut conn = server.conn();
        conn.line("DEBUG SET-DISABLE-DENY-SCRIPTS 1");
        for keys in [&[][..], &["k0"], &["k1"], &["k0", "k1"]] {
            for key in ["k0", "k1"] {
                let code = format!(
                    "redis.call('SET', '{key}', 'v', 'PX', 1) redis.call('DEBUG', 'SLEEP', 0.01) return redis.call('EXISTS', '{key}')"
                );
                assert_eq!(eval(&mut conn, &code, keys), Value::Int(1), "{key} {keys:?}");
                assert_eq!(conn.line(&format!("EXISTS {key}")), Value::Int(0));
            }
        }
        for line in ["MULTI", "MSET k0 1 k1 1", "PEXPIRE k0 1", "PEXPIRE k1 1", "DEBUG SLEEP 0.01"]
        {
            conn.line(line);
        }
        conn.line("EXISTS k0 k1");
        assert_eq!(conn.line("EXEC").items()[4], Value::Int(2));
        assert_eq!(conn.line("EXISTS k0 k1"), Value::Int(0));
    }
}

#[test]
fn a_key_whose_time_is_up_is_shown_by_debug_object_until_it_is_removed() {
    for launch in Launch::all() {
        let (_home, server) = start(launch);
        let mut conn = server.conn();
        conn.line("DEBUG SET-ACTIVE-EXPIRE 0");
        for key in ["k0", "k1"] {
            conn.line(&format!("SET {key} v PX 1"));
            std::thread::sleep(std::time::Duration::from_millis(3));
            assert!(!conn.line(&format!("DEBUG OBJECT {key}")).is_error());
            assert_eq!(
                eval(&mut conn, "return redis.call('EXISTS', KEYS[1])", &[key]),
                Value::Int(0)
            );
            assert!(conn.line(&format!("DEBUG OBJECT {key}")).is_error());
        }
    }
}

#[test]
fn what_scripts_get_of_sets_and_of_the_protocol_is_what_redis_gives_them() {
    for launch in Launch::all() {
        let (_home, server) = start(launch);
        let mut conn = server.conn();
        conn.line("DEBUG SET-DISABLE-DENY-SCRIPTS 1");
        for key in ["k0", "k1"] {
            conn.line(&format!("SADD {key} c b a aa aaa azz z"));
            let sorted = eval(&mut conn, "return redis.call('SORT', KEYS[1], 'BY', '_')", &[key]);
            let sorted: Vec<String> = sorted.items().iter().map(Value::text).collect();
            assert_eq!(sorted, ["a", "aa", "aaa", "azz", "b", "c", "z"]);
        }
        let code = "redis.setresp(3) return redis.call('DEBUG', 'PROTOCOL', 'attrib')";
        assert_eq!(eval(&mut conn, code, &[]).text(), "Some real reply following the attribute");
    }
}

#[test]
fn a_script_that_has_to_run_again_leaves_no_second_trace() {
    for launch in Launch::all() {
        let redis = launch.binary().is_redis();
        let (_home, server) = start(launch);
        let (mut conn, mut listener) = (server.conn(), server.conn());
        listener.line("SUBSCRIBE news");
        let keys = ["k0", "k1", "k2", "k3"];
        for (first, second) in keys.iter().flat_map(|a| keys.iter().map(move |b| (a, b))) {
            conn.line("FLUSHALL");
            conn.line(&format!("SET {second} there"));
            conn.line("CONFIG RESETSTAT");
            // The second key is not named. Each script is another one, so that nothing is known of it.
            let code = format!(
                "redis.log(redis.LOG_WARNING, 'line {first}-{second}') redis.call('PUBLISH', 'news', 'once') \
                 redis.call('SET', KEYS[1], 'x') redis.pcall('INCR', KEYS[1]) redis.pcall('NOSUCH') redis.call('APPEND', KEYS[1], 'y') \
                 redis.call('GET', KEYS[1]) return redis.call('GETRANGE', '{second}', 0, -1)"
            );
            let value = eval(&mut conn, &code, &[first]).text();
            assert_eq!(value, if first == second { "xy" } else { "there" });
            for (command, expected) in [
                ("set", [1, 0, 0]),
                ("incr", [1, 0, 1]),
                ("append", [1, 0, 0]),
                ("get", [1, 0, 0]),
                ("getrange", [1, 0, 0]),
                ("publish", [1, 0, 0]),
                ("eval", [1, 0, 0]),
            ] {
                assert_eq!(counts(&mut conn, command), expected, "{command} {first} {second}");
            }
            let stats = conn.line("INFO stats").text();
            assert!(stats.contains("keyspace_hits:2\r\n"), "{first} {second}: {stats}");
            let errors = conn.line("INFO errorstats").text();
            assert!(errors.contains("errorstat_ERR:count=2\r\n"), "{first} {second}: {errors}");
            assert_eq!(listener.read().unwrap().items()[2].text(), "once");
            if !redis {
                let log = server.log_text();
                let lines = log.matches(&format!("line {first}-{second}")).count();
                assert_eq!(lines, 1, "{first} {second}");
            }
        }
        conn.line("PUBLISH news last");
        assert_eq!(listener.read().unwrap().items()[2].text(), "last");
    }
}

#[test]
fn a_script_on_keys_of_one_other_shard_takes_one_hop() {
    let home = Home::new();
    let server = Launch::ringstone().shards(2).start(&home);
    let mut conn = server.conn();
    let library = "#!lua name=l\nredis.register_function('f', function(keys) return {redis.call('INCR', keys[1]), true, 'x'} end)";
    conn.call(&["FUNCTION", "LOAD", library]).unwrap();
    let stat = |conn: &mut Conn, name: &str| -> u64 {
        let text = conn.line("INFO stats").text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        value.trim_start_matches(':').parse().unwrap()
    };
    for resp in ["HELLO 2", "HELLO 3"] {
        conn.line(resp);
        let (hops, before) = (stat(&mut conn, "shard_hops"), stat(&mut conn, "shard_transactions"));
        for n in 0..8 {
            conn.line(&format!("DEL {{{n}}}a {{{n}}}b"));
            let (a, b) = (format!("{{{n}}}a"), format!("{{{n}}}b"));
            let code = "redis.call('SET', KEYS[1], 'v') return {redis.call('STRLEN', KEYS[1]), redis.call('GET', KEYS[2])}";
            let reply = eval(&mut conn, code, &[&a, &b]);
            assert_eq!(reply.items(), [Value::Int(1), Value::Null]);
            let reply = conn.call(&["FCALL", "f", "1", &b]).unwrap();
            assert_eq!(reply.items(), [Value::Int(1), Value::Int(1), Value::Bulk(b"x".to_vec())]);
            assert!(eval(&mut conn, "return redis.call('LPUSH', KEYS[1], 1)", &[&b]).is_error());
            assert_eq!(conn.line(&format!("GET {a}")).text(), "v");
        }
        assert_eq!(stat(&mut conn, "shard_transactions"), before);
        assert!(stat(&mut conn, "shard_hops") > hops);
    }
}
