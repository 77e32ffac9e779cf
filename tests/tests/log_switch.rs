//! `CONFIG SET appendonly` while the server runs: what a start with `appendonly yes` finds, wherever the server was killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use ringstone_tests::crash::Random;
use ringstone_tests::resp::{Conn, Value};
use ringstone_tests::server::{Home, Launch, Server};

fn launch(shards: usize) -> Launch {
    Launch::ringstone().set("enable-debug-command", "yes").shards(shards)
}

fn ok(conn: &mut Conn, line: &str) {
    assert_eq!(conn.line(line), Value::Simple("OK".into()), "{line}");
}

fn fill(conn: &mut Conn) {
    for n in 0..80 {
        ok(conn, &format!("SET key-{n} value-{n}"));
        conn.line(&format!("RPUSH list {n}"));
        conn.line(&format!("HSET hash-{} f{n} {n}", n % 7));
    }
}

fn digest(server: &Server) -> String {
    server.conn().line("DEBUG DIGEST").text()
}

#[test]
fn a_log_that_begins_live_holds_what_was_there_and_what_follows() {
    for (shards, fsync) in [(1, "always"), (2, "everysec"), (3, "always")] {
        let home = Home::new();
        let server = launch(shards).set("appendfsync", fsync).start(&home);
        let mut conn = server.conn();
        fill(&mut conn);
        assert_eq!(conn.info("persistence", "aof_enabled"), "0");
        assert_eq!(conn.line("CONFIG GET appendonly").items()[1].text(), "no");
        ok(&mut conn, "CONFIG SET appendonly yes");
        assert_eq!(conn.info("persistence", "aof_enabled"), "1");
        assert_eq!(conn.info("persistence", "aof_rewrite_in_progress"), "0");
        ok(&mut conn, "MSET key-1 later key-2 later key-3 later");
        ok(&mut conn, "CONFIG SET appendonly yes");
        ok(&mut conn, "SET last one");
        let before = digest(&server);
        server.kill();
        let server = launch(2).log(fsync).start(&home);
        assert_eq!(digest(&server), before, "{shards} shards, {fsync}");
        assert!(!server.conn().line("BGREWRITEAOF").is_error());
    }
}

#[test]
fn a_log_that_ends_live_is_whole_up_to_there_and_goes_on_when_it_begins_again() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = launch(shards).log("everysec").start(&home);
        let mut conn = server.conn();
        fill(&mut conn);
        let at_end = digest(&server);
        ok(&mut conn, "CONFIG SET appendonly no");
        assert_eq!(conn.info("persistence", "aof_enabled"), "0");
        ok(&mut conn, "SET unlogged 1");
        server.kill();

        let server = launch(shards).log("always").start(&home);
        assert_eq!(digest(&server), at_end, "what was acknowledged while there was a log");
        let mut conn = server.conn();
        for round in 0..5 {
            ok(&mut conn, "CONFIG SET appendonly no");
            ok(&mut conn, &format!("SET round {round}"));
            ok(&mut conn, "CONFIG SET appendonly yes appendfsync everysec");
            ok(&mut conn, &format!("SET after {round}"));
        }
        let before = digest(&server);
        server.kill();
        let server = launch(shards).log("always").start(&home);
        assert_eq!(digest(&server), before);
        assert!(!server.log_text().contains("moved"), "nothing was in the way");
    }
}

#[test]
fn a_snapshot_that_was_saved_without_the_log_is_newer_than_the_log() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = launch(shards).log("always").start(&home);
        let mut conn = server.conn();
        ok(&mut conn, "SET a logged");
        ok(&mut conn, "SET b logged");
        ok(&mut conn, "CONFIG SET appendonly no");
        ok(&mut conn, "SET a saved");
        ok(&mut conn, "SAVE");
        ok(&mut conn, "SET a lost");
        server.kill();

        let server = launch(shards).log("always").start(&home);
        let mut conn = server.conn();
        assert_eq!(conn.line("GET a").text(), "saved");
        assert_eq!(conn.line("GET b").text(), "logged");
        ok(&mut conn, "SET a again");
        server.kill();
        let server = launch(shards).log("always").start(&home);
        assert_eq!(server.conn().line("GET a").text(), "again", "the log is the newer one again");
        server.kill();

        // Off in the configuration, not by CONFIG SET: the same rule.
        let server = launch(shards).start(&home);
        assert_eq!(server.conn().line("GET a").text(), "saved", "as Redis: the snapshot");
        ok(&mut server.conn(), "SET a newest");
        ok(&mut server.conn(), "SAVE");
        server.kill();
        let server = launch(shards).log("always").start(&home);
        assert_eq!(server.conn().line("GET a").text(), "newest");
    }
}

#[test]
fn a_log_whose_newer_snapshot_was_removed_is_taken_and_stays_taken() {
    let home = Home::new();
    let server = launch(2).log("always").start(&home);
    let mut conn = server.conn();
    ok(&mut conn, "SET a logged");
    ok(&mut conn, "CONFIG SET appendonly no");
    ok(&mut conn, "SAVE");
    server.kill();
    std::fs::remove_file(home.data().join("dump.rdb")).unwrap();
    let server = launch(2).log("always").start(&home);
    let mut conn = server.conn();
    assert_eq!(conn.line("GET a").text(), "logged");
    ok(&mut conn, "SAVE");
    ok(&mut conn, "SET a later");
    server.kill();
    let server = launch(2).log("always").start(&home);
    assert_eq!(server.conn().line("GET a").text(), "later");
}

#[test]
fn what_config_set_did_is_what_config_rewrite_keeps() {
    let home = Home::new();
    let conf = home.file("r.conf");
    std::fs::write(&conf, "appendonly no\nsave \"\"\nshards 2\n").unwrap();
    let launch = Launch::ringstone().bare().conf(&conf);
    let server = launch.start(&home);
    let mut conn = server.conn();
    ok(&mut conn, "SET a 1");
    ok(&mut conn, "CONFIG SET appendonly yes");
    ok(&mut conn, "CONFIG REWRITE");
    ok(&mut conn, "SET a 2");
    server.kill();
    let server = launch.start(&home);
    assert_eq!(server.conn().line("GET a").text(), "2");
}

#[test]
fn a_log_that_cannot_begin_is_an_error_and_leaves_the_parameter_as_it_was() {
    let home = Home::new();
    std::fs::create_dir_all(home.data().join("appendonly")).unwrap();
    std::fs::write(home.data().join("appendonly/MANIFEST"), "not one\n").unwrap();
    let server = launch(2).start(&home);
    let mut conn = server.conn();
    let reply = conn.line("CONFIG SET appendonly yes hz 20");
    assert_eq!(
        reply.text(),
        "ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check server logs."
    );
    assert_eq!(conn.line("CONFIG GET appendonly").items()[1].text(), "no");
    assert_eq!(conn.line("CONFIG GET hz").items()[1].text(), "10");
    assert_eq!(conn.info("persistence", "aof_enabled"), "0");
    ok(&mut conn, "SET a 1");
    ok(&mut conn, "SAVE");
    std::fs::remove_file(home.data().join("appendonly/MANIFEST")).unwrap();
    ok(&mut conn, "CONFIG SET appendonly yes");
    assert_eq!(conn.info("persistence", "aof_enabled"), "1");
}

/// Keys that a writer sets to rising numbers.
const KEYS: usize = 4;

/// What is known of what must be there.
#[derive(Default)]
struct Ledger {
    attempted: [AtomicU64; KEYS],
    acked: [AtomicU64; KEYS],
}

impl Ledger {
    fn acked(&self) -> [u64; KEYS] {
        std::array::from_fn(|key| self.acked[key].load(Ordering::SeqCst))
    }
}

/// Writes one key, and with each number a group over several shards, until the server is gone.
fn write(key: usize, port: u16, ledger: &Ledger, stop: &AtomicBool) {
    let Ok(mut conn) = Conn::connect(port) else { return };
    let mut number = ledger.attempted[key].load(Ordering::SeqCst);
    while !stop.load(Ordering::SeqCst) {
        number += 1;
        ledger.attempted[key].store(number, Ordering::SeqCst);
        let n = number.to_string();
        let names = [format!("k{key}"), format!("x{key}"), format!("y{key}")];
        let mut words = vec!["MSET"];
        names.iter().for_each(|name| words.extend([name.as_str(), n.as_str()]));
        match conn.call(&words) {
            Ok(reply) if !reply.is_error() => ledger.acked[key].store(number, Ordering::SeqCst),
            _ => return,
        }
    }
}

/// Switches and saves at random until the server is gone; what must be found afterwards.
fn switch(
    port: u16,
    mut random: Random,
    ledger: &Ledger,
    mut is_on: bool,
    mut floor: [u64; KEYS],
) -> ([u64; KEYS], bool) {
    let Ok(mut conn) = Conn::connect(port) else { return (floor, is_on) };
    let raise = |floor: &mut [u64; KEYS], to: [u64; KEYS]| {
        floor.iter_mut().zip(to).for_each(|(floor, to)| *floor = (*floor).max(to))
    };
    loop {
        thread::sleep(Duration::from_millis(random.below(12)));
        let before = ledger.acked();
        let action = random.below(5);
        let (begins, ends) = (action < 2, action == 2 || action == 3);
        let words: &[&str] = match (begins, ends) {
            (true, _) => &["CONFIG", "SET", "appendonly", "yes"],
            (_, true) => &["CONFIG", "SET", "appendonly", "no"],
            _ => &["SAVE"],
        };
        if ends && is_on {
            raise(&mut floor, before);
            is_on = false;
        }
        match conn.call(words) {
            Ok(reply) if reply.is_error() => {
                panic!("{words:?}: {}", reply.text());
            }
            Ok(_) if ends => {}
            Ok(_) => {
                is_on |= begins;
                raise(&mut floor, before);
            }
            Err(_) => {
                if is_on {
                    raise(&mut floor, before);
                }
                return (floor, is_on);
            }
        }
    }
}

#[test]
fn nothing_acknowledged_under_a_log_is_lost_when_the_server_is_killed_around_a_switch() {
    let rounds: u64 =
        std::env::var("RINGSTONE_SWITCH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    let home = Home::new();
    let ledger = Ledger::default();
    let mut random = Random::new(7);
    let (mut floor, mut is_on) = ([0; KEYS], false);
    let mut server = launch(2).start(&home);
    for round in 0..rounds {
        let (stop, port) = (AtomicBool::new(false), server.port());
        let seed = Random::new(random.next());
        (floor, is_on) = thread::scope(|scope| {
            for key in 0..KEYS {
                scope.spawn({
                    let (ledger, stop) = (&ledger, &stop);
                    move || write(key, port, ledger, stop)
                });
            }
            let switcher = scope.spawn({
                let ledger = &ledger;
                move || switch(port, seed, ledger, is_on, floor)
            });
            thread::sleep(Duration::from_millis(20 + random.below(400)));
            server.kill();
            stop.store(true, Ordering::SeqCst);
            switcher.join().unwrap()
        });
        if is_on {
            floor = ledger.acked();
        }
        let shards = 1 + usize::try_from(random.below(3)).unwrap();
        let fsync = if random.one_in(2) { "always" } else { "everysec" };
        server = launch(shards).log(fsync).start(&home);
        let mut conn = server.conn();
        for (key, floor) in floor.iter_mut().enumerate() {
            let found = conn.line(&format!("MGET k{key} x{key} y{key}"));
            let numbers: Vec<u64> =
                found.items().iter().map(|v| v.text().parse().unwrap_or(0)).collect();
            assert!(numbers.iter().all(|n| *n == numbers[0]), "torn in round {round}: {numbers:?}");
            let attempted = ledger.attempted[key].load(Ordering::SeqCst);
            assert!(
                (*floor..=attempted).contains(&numbers[0]),
                "round {round}, key {key}: found {}, acknowledged {floor}, attempted {attempted}",
                numbers[0],
            );
            // The next round goes on from here.
            *floor = numbers[0];
            ledger.acked[key].store(numbers[0], Ordering::SeqCst);
        }
        is_on = true;
    }
}

fn wait_for_rewrite(conn: &mut Conn, rewrites: usize) {
    let done = |conn: &mut Conn| {
        let text = conn.line("INFO persistence").text();
        conn.info("persistence", "aof_rewrite_in_progress") == "0"
            && conn.info("persistence", "aof_rewrite_scheduled") == "0"
            && text.contains("aof_last_bgrewrite_status:ok")
            && conn.info("persistence", "aof_rewrites") == rewrites.to_string()
    };
    for _ in 0..4000 {
        if done(conn) {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("{}", conn.line("INFO persistence").text());
}

#[test]
fn a_rewrite_without_the_log_leaves_one_that_is_as_new_as_it_seems() {
    for shards in [1, 2] {
        let home = Home::new();
        let on = || launch(shards).log("everysec");
        let server = launch(shards).start(&home);
        let mut conn = server.conn();
        assert!(conn.line("DEBUG LOADAOF").is_error(), "there is none");
        fill(&mut conn);
        ok(&mut conn, "SAVE");
        ok(&mut conn, "SET when rewritten");
        let code = "#!lua name=l\nredis.register_function('f', function() return 1 end)";
        conn.call(&["FUNCTION", "LOAD", code]).unwrap();
        let before = digest(&server);
        let reply = conn.line("BGREWRITEAOF").text();
        assert_eq!(reply, "Background append only file rewriting started");
        wait_for_rewrite(&mut conn, 1);
        assert_eq!(conn.info("persistence", "aof_enabled"), "0");
        assert_eq!(conn.line("CONFIG GET appendonly").items()[1].text(), "no");
        ok(&mut conn, "SET when later");
        conn.line("FUNCTION FLUSH");
        ok(&mut conn, "DEBUG LOADAOF");
        assert_eq!(digest(&server), before);
        assert_eq!(conn.line("FCALL f 0").int(), Some(1));
        // Newer than the snapshot: a start with the log takes it.
        server.kill();
        let server = on().start(&home);
        assert_eq!(digest(&server), before);
        server.stop();
        // A snapshot that is saved later is newer than it.
        let server = launch(shards).start(&home);
        let mut conn = server.conn();
        ok(&mut conn, "SET when rewritten");
        conn.line("BGREWRITEAOF");
        wait_for_rewrite(&mut conn, 1);
        ok(&mut conn, "SET when saved");
        ok(&mut conn, "SAVE");
        server.kill();
        let server = on().start(&home);
        let mut conn = server.conn();
        assert_eq!(conn.line("GET when").text(), "saved");
        // And it goes on as any log.
        ok(&mut conn, "SET when logged");
        ok(&mut conn, "CONFIG SET appendonly no");
        conn.line("BGREWRITEAOF");
        wait_for_rewrite(&mut conn, 1);
        ok(&mut conn, "CONFIG SET appendonly yes");
        ok(&mut conn, "SET last one");
        server.kill();
        let server = on().start(&home);
        assert_eq!(server.conn().line("GET when").text(), "logged");
        assert_eq!(server.conn().line("GET last").text(), "one");
    }
}
