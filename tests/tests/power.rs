//! A few power cuts on the real server, and a directory with faults under it. `cargo xtask power` tries thousands.
//!
//! Where the machine has no FUSE, loop devices or file system, a test says so and passes.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a failed check panics")]

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use ringstone_tests::power::{
    self, Call, Effect, Faults, FaultyDir, Mutation, Options, Report, Rule, Run,
};
use ringstone_tests::server::{Binary, Home, Launch};

fn options(filesystem: &str, fsync: &str, cuts: u64) -> Options {
    Options {
        binary: Binary::ringstone(),
        filesystem: filesystem.to_owned(),
        fsync: fsync.to_owned(),
        cuts,
        cuts_of_round: cuts,
        load: Duration::from_millis(400),
        // No clock in tests: here it is only that what is left is a prefix, and whole.
        everysec_window: Duration::from_secs(3600),
        seed: 1,
        parallel: 2,
        mutation: None,
    }
}

/// Runs; none where that is impossible.
fn run(options: &Options) -> Option<Report> {
    if let Some(reason) = options.unavailable() {
        println!("skipped: power loss on {}: {reason}", options.filesystem);
        return None;
    }
    let report = power::run(options, &mut |_| ()).unwrap();
    println!("{report}");
    Some(report)
}

fn check(options: &Options) {
    if let Some(report) = run(options) {
        assert!(report.is_clean() && report.cuts == options.cuts, "{report}");
    }
}

#[test]
fn a_power_cut_on_ext4_loses_nothing_that_always_acknowledged() {
    check(&options("ext4", "always", 12));
}

#[test]
fn a_power_cut_on_ext4_leaves_a_prefix_with_everysec() {
    check(&options("ext4", "everysec", 10));
}

#[test]
fn a_power_cut_on_xfs_loses_nothing_that_always_acknowledged() {
    check(&options("xfs", "always", 6));
}

#[test]
fn a_disk_that_forgets_flushes_is_noticed() {
    let mut options = options("ext4", "always", 40);
    options.mutation = Some(Mutation::DropFlushes);
    if let Some(report) = run(&options) {
        assert!(!report.is_clean(), "{report}");
    }
}

/// A run and a home with its data on a faulty directory; none where that is impossible.
fn faulty(faults: &Faults) -> Option<(FaultyDir, Home, Run)> {
    if let Some(reason) = power::unavailable(&[]) {
        println!("skipped: a directory with faults: {reason}");
        return None;
    }
    let run = Run::begin().unwrap();
    let home = Home::within(run.path());
    let backing = home.file("backing");
    fs::create_dir(&backing).unwrap();
    let dir = FaultyDir::mount(&run, &backing, &home.data(), faults.clone()).unwrap();
    Some((dir, home, run))
}

#[test]
fn a_faulty_directory_fails_the_call_it_is_told_to() {
    let faults = Faults::new();
    let Some((dir, _home, _run)) = faulty(&faults) else { return };
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    fs::write(&one, b"hello").unwrap();
    fs::rename(&one, &two).unwrap();
    fs::write(&one, b"another").unwrap();
    assert_eq!(fs::read(&two).unwrap(), b"hello");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);

    faults.add(Rule::once(Call::Sync, "two", Effect::Eio));
    let file = File::options().write(true).open(&two).unwrap();
    File::open(&one).unwrap().sync_all().unwrap();
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    faults.add(Rule::always(Call::Write, "two", Effect::Enospc));
    assert_eq!(file.write_at(b"x", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    faults.clear();
    faults.add(Rule::always(Call::Read, "two", Effect::Eio));
    assert!(fs::read(&two).is_err());
    assert_eq!(fs::read(&one).unwrap(), b"another");
}

#[test]
fn a_file_that_cannot_be_read_at_a_start_is_named_and_kept() {
    let faults = Faults::new();
    let Some((_dir, home, _run)) = faulty(&faults) else { return };
    let launch = Launch::ringstone().log("always").shards(1).set("log-segment-size", "1mb");
    let server = launch.start(&home);
    let mut conn = server.conn();
    assert_eq!(conn.line("SET before 1").text(), "OK");
    assert!(!conn.line("BGREWRITEAOF").is_error());
    while conn.line("INFO persistence").text().contains("aof_rewrite_in_progress:1") {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(conn.line("SET after 1").text(), "OK");
    server.kill();
    for name in ["MANIFEST", "base-", "/s0-"] {
        faults.add(Rule::always(Call::Read, name, Effect::Eio));
        let error = launch.try_start(&home).expect_err("it starts without what it cannot read");
        assert!(faults.hits() > 0 && error.status.is_some(), "{name}: {error}");
        assert!(error.log.contains(name.trim_start_matches('/')), "{name}: {error}");
        faults.clear();
    }
    let server = launch.start(&home);
    let mut conn = server.conn();
    assert_eq!(conn.line("MGET before after").items().len(), 2);
    assert_eq!(conn.line("EXISTS before after").int(), Some(2));
}

#[test]
fn a_slow_disk_delays_what_must_be_on_it_and_nothing_else() {
    let faults = Faults::new();
    let Some((_dir, home, _run)) = faulty(&faults) else { return };
    let launch = Launch::ringstone().log("always").shards(1).set("log-segment-size", "1mb");
    let server = launch.start(&home);
    let (mut writer, mut reader) = (server.conn(), server.conn());
    assert_eq!(writer.line("SET key 1").text(), "OK");
    faults.add(Rule::always(Call::Write, "/s0-", Effect::Delay(Duration::from_millis(300))));
    writer.send_raw(b"SET key 2\r\n").unwrap();
    while faults.hits() == 0 {
        assert_eq!(reader.line("EXISTS other").int(), Some(0));
    }
    // The write is on its way to the disk; who does not read it does not wait for it.
    assert_eq!(reader.line("PING").text(), "PONG");
    assert_eq!(writer.read().unwrap().text(), "OK");
    assert_eq!(reader.line("GET key").text(), "2");
    faults.clear();
    server.kill();
    assert_eq!(launch.start(&home).conn().line("GET key").text(), "2");
}

#[test]
fn the_server_runs_on_a_faulty_directory_that_has_no_faults() {
    let faults = Faults::new();
    let Some((_dir, home, _run)) = faulty(&faults) else { return };
    for fsync in ["always", "everysec"] {
        let launch = Launch::ringstone().log(fsync).shards(2).set("log-segment-size", "1mb");
        let server = launch.start(&home);
        let mut conn = server.conn();
        assert_eq!(conn.line(&format!("SET {fsync} 1")).text(), "OK");
        assert_eq!(conn.line("SAVE").text(), "OK");
        server.kill();
        assert_eq!(launch.start(&home).conn().line(&format!("GET {fsync}")).text(), "1");
    }
}
