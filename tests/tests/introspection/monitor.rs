//! MONITOR and scripts.

use ringstone_tests::resp::{Conn, Value};
use ringstone_tests::server::{Home, Launch};

use super::{all, info, watched};

/// The words of the lines, without who ran them.
fn words(monitor: &mut Conn, last: &str) -> Vec<String> {
    let lines = watched(monitor, last);
    let who = |line: &str| if line.contains(" lua] ") { "lua " } else { "" }.to_owned();
    lines.iter().map(|l| who(l) + l.split_once("] ").map_or("", |(_, rest)| rest)).collect()
}

#[test]
fn shows_the_call_of_a_script_and_then_what_it_does() {
    let shown = all().map(|(_home, server)| {
        let (mut monitor, mut conn) = (server.conn(), server.conn());
        let library = "#!lua name=l\nredis.register_function('f', function(keys) return redis.call('incr', keys[1]) end)";
        conn.call(&["FUNCTION", "LOAD", library]).unwrap();
        assert_eq!(monitor.line("MONITOR"), Value::Simple("OK".into()));
        let call = |conn: &mut Conn, words: &[&str]| drop(conn.call(words).unwrap());
        let several = "redis.call('set', 'a', '1') redis.call('select', '2') redis.call('set', 'b', '2') return redis.call('time')";
        call(&mut conn, &["EVAL", "return redis.call('set', KEYS[1], ARGV[1])", "1", "foo", "bar"]);
        call(&mut conn, &["EVAL", several, "0"]);
        // Known by now to want more than it names.
        call(&mut conn, &["EVAL", several, "0"]);
        call(&mut conn, &["FCALL", "f", "1", "number"]);
        call(&mut conn, &["EVAL", "return redis.pcall('nosuch')", "0"]);
        call(&mut conn, &["MULTI"]);
        call(&mut conn, &["EVAL", "return redis.call('get', KEYS[1])", "1", "foo"]);
        call(&mut conn, &["EXEC"]);
        call(&mut conn, &["ECHO", "last"]);
        words(&mut monitor, "last")
    });
    assert_eq!(shown[0], shown[2]);
    assert_eq!(shown[1], shown[2]);
}

#[test]
fn lines_of_a_script_that_a_slow_watcher_does_not_read_take_no_more_than_its_limit() {
    for shards in [1, 2] {
        for script in [
            // Of one shard; with keys of any shard, known to want them all; the same where it has to be run again at the end.
            "for i = 1, 8000 do redis.call('echo', ARGV[1]) end return redis.call('get', KEYS[1]) or 1",
            "for i = 1, 8000 do redis.call('get', i % 9) redis.call('echo', ARGV[1]) end return 1",
            "for i = 1, 8000 do redis.call('get', KEYS[1]) redis.call('echo', ARGV[1]) end \
             redis.call('mget', 'a', 'b', 'c', 'd') return 1",
        ] {
            let home = Home::new();
            let server = Launch::ringstone()
                .shards(shards)
                .set("client-output-buffer-limit", "pubsub 1mb 0 0")
                .start(&home);
            let mut conn = server.conn();
            let mut monitors: Vec<Conn> = (0..4).map(|_| server.conn()).collect();
            for monitor in &mut monitors {
                assert_eq!(monitor.line("MONITOR").text(), "OK");
            }
            let long = "x".repeat(4000);
            let bytes = |conn: &mut Conn, field: &str| -> u64 {
                info(conn, "memory")[field].parse().unwrap()
            };
            let before = bytes(&mut conn, "used_memory");
            for key in ["k", "l"] {
                let reply = conn.call(&["EVAL", script, "1", key, &long]).unwrap();
                assert_eq!(reply.text(), "1");
            }
            let took = bytes(&mut conn, "used_memory_peak").saturating_sub(before);
            // There are 30 MB and more of lines, four times.
            assert!(took < 24 << 20, "{shards} shards, {script}: {took} bytes");
            let closed = &info(&mut conn, "stats")["client_output_buffer_limit_disconnections"];
            assert_ne!(closed, "0");
        }
    }
}
