//! The program `ringstone`: it says what a start does, changes nothing that it only looks at, and what it writes is what was
//! there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ringstone_tests::resp::Conn;
use ringstone_tests::server::{Binary, Home, Launch, Server};

fn ours(shards: usize) -> Launch {
    Launch::ringstone().set("enable-debug-command", "yes").shards(shards).log("always")
}

fn ringstone<A: AsRef<std::ffi::OsStr>>(args: &[A]) -> Output {
    Command::new(Binary::tool()).args(args).output().expect("ringstone runs")
}

/// Runs it; it must succeed.
fn done<A: AsRef<std::ffi::OsStr>>(args: &[A]) -> String {
    let output = ringstone(args);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn check(path: &Path) -> (i32, serde_json::Value) {
    let output = ringstone(&["check".into(), text(path), "--json".into()]);
    let report = serde_json::from_slice(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), report.unwrap_or_else(|e| panic!("{e}: {why}")))
}

fn digest(server: &Server) -> String {
    server.conn().line("DEBUG DIGEST").text()
}

/// All types, two databases, a rewrite in between, a function library.
fn fill(conn: &mut Conn) {
    let lines = [
        "MSET x 1 y 2 z 3",
        "RPUSH l a b c",
        "HSET h f 1 g 2",
        "ZADD z2 1 a 2 b",
        "XADD st 1-1 f v",
        "SADD words a b c",
        "SET ttl v EXAT 4102444800",
    ];
    lines.iter().for_each(|line| assert!(!conn.line(line).is_error(), "{line}"));
    conn.line("BGREWRITEAOF");
    let rewritten = |conn: &mut Conn| {
        conn.line("INFO persistence").text().contains("aof_rewrite_in_progress:0")
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !rewritten(conn) {
        assert!(std::time::Instant::now() < deadline, "the rewrite does not end");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    conn.line("SELECT 3");
    conn.line("SET in-3 yes");
    conn.line("SELECT 0");
    for n in 0..30 {
        conn.line(&format!("SET k{n} v{n}"));
    }
    let code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    conn.call(&["FUNCTION", "LOAD", code]).unwrap();
}

/// A filled directory whose server was killed, and the digest of its data.
fn killed(shards: usize) -> (Home, String) {
    let home = Home::new();
    let server = ours(shards).start(&home);
    fill(&mut server.conn());
    let digest = digest(&server);
    server.kill();
    (home, digest)
}

fn bytes_of(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut out = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(bytes_of(&path));
        } else {
            out.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    out
}

#[test]
fn check_and_dump_change_nothing_and_leave_a_running_servers_directory_alone() {
    let (home, before) = killed(2);
    let files = bytes_of(&home.data());
    let (status, report) = check(&home.data());
    assert_eq!((status, report["verdict"].as_str()), (0, Some("sound")), "{report}");
    let dump = done(&["log", "dump", &text(&home.data())]);
    assert!(dump.contains("SET \"k29\" \"v29\"") && dump.contains("FUNCTION LOAD"), "{dump}");
    let loaded = done(&["check", &text(&home.data()), "--load"]);
    assert!(loaded.ends_with("sound\n"), "{loaded}");
    assert_eq!(bytes_of(&home.data()), files);
    for file in files.keys().filter(|path| path.file_name().unwrap() != "ringstone.lock") {
        let (status, report) = check(file);
        assert!(status <= 1, "{report}");
    }
    let server = ours(1).start(&home);
    assert_eq!(digest(&server), before);
    let refused = ringstone(&["check", &text(&home.data())]);
    assert_eq!(refused.status.code(), Some(3));
}

#[test]
fn check_names_the_damage_that_a_start_refuses() {
    let (home, _) = killed(2);
    let base = fs::read_dir(home.data().join("appendonly")).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        path.extension().is_some_and(|end| end == "rdb").then_some(path)
    });
    let base = base.expect("a base");
    let mut bytes = fs::read(&base).unwrap();
    bytes[5000] ^= 1;
    fs::write(&base, bytes).unwrap();
    let (status, report) = check(&home.data());
    assert_eq!((status, report["verdict"].as_str()), (2, Some("refused")), "{report}");
    assert!(report["findings"][0]["file"].as_str().unwrap().ends_with(".rdb"), "{report}");
    assert!(ours(2).try_start(&home).is_err());
}

#[test]
fn an_export_is_loaded_by_redis_and_imported_again_with_the_same_data() {
    let (home, digest_before) = killed(2);
    let rdb = home.file("out.rdb");
    done(&["export", &text(&home.data()), "--rdb", &text(&rdb)]);
    let redis = Home::new();
    let parts = redis.data().join("appendonlydir");
    done(&["export", &text(&home.data()), "--redis-aof", &text(&parts)]);
    let launch = Launch::redis().set("enable-debug-command", "yes").set("appendonly", "yes");
    let server = launch.start(&redis);
    assert_eq!(digest(&server), digest_before);
    server.conn().line("SET more from-redis");
    let with_more = digest(&server);
    server.stop();
    for (from, expected) in [(&rdb, &digest_before), (&redis.data(), &with_more)] {
        let there = Home::new();
        done(&["import", &text(from), "--dir", &text(&there.data())]);
        assert_eq!(check(&there.data()).0, 0);
        let server = ours(3).start(&there);
        assert_eq!(digest(&server), *expected);
        assert_eq!(server.conn().line("FCALL f 0").int(), Some(1));
        server.kill();
        let again = ringstone(&["import".into(), text(from), "--dir".into(), text(&there.data())]);
        assert_eq!(again.status.code(), Some(3));
    }
    let there = Home::new();
    done(&["import", &text(&rdb), "--dir", &text(&there.data()), "--snapshot"]);
    let server = ours(2).set("appendonly", "no").start(&there);
    assert_eq!(digest(&server), digest_before);
}

#[test]
fn a_truncated_log_ends_there_on_any_number_of_shards_and_goes_on_from_there() {
    let (home, before) = killed(2);
    let gsn = check(&home.data()).1["facts"]["gsn"].as_u64().unwrap();
    let copy = Home::new();
    let to = |back: u64| (gsn - back).to_string();
    // The last effect is the library's; three before it lies the write of k27.
    let copied = ["truncate", &text(&home.data()), "--to-gsn", &to(3), "--output"];
    done(&[&copied[..], &[&text(&copy.data())]].concat());
    let server = ours(1).start(&copy);
    assert_eq!(server.conn().line("EXISTS k27 k28 in-3").int(), Some(1));
    server.kill();
    // In place, on one number of shards after the other: what was cut off never comes back.
    done(&["truncate", &text(&home.data()), "--to-gsn", &to(5)]);
    for shards in [1, 3, 2] {
        let server = ours(shards).start(&home);
        assert_eq!(server.conn().line("EXISTS k25 k26 k27 k28").int(), Some(1));
        assert_eq!(server.conn().line("DBSIZE").int(), Some(9 + 26));
        server.conn().line("SET k26 anew");
        assert_eq!(server.conn().line("DEL k26").int(), Some(1));
        server.kill();
    }
    let backup = fs::read_dir(home.data()).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        text(&path).contains("appendonly-before-").then_some(path)
    });
    let whole = Home::new();
    fs::rename(backup.expect("a backup"), whole.data().join("appendonly")).unwrap();
    assert_eq!(digest(&ours(2).start(&whole)), before);
    let refused = ringstone(&["truncate", &text(&home.data()), "--to-gsn", "1"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("holds everything up to GSN"));
}

#[test]
fn damaged_files_give_the_same_data_a_prefix_with_a_warning_or_a_refusal() {
    let options = ringstone_tests::corrupt::Options { files: 3000, real: 6, seed: 1 };
    let report = ringstone_tests::corrupt::run(&options);
    assert!(report.is_clean(), "{report}");
}
