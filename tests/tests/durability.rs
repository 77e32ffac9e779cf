//! What is kept: after kill -9, after a stop, over another number of shards; files that redis-server reads and writes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests"
)]

#[path = "durability/encryption.rs"]
mod encryption;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use ringstone_tests::pitr;
use ringstone_tests::resp::{Conn, Value};
use ringstone_tests::server::{Binary, Home, Launch, Server};

/// One key of each type, encodings small and large, an expiry.
fn fill(conn: &mut Conn) {
    let lines = [
        "SET s text",
        "SET n 12345",
        "SET with-ttl gone-in-2100 EXAT 4102444800",
        "RPUSH l a b c 1 2 3",
        "SADD ints 1 2 3 900000",
        "SADD words a b c",
        "HSET h f1 v1 f2 2",
        "ZADD z 1 one 2.5 two inf three",
        "SELECT 3",
        "SET in-db-3 yes",
        "SELECT 0",
    ];
    for line in lines {
        let reply = conn.line(line);
        assert!(!reply.is_error(), "{line}: {reply:?}");
    }
    for n in 0..600 {
        conn.line(&format!("RPUSH long-list item-{n}"));
        conn.line(&format!("HSET big-hash field-{n} value-{n}"));
        conn.line(&format!("SADD big-set member-{n}"));
        conn.line(&format!("ZADD big-zset {n} member-{n}"));
        conn.line(&format!("SET key-{n} value-{n}"));
    }
}

/// A digest of all databases; the same on both servers for the same data.
fn digest(server: &Server) -> String {
    server.conn().line("DEBUG DIGEST").text()
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ours() -> Launch {
    Launch::ringstone().set("enable-debug-command", "yes").shards(2)
}

fn theirs() -> Launch {
    Launch::redis().set("enable-debug-command", "yes")
}

#[test]
fn keeps_acknowledged_writes_through_kill_in_each_fsync_mode() {
    for fsync in ["always", "everysec", "no"] {
        let home = Home::new();
        let server = ours().log(fsync).start(&home);
        fill(&mut server.conn());
        let before = digest(&server);
        server.kill();
        let server = ours().log(fsync).start(&home);
        assert_eq!(digest(&server), before, "fsync {fsync}");
        assert_eq!(server.conn().line("TTL with-ttl").int().map(|t| t > 1_000_000), Some(true));
    }
}

#[test]
fn restarts_with_another_number_of_shards() {
    let home = Home::new();
    let mut before = String::new();
    for shards in [1, 3, 2, 4, 1] {
        let server = ours().log("always").shards(shards).start(&home);
        if before.is_empty() {
            fill(&mut server.conn());
        } else {
            assert_eq!(digest(&server), before, "{shards} shards");
        }
        server.conn().line(&format!("SET shards-{shards} x"));
        before = digest(&server);
        server.kill();
    }
}

#[test]
fn a_log_rewrite_changes_nothing_and_survives_a_kill() {
    let home = Home::new();
    let server = ours().log("always").start(&home);
    let mut conn = server.conn();
    fill(&mut conn);
    let reply = conn.line("BGREWRITEAOF");
    assert!(!reply.is_error(), "{reply:?}");
    // Writes go on meanwhile.
    for n in 0..200 {
        conn.line(&format!("SET meanwhile-{n} {n}"));
    }
    wait_for("the end of the rewrite", || {
        conn.info("persistence", "aof_rewrite_in_progress") == "0"
    });
    assert_eq!(conn.info("persistence", "aof_last_bgrewrite_status"), "ok");
    conn.line("SET after yes");
    let before = digest(&server);
    server.kill();
    let server = ours().log("always").start(&home);
    assert_eq!(digest(&server), before);
}

#[test]
fn redis_loads_our_snapshot() {
    let home = Home::new();
    let server = ours().start(&home);
    fill(&mut server.conn());
    assert_eq!(server.conn().line("SAVE"), Value::Simple("OK".into()));
    let before = digest(&server);
    drop(server);
    let check = Command::new("redis-check-rdb").arg(home.data().join("dump.rdb")).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    assert_eq!(digest(&theirs().start(&home)), before);
}

#[test]
fn a_background_snapshot_under_writes_loads_everywhere() {
    let home = Home::new();
    let server = ours().start(&home);
    let mut conn = server.conn();
    fill(&mut conn);
    let saved = conn.line("LASTSAVE").int();
    // LASTSAVE counts seconds.
    wait_for("the next second", || conn.line("TIME").items()[0].int() > saved);
    assert!(!conn.line("BGSAVE").is_error());
    for n in 0..300 {
        conn.line(&format!("SET key-{n} changed"));
    }
    wait_for("the end of the snapshot", || conn.line("LASTSAVE").int() > saved);
    assert_eq!(conn.info("persistence", "rdb_last_bgsave_status"), "ok");
    let len = conn.line("DBSIZE").int();
    server.kill();
    for launch in [theirs(), ours().shards(3)] {
        assert_eq!(launch.start(&home).conn().line("DBSIZE").int(), len);
    }
}

#[test]
fn a_snapshot_holds_large_collections_that_transactions_borrow_meanwhile() {
    let home = Home::new();
    let server = ours().start(&home);
    let mut conn = server.conn();
    for n in 0..40 {
        let members: Vec<String> = (0..500).map(|m| format!("member-{}", n * 500 + m)).collect();
        conn.line(&format!("SADD {{a}}set {}", members.join(" ")));
        conn.line(&format!("XADD {{a}}stream * {}", "field value ".repeat(100).trim()));
        conn.line(&format!("XADD {{a}}stream * {}", "field value ".repeat(300).trim()));
    }
    assert!(conn.line("MEMORY USAGE {a}set").int() > Some(1 << 18));
    assert!(conn.line("MEMORY USAGE {a}stream").int() > Some(1 << 16));
    let saves = conn.info("persistence", "rdb_saves");
    assert!(!conn.line("BGSAVE").is_error());
    let mut moved = 0;
    // {a} and {b} are of different shards.
    while conn.info("persistence", "rdb_saves") == saves {
        for key in ["set", "stream"] {
            let (from, to) = if moved % 2 == 0 { ("a", "b") } else { ("b", "a") };
            let reply = conn.line(&format!("RENAME {{{from}}}{key} {{{to}}}{key}"));
            assert_eq!(reply.text(), "OK");
        }
        moved += 1;
    }
    server.kill();
    for launch in [theirs(), ours().shards(3)] {
        let server = launch.start(&home);
        let mut conn = server.conn();
        let count = |conn: &mut Conn, command: &str, key: &str| {
            ["a", "b"].map(|tag| conn.line(&format!("{command} {{{tag}}}{key}")).int().unwrap())
        };
        let (sets, streams) =
            (count(&mut conn, "SCARD", "set"), count(&mut conn, "XLEN", "stream"));
        assert_eq!(sets.iter().sum::<i64>(), 20_000, "{sets:?}");
        assert_eq!(streams.iter().sum::<i64>(), 80, "{streams:?}");
    }
}

#[test]
fn idle_times_begin_at_the_start_and_restored_ones_are_kept() {
    let home = Home::new();
    let server = ours().log("always").start(&home);
    let mut conn = server.conn();
    conn.line("SET plain 1");
    conn.line("SET a 1");
    let dump = match conn.line("DUMP a") {
        Value::Bulk(bytes) => bytes,
        other => panic!("{other:?}"),
    };
    let words: [&[u8]; 6] = [b"RESTORE", b"idle", b"0", &dump, b"IDLETIME", b"5000"];
    assert_eq!(conn.call(&words).unwrap().text(), "OK");
    let idle = |conn: &mut Conn, key: &str| conn.line(&format!("OBJECT IDLETIME {key}")).int();
    assert!((Some(5000)..Some(5100)).contains(&idle(&mut conn, "idle")));
    server.kill();
    let server = ours().log("always").start(&home);
    let mut conn = server.conn();
    assert!((Some(5000)..Some(5100)).contains(&idle(&mut conn, "idle")));
    assert!(idle(&mut conn, "plain") < Some(100));
}

#[test]
fn debug_reload_merges_what_was_saved_with_what_is_there() {
    for shards in [1, 2] {
        let home = Home::new();
        let server = ours().log("everysec").shards(shards).start(&home);
        let mut conn = server.conn();
        let ok = |conn: &mut Conn, line: &str| assert_eq!(conn.line(line).text(), "OK", "{line}");
        ok(&mut conn, "MSET a saved b saved");
        ok(&mut conn, "SAVE");
        ok(&mut conn, "MSET a changed c new");
        let reply = conn.line("DEBUG RELOAD NOSAVE NOFLUSH");
        let failed = "ERR Error trying to load the RDB dump";
        assert_eq!(reply.text(), failed, "a key that is there already");
        assert_eq!(conn.line("GET a").text(), "changed");
        ok(&mut conn, "DEBUG RELOAD NOSAVE MERGE NOFLUSH");
        let values = |conn: &mut Conn| -> Vec<String> {
            conn.line("MGET a b c").items().iter().map(Value::text).collect()
        };
        assert_eq!(values(&mut conn), ["saved", "saved", "new"]);
        conn.line("DEL a b");
        ok(&mut conn, "DEBUG RELOAD NOSAVE NOFLUSH");
        assert_eq!(values(&mut conn), ["saved", "saved", "new"]);
        ok(&mut conn, "SET a logged");
        server.kill();
        let server = ours().log("everysec").shards(shards).start(&home);
        assert_eq!(values(&mut server.conn()), ["logged", "saved", "new"], "the log knows");
        ok(&mut server.conn(), "DEBUG RELOAD NOSAVE");
        assert_eq!(values(&mut server.conn())[0], "saved");
        assert_eq!(server.conn().line("EXISTS c").int(), Some(0));
        ok(&mut server.conn(), "DEBUG LOADAOF");
        assert_eq!(values(&mut server.conn())[0], "saved");
        assert!(server.conn().line("DEBUG RELOAD SOMETHING").is_error());
    }
}

#[test]
fn loads_what_redis_saved() {
    let home = Home::new();
    let server = theirs().start(&home);
    fill(&mut server.conn());
    server.conn().line("SAVE");
    let before = digest(&server);
    drop(server);
    assert_eq!(digest(&ours().start(&home)), before);
}

#[test]
fn a_log_begins_with_the_snapshot_that_is_there() {
    let home = Home::new();
    let server = theirs().start(&home);
    fill(&mut server.conn());
    server.conn().line("SAVE");
    let before = digest(&server);
    drop(server);
    for _ in 0..2 {
        let server = ours().log("always").start(&home);
        assert_eq!(digest(&server), before);
        server.kill();
        // From now on the log alone counts.
        let _ = fs::remove_file(home.data().join("dump.rdb"));
    }
}

#[test]
fn an_expiry_passes_while_the_server_is_down() {
    let home = Home::new();
    let server = ours().log("always").start(&home);
    let mut conn = server.conn();
    conn.line("SET short v PX 50");
    conn.line("SET stays v");
    server.kill();
    let gone_at = Instant::now() + Duration::from_millis(60);
    wait_for("the expiry", || Instant::now() > gone_at);
    let server = ours().log("always").start(&home);
    assert_eq!(server.conn().line("GET short"), Value::Null);
    assert_eq!(server.conn().line("GET stays").text(), "v");
}

#[test]
fn refuses_a_damaged_snapshot_and_says_so() {
    let home = Home::new();
    let server = ours().start(&home);
    fill(&mut server.conn());
    server.conn().line("SAVE");
    drop(server);
    let path = home.data().join("dump.rdb");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(&path, bytes).unwrap();
    let error = ours().try_start(&home).expect_err("a damaged file must not be served");
    assert!(error.status.is_some_and(|s| !s.success()), "{error}");
    assert!(error.log.contains("dump.rdb"), "{error}");
    assert!(!error.log.contains("panicked"), "{error}");
}

#[test]
fn any_instant_of_a_recorded_history_is_restored_exactly() {
    let options = pitr::Options {
        binary: Binary::ringstone(),
        rounds: 3,
        round: Duration::from_secs(2),
        instants: 6,
        fsync: "everysec".to_owned(),
        seed: 11,
        set: Vec::new(),
    };
    let report = pitr::run(&options).unwrap_or_else(|difference| panic!("{difference}"));
    assert_eq!(report.restored, 6);
    assert!(report.rewrites > 0 && report.kills > 0, "{report:?}");
}

/// Waits until a field of INFO persistence is as wanted.
fn wait_for_field(conn: &mut Conn, field: &str, wanted: impl Fn(&str) -> bool) -> String {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let value = conn.info("persistence", field);
        if wanted(&value) {
            return value;
        }
        assert!(Instant::now() < until, "{field} is {value}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_archive_that_does_not_work_stops_nobody_and_gets_everything_once_it_does() {
    let home = Home::new();
    // A file is in the way.
    let archive = home.file("archive");
    fs::write(&archive, "").unwrap();
    let launch = Launch::ringstone().shards(2).log("everysec").set("log-segment-size", "1mb");
    let launch = launch.set("log-archive-interval-seconds", 1);
    let server = launch.clone().start(&home);
    let mut conn = server.conn();
    assert_eq!(conn.info("persistence", "log_archive_enabled"), "0");
    let path = archive.display().to_string();
    assert_eq!(conn.call(&["CONFIG", "SET", "log-archive-dir", &path]).unwrap().text(), "OK");
    for n in 0..600 {
        conn.line(&format!("SET key{n} {}", "v".repeat(10_000)));
    }
    wait_for_field(&mut conn, "log_archive_state", |state| state == "failing");
    assert!(!conn.info("persistence", "log_archive_last_error").is_empty());
    let segments = || {
        let names = fs::read_dir(home.data().join("appendonly")).unwrap().flatten();
        names.filter(|e| e.file_name().to_string_lossy().ends_with(".log")).count()
    };
    let before = segments();
    conn.line("BGREWRITEAOF");
    wait_for_field(&mut conn, "aof_rewrites", |rewrites| rewrites == "1");
    assert!(segments() >= before, "segments are kept for the archive");
    conn.line("SET after rewrite");
    // Nothing of it is lost by a kill.
    server.kill();
    let launch = launch.set("log-archive-dir", &path);
    let server = launch.start(&home);
    let mut conn = server.conn();
    wait_for_field(&mut conn, "log_archive_state", |state| state == "failing");
    fs::remove_file(&archive).unwrap();
    wait_for_field(&mut conn, "log_archive_state", |state| state == "ok");
    let gsn = conn.info("persistence", "log_gsn");
    wait_for_field(&mut conn, "log_archive_last_gsn", |last| last == gsn);
    assert_eq!(conn.info("persistence", "log_archive_losses"), "0");
    drop(conn);
    server.stop();
    let list = pitr::restore(&Binary::ringstone(), &archive, &["--list"]).unwrap();
    assert!(list.contains(&format!("GSN 0 to {gsn}")), "{list}");
    let to = Home::new();
    let dir = to.data().display().to_string();
    pitr::restore(&Binary::ringstone(), &archive, &["--latest", "--dir", &dir]).unwrap();
    let again = pitr::restore(&Binary::ringstone(), &archive, &["--latest", "--dir", &dir]);
    assert!(again.unwrap_err().contains("is not empty"));
    let server = Launch::ringstone().shards(1).log("always").start(&to);
    assert_eq!(server.conn().line("DBSIZE").int(), Some(601));
    server.stop();
}

#[test]
fn an_archive_that_is_too_far_behind_is_given_up_and_the_loss_is_told() {
    let home = Home::new();
    let archive = home.file("archive");
    let server = Launch::ringstone()
        .shards(1)
        .log("everysec")
        .set("log-segment-size", "1mb")
        .set("log-archive-dir", archive.display())
        .set("log-archive-backlog-max", "2mb")
        .start(&home);
    let mut conn = server.conn();
    conn.line("SET first 1");
    conn.line("BGREWRITEAOF");
    wait_for_field(&mut conn, "log_archive_last_gsn", |gsn| gsn.parse::<u64>().unwrap() > 1);
    // A file gets in the way.
    let away = home.file("away");
    fs::rename(&archive, &away).unwrap();
    fs::write(&archive, "").unwrap();
    for n in 0..600 {
        conn.line(&format!("SET key{n} {}", "v".repeat(10_000)));
    }
    wait_for_field(&mut conn, "log_archive_state", |state| state == "losing");
    conn.line("BGREWRITEAOF");
    wait_for_field(&mut conn, "aof_rewrites", |rewrites| rewrites == "2");
    for n in 0..600 {
        conn.line(&format!("SET key{n} {}", "w".repeat(10_000)));
    }
    fs::remove_file(&archive).unwrap();
    fs::rename(&away, &archive).unwrap();
    wait_for_field(&mut conn, "log_archive_state", |state| state == "ok");
    assert_eq!(conn.info("persistence", "log_archive_losses"), "1");
    assert!(server.log_text().contains("log-archive-backlog-max"));
    drop(conn);
    server.stop();
    let dir = home.file("restored").display().to_string();
    let error = pitr::restore(&Binary::ringstone(), &archive, &["--to-gsn", "300", "--dir", &dir]);
    assert!(error.unwrap_err().contains("what can be restored: GSN"));
}
