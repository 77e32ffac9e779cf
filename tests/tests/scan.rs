//! SCAN over several shards.
#![allow(clippy::indexing_slicing, reason = "helpers of tests")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeSet;

use ringstone_tests::resp::Conn;
use ringstone_tests::server::{Home, Launch};

fn start(shards: usize) -> (Home, ringstone_tests::server::Server, Conn) {
    let home = Home::new();
    let server = Launch::ringstone().shards(shards).start(&home);
    let conn = server.conn();
    (home, server, conn)
}

/// One call: the next cursor and the keys.
fn scan(conn: &mut Conn, line: &str) -> (String, Vec<String>) {
    let reply = conn.line(line);
    let keys = reply.items()[1].items().iter().map(|key| key.text()).collect();
    (reply.items()[0].text(), keys)
}

#[test]
fn few_keys_come_in_one_call_whichever_shards_they_are_on() {
    for shards in [1, 2, 3] {
        let (_home, _server, mut conn) = start(shards);
        assert_eq!(scan(&mut conn, "SCAN 0"), ("0".to_owned(), Vec::new()));
        conn.line("MSET a 1 b 2 c 3 d 4 e 5");
        conn.line("SADD a-set x");
        for protocol in ["2", "3"] {
            conn.line(&format!("HELLO {protocol}"));
            let (cursor, mut keys) = scan(&mut conn, "SCAN 0");
            keys.sort();
            assert_eq!((cursor.as_str(), keys.join(" ")), ("0", "a a-set b c d e".to_owned()));
            assert_eq!(scan(&mut conn, "SCAN 0 TYPE set"), ("0".into(), vec!["a-set".into()]));
            assert_eq!(scan(&mut conn, "SCAN 0 MATCH c COUNT 100"), ("0".into(), vec!["c".into()]));
        }
        conn.line("MULTI");
        conn.line("SCAN 0");
        let reply = conn.line("EXEC");
        assert_eq!(reply.items()[0].items()[1].items().len(), 6, "within a transaction as well");
    }
}

#[test]
fn each_of_many_keys_comes_and_no_call_returns_many_more_than_asked_for() {
    for shards in [1, 2, 3] {
        let (_home, _server, mut conn) = start(shards);
        for n in 0..2000 {
            conn.line(&format!("SET key:{n} v"));
        }
        let (mut cursor, mut seen, mut calls) = ("0".to_owned(), BTreeSet::new(), 0);
        loop {
            let (next, keys) = scan(&mut conn, &format!("SCAN {cursor} COUNT 50"));
            assert!(keys.len() < 250, "{} keys in one call", keys.len());
            seen.extend(keys);
            calls += 1;
            if next == "0" {
                break;
            }
            cursor = next;
        }
        assert_eq!(seen.len(), 2000);
        assert!(calls > 8, "{calls} calls");
    }
}
