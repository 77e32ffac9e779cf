//! Commands and options that came after Redis 7.0: what clients see, what others are told, and what is there after a crash.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests"
)]

use ringstone_tests::resp::{Conn, Value, encode};
use ringstone_tests::server::{Home, Launch};

fn show(value: &Value) -> String {
    match value {
        Value::Null => "nil".into(),
        Value::Array(items) | Value::Map(items) | Value::Push(items) => {
            let items: Vec<String> = items.iter().map(show).collect();
            format!("[{}]", items.join(" "))
        }
        other => other.text(),
    }
}

/// Runs lines of `command => reply`.
fn tell(conn: &mut Conn, story: &str) {
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, expected) = line.split_once(" => ").unwrap();
        assert_eq!(show(&conn.line(command)), expected, "{command}");
    }
}

/// A server with a log: the story, a crash, and what is there afterwards.
fn survives(story: &str, afterwards: &str) {
    for shards in [1, 2] {
        let home = Home::new();
        let launch = Launch::ringstone().shards(shards).log("always");
        let server = launch.start(&home);
        tell(&mut server.conn(), story);
        tell(&mut server.conn(), afterwards);
        server.kill();
        let server = launch.start(&home);
        tell(&mut server.conn(), afterwards);
    }
}

#[test]
fn strings_are_stored_and_removed_if_they_are_what_was_expected() {
    survives(
        "
        SET lock mine => OK
        SET lock yours IFEQ other => nil
        SET lock yours IFEQ mine EX 1000 => OK
        SET lock third IFEQ yours GET KEEPTTL => yours
        SET lock fourth IFEQ yours GET => third
        SET absent x IFEQ x => nil
        SET absent x IFEQ x GET => nil
        SET gone x => OK
        DELIFEQ gone y => 0
        DELIFEQ gone x => 1
        DELIFEQ gone x => 0
        SET number 12 => OK
        SET number 13 IFEQ 12 => OK
        RPUSH list a => 1
        SET list x IFEQ a => WRONGTYPE Operation against a key holding the wrong kind of value
        SET list x IFEQ a GET => WRONGTYPE Operation against a key holding the wrong kind of value
        DELIFEQ list a => WRONGTYPE Operation against a key holding the wrong kind of value
        SET lock x IFEQ => ERR syntax error
        SET lock x NX IFEQ y => ERR syntax error
        SET lock x IFEQ y XX => ERR syntax error
        DELIFEQ lock => ERR wrong number of arguments for 'delifeq' command
        ",
        "
        GET lock => third
        EXPIRE lock 2000 LT => 0
        GET number => 13
        EXISTS gone absent => 0
        TYPE list => list
        ",
    );
}

#[test]
fn several_strings_are_stored_together_or_not_at_all() {
    survives(
        "
        MSETEX 3 a 1 b 1 c 1 EX 1000 => 1
        MSETEX 3 b 2 c 2 d 2 NX => 0
        MSETEX 3 b 2 c 2 d 2 XX => 0
        MSETEX 2 b 2 c 2 KEEPTTL XX => 1
        MSETEX 2 e 3 f 3 NX PX 1000000 => 1
        MSETEX 2 e 4 e 5 => 1
        MSETEX 2 g 1 h 1 EXAT 1 => 1
        MSETEX => ERR wrong number of arguments for 'msetex' command
        MSETEX a 1 EX 10 => ERR invalid numkeys value
        MSETEX 0 a 1 => ERR invalid numkeys value
        MSETEX 2147483648 a 1 EX 10 => ERR invalid numkeys value
        MSETEX 2147483647 a 1 EX 10 => ERR wrong number of key-value pairs
        MSETEX 2 a 1 b => ERR wrong number of key-value pairs
        MSETEX 1 a 1 GET => ERR syntax error
        MSETEX 2 a 1 b 1 NX XX EX 10 => ERR syntax error
        MSETEX 2 a 1 b 1 EX 10 PX 5000 => ERR syntax error
        MSETEX 2 a 1 b 1 KEEPTTL EX 10 => ERR syntax error
        MSETEX 2 a 1 b 1 EX 0 => ERR invalid expire time in 'msetex' command
        MSETEX 2 a 1 b 1 EX x => ERR value is not an integer or out of range
        COMMAND GETKEYS MSETEX 2 a 1 b 1 EX 10 => [a b]
        ",
        "
        MGET a b c d e f g h => [1 2 2 nil 5 3 nil nil]
        EXPIRE a 2000 LT => 0
        EXPIRE b 2000 LT => 0
        TTL e => -1
        EXPIRE f 2000 LT => 0
        ",
    );
}

#[test]
fn entries_of_streams_go_with_or_without_what_refers_to_them() {
    survives(
        "
        XADD s 1-0 f v => 1-0
        XADD s 2-0 f v => 2-0
        XADD s 3-0 f v => 3-0
        XADD s 4-0 f v => 4-0
        XGROUP CREATE s one 0 => OK
        XGROUP CREATE s two 0 => OK
        XREADGROUP GROUP one ann COUNT 3 STREAMS s > => [[s [[1-0 [f v]] [2-0 [f v]] [3-0 [f v]]]]]
        XREADGROUP GROUP two bob COUNT 3 STREAMS s > => [[s [[1-0 [f v]] [2-0 [f v]] [3-0 [f v]]]]]
        XDELEX s ACKED IDS 2 1-0 9-0 => [2 -1]
        XACKDEL s one ACKED IDS 2 1-0 2-0 => [2 2]
        XACKDEL s two ACKED IDS 1 1-0 => [1]
        XDELEX s DELREF IDS 1 2-0 => [1]
        XADD s MAXLEN 1 ACKED 5-0 f v => 5-0
        XTRIM s MAXLEN 2 DELREF => 1
        XADD s KEEPREF 6-0 f v => 6-0
        XDELEX nothing IDS 2 1-1 2-2 => [-1 -1]
        XACKDEL s nothing IDS 2 1-1 2-2 => [-1 -1]
        ",
        "
        XRANGE s - + => [[4-0 [f v]] [5-0 [f v]] [6-0 [f v]]]
        XPENDING s one => [0 nil nil nil]
        XPENDING s two => [0 nil nil nil]
        ",
    );
}

#[test]
fn whoever_watches_or_listens_learns_of_them() {
    for shards in [1, 2] {
        let home = Home::new();
        let server =
            Launch::ringstone().shards(shards).set("notify-keyspace-events", "EA").start(&home);
        let (mut conn, mut listener, mut watcher) = (server.conn(), server.conn(), server.conn());
        listener.line("HELLO 3");
        listener.line("PSUBSCRIBE __keyevent*");
        tell(&mut conn, "XGROUP CREATE s g 0 MKSTREAM => OK");
        for (before, line, expected) in [
            ("SET a 1", "SET a 2 IFEQ 1 EX 100", "set a, expire a"),
            ("SET a 1", "SET a 2 IFEQ 3", ""),
            ("SET a 1", "DELIFEQ a 1", "del a"),
            ("SET a 1", "MSETEX 2 a 2 b 2", "set a, set b"),
            ("SET b 1", "MSETEX 2 a 2 b 2 EX 100", "set a, expire a, set b, expire b"),
            ("SET a 1", "MSETEX 2 a 2 c 2 XX", ""),
            ("XADD s 1-0 f v", "XDELEX s IDS 2 1-0 2-0", "xdel s"),
            ("XADD s 2-0 f v", "XDELEX s ACKED IDS 1 2-0", ""),
            ("XREADGROUP GROUP g ann STREAMS s >", "XACKDEL s g IDS 1 2-0", "xdel s"),
            ("XADD s 3-0 f v", "XTRIM s MAXLEN 0 DELREF", "xtrim s"),
            ("XGROUP DESTROY s g", "XADD s MAXLEN 0 ACKED 4-0 f v", "xadd s, xtrim s"),
        ] {
            conn.line(before);
            heard(&mut listener);
            let key = line.split(' ').find(|word| ["a", "s"].contains(word)).unwrap();
            watcher.line(&format!("WATCH {key}"));
            conn.line(line);
            assert_eq!(heard(&mut listener), expected, "{line}");
            watcher.line("MULTI");
            let aborted = matches!(watcher.line("EXEC"), Value::Null);
            assert_eq!(aborted, !expected.is_empty(), "{line}");
        }
    }
}

/// The events so far: CLIENT LIST asks all shards, so what they have sent before is here by then.
fn heard(listener: &mut Conn) -> String {
    listener.send_raw(&encode(&["CLIENT", "LIST"])).unwrap();
    let mut events = Vec::new();
    while let Value::Push(push) = listener.read().unwrap() {
        let event = push[2].text();
        events.push(format!("{} {}", event.rsplit(':').next().unwrap(), push[3].text()));
    }
    events.join(", ")
}

#[test]
fn clients_that_track_keys_are_told() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        let (mut conn, mut tracker) = (server.conn(), server.conn());
        tracker.line("HELLO 3");
        tracker.line("CLIENT TRACKING ON");
        for line in ["MSETEX 2 a 1 b 1", "SET a 2 IFEQ 1", "DELIFEQ a 2"] {
            tracker.line("GET a");
            conn.line(line);
            assert_eq!(show(&tracker.read().unwrap()), "[invalidate [a]]", "{line}");
        }
    }
}
