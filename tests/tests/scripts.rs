//! Scripts and functions over one and several shards: units, restarts of scripts, busy scripts, crashes.
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
        test(&Launch::ringstone().shards(shards).start(&home));
    }
}

fn eval(conn: &mut Conn, script: &str, keys: &[&str], args: &[&str]) -> Value {
    let count = keys.len().to_string();
    let words = [&["EVAL", script, count.as_str()], keys, args].concat();
    conn.call(&words).unwrap()
}

fn texts(reply: &Value) -> Vec<String> {
    reply.items().iter().map(Value::text).collect()
}

/// Asks again until the answer is as wanted.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "{what} did not happen");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_script_sees_and_changes_keys_of_any_shards() {
    on_shards(|server| {
        let mut conn = server.conn();
        let script = "for i, key in ipairs(KEYS) do redis.call('SET', key, i) end
                      return redis.call('MGET', unpack(KEYS))";
        for _ in 0..3 {
            let reply = eval(&mut conn, script, &["a", "b", "c", "d"], &[]);
            assert_eq!(texts(&reply), ["1", "2", "3", "4"]);
        }
        assert_eq!(texts(&conn.line("MGET d c b a")), ["4", "3", "2", "1"]);
    });
}

#[test]
fn a_script_that_touches_keys_it_did_not_name_runs_once_as_far_as_anybody_sees() {
    on_shards(|server| {
        let mut conn = server.conn();
        let script = "local n = redis.call('INCR', KEYS[1])
                      redis.call('RPUSH', 'list' .. KEYS[1], n)
                      for i = 1, 8 do redis.call('INCR', ARGV[1] .. i) end
                      return {n, redis.call('LLEN', 'list' .. KEYS[1])}";
        for round in 1..=5 {
            for key in ["k1", "k2", "k3"] {
                let reply = eval(&mut conn, script, &[key], &[key]);
                assert_eq!(texts(&reply), [round.to_string(), round.to_string()], "{key}");
            }
        }
        assert_eq!(conn.line("GET k38").text(), "5");
        assert_eq!(conn.line("DBSIZE").int(), Some(3 + 3 + 24));
    });
}

#[test]
fn scripts_of_many_clients_are_atomic_whichever_keys_they_name() {
    on_shards(|server| {
        let script = "local n = tonumber(redis.call('GET', ARGV[1]) or '0')
                      redis.call('SET', ARGV[1], n + 1)
                      redis.call('SET', ARGV[2], n + 1)
                      return n";
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let mut conn = server.conn();
                thread::spawn(move || {
                    for round in 0..50 {
                        let keys: &[&str] = match (thread + round) % 3 {
                            0 => &[],
                            1 => &["n"],
                            _ => &["n", "m"],
                        };
                        let reply = eval(&mut conn, script, keys, &["n", "m"]);
                        assert!(reply.int().is_some() || !reply.is_error(), "{reply:?}");
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(texts(&server.conn().line("MGET n m")), ["200", "200"]);
    });
}

#[test]
fn a_failed_script_keeps_what_it_did_before_as_redis_does() {
    on_shards(|server| {
        let mut conn = server.conn();
        let script = "redis.call('SET', KEYS[1], 'x') redis.call('INCR', KEYS[1])";
        let reply = eval(&mut conn, script, &["k"], &[]);
        assert!(reply.text().starts_with("ERR value is not an integer"), "{reply:?}");
        assert_eq!(conn.line("GET k").text(), "x");
    });
}

#[test]
fn scripts_within_a_transaction_are_part_of_it() {
    on_shards(|server| {
        let mut conn = server.conn();
        conn.line("MULTI");
        conn.line("SET a 1");
        eval(&mut conn, "redis.call('INCR', 'a') return redis.call('INCR', 'b')", &[], &[]);
        conn.line("MGET a b");
        let reply = conn.line("EXEC");
        assert_eq!(texts(&reply.items()[2]), ["2", "1"], "{reply:?}");
    });
}

fn spinning(server: &Server, words: &'static [&'static str]) -> thread::JoinHandle<Value> {
    let mut conn = server.conn();
    thread::spawn(move || conn.call(words).unwrap())
}

#[test]
fn a_busy_script_can_be_killed_until_it_has_written() {
    on_shards(|server| {
        let mut conn = server.conn();
        assert_eq!(conn.line("CONFIG SET lua-time-limit 10").text(), "OK");
        assert!(conn.line("SCRIPT KILL").text().starts_with("NOTBUSY"));
        let plain: &[&str] = &["EVAL", "while true do end", "0"];
        let caught: &[&str] =
            &["EVAL", "while true do pcall(function() while true do end end) end", "0"];
        for words in [plain, caught] {
            let script = spinning(server, words);
            until("BUSY", || conn.line("GET k").text().starts_with("BUSY Redis is busy running"));
            assert!(conn.line("FUNCTION KILL").text().starts_with("BUSY"));
            assert_eq!(conn.line("SCRIPT KILL").text(), "OK");
            let reply = script.join().unwrap().text();
            assert!(reply.starts_with("ERR Script killed by user with SCRIPT KILL"), "{reply}");
            assert!(!conn.line("GET k").is_error());
        }
        let script = spinning(
            server,
            &[
                "EVAL",
                "redis.call('SET', KEYS[1], 'v') for i = 1, 6e7 do local x = i end",
                "1",
                "w",
            ],
        );
        until("BUSY", || conn.line("GET w").text().starts_with("BUSY"));
        let refusal = conn.line("SCRIPT KILL").text();
        assert!(refusal.starts_with("UNKILLABLE"), "{refusal}");
        script.join().unwrap();
        assert_eq!(conn.line("GET w").text(), "v");
    });
}

#[test]
fn a_busy_function_is_killed_by_its_own_command() {
    on_shards(|server| {
        let mut conn = server.conn();
        conn.line("CONFIG SET busy-reply-threshold 10");
        let library =
            "#!lua name=l\nredis.register_function('spin', function() while true do end end)";
        assert_eq!(conn.call(&["FUNCTION", "LOAD", library]).unwrap().text(), "l");
        let function = spinning(server, &["FCALL", "spin", "0"]);
        until("BUSY", || conn.line("PING").text().contains("FUNCTION KILL"));
        assert!(conn.line("SCRIPT KILL").text().starts_with("BUSY"));
        let stats = conn.line("FUNCTION STATS");
        assert_eq!(stats.items()[1].items()[1].text(), "spin", "{stats:?}");
        assert_eq!(conn.line("FUNCTION KILL").text(), "OK");
        assert!(function.join().unwrap().is_error());
    });
}

#[test]
fn shutdown_nosave_ends_a_server_with_a_busy_script() {
    for shards in [1, 2] {
        let home = Home::new();
        let mut server = Launch::ringstone().shards(shards).start(&home);
        let mut conn = server.conn();
        conn.line("CONFIG SET lua-time-limit 10");
        let mut other = server.conn();
        let script = "redis.call('SET', KEYS[1], 'v') while true do end";
        other.send_raw(&ringstone_tests::resp::encode(&["EVAL", script, "1", "k"])).unwrap();
        until("BUSY", || conn.line("GET k").text().starts_with("BUSY"));
        conn.send_raw(&ringstone_tests::resp::encode(&["SHUTDOWN", "NOSAVE"])).unwrap();
        server.wait_exit();
    }
}

#[test]
fn no_script_brings_the_server_down() {
    let bombs = [
        "local function f() return f() + 1 end return f()",
        "local function f() coroutine.wrap(f)() end f()",
        "local function f() return pcall(f) end return f()",
        "return string.find(string.rep('a', 300000), string.rep('a?', 200000) .. 'b')",
        "return #string.rep('x', 2^31)",
        "local t = {} t[1] = t return t",
        "local t = {} for i = 1, 20000 do t = {t} end return t",
        "return cjson.decode(string.rep('[', 100000))",
        "cjson.decode_max_depth(1e6) return pcall(cjson.decode, string.rep('[', 100000))",
        "return cmsgpack.unpack(string.rep(string.char(0x91), 100000))",
        "return {unpack({}, 1, 1e7)}",
        "return {unpack({}, 0, 2^31 - 1)}",
        "return {unpack({}, -2^31, 2^31 - 1)}",
        "return loadstring('return ' .. string.rep('{', 100000))",
        "return loadstring(string.dump(function() end))",
        "error(setmetatable({}, {__tostring = function() error('x') end}))",
        "error(redis)",
        "collectgarbage('stop') return 1",
        "getmetatable('').__index = nil",
        "table.sort({3, 2, 1, 5, 4}, function() return true end)",
        "coroutine.yield()",
        "local co co = coroutine.wrap(function() return co() end) return co()",
    ];
    on_shards(|server| {
        let mut conn = server.conn();
        for bomb in bombs {
            eval(&mut conn, bomb, &[], &[]);
            assert_eq!(conn.line("PING").text(), "PONG", "{bomb}");
        }
        assert_eq!(eval(&mut conn, "return ('x'):len()", &[], &[]).int(), Some(1));
    });
}

#[test]
fn effects_of_a_script_over_shards_survive_a_crash_together_or_not_at_all() {
    let home = Home::new();
    let launch = Launch::ringstone().shards(2).log("always");
    let mut server = launch.start(&home);
    let script = "for _, key in ipairs(ARGV) do redis.call('INCR', key) end return redis.call('GET', ARGV[1])";
    let mut acked = 0;
    for round in 0..3 {
        let mut conn = server.conn();
        let (began, has_begun) = std::sync::mpsc::channel();
        let sender = thread::spawn(move || {
            let mut last = 0;
            let words = ["EVAL", script, "2", "a", "b", "a", "b", "c", "d"];
            while let Ok(reply) = conn.call(&words) {
                last = reply.text().parse().unwrap();
                let _heard = began.send(());
            }
            last
        });
        has_begun.recv().unwrap();
        thread::sleep(Duration::from_millis(300));
        server.kill();
        acked = acked.max(sender.join().unwrap());
        server = launch.start(&home);
        let values = texts(&server.conn().line("MGET a b c d"));
        let count: u64 = values[0].parse().unwrap();
        assert!(values.iter().all(|value| *value == values[0]), "round {round}: {values:?}");
        assert!(count >= acked, "round {round}: {count} of {acked}");
    }
}

const COUNTER: &str = "#!lua name=counter\nredis.register_function('add', function(keys) return redis.call('INCR', keys[1]) end)";
const OTHER: &str = "#!lua name=other\nredis.register_function{function_name='two', callback=function() return 2 end, flags={'no-writes'}}";

#[test]
fn libraries_change_within_a_transaction_over_the_whole_keyspace() {
    for shards in [1, 2] {
        let home = Home::new();
        let launch = Launch::ringstone().shards(shards).log("always");
        let mut server = launch.start(&home);
        let mut conn = server.conn();
        for words in
            [&["MULTI"][..], &["SCAN", "0"], &["FUNCTION", "LOAD", OTHER], &["SET", "a", "1"]]
        {
            assert!(!conn.call(words).unwrap().is_error(), "{words:?}");
        }
        let replies = texts(&conn.line("EXEC"));
        assert_eq!(replies[1..], ["other", "OK"]);
        server.kill();
        server = launch.start(&home);
        let mut conn = server.conn();
        assert_eq!(
            (conn.line("GET a").text(), conn.line("FCALL two 0").int()),
            ("1".into(), Some(2))
        );
        for line in ["MULTI", "SCAN 0", "FUNCTION FLUSH", "SET a 2"] {
            assert!(!conn.line(line).is_error(), "{line}");
        }
        assert_eq!(texts(&conn.line("EXEC"))[1..], ["OK", "OK"]);
        assert_eq!(conn.line("GET a").text(), "2");
    }
}

#[test]
fn libraries_survive_crashes_and_snapshots_and_serve_on_every_shard() {
    let home = Home::new();
    let mut server = Launch::ringstone().shards(2).log("everysec").start(&home);
    let mut conn = server.conn();
    for code in [COUNTER, OTHER] {
        assert!(!conn.call(&["FUNCTION", "LOAD", code]).unwrap().is_error());
    }
    assert_eq!(conn.line("FUNCTION DELETE other").text(), "OK");
    for (shards, before_crash) in [(2, ""), (1, "BGREWRITEAOF"), (3, "SAVE")] {
        if !before_crash.is_empty() {
            assert!(!server.conn().line(before_crash).is_error());
        }
        server.kill();
        server = Launch::ringstone().shards(shards).log("everysec").start(&home);
        for key in ["a", "b", "c", "d"] {
            // Connections are spread over the shards.
            let reply = server.conn().call(&["FCALL", "add", "1", key]).unwrap();
            assert!(reply.int().is_some(), "{reply:?}");
        }
        let list = server.conn().line("FUNCTION LIST");
        assert_eq!(list.items().len(), 1, "{list:?}");
    }
    assert_eq!(server.conn().line("GET d").text(), "3");
}

#[test]
fn a_replaced_library_is_replaced_on_every_shard() {
    on_shards(|server| {
        let mut conns: Vec<Conn> = (0..6).map(|_| server.conn()).collect();
        for round in 1..=5 {
            let code = format!(
                "#!lua name=l\nredis.register_function('f', function() return {round} end)"
            );
            let load = ["FUNCTION", "LOAD", "REPLACE", code.as_str()];
            conns[0].call(&load).unwrap();
            for conn in &mut conns {
                assert_eq!(conn.line("FCALL f 0").int(), Some(round));
            }
        }
        conns[0].line("FUNCTION FLUSH");
        for conn in &mut conns {
            assert_eq!(conn.line("FCALL f 0").text(), "ERR Function not found");
        }
    });
}

#[test]
fn a_flushed_script_is_gone_on_every_shard() {
    on_shards(|server| {
        let mut conns: Vec<Conn> = (0..6).map(|_| server.conn()).collect();
        let sha = conns[0].call(&["SCRIPT", "LOAD", "return 7"]).unwrap().text();
        let call = ["EVALSHA", sha.as_str(), "0"];
        for conn in &mut conns {
            assert_eq!(conn.call(&call).unwrap().int(), Some(7));
            assert_eq!(conn.call(&["SCRIPT", "SHOW", &sha]).unwrap().text(), "return 7");
        }
        conns[1].line("SCRIPT FLUSH");
        for conn in &mut conns {
            assert!(conn.call(&call).unwrap().text().starts_with("NOSCRIPT"));
        }
    });
}

fn bytes(reply: &Value) -> Vec<u8> {
    let Value::Bulk(bytes) = reply else { panic!("{reply:?}") };
    bytes.clone()
}

#[test]
fn payloads_of_libraries_go_both_ways_between_redis_and_ringstone() {
    let homes = [Home::new(), Home::new()];
    let ours = Launch::ringstone().shards(2).start(&homes[0]);
    let theirs = Launch::redis().start(&homes[1]);
    for (from, to) in [(&ours, &theirs), (&theirs, &ours)] {
        let (mut from, mut to) = (from.conn(), to.conn());
        from.line("FUNCTION FLUSH");
        to.line("FUNCTION FLUSH");
        for code in [COUNTER, OTHER] {
            from.call(&["FUNCTION", "LOAD", code]).unwrap();
        }
        let payload = bytes(&from.line("FUNCTION DUMP"));
        let restore = |policy: &'static [u8]| vec![&b"FUNCTION"[..], b"RESTORE", &payload, policy];
        assert_eq!(to.call(&restore(b"APPEND")).unwrap().text(), "OK");
        assert!(to.call(&restore(b"APPEND")).unwrap().text().contains("already exists"));
        assert_eq!(to.call(&restore(b"REPLACE")).unwrap().text(), "OK");
        assert_eq!(to.call(&restore(b"FLUSH")).unwrap().text(), "OK");
        assert_eq!(to.line("FCALL_RO two 0").int(), Some(2));
        assert_eq!(to.line("FUNCTION LIST").items().len(), 2);
    }
}

#[test]
fn set_repl_keeps_writes_out_of_the_log() {
    let home = Home::new();
    let server = Launch::ringstone().shards(2).log("everysec").start(&home);
    let script = "redis.call('SET', 'logged', 1)
                  redis.set_repl(redis.REPL_NONE) redis.call('SET', 'unlogged', 1)
                  redis.set_repl(redis.REPL_ALL) redis.call('SET', 'logged2', 1)";
    eval(&mut server.conn(), script, &[], &[]);
    assert_eq!(server.conn().line("EXISTS logged unlogged logged2").int(), Some(3));
    server.kill();
    let server = Launch::ringstone().shards(2).log("everysec").start(&home);
    assert_eq!(texts(&server.conn().line("MGET logged unlogged logged2")), ["1", "", "1"]);
}

#[test]
fn libraries_are_reloaded_with_the_data() {
    for shards in [1, 2] {
        let home = Home::new();
        let launch = Launch::ringstone().shards(shards).log("everysec");
        let server = launch.set("enable-debug-command", "yes").start(&home);
        let mut conn = server.conn();
        let none = conn.line("FUNCTION DUMP");
        let Value::Bulk(none) = none else { panic!("{none:?}") };
        let restored = conn.call(&[b"FUNCTION", &b"RESTORE"[..], &none]).unwrap();
        assert_eq!(restored.text(), "OK", "none, and nothing to log");
        let load = |conn: &mut Conn, name: &str, result: &str| {
            let body = format!("function() return '{result}' end");
            let code = format!("#!lua name={name}\nredis.register_function('{name}', {body})");
            conn.call(&["FUNCTION", "LOAD", "REPLACE", &code]).unwrap()
        };
        let told = |conn: &mut Conn, name: &str| conn.line(&format!("FCALL {name} 0")).text();
        load(&mut conn, "one", "saved");
        assert_eq!(conn.line("DEBUG RELOAD").text(), "OK");
        assert_eq!(told(&mut conn, "one"), "saved");
        // What is there already is in the way, and stays.
        load(&mut conn, "one", "later");
        assert!(conn.line("DEBUG RELOAD NOSAVE NOFLUSH").is_error());
        assert_eq!(told(&mut conn, "one"), "later");
        load(&mut conn, "two", "other");
        assert_eq!(conn.line("DEBUG RELOAD NOSAVE NOFLUSH MERGE").text(), "OK");
        assert_eq!(
            (told(&mut conn, "one"), told(&mut conn, "two")),
            ("saved".into(), "other".into())
        );
        assert_eq!(conn.line("DEBUG RELOAD NOSAVE").text(), "OK");
        assert_eq!(told(&mut conn, "one"), "saved");
        assert_eq!(told(&mut conn, "two"), "ERR Function not found");
    }
}
