//! CLIENT PAUSE: who waits, who does not, and what stays as it is meanwhile.

use std::time::{Duration, Instant};

use ringstone_tests::resp::{Conn, Value, encode};
use ringstone_tests::server::{Home, Launch};

use super::info;

fn number(conn: &mut Conn, section: &str, field: &str) -> i64 {
    info(conn, section)[field].parse().unwrap()
}

fn wait_for_blocked(conn: &mut Conn, wanted: i64) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while number(conn, "clients", "blocked_clients") != wanted {
        assert!(Instant::now() < deadline, "{wanted} clients wait");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_pause_of_writes_lets_scripts_run_that_only_read() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        let (mut conn, mut reader) = (server.conn(), server.conn());
        conn.line("SET x y");
        conn.line("PFADD hll a");
        let library = "#!lua name=f1\nredis.register_function{function_name='f1', flags={'no-writes'}, \
                       callback=function() return 'hello' end}\nredis.register_function('f2', function() return 2 end)";
        conn.call(&["FUNCTION", "LOAD", library]).unwrap();
        let sha = conn.call(&["SCRIPT", "LOAD", "#!lua flags=no-writes\nreturn 2"]).unwrap().text();
        conn.line("CLIENT PAUSE 60000 WRITE");
        let told = |reader: &mut Conn, words: &[&str]| reader.call(words).unwrap().text();
        assert_eq!(told(&mut reader, &["EVAL", "#!lua flags=no-writes\nreturn 'a'", "0"]), "a");
        assert_eq!(told(&mut reader, &["EVAL_RO", "return redis.call('get', 'x')", "1", "x"]), "y");
        assert_eq!(told(&mut reader, &["EVALSHA", &sha, "0"]), "2");
        assert_eq!(told(&mut reader, &["FCALL", "f1", "0"]), "hello");
        reader.line("MULTI");
        told(&mut reader, &["EVAL", "#!lua flags=no-writes\nreturn 12", "0"]);
        reader.line("GET x");
        assert_eq!(reader.line("EXEC").items()[0], Value::Int(12));
        // These may write, or reach what follows the writes.
        let waiting: Vec<(Conn, &[&str])> = [
            &["EVAL", "return 1", "0"][..],
            &["EVAL", "#!lua\nreturn 1", "0"],
            &["FCALL", "f2", "0"],
            &["PFCOUNT", "hll"],
            &["PUBLISH", "channel", "text"],
            &["SET", "k", "v"],
        ]
        .into_iter()
        .map(|words| (server.conn(), words))
        .collect();
        let mut waiting = waiting;
        for (conn, words) in &mut waiting {
            conn.send_raw(&encode(words)).unwrap();
        }
        wait_for_blocked(&mut conn, 6);
        conn.line("CLIENT UNPAUSE");
        let replies = waiting.iter_mut().map(|(conn, _)| conn.read().unwrap().text());
        assert_eq!(replies.collect::<Vec<_>>(), ["1", "1", "2", "1", "0", "OK"]);
    }
}

/// Runs lines that set a time to live in ms, and pauses writes before it is up, however slow the machine is just now.
fn paused_before_it_is_up(conn: &mut Conn, lines: impl Fn(u64) -> Vec<String>) {
    for ttl_ms in (5..).map(|power| 1 << power) {
        conn.line("FLUSHALL");
        conn.line("CONFIG RESETSTAT");
        for line in lines(ttl_ms) {
            let reply = conn.line(&line);
            assert!(!reply.is_error(), "{line}: {}", reply.text());
        }
        let size = conn.line("DBSIZE");
        conn.line("CLIENT PAUSE 60000 WRITE");
        if number(conn, "stats", "expired_keys") == 0 && size == conn.line("DBSIZE") {
            return;
        }
        conn.line("CLIENT UNPAUSE");
    }
}

#[test]
fn nothing_expires_and_nothing_is_evicted_while_writes_are_paused() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        let mut conn = server.conn();
        paused_before_it_is_up(&mut conn, |ttl_ms| {
            ["a", "b", "c", "d"]
                .into_iter()
                .flat_map(|key| [format!("SET {key} v PX {ttl_ms}"), format!("SET {key}2 v")])
                .collect()
        });
        let deadline = Instant::now() + Duration::from_secs(10);
        let texts =
            |value: Value| -> Vec<String> { value.items().iter().map(Value::text).collect() };
        while texts(conn.line("MGET a b c d")).iter().any(|value| value == "v") {
            assert!(Instant::now() < deadline);
        }
        conn.line("CONFIG SET maxmemory-policy allkeys-random");
        conn.line("CONFIG SET maxmemory 1");
        for key in ["a", "b", "c", "d"] {
            assert_eq!(conn.line(&format!("GET {key}")), Value::Null);
            assert_eq!(conn.line(&format!("EXISTS {key} {key}2")), Value::Int(1));
            let script = format!("return redis.call('exists', '{key}', '{key}2')");
            assert_eq!(conn.call(&["EVAL_RO", &script, "0"]).unwrap(), Value::Int(1));
        }
        assert_eq!(texts(conn.line("MGET a b c d a2 b2")), ["", "", "", "", "v", "v"]);
        assert_eq!(conn.line("KEYS *").items().len(), 4);
        conn.line("MULTI");
        conn.line("GET a");
        conn.line("GET a2");
        assert_eq!(texts(conn.line("EXEC")), ["", "v"]);
        assert_eq!(number(&mut conn, "stats", "expired_keys"), 0);
        assert_eq!(conn.line("DBSIZE"), Value::Int(8), "they are still there");
        conn.line("CONFIG SET maxmemory 0");
        assert_eq!(number(&mut conn, "stats", "evicted_keys"), 0);
        conn.line("CLIENT UNPAUSE");
        for key in ["a", "b", "c", "d"] {
            assert_eq!(conn.line(&format!("GET {key}")), Value::Null);
        }
        assert_eq!(number(&mut conn, "stats", "expired_keys"), 4);
        // A pause that runs out by itself ends all of it, too.
        conn.line("SET e v PX 10");
        conn.line("CLIENT PAUSE 200 WRITE");
        let deadline = Instant::now() + Duration::from_secs(10);
        while number(&mut conn, "stats", "expired_keys") < 5 {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn fields_of_hashes_do_not_expire_while_writes_are_paused() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = Launch::ringstone().shards(shards).start(&home);
        let (mut conn, mut watcher) = (server.conn(), server.conn());
        conn.line("CONFIG SET notify-keyspace-events KEA");
        watcher.line("PSUBSCRIBE __keyevent*");
        paused_before_it_is_up(&mut conn, |ttl_ms| {
            let of_key = |key| {
                [
                    format!("HSET {key} f 1 g 2 h 3"),
                    format!("HSET all-{key} f 1"),
                    format!("SET s-{key} 1 PX {ttl_ms}"),
                    format!("HPEXPIRE {key} {ttl_ms} FIELDS 2 f g"),
                    format!("HPEXPIRE all-{key} {ttl_ms} FIELDS 1 f"),
                ]
            };
            let keys = ["a", "b", "c", "d"].into_iter().flat_map(of_key);
            ["UNWATCH".to_owned()].into_iter().chain(keys).chain(["WATCH s-a".to_owned()]).collect()
        });
        let dirty = number(&mut conn, "persistence", "rdb_changes_since_last_save");
        let deadline = Instant::now() + Duration::from_secs(10);
        let gone = |conn: &mut Conn| {
            let looks = ["a", "b", "c", "d"].map(|key| {
                let hash = conn.line(&format!("HLEN {key}")).int() == Some(1);
                hash && conn.line(&format!("HLEN all-{key}")).int() == Some(0)
            });
            looks == [true; 4]
        };
        while !gone(&mut conn) {
            assert!(Instant::now() < deadline);
        }
        for key in ["a", "b", "c", "d"] {
            assert_eq!(conn.line(&format!("HGET {key} f")), Value::Null);
            assert_eq!(conn.line(&format!("HMGET {key} f g h")).items()[2].text(), "3");
            assert_eq!(conn.line(&format!("HGETALL {key}")).items().len(), 2);
            assert_eq!(conn.line(&format!("HPTTL {key} FIELDS 1 f")).items()[0].int(), Some(-2));
            assert_eq!(conn.line(&format!("EXISTS all-{key}")).int(), Some(0));
        }
        let now = number(&mut conn, "persistence", "rdb_changes_since_last_save");
        assert_eq!(now, dirty, "nothing was changed");
        // A key that is watched and whose time is up is changed, removed or not.
        conn.line("MULTI");
        conn.line("PING");
        assert_eq!(conn.line("EXEC"), Value::Null);
        assert_eq!(number(&mut conn, "stats", "expired_keys"), 0);
        conn.line("CLIENT UNPAUSE");
        // Each is told of once, and only now.
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut told = 0;
        while told < 8 {
            assert!(Instant::now() < deadline);
            told += usize::from(watcher.read().unwrap().items()[2].text().ends_with(":hexpired"));
        }
        while conn.line("DBSIZE").int() != Some(4) {
            assert!(Instant::now() < deadline);
        }
    }
}
