//! MONITOR and scripts.

use ringstone_tests::resp::{Conn, Value};

use super::{all, watched};

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
