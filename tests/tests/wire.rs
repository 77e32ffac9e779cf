//! Bytes on the wire: any split of a stream, protocol errors, inline commands, clients that do not read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use ringstone_tests::resp::{Conn, Value, encode};
use ringstone_tests::server::{Home, Launch, Server};

/// A server of each kind, redis-server second.
fn both() -> [(Home, Server); 2] {
    [Launch::ringstone().shards(2), Launch::redis()].map(|launch| {
        let home = Home::new();
        let server = launch.start(&home);
        (home, server)
    })
}

/// A pipelined stream with all that a parser can stumble over, and its number of replies.
fn stream() -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let commands: [&[&[u8]]; 9] = [
        &[b"SET", b"a", b"1"],
        &[b"SET", b"binary\r\n\x00\xff", b"\r\n$3\r\nfoo\r\n*1\r\n"],
        &[b"GET", b"binary\r\n\x00\xff"],
        &[b"SET", b"empty", b""],
        &[b"GET", b"empty"],
        &[b"MGET", b"a", b"none", b"empty"],
        &[b"INCR", b"a"],
        &[b"RPUSH", b"l", b"x", b"y"],
        &[b"LRANGE", b"l", b"0", b"-1"],
    ];
    commands.iter().for_each(|c| out.extend(encode(c)));
    out.extend_from_slice(b"PING\r\n  GET   a  \r\n\r\nSET \"quoted key\" 'it\\'s'\n");
    out.extend_from_slice(b"*0\r\n*-1\r\nECHO \"\\x41\\n\"\r\n");
    out.extend(encode(&["NOSUCH", "x"]));
    out.extend(encode(&["GET"]));
    out.extend(encode(&["DEL", "a", "l"]));
    // What stands behind a command that waits is read before it may run.
    out.extend(encode(&["BLPOP", "none", "0.005"]));
    out.extend_from_slice(b"PING\r\n");
    out.extend(encode(&["SET", "after", "1"]));
    out.extend(encode(&["BLPOP", "none", "0.005"]));
    out.extend(encode(&["GET", "after"]));
    (out, commands.len() + 12)
}

fn replies(conn: &mut Conn, count: usize) -> Vec<u8> {
    (0..count).flat_map(|_| conn.read_raw().expect("a reply")).collect()
}

#[test]
fn any_split_of_a_stream_gives_the_same_replies_as_redis() {
    let [(_h1, ours), (_h2, theirs)] = both();
    let (bytes, count) = stream();
    let mut conn = theirs.conn();
    conn.send_raw(&bytes).unwrap();
    let expected = replies(&mut conn, count);
    // A byte at a time, then every place to cut.
    let mut conn = ours.conn();
    for byte in &bytes {
        conn.send_raw(&[*byte]).unwrap();
    }
    let whole = replies(&mut conn, count);
    assert_eq!(String::from_utf8_lossy(&whole), String::from_utf8_lossy(&expected));
    for cut in (1..bytes.len()).step_by(3) {
        conn.send_raw(&bytes[..cut]).unwrap();
        // A reply to what is complete shows that the first part arrived alone.
        std::thread::yield_now();
        conn.send_raw(&bytes[cut..]).unwrap();
        let got = replies(&mut conn, count);
        assert_eq!(
            String::from_utf8_lossy(&got),
            String::from_utf8_lossy(&expected),
            "cut at {cut}"
        );
    }
}

#[test]
fn answers_protocol_errors_as_redis_does_and_closes() {
    let long = "x".repeat(70_000);
    let inputs: Vec<Vec<u8>> = [
        "*abc\r\n",
        "*2147483648\r\n",
        "*1\r\nfoo\r\n",
        "*1\r\n$abc\r\n",
        "*1\r\n$-1\r\n",
        "*2\r\n$3\r\nGET\r\n$536870913\r\n",
        "*2\r\n$3\r\nGET\r\n:3\r\n",
        "*3\r\n$3\r\nSET\r\n$1\r\na\r\n*1\r\n",
        "SET \"unbalanced value\r\n",
        "SET a 'x'y\r\n",
        &long,
        &format!("*{long}"),
        &format!("*1\r\n${long}"),
    ]
    .iter()
    .map(|input| input.as_bytes().to_vec())
    .collect();
    let servers = both();
    for input in inputs {
        let [ours, theirs] = [0, 1].map(|at| {
            let mut conn = servers[at].1.conn();
            conn.send_raw(b"PING\r\n").unwrap();
            // The server may close while it is still being written to.
            let _ = conn.send_raw(&input);
            String::from_utf8_lossy(&conn.read_to_end().expect("closed by the server")).into_owned()
        });
        let shown = String::from_utf8_lossy(&input[..input.len().min(40)]).into_owned();
        assert_eq!(ours, theirs, "after {shown:?}");
        assert!(theirs.starts_with("+PONG\r\n-ERR Protocol error"), "{shown:?}: {theirs}");
    }
    assert_eq!(servers[0].1.conn().line("PING"), Value::Simple("PONG".into()));
}

#[test]
fn a_client_that_never_reads_is_dropped_and_others_are_served() {
    let home = Home::new();
    let server = Launch::ringstone()
        .shards(1)
        .set("client-output-buffer-limit", "normal 4mb 0 0")
        .start(&home);
    let mut other = server.conn();
    other.call(&["SET", "big", &"v".repeat(200_000)]).unwrap();

    let greedy = server.conn();
    greedy.stream().set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let request = encode(&["GET", "big"]).repeat(50);
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut slowest = Duration::ZERO;
    let mut dropped = false;
    while !dropped && Instant::now() < deadline {
        dropped = match greedy.stream().write(&request) {
            Ok(_) => false,
            Err(e) => !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        let began = Instant::now();
        assert_eq!(other.line("PING"), Value::Simple("PONG".into()));
        slowest = slowest.max(began.elapsed());
    }
    assert!(dropped, "the client is still there");
    assert!(slowest < Duration::from_secs(2), "another client waited {slowest:?}");
    assert!(!server.conn().line("CLIENT LIST").text().contains("cmd=get"), "still listed");
}

#[test]
fn a_client_that_goes_in_the_middle_of_a_command_harms_nobody() {
    let home = Home::new();
    let server = Launch::ringstone().shards(2).start(&home);
    let (bytes, _) = stream();
    for cut in (1..bytes.len()).step_by(5) {
        let mut conn = server.conn();
        conn.send_raw(&bytes[..cut]).unwrap();
    }
    assert_eq!(server.conn().line("PING"), Value::Simple("PONG".into()));
}

#[test]
fn speaks_both_protocols_and_switches_between_them() {
    let servers = both();
    let [ours, theirs] = [0, 1].map(|at| {
        let mut conn = servers[at].1.conn();
        let mut seen = Vec::new();
        for line in
            ["HELLO 3", "HSET h f v", "HGETALL h", "GET none", "HELLO 2", "HGETALL h", "GET none"]
        {
            let args: Vec<&str> = line.split(' ').collect();
            conn.send_raw(&encode(&args)).unwrap();
            let raw = String::from_utf8_lossy(&conn.read_raw().unwrap()).into_owned();
            // Server name, version and connection id differ.
            seen.push(if args[0] == "HELLO" { raw[..2].to_owned() } else { raw });
        }
        seen
    });
    assert_eq!(ours, theirs);
}
