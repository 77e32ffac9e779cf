//! Who is served, with what, and when.

use ringstone_tests::resp::{Conn, Value, encode};
use ringstone_tests::server::{Home, Launch};

use crate::{call, on_servers, read, send, show, until_blocked, waiting};

#[test]
fn whoever_came_first_is_served_first() {
    on_servers(|server| {
        let mut conn = server.conn();
        let mut clients: Vec<Conn> = Vec::new();
        for line in ["BLPOP a b c 0", "BRPOP c b a 0", "BLMPOP 0 2 b c LEFT COUNT 9", "BLPOP c 0"] {
            clients.push(waiting(server, line, clients.len()));
        }
        assert_eq!(call(&mut conn, "RPUSH c 1 2 3 4"), "4");
        let got: Vec<String> = clients.iter_mut().take(3).map(read).collect();
        assert_eq!(got, ["[c, 1]", "[c, 4]", "[c, [2, 3]]"]);
        until_blocked(server, 1);
        assert_eq!(call(&mut conn, "RPUSH c 5"), "1");
        assert_eq!(read(&mut clients[3]), "[c, 5]");
        assert_eq!(call(&mut conn, "EXISTS a b c"), "0");
    });
}

#[test]
fn what_is_there_is_taken_without_waiting() {
    on_servers(|server| {
        let mut conn = server.conn();
        call(&mut conn, "RPUSH l 1 2 3");
        call(&mut conn, "ZADD z 1 a 2 b 3 c");
        assert_eq!(call(&mut conn, "BLPOP none l other 0"), "[l, 1]");
        assert_eq!(call(&mut conn, "BRPOP none l other 0"), "[l, 3]");
        assert_eq!(call(&mut conn, "BLMOVE l m LEFT RIGHT 0"), "2");
        assert_eq!(call(&mut conn, "BRPOPLPUSH m l 0"), "2");
        assert_eq!(call(&mut conn, "BZPOPMIN none z 0"), "[z, a, 1]");
        assert_eq!(call(&mut conn, "BZPOPMAX none z 0"), "[z, c, 3]");
        assert_eq!(call(&mut conn, "BZMPOP 0 2 none z MAX"), "[z, [[b, 2]]]");
        assert!(call(&mut conn, "BLPOP none z2 l:x 0.01") == "nil");
        call(&mut conn, "SET s x");
        assert!(call(&mut conn, "BLPOP none s l 0").starts_with("WRONGTYPE"));
        assert!(call(&mut conn, "BLMOVE l s LEFT LEFT 0").starts_with("WRONGTYPE"));
        assert_eq!(call(&mut conn, "LLEN l"), "1");
    });
}

/// A command that waits, what serves it, and the bytes of its reply in both protocols as redis-server gives them.
#[test]
fn replies_are_redis_s_to_the_byte() {
    let stories = [
        ("BLPOP a b 0", "RPUSH b 1"),
        ("BRPOP a b 0", "RPUSH b 1 2"),
        ("BLMPOP 0 2 a b RIGHT COUNT 2", "RPUSH b 1 2 3"),
        ("BLMPOP 0 1 a LEFT", "RPUSH a 1"),
        ("BLMOVE a b LEFT RIGHT 0", "RPUSH a 1"),
        ("BLMOVE a a LEFT RIGHT 0", "RPUSH a 1 2"),
        ("BRPOPLPUSH a b 0", "RPUSH a 1 2"),
        ("BZPOPMIN a b 0", "ZADD b 1.5 x 2 y"),
        ("BZPOPMAX a b 0", "ZADD b 1.5 x 2 y"),
        ("BZMPOP 0 2 a b MIN COUNT 5", "ZADD b 1.5 x 2 y"),
        ("XREAD BLOCK 0 STREAMS a b $ $", "XADD b 1-1 f v"),
        ("XREAD COUNT 1 BLOCK 0 STREAMS a b 0 1-1", "XADD b 1-2 f v"),
        ("BLPOP a 0.01", "PING"),
        ("BLMOVE a b LEFT LEFT 0.01", "PING"),
        ("BZPOPMIN a 0.01", "PING"),
        ("BZMPOP 0.01 1 a MIN", "PING"),
        ("XREAD BLOCK 10 STREAMS a $", "PING"),
    ];
    let told = |launch: Launch| {
        let home = Home::new();
        let server = launch.start(&home);
        let mut pusher = server.conn();
        let mut told = Vec::new();
        for protocol in [2, 3] {
            for (wait, push) in stories {
                pusher.line("FLUSHALL");
                let mut conn = server.conn();
                conn.line(&format!("HELLO {protocol}"));
                send(&mut conn, wait);
                if push != "PING" {
                    until_blocked(&server, 1);
                    assert!(!pusher.line(push).is_error(), "{push}");
                }
                let reply = String::from_utf8(conn.read_raw().unwrap()).unwrap();
                told.push(format!("{protocol} {wait}: {reply}"));
            }
        }
        told
    };
    let expected = told(Launch::redis());
    assert_eq!(told(Launch::ringstone().shards(1)), expected);
    assert_eq!(told(Launch::ringstone().shards(2)), expected);
}

#[test]
fn later_commands_of_a_connection_wait_with_it() {
    on_servers(|server| {
        let mut conn = server.conn();
        let mut client = server.conn();
        let lines = ["SET before 1", "BLPOP a b 0", "GET before", "BLPOP a b 0", "RPUSH done 1"];
        let all: Vec<u8> = lines
            .iter()
            .flat_map(|line| encode(&line.split_whitespace().collect::<Vec<_>>()))
            .collect();
        client.send_raw(&all).unwrap();
        assert_eq!(read(&mut client), "OK");
        until_blocked(server, 1);
        assert_eq!(call(&mut conn, "EXISTS done"), "0");
        conn.line("RPUSH b 1");
        assert_eq!(read(&mut client), "[b, 1]");
        assert_eq!(read(&mut client), "1");
        until_blocked(server, 1);
        conn.line("RPUSH a 2");
        assert_eq!(read(&mut client), "[a, 2]");
        assert_eq!(read(&mut client), "1");
    });
}

#[test]
fn a_transaction_is_over_before_anybody_is_served() {
    on_servers(|server| {
        let mut conn = server.conn();
        let exec = |conn: &mut Conn, lines: &[&str]| {
            conn.line("MULTI");
            lines.iter().for_each(|line| assert_eq!(call(conn, line), "QUEUED"));
            call(conn, "EXEC")
        };
        let mut client = waiting(server, "BLPOP a b 0", 0);
        assert_eq!(exec(&mut conn, &["RPUSH a 1", "RPUSH b 2", "DEL a", "DEL b"]), "[1, 1, 1, 1]");
        assert_eq!(exec(&mut conn, &["RPUSH a 1", "DEL a", "SET a x"]), "[1, 1, OK]");
        until_blocked(server, 1);
        assert_eq!(exec(&mut conn, &["DEL a", "RPUSH a 1", "LPUSH a 2", "LLEN a"]), "[1, 1, 2, 2]");
        assert_eq!(read(&mut client), "[a, 2]");
        assert_eq!(call(&mut conn, "LRANGE a 0 -1"), "[1]");
        // Nor is anybody served with what has expired by then.
        let mut client = waiting(server, "BLPOP late 0", 0);
        let lines = ["RPUSH late 1", "PEXPIRE late 20", "DEBUG SLEEP 0.1"];
        assert_eq!(exec(&mut conn, &lines), "[1, 1, OK]");
        until_blocked(server, 1);
        assert_eq!(call(&mut conn, "RPUSH late 2"), "1");
        assert_eq!(read(&mut client), "[late, 2]");
        // Within a transaction nothing waits.
        let lines = [
            "BLPOP none other 0",
            "BLMOVE none other LEFT LEFT 0",
            "BZPOPMIN none 0",
            "BLMPOP 0 1 none LEFT",
            "XREAD BLOCK 0 STREAMS none $",
            "BLPOP none a 0",
        ];
        assert_eq!(exec(&mut conn, &lines), "[nil, nil, nil, nil, nil, [a, 1]]");
        until_blocked(server, 0);
    });
}

#[test]
fn a_script_is_over_before_anybody_is_served_and_waits_for_nothing() {
    on_servers(|server| {
        let mut conn = server.conn();
        let mut eval = |script: &str| show(&conn.call(&["EVAL", script, "1", "a"]).unwrap());
        let mut client = waiting(server, "BLPOP a 0", 0);
        assert_eq!(eval("redis.call('rpush', 'a', 1) return redis.call('del', 'a')"), "1");
        until_blocked(server, 1);
        assert_eq!(eval("redis.call('rpush', 'a', 1) return redis.call('lpush', 'a', 2)"), "2");
        assert_eq!(read(&mut client), "[a, 2]");
        assert_eq!(eval("return redis.call('blmpop', 0, 1, 'a', 'left')"), "[a, [1]]");
        assert_eq!(eval("return redis.call('blmpop', 0, 1, 'a', 'left')"), "nil");
        assert_eq!(
            eval("return redis.pcall('xread', 'block', 0, 'streams', 'a', '0')"),
            "ERR xread command is not allowed with BLOCK option from scripts"
        );
    });
}

#[test]
fn what_a_served_client_pushes_serves_the_next() {
    on_servers(|server| {
        let mut conn = server.conn();
        let mut last = waiting(server, "BLPOP d 0", 0);
        let mut third = waiting(server, "BLMOVE c d LEFT RIGHT 0", 1);
        let mut second = waiting(server, "BRPOPLPUSH b c 0", 2);
        let mut first = waiting(server, "BLMOVE a b RIGHT LEFT 0", 3);
        assert_eq!(call(&mut conn, "RPUSH a x"), "1");
        for client in [&mut first, &mut second, &mut third] {
            assert_eq!(read(client), "x");
        }
        assert_eq!(read(&mut last), "[d, x]");
        assert_eq!(call(&mut conn, "EXISTS a b c d"), "0");
        // Two that push to each other.
        let mut first = waiting(server, "BLMOVE a b LEFT LEFT 0", 0);
        let mut second = waiting(server, "BLMOVE b a LEFT LEFT 0", 1);
        conn.line("RPUSH a y");
        assert_eq!((read(&mut first), read(&mut second)), ("y".into(), "y".into()));
        assert_eq!(call(&mut conn, "LRANGE a 0 -1"), "[y]");
    });
}

#[test]
fn a_target_of_another_type_costs_the_mover_its_turn_only() {
    on_servers(|server| {
        let mut conn = server.conn();
        conn.line("SET target x");
        let mut mover = waiting(server, "BLMOVE a target LEFT LEFT 0", 0);
        let mut next = waiting(server, "BLPOP a 0", 1);
        conn.line("RPUSH a 1");
        assert!(read(&mut mover).starts_with("WRONGTYPE"));
        assert_eq!(read(&mut next), "[a, 1]");
        until_blocked(server, 0);
    });
}

#[test]
fn whatever_brings_a_key_wakes_who_waits_for_it() {
    on_servers(|server| {
        let mut conn = server.conn();
        conn.line("RPUSH model 1");
        let dump = conn.line("DUMP model");
        let Value::Bulk(dump) = dump else { panic!("{dump:?}") };
        let wakes: [&[&str]; 8] = [
            &["RPUSH other 1", "RENAME other k"],
            &["RPUSH other 1", "RENAMENX other k"],
            &["RPUSH other 1", "COPY other k"],
            &["RPUSH other 1", "SORT other STORE k"],
            &["SELECT 1", "RPUSH k 1", "MOVE k 0", "SELECT 0"],
            &["SELECT 1", "RPUSH k 1", "SWAPDB 0 1", "SELECT 0"],
            &["RPUSH other 1", "LMOVE other k LEFT LEFT"],
            &["SET k x", "DEL k", "RPUSH k 1"],
        ];
        for lines in wakes {
            conn.line("FLUSHALL");
            let mut client = waiting(server, "BLPOP k 0", 0);
            for line in lines {
                assert!(!conn.line(line).is_error(), "{line}");
            }
            assert_eq!(read(&mut client), "[k, 1]", "{lines:?}");
        }
        conn.line("FLUSHALL");
        let mut client = waiting(server, "BLPOP k other 0", 0);
        assert_eq!(conn.call(&[b"RESTORE", &b"k"[..], b"0", &dump]).unwrap().text(), "OK");
        assert_eq!(read(&mut client), "[k, 1]");
        let mut client = waiting(server, "BZPOPMIN k 0", 0);
        conn.line("ZADD src 3 m");
        conn.line("ZUNIONSTORE k 1 src");
        assert_eq!(read(&mut client), "[k, m, 3]");
    });
}

#[test]
fn other_types_and_databases_wake_nobody() {
    on_servers(|server| {
        let mut conn = server.conn();
        let mut list = waiting(server, "BLPOP k 0", 0);
        let mut zset = waiting(server, "BZPOPMIN k 0", 1);
        let mut stream = waiting(server, "XREAD BLOCK 0 STREAMS k $", 2);
        conn.line("SET k x");
        conn.line("DEL k");
        conn.line("SELECT 3");
        conn.line("RPUSH k 1");
        conn.line("SELECT 0");
        until_blocked(server, 3);
        conn.line("ZADD k 1 m");
        assert_eq!(read(&mut zset), "[k, m, 1]");
        conn.line("XADD k 1-1 f v");
        assert_eq!(read(&mut stream), "[[k, [[1-1, [f, v]]]]]");
        conn.line("DEL k");
        conn.line("RPUSH k 2");
        assert_eq!(read(&mut list), "[k, 2]");
    });
}
