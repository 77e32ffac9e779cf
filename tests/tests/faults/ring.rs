//! A short run of each fault of the ring, with a seed; `cargo xtask crash` runs longer ones.

use std::time::Duration;

use ringstone_tests::crash::faults::FAULTS;
use ringstone_tests::crash::{Options, run};
use ringstone_tests::server::Binary;

fn options() -> Options {
    Options {
        binary: Binary::ringstone(),
        duration: Duration::from_secs(2),
        fsync: "all".to_owned(),
        shards: 2,
        clients: 3,
        faults: Vec::new(),
        dir: None,
        seed: 7,
        set: Vec::new(),
    }
}

#[test]
fn each_fault_loses_nothing() {
    for row in FAULTS {
        let report = run(&Options { faults: vec![row.kind], ..options() });
        if let Some(why) = report.skipped.get(&row.kind) {
            eprintln!("skipped: {}: {why}", row.name);
            continue;
        }
        assert!(
            report.is_clean() && report.brought.contains_key(&row.kind),
            "{}: {report}",
            row.name
        );
    }
}

#[test]
fn a_server_that_keeps_nothing_fails_at_once() {
    let set = vec![("appendonly".to_owned(), "no".to_owned())];
    let report = run(&Options { faults: vec![FAULTS[0].kind], set, ..options() });
    let found: u64 = ["lost", "not linearizable"].iter().map(|kind| report.count(kind)).sum();
    assert!(found > 0, "{report}");
}
