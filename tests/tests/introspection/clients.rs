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
