//! Section 5 of the design, shown from outside: what clients are answered, what INFO and the log say, what the next start finds.

use std::fs;
use std::time::{Duration, Instant};

use ringstone_tests::crash::place::{Ground, Place, SmallDisk};
use ringstone_tests::power::{Call, Effect, Rule};
use ringstone_tests::resp::{Conn, Value};
use ringstone_tests::server::{Home, Launch, Server, target_dir};

const VARIABLE: &str = "RINGSTONE_FAILPOINTS";
const VALUE_BYTES: usize = 20_000;

fn launch(fsync: &str) -> Launch {
    Launch::ringstone().shards(2).log(fsync).set("log-segment-size", "1mb")
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_misconf(reply: &Value) -> bool {
    reply.is_error() && reply.text().starts_with("MISCONF")
}

/// Keys `k0`, `k1` ... that were acknowledged with their own number.
fn assert_all_there(server: &Server, acked: usize) {
    let conn = &mut server.conn();
    for n in 0..acked {
        let found = conn.line(&format!("GET k{n}")).text();
        assert!(found.starts_with(&format!("{n}:")), "k{n} of {acked} is {found:.20}");
    }
}

fn set(conn: &mut Conn, n: usize) -> Value {
    let value = format!("{n}:{}", "v".repeat(VALUE_BYTES));
    conn.call(&["SET", &format!("k{n}"), &value]).unwrap()
}

#[test]
fn a_full_disk_refuses_writes_and_ping_before_anything_runs_and_is_left_by_itself() {
    let parent = target_dir().join("tmp");
    for fsync in ["always", "everysec"] {
        let disk = match SmallDisk::new(&parent, 48) {
            Ok(disk) => disk,
            Err(why) => return eprintln!("skipped: disk full: {why}"),
        };
        let home = Home::with_data(&disk.path().join("data"));
        let server = launch(fsync).start(&home);
        let conn = &mut server.conn();
        let mut acked = 0;
        while acked < 20 {
            assert_eq!(set(conn, acked).text(), "OK");
            acked += 1;
        }
        disk.fill().unwrap();
        let refused = loop {
            assert!(acked < 2000, "the disk is full and writes go on");
            let reply = set(conn, acked);
            if reply.is_error() {
                break reply;
            }
            acked += 1;
        };
        assert!(is_misconf(&refused) && refused.text().contains("No space"), "{refused:?}");
        assert!(is_misconf(&conn.line("PING")));
        // Keys of both shards; a transaction; a script: nothing of it runs.
        for key in ["a", "b", "c", "d"] {
            assert!(is_misconf(&conn.line(&format!("SET {key} x"))), "{key}");
            assert_eq!(conn.line(&format!("EXISTS {key}")).int(), Some(0));
        }
        conn.line("MULTI");
        assert!(is_misconf(&conn.line("SET a x")));
        assert!(conn.line("EXEC").text().starts_with("EXECABORT"));
        let script = ["EVAL", "return redis.call('SET', KEYS[1], 'x')", "1", "a"];
        assert!(is_misconf(&conn.call(&script).unwrap()));
        assert_eq!(conn.line("EXISTS a b c d").int(), Some(0));
        assert!(conn.line("GET k3").text().starts_with("3:"), "reads go on");
        assert_eq!(conn.info("persistence", "aof_last_write_status"), "err");
        assert_eq!(conn.info("persistence", "log_state"), "refusing-writes");
        assert!(conn.info("persistence", "log_last_error").contains("No space"));
        assert!(server.log_text().contains("Writes are refused until"), "{}", server.log_text());

        disk.free().unwrap();
        wait_for("PONG", || conn.line("PING").text() == "PONG");
        for _ in 0..60 {
            assert_eq!(set(conn, acked).text(), "OK");
            acked += 1;
        }
        assert_eq!(conn.info("persistence", "log_state"), "ok");
        assert_eq!(conn.info("persistence", "aof_last_write_status"), "ok");
        assert!(server.log_text().contains("there is space again"), "{}", server.log_text());
        server.kill();
        let server = launch(fsync).start(&home);
        assert_all_there(&server, acked);
        assert_eq!(server.conn().line("EXISTS a b c d").int(), Some(0));
    }
}

#[test]
fn a_start_on_a_full_disk_is_refused_with_the_reason_and_changes_nothing() {
    let disk = match SmallDisk::new(&target_dir().join("tmp"), 48) {
        Ok(disk) => disk,
        Err(why) => return eprintln!("skipped: disk full at the start: {why}"),
    };
    let home = Home::with_data(&disk.path().join("data"));
    let server = launch("always").start(&home);
    let conn = &mut server.conn();
    (0..30).for_each(|n| assert_eq!(set(conn, n).text(), "OK"));
    server.kill();
    disk.fill().unwrap();
    let error = launch("always").try_start(&home).expect_err("there is no space for MANIFEST");
    assert!(error.log.contains("MANIFEST") && error.log.contains("No space"), "{error}");
    disk.free().unwrap();
    assert_all_there(&launch("always").start(&home), 30);
}

#[test]
fn frames_whose_write_failed_go_to_a_fresh_segment_and_replies_wait_for_that() {
    for failing in ["log-written:4:eio", "log-open:2:eio", "log-written:4:eio,log-written:9:eio"] {
        let home = Home::new();
        let server = launch("always").env(VARIABLE, failing).start(&home);
        let conn = &mut server.conn();
        (0..150).for_each(|n| assert_eq!(set(conn, n).text(), "OK", "{failing}"));
        assert_eq!(conn.info("persistence", "aof_last_write_status"), "ok");
        assert!(
            conn.info("persistence", "log_last_error").contains("Input/output error"),
            "{failing}"
        );
        assert!(server.log_text().contains("Input/output error"), "{}", server.log_text());
        server.kill();
        assert_all_there(&launch("always").start(&home), 150);
    }
}

#[test]
fn a_log_that_cannot_be_written_at_all_ends_the_server_without_acknowledging() {
    for fsync in ["always", "everysec"] {
        let home = Home::new();
        let mut server = launch(fsync).env(VARIABLE, "log-written:4+:eio").start(&home);
        let conn = &mut server.conn();
        let mut acked = 0;
        let value = "v".repeat(VALUE_BYTES);
        while acked < 2000 {
            let (key, value) = (format!("k{acked}"), format!("{acked}:{value}"));
            match conn.call(&["SET", &key, &value]) {
                Ok(reply) => assert_eq!(reply.text(), "OK"),
                Err(_) => break,
            }
            acked += 1;
        }
        assert!(acked < 2000, "{fsync}: acknowledged although nothing can be written");
        assert!(!server.wait_exit().success());
        let text = server.log_text();
        assert!(text.contains("cannot be written even into a fresh segment"), "{text}");
        assert_all_there(&launch(fsync).start(&home), acked);
    }
}

#[test]
fn a_segment_that_cannot_be_read_is_a_refusal_that_names_file_and_offset() {
    let home = Home::new();
    let server = launch("always").start(&home);
    let conn = &mut server.conn();
    (0..100).for_each(|n| assert_eq!(set(conn, n).text(), "OK"));
    server.kill();
    let names = || {
        let mut names: Vec<_> = fs::read_dir(home.data().join("appendonly"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = names();
    // While they are scanned; and while their frames are applied.
    for failing in ["segment-read:3+:eio", "segment-read:1:eio", "manifest-read:1:eio"] {
        let error = launch("always").env(VARIABLE, failing).try_start(&home).unwrap_err();
        let (file, text) = if failing.starts_with("manifest") {
            ("MANIFEST", "Input/output error")
        } else {
            (".log", "at offset ")
        };
        assert!(error.log.contains(file) && error.log.contains(text), "{error}");
        assert!(error.log.contains("Input/output error"), "{error}");
        assert_eq!(names(), before);
    }
    assert_all_there(&launch("always").start(&home), 100);
}

#[test]
fn a_rewrite_that_fails_leaves_the_log_as_it_was() {
    for failing in ["base-block:1:eio", "base-sync:1:eio", "manifest-rename:3:enospc"] {
        let home = Home::new();
        let server = launch("everysec").env(VARIABLE, failing).start(&home);
        let conn = &mut server.conn();
        (0..40).for_each(|n| assert_eq!(set(conn, n).text(), "OK"));
        conn.line("BGREWRITEAOF");
        wait_for("a failed rewrite", || {
            conn.info("persistence", "aof_last_bgrewrite_status") == "err"
        });
        assert!(server.log_text().contains("log rewrite failed"), "{}", server.log_text());
        (40..60).for_each(|n| assert_eq!(set(conn, n).text(), "OK"));
        if failing.starts_with("base") {
            conn.line("BGREWRITEAOF");
            wait_for("a rewrite", || conn.info("persistence", "aof_last_bgrewrite_status") == "ok");
        }
        server.kill();
        assert_all_there(&launch("everysec").start(&home), 60);
    }
}

/// A place behind a FUSE layer; none where there is no FUSE, which is said.
fn faulty(what: &str) -> Option<Place> {
    let place = Place::new(Ground::Faulty, &target_dir().join("tmp"), 0);
    place.inspect_err(|why| eprintln!("skipped: {what}: {why}")).ok()
}

#[test]
fn a_base_that_cannot_be_read_is_a_refusal_that_names_file_and_offset() {
    let Some(place) = faulty("EIO of a base") else { return };
    let home = place.home();
    let server = launch("always").start(&home);
    let conn = &mut server.conn();
    (0..40).for_each(|n| assert_eq!(set(conn, n).text(), "OK"));
    conn.line("BGREWRITEAOF");
    wait_for("a rewrite", || conn.info("persistence", "aof_rewrites") == "1");
    server.kill();
    let faults = place.faults().unwrap();
    faults.add(Rule { after: 1, ..Rule::always(Call::Read, "base-", Effect::Eio) });
    let error = launch("always").try_start(&home).expect_err("its base cannot be read");
    assert!(error.log.contains("base-") && error.log.contains("offset "), "{error}");
    faults.clear();
    assert_all_there(&launch("always").start(&home), 40);
}

#[test]
fn a_slow_disk_holds_back_writers_only() {
    let Some(place) = faulty("a slow disk") else { return };
    for fsync in ["always", "everysec"] {
        let home = place.home();
        let server = launch(fsync).start(&home);
        let conn = &mut server.conn();
        (0..10).for_each(|n| assert_eq!(set(conn, n).text(), "OK"));
        let faults = place.faults().unwrap();
        faults.add(Rule::always(Call::Write, ".log", Effect::Delay(Duration::from_secs(2))));
        let writer = &mut server.conn();
        let value = "v".repeat(VALUE_BYTES);
        writer.send_raw(&ringstone_tests::resp::encode(&["SET", "late", &value])).unwrap();
        let hits = faults.hits();
        let mut reads = 0;
        while faults.hits() == hits || reads < 50 {
            assert!(conn.line("GET k3").text().starts_with("3:"));
            reads += 1;
            if reads > 1_000_000 {
                break;
            }
        }
        faults.clear();
        assert_eq!(writer.read().unwrap().text(), "OK");
        server.kill();
        fs::remove_dir_all(home.data()).unwrap();
    }
}
