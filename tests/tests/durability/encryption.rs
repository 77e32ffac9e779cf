//! Encryption at rest: nothing readable in any file, keys that change under load, refusals for wrong keys and changed files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use ringstone_tests::resp::Conn;
use ringstone_tests::server::{Home, Launch, Server};

use super::{digest, wait_for};

/// Part of every key, value, field and library that is planted.
const PLANTED: &str = "Planted-Secret";

/// A file with keys of these numbers, the first for writing.
fn key_file(home: &Home, numbers: &[u8]) -> PathBuf {
    let path = home.file("master.key");
    write_keys(&path, numbers);
    path
}

fn write_keys(path: &Path, numbers: &[u8]) {
    let line = |n: &u8| format!("{n:02x}{}\n", "c3".repeat(31));
    fs::write(path, numbers.iter().map(line).collect::<String>()).unwrap();
}

fn launch(shards: usize, keys: &Path) -> Launch {
    Launch::ringstone()
        .set("enable-debug-command", "yes")
        .set("log-segment-size", "1mb")
        .set("encryption-at-rest", "yes")
        .set("encryption-key-file", keys.display())
        .shards(shards)
}

fn ok(conn: &mut Conn, line: &str) {
    let reply = conn.line(line);
    assert!(!reply.is_error(), "{line}: {reply:?}");
}

fn plant(conn: &mut Conn, from: u64, to: u64) {
    for n in from..to {
        ok(conn, &format!("SET {PLANTED}-key-{n} {PLANTED}-value-{n}"));
        ok(conn, &format!("HSET {PLANTED}-hash-{} {PLANTED}-field-{n} {n}", n % 9));
    }
    ok(conn, &format!("MSET {PLANTED}-a {PLANTED}-{from} {PLANTED}-b {PLANTED}-{to}"));
    let code = format!(
        "#!lua name=planted\nredis.register_function('planted', function() return '{PLANTED}' end)"
    );
    let loaded = conn.call(&["FUNCTION", "LOAD", "REPLACE", &code]).unwrap();
    assert!(!loaded.is_error(), "{loaded:?}");
}

/// All files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The files that hold something planted.
fn readable(home: &Home) -> Vec<PathBuf> {
    let mut found = files(&home.data());
    // A file that went meanwhile holds nothing.
    found.retain(|path| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(PLANTED.len()).any(|window| window == PLANTED.as_bytes())
    });
    found
}

fn assert_unreadable(home: &Home, when: &str) {
    assert_eq!(readable(home), Vec::<PathBuf>::new(), "{when}");
}

fn wait_until_all_is_sealed(server: &Server) {
    let mut conn = server.conn();
    wait_for("encryption of all files", || {
        conn.info("persistence", "encryption_files_in_clear") == "0"
            && conn.info("persistence", "encryption_keys_in_use")
                == conn.info("persistence", "encryption_key")
    });
}

/// The names and bytes of all files but the lock.
fn content(home: &Home) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = files(&home.data()).into_iter();
    all.filter(|path| !path.ends_with("ringstone.lock"))
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn nothing_planted_is_in_any_file_in_any_mode_whenever_it_is_killed() {
    for (fsync, shards) in [("always", 2), ("everysec", 2), ("no", 1)] {
        let home = Home::new();
        let keys = key_file(&home, &[1]);
        let server = launch(shards, &keys).log(fsync).start(&home);
        let mut conn = server.conn();
        plant(&mut conn, 0, 300);
        assert_unreadable(&home, "while it runs");
        ok(&mut conn, "SAVE");
        ok(&mut conn, "DEBUG RELOAD");
        plant(&mut conn, 300, 400);
        ok(&mut conn, "BGREWRITEAOF");
        plant(&mut conn, 400, 600);
        wait_for("the rewrite", || conn.info("persistence", "aof_rewrite_in_progress") == "0");
        ok(&mut conn, "DEBUG LOADAOF");
        plant(&mut conn, 600, 700);
        let before = digest(&server);
        server.kill();
        assert_unreadable(&home, fsync);
        let server = launch(3 - shards, &keys).log(fsync).start(&home);
        assert_eq!(digest(&server), before);
        assert_eq!(server.conn().line("FCALL planted 0").text(), PLANTED);
        plant(&mut server.conn(), 700, 750);
        assert_unreadable(&home, "after a start with other shards");
        let before = digest(&server);
        assert!(server.stop().success());
        let server = launch(shards, &keys).log(fsync).start(&home);
        assert_eq!(digest(&server), before);
        assert_unreadable(&home, "after a stop");
    }
}

#[test]
fn a_snapshot_without_a_log_is_sealed_and_loads() {
    let home = Home::new();
    let keys = key_file(&home, &[1]);
    let server = launch(2, &keys).start(&home);
    plant(&mut server.conn(), 0, 5000);
    ok(&mut server.conn(), "SAVE");
    let before = digest(&server);
    server.kill();
    assert!(home.data().join("dump.rdb").exists());
    assert_unreadable(&home, "after SAVE");
    let server = launch(1, &keys).start(&home);
    assert_eq!(digest(&server), before);
    // A log that begins live, ends, and is superseded.
    ok(&mut server.conn(), "CONFIG SET appendonly yes");
    plant(&mut server.conn(), 0, 20);
    ok(&mut server.conn(), "CONFIG SET appendonly no");
    plant(&mut server.conn(), 5000, 5010);
    ok(&mut server.conn(), "SAVE");
    let before = digest(&server);
    server.kill();
    assert_unreadable(&home, "after a log that began and ended");
    let server = launch(2, &keys).log("everysec").start(&home);
    assert_eq!(digest(&server), before);
    assert_unreadable(&home, "after the snapshot became a base");
}

#[test]
fn keys_are_rotated_under_load_and_kills_and_nothing_is_lost() {
    let home = Home::new();
    let keys = key_file(&home, &[1]);
    let mut server = launch(2, &keys).log("everysec").start(&home);
    ok(&mut server.conn(), "SAVE");
    let mut next = 0;
    for number in 2..8u8 {
        // The newest first; the one before is still needed until all is written anew.
        write_keys(&keys, &[number, number - 1]);
        let acked = AtomicU64::new(next);
        std::thread::scope(|scope| {
            let writers = scope.spawn(|| {
                let mut conn = server.conn();
                for n in next..next + 4000 {
                    let words = [
                        "SET".to_owned(),
                        format!("{PLANTED}-{n}"),
                        format!("{PLANTED}-value-{n}"),
                    ];
                    if conn.call(&words).is_err() {
                        return;
                    }
                    acked.store(n + 1, Ordering::Release);
                }
            });
            let mut conn = server.conn();
            wait_for("some writes", || acked.load(Ordering::Acquire) > next + 300);
            ok(&mut conn, &format!("CONFIG SET encryption-key-file {}", keys.display()));
            let through = acked.load(Ordering::Acquire) + 300 * u64::from(number % 3);
            wait_for("more writes", || acked.load(Ordering::Acquire) >= through);
            let pid = rustix::process::Pid::from_raw(i32::try_from(server.pid()).unwrap());
            rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::KILL).unwrap();
            writers.join().unwrap();
        });
        drop(server);
        next = acked.load(Ordering::Acquire);
        assert_unreadable(&home, "after a kill around a rotation");
        server = launch(1 + usize::from(number % 2), &keys).log("everysec").start(&home);
        let mut conn = server.conn();
        for n in 0..next {
            let value = conn.line(&format!("GET {PLANTED}-{n}")).text();
            assert_eq!(value, format!("{PLANTED}-value-{n}"), "rotation {number}");
        }
        wait_until_all_is_sealed(&server);
    }
    let before = digest(&server);
    server.kill();
    write_keys(&keys, &[7]);
    let server = launch(2, &keys).log("everysec").start(&home);
    assert_eq!(digest(&server), before);
    assert_unreadable(&home, "with the last key alone");
}

#[test]
fn a_rotation_to_a_key_that_cannot_be_read_changes_nothing() {
    let home = Home::new();
    let keys = key_file(&home, &[1]);
    let server = launch(2, &keys).log("everysec").start(&home);
    let mut conn = server.conn();
    let key = conn.info("persistence", "encryption_key");
    let error = conn.line("CONFIG SET encryption-key-file /no/such/key").text();
    assert!(error.contains("encryption-key-file /no/such/key: No such file"), "{error}");
    assert_eq!(conn.info("persistence", "encryption_key"), key);
    let named = conn.line("CONFIG GET encryption-key-file").items()[1].text();
    assert_eq!(named, keys.display().to_string());
    plant(&mut conn, 0, 10);
    let shown = conn.line("INFO everything").text() + &conn.line("CONFIG GET *").text();
    assert!(!shown.contains("c3c3c3c3") && !server.log_text().contains("c3c3c3c3"));
}

#[test]
fn a_wrong_or_missing_key_is_refused_by_name_and_changes_no_file() {
    for log in [true, false] {
        let home = Home::new();
        let keys = key_file(&home, &[1]);
        let with_log = |launch: Launch| if log { launch.log("everysec") } else { launch };
        let server = with_log(launch(2, &keys)).start(&home);
        plant(&mut server.conn(), 0, 50);
        ok(&mut server.conn(), "SAVE");
        let (before, id) = (digest(&server), server.conn().info("persistence", "encryption_key"));
        // Not killed: a write that the kernel has in hand then may still arrive after the process is gone.
        assert!(server.stop().success());
        let kept = content(&home);
        let file = if log { "MANIFEST" } else { "dump.rdb" };
        write_keys(&keys, &[2]);
        let refused = with_log(launch(2, &keys)).try_start(&home).unwrap_err().log;
        assert!(
            refused.contains(&format!("{file} is encrypted under the master key {id}")),
            "{refused}"
        );
        assert!(refused.contains("encryption-key-file"), "{refused}");
        let without = with_log(Launch::ringstone().shards(2));
        let refused = without.try_start(&home).unwrap_err().log;
        assert!(refused.contains(file) && refused.contains(&id), "{refused}");
        assert!(refused.contains("no key is configured: set encryption-key-file"), "{refused}");
        let now = content(&home);
        let changed: Vec<_> = now.iter().filter(|(path, it)| kept.get(*path) != Some(it)).collect();
        let changed: Vec<_> = changed.iter().map(|(path, _)| path).collect();
        assert!(
            changed.is_empty() && now.len() == kept.len(),
            "changed by a refused start: {changed:?}"
        );
        write_keys(&keys, &[2, 1]);
        let server = with_log(launch(1, &keys)).start(&home);
        assert_eq!(digest(&server), before);
        wait_until_all_is_sealed(&server);
        server.kill();
        write_keys(&keys, &[2]);
        let server = with_log(launch(2, &keys)).start(&home);
        assert_eq!(digest(&server), before);
    }
}

#[test]
fn changed_and_exchanged_files_are_refused() {
    let (one, two) = (Home::new(), Home::new());
    let keys = key_file(&one, &[1]);
    let mut bases = Vec::new();
    for home in [&one, &two] {
        let server = launch(1, &keys).log("everysec").start(home);
        let mut conn = server.conn();
        plant(&mut conn, 0, 50);
        ok(&mut conn, "BGREWRITEAOF");
        wait_for("the rewrite", || conn.info("persistence", "aof_rewrite_in_progress") == "0");
        ok(&mut conn, "SAVE");
        drop(conn);
        server.kill();
        let base = files(&home.data()).into_iter();
        bases.extend(base.filter(|path| path.to_string_lossy().contains("base-")));
    }
    let refused = |launch: Launch, home: &Home| launch.try_start(home).unwrap_err().log;
    let good = fs::read(&bases[0]).unwrap();
    // A base of another log under this one's name.
    fs::copy(&bases[1], &bases[0]).unwrap();
    let log = refused(launch(1, &keys).log("everysec"), &one);
    assert!(log.contains("is not the encrypted file that MANIFEST names"), "{log}");
    for at in [5000, good.len() / 2, good.len() - 40] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&bases[0], bad).unwrap();
        let log = refused(launch(1, &keys).log("everysec"), &one);
        assert!(log.contains("base-") && log.contains("changed or damaged"), "{at}: {log}");
    }
    fs::write(&bases[0], &good).unwrap();
    assert!(launch(1, &keys).log("everysec").start(&one).stop().success());
    let dump = two.data().join("dump.rdb");
    let good = fs::read(&dump).unwrap();
    let mut bad = good.clone();
    bad[4096 + 100] ^= 0x80;
    fs::write(&dump, &bad).unwrap();
    let log = refused(launch(1, &keys), &two);
    assert!(log.contains("dump.rdb does not authenticate at byte 4096"), "{log}");
    fs::write(&dump, &good[..good.len() - 4096]).unwrap();
    let log = refused(launch(1, &keys), &two);
    assert!(log.contains("dump.rdb: its end is missing"), "{log}");
}

#[test]
fn data_in_clear_is_encrypted_at_the_next_start_and_in_clear_again_after_that() {
    let home = Home::new();
    let keys = key_file(&home, &[1]);
    let server = Launch::ringstone()
        .set("enable-debug-command", "yes")
        .set("log-segment-size", "1mb")
        .log("everysec")
        .shards(2)
        .start(&home);
    plant(&mut server.conn(), 0, 400);
    ok(&mut server.conn(), "SAVE");
    let before = digest(&server);
    server.kill();
    assert!(!readable(&home).is_empty());
    // Killed at once, before all is written anew.
    launch(2, &keys).log("everysec").start(&home).kill();
    let server = launch(1, &keys).log("everysec").start(&home);
    assert_eq!(digest(&server), before);
    wait_until_all_is_sealed(&server);
    // Files are removed behind the rewrite, one after the other.
    wait_for("the removal of what was in clear", || readable(&home).is_empty());
    server.kill();
    assert_unreadable(&home, "after the change");
    let off = || launch(2, &keys).set("encryption-at-rest", "no").log("everysec");
    off().start(&home).kill();
    let server = off().start(&home);
    let mut conn = server.conn();
    assert_eq!(digest(&server), before);
    wait_for("files in clear", || conn.info("persistence", "encryption_keys_in_use").is_empty());
    server.kill();
    let server = off().set("encryption-key-file", "").start(&home);
    assert_eq!(digest(&server), before);
}

#[test]
fn a_replica_of_an_encrypted_server_gets_everything() {
    let home = Home::new();
    let keys = key_file(&home, &[1]);
    let server = launch(2, &keys).log("everysec").start(&home);
    plant(&mut server.conn(), 0, 3000);
    let (_home, replica) = Launch::redis()
        .set("replicaof", format!("127.0.0.1 {}", server.port()))
        .set("enable-debug-command", "yes")
        .start_alone();
    wait_for("the replica's data", || digest(&replica) == digest(&server));
    assert_unreadable(&home, "after a full synchronisation");
}
