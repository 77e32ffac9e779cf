//! MIGRATE: keys move to another Ringstone and to a redis-server, and none is lost on the way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use ringstone_tests::resp::{Conn, Value, encode};
use ringstone_tests::script::words;
use ringstone_tests::server::{Home, Launch, Server};

/// A server that keys leave, and one that they go to.
struct Pair {
    source: Server,
    target: Server,
    homes: [Home; 2],
    launch: Launch,
}

impl Pair {
    fn start(shards: usize, target: Launch) -> Pair {
        let homes = [Home::new(), Home::new()];
        let launch = Launch::ringstone().shards(shards).log("always");
        let (source, target) = (launch.start(&homes[0]), target.start(&homes[1]));
        Pair { source, target, homes, launch }
    }

    /// MIGRATE to the target with these words behind the port.
    fn migrate(&self, words: &str) -> String {
        say(&mut self.source.conn(), &self.line(words)).text()
    }

    fn line(&self, words: &str) -> String {
        format!("MIGRATE 127.0.0.1 {} {words}", self.target.port())
    }

    fn on_source(&self, line: &str) -> Value {
        self.source.conn().line(line)
    }

    fn on_target(&self, line: &str) -> Value {
        self.target.conn().line(line)
    }
}

/// Sends a line whose words may be quoted; its reply.
fn say(conn: &mut Conn, line: &str) -> Value {
    conn.call(&words(line)).unwrap()
}

/// Sources with one shard and two, targets of both kinds.
fn each_pair(test: impl Fn(Pair)) {
    for shards in [1, 2] {
        for target in [Launch::ringstone().shards(2), Launch::redis()] {
            test(Pair::start(shards, target));
        }
    }
}

const ALL_TYPES: &[&str] = &[
    "SET string value",
    "SET number 12",
    "RPUSH list a b c",
    "SADD set a b c",
    "SADD numbers 1 2 3",
    "HSET hash a 1 b 2",
    "ZADD zset 1 a 2.5 b",
    "XADD stream 1-1 a b",
    "XGROUP CREATE stream group 0",
    "PFADD hll a b c",
    "SET expiring value EX 1000",
];

#[test]
fn values_of_all_types_arrive_as_they_were_and_are_gone_after_a_crash() {
    each_pair(|pair| {
        ALL_TYPES.iter().for_each(|line| assert!(!pair.on_source(line).is_error(), "{line}"));
        let keys = "string number list set numbers hash zset stream hll expiring";
        let dumps = |server: &Server| {
            let mut conn = server.conn();
            keys.split(' ').map(|key| conn.line(&format!("DUMP {key}"))).collect::<Vec<_>>()
        };
        let before = dumps(&pair.source);
        assert_eq!(pair.migrate(&format!("\"\" 0 5000 KEYS {keys} absent")), "OK");
        let after = dumps(&pair.target);
        assert_eq!(before.len(), 10);
        assert!(after.iter().all(|dump| matches!(dump, Value::Bulk(_))));
        for (key, (before, after)) in keys.split(' ').zip(before.iter().zip(&after)) {
            // A set or a hash may be in another order there, and what is packed may take other bytes.
            let is_same = before == after || ["set", "hash", "hll"].contains(&key);
            assert!(is_same, "{key}: {before:?} {after:?}");
        }
        assert_eq!(pair.on_target("HGET hash b").text(), "2");
        assert_eq!(pair.on_target("SCARD set").text(), "3");
        assert_eq!(pair.on_target("PFCOUNT hll").text(), "3");
        assert!((900..=1000).contains(&pair.on_target("TTL expiring").int().unwrap()));
        assert_eq!(pair.on_target("TTL string").text(), "-1");
        assert_eq!(pair.on_source("DBSIZE").text(), "0");
        let Pair { source, launch, homes, .. } = pair;
        source.kill();
        let source = launch.start(&homes[0]);
        assert_eq!(source.conn().line("DBSIZE").text(), "0");
    });
}

#[test]
fn what_the_target_refuses_stays() {
    each_pair(|pair| {
        for line in ["MSET a 1 b 1 c 1 d 1", "EXPIRE d 1000"] {
            pair.on_source(line);
        }
        pair.on_target("SET b there");
        let busy =
            "ERR Target instance replied with error: BUSYKEY Target key name already exists.";
        assert_eq!(pair.migrate("b 0 5000"), busy);
        assert_eq!(pair.migrate("\"\" 0 5000 KEYS a b c"), busy);
        assert_eq!(pair.on_source("EXISTS a b c").text(), "1");
        assert_eq!(pair.on_target("GET b").text(), "there");
        assert_eq!(pair.migrate("b 0 5000 COPY REPLACE"), "OK");
        assert_eq!(pair.on_source("GET b").text(), "1");
        assert_eq!(pair.on_target("GET b").text(), "1");
        let range = "ERR Target instance replied with error: ERR DB index is out of range";
        assert_eq!(pair.migrate("d 99 5000"), range);
        assert_eq!(pair.migrate("d 3 5000 REPLACE"), "OK");
        assert_eq!(pair.on_target("EXISTS d").text(), "0");
        let mut there = pair.target.conn();
        there.line("SELECT 3");
        assert!((900..=1000).contains(&there.line("TTL d").int().unwrap()));
        assert_eq!(pair.migrate("d 3 5000"), "NOKEY");
    });
}

#[test]
fn a_user_or_a_password_is_told_to_the_target() {
    for target in [Launch::ringstone(), Launch::redis()] {
        let pair = Pair::start(2, target.set("requirepass", "secret"));
        let mut there = pair.target.conn();
        there.line("AUTH secret");
        there.line("ACL SETUSER KEYS on >word ~* +@all");
        pair.on_source("MSET a 1 b 1");
        let refused = pair.migrate("a 0 5000");
        assert_eq!(
            refused,
            "ERR Target instance replied with error: NOAUTH Authentication required."
        );
        let wrong = pair.migrate("a 0 5000 AUTH wrong");
        assert!(wrong.starts_with("ERR Target instance replied with error: WRONGPASS"), "{wrong}");
        assert_eq!(pair.migrate("a 0 5000 AUTH secret"), "OK");
        assert_eq!(pair.migrate("\"\" 0 5000 AUTH2 KEYS word KEYS b"), "OK");
        assert_eq!(there.line("MGET a b"), Value::Array(vec![bulk("1"), bulk("1")]));
    }
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.into())
}

#[test]
fn a_target_that_is_silent_costs_its_time_and_no_more() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        let (mut mover, mut writer, mut other) = (server.conn(), server.conn(), server.conn());
        other.line("MSET a 1 b 1 c 1");
        let began = Instant::now();
        mover
            .send_raw(&encode(&[
                "MIGRATE",
                "127.0.0.1",
                &port.to_string(),
                "",
                "0",
                "1500",
                "KEYS",
                "a",
                "b",
            ]))
            .unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4];
        stream.read_exact(&mut head).unwrap();
        // The keys travel: a write waits, and others are served.
        writer.send_raw(&encode(&["INCR", "a"])).unwrap();
        assert_eq!(other.line("INCR c").text(), "2");
        assert!(began.elapsed() < Duration::from_millis(1500), "others had to wait");
        assert_eq!(
            mover.read().unwrap().text(),
            "IOERR error or timeout reading to target instance"
        );
        assert!(began.elapsed() >= Duration::from_millis(1500));
        assert_eq!(writer.read().unwrap().text(), "2");
        assert_eq!(other.line("GET b").text(), "1");
        drop(stream);
    }
    drop(listener);
    let home = Home::new();
    let server = Launch::ringstone().start(&home);
    let mut conn = server.conn();
    conn.line("SET a 1");
    for port in [port.to_string(), "0".into(), "nonsense".into()] {
        let reply = conn.line(&format!("MIGRATE 127.0.0.1 {port} a 0 1000")).text();
        assert_eq!(reply, "IOERR error or timeout writing to target instance");
    }
    let reply = conn.line("MIGRATE no.such.host.invalid 7000 a 0 1000").text();
    assert_eq!(reply, "IOERR error or timeout connecting to the client");
    assert_eq!(conn.line("GET a").text(), "1");
}

#[test]
fn a_target_that_ends_on_the_way_keeps_what_it_has_acknowledged() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let home = Home::new();
    let server = Launch::ringstone().shards(2).start(&home);
    let mut conn = server.conn();
    conn.line("MSET a 1 b 1 c 1");
    let target = std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = listener.accept().unwrap();
        let mut some = [0; 16];
        stream.read_exact(&mut some).unwrap();
        // SELECT, and two of the three keys.
        stream.write_all(b"+OK\r\n").unwrap();
        stream.read_exact(&mut some).unwrap();
        stream.write_all(b"+OK\r\n-BUSYKEY it is\r\n").unwrap();
    });
    let line = format!("MIGRATE 127.0.0.1 {port} \"\" 0 5000 KEYS a b c");
    let reply = say(&mut conn, &line).text();
    assert_eq!(reply, "ERR Target instance replied with error: BUSYKEY it is");
    target.join().unwrap();
    assert_eq!(conn.line("MGET a b c"), Value::Array(vec![Value::Null, bulk("1"), bulk("1")]));
}

#[test]
fn transactions_and_scripts_move_keys_too() {
    each_pair(|pair| {
        let mut conn = pair.source.conn();
        for line in ["MSET a 1 b 1 c 1 d 1 e 1", "MULTI", "INCR a"] {
            conn.line(line);
        }
        say(&mut conn, &pair.line("\"\" 0 5000 KEYS a b"));
        for line in ["EXISTS a b", "MIGRATE h 1 a 0 x"] {
            conn.line(line);
        }
        let replies: Vec<String> = conn.line("EXEC").items().iter().map(Value::text).collect();
        let not_integer = "ERR value is not an integer or out of range";
        assert_eq!(replies, ["2", "OK", "0", not_integer]);
        assert_eq!(pair.on_target("GET a").text(), "2");
        let script = "redis.call('INCR', KEYS[1]) \
            local ok = redis.call('MIGRATE', '127.0.0.1', ARGV[1], '', 0, 5000, 'KEYS', KEYS[1], KEYS[2]) \
            redis.call('SET', 'left', 'behind') \
            return {ok, redis.call('EXISTS', KEYS[1], KEYS[2]), redis.pcall('MIGRATE', '127.0.0.1', ARGV[1], 'c', 0, 5000)}";
        let port = pair.target.port().to_string();
        let call = |conn: &mut Conn| conn.call(&["EVAL", script, "2", "c", "d", &port]).unwrap();
        let replies: Vec<String> = call(&mut conn).items().iter().map(Value::text).collect();
        assert_eq!(replies, ["OK", "0", "NOKEY"]);
        assert_eq!(pair.on_target("GET c").text(), "2");
        let Pair { source, launch, homes, .. } = pair;
        source.kill();
        let source = launch.start(&homes[0]);
        let left = source.conn().line("MGET a b c d e left");
        let gone = || Value::Null;
        let expected = [gone(), gone(), gone(), gone(), bulk("1"), bulk("behind")];
        assert_eq!(left, Value::Array(expected.to_vec()));
    });
}

#[test]
fn large_values_and_many_keys_arrive() {
    each_pair(|pair| {
        let mut conn = pair.source.conn();
        let large = vec![b'x'; 20 << 20];
        conn.call(&[b"SET".to_vec(), b"large".to_vec(), large]).unwrap();
        let names: Vec<String> = (0..1000).map(|number| format!("key:{number}")).collect();
        for name in &names {
            conn.send_raw(&encode(&["SET", name, name])).unwrap();
        }
        names.iter().for_each(|_| assert_eq!(conn.read().unwrap().text(), "OK"));
        let words = format!("\"\" 0 20000 KEYS large {}", names.join(" "));
        assert_eq!(pair.migrate(&words), "OK");
        assert_eq!(pair.on_source("DBSIZE").text(), "0");
        assert_eq!(pair.on_target("DBSIZE").text(), "1001");
        assert_eq!(pair.on_target("STRLEN large").text(), (20 << 20).to_string());
    });
}

#[test]
fn whoever_watches_or_listens_learns_that_keys_have_gone() {
    let pair = Pair::start(2, Launch::ringstone());
    pair.on_source("CONFIG SET notify-keyspace-events EA");
    let (mut listener, mut watcher) = (pair.source.conn(), pair.source.conn());
    listener.line("HELLO 3");
    listener.line("PSUBSCRIBE __keyevent*");
    pair.on_source("SET a 1");
    watcher.line("WATCH a");
    assert_eq!(pair.migrate("a 0 5000 COPY"), "OK");
    assert_eq!(pair.migrate("a 0 5000 REPLACE"), "OK");
    let events: Vec<String> = (0..2)
        .map(|_| listener.read().unwrap())
        .map(|push| format!("{} {}", push.items()[2].text(), push.items()[3].text()))
        .collect();
    assert_eq!(events, ["__keyevent@0__:set a", "__keyevent@0__:del a"]);
    watcher.line("MULTI");
    assert_eq!(watcher.line("EXEC"), Value::Null);
}
