//! Every change leaves an effect, and the effects of a command line, replayed without clock or chance, give the same data.

use std::collections::BTreeSet;

use ringstone_engine::ArgBuf;
use ringstone_engine::cmd::{Command, Flags};
use ringstone_engine::effect::Records;

use crate::harness::{NOW_MS, Shard, find, rows, split};

/// A shard, and a second one that knows only the first one's effects.
struct Pair {
    live: Shard,
    replica: Shard,
}

impl Pair {
    fn new() -> Pair {
        Pair { live: Shard::new(), replica: Shard::new() }
    }

    /// Runs a line on one, replays its effects on the other, compares; true when data changed.
    fn step(&mut self, line: &str) -> bool {
        let before = self.live.listing();
        self.live.run(line);
        let after = self.live.listing();
        let effects = self.live.take_effects();
        self.replica.replay(&effects);
        assert_eq!(after, self.replica.listing(), "live and replayed data after {line:?}");
        assert!(before == after || !effects.is_empty(), "{line:?} changed data without an effect");
        before != after
    }
}

#[test]
fn effects_of_examples_repeat_their_changes() {
    let mut no_change = Vec::new();
    for row in rows() {
        let mut pair = Pair::new();
        let mut changed = false;
        for (line, _) in row.spec.examples {
            let args = ArgBuf::from_parts(split(line));
            let own = find(args.as_args()).is_ok_and(|command| std::ptr::eq(command, row));
            changed |= pair.step(line) && own;
        }
        if row.spec.flags.contains(Flags::WRITE) && !changed {
            no_change.push(row.spec.name);
        }
    }
    assert!(no_change.is_empty(), "writes without an example that changes data: {no_change:?}");
}

/// A write without an opcode records other commands: replaying an unknown opcode would have panicked above. Here: an opcode
/// that was given out is really used.
#[test]
fn every_opcode_is_recorded_by_some_example() {
    let mut recorded = BTreeSet::new();
    for row in rows() {
        let mut shard = Shard::new();
        for (line, _) in row.spec.examples {
            shard.run(line);
        }
        let effects = shard.take_effects();
        recorded.extend(Records::new(&effects).map(|record| record.expect("a record").opcode));
    }
    let unused: Vec<_> = rows()
        .filter(|row| row.spec.opcode != 0 && !recorded.contains(&row.spec.opcode))
        .map(|row| row.spec.name)
        .collect();
    assert!(unused.is_empty(), "opcodes that no example records: {unused:?}");
}

/// PFCOUNT reads, but keeps its estimate in the string, as in Redis.
#[test]
fn commands_that_only_read_leave_no_effect() {
    let reads =
        |row: &&Command| !row.spec.flags.contains(Flags::WRITE) && row.spec.name != "pfcount";
    for row in rows().filter(reads) {
        let mut shard = Shard::new();
        for (line, _) in row.spec.examples {
            let args = ArgBuf::from_parts(split(line));
            let own = find(args.as_args()).is_ok_and(|command| std::ptr::eq(command, row));
            shard.take_effects();
            shard.run(line);
            assert!(!own || shard.keyspace.effects.is_empty(), "{line}");
        }
    }
}

#[test]
fn relative_times_are_logged_as_absolute_ones() {
    let at = NOW_MS + 100_000;
    for line in ["SET k v EX 100", "SET k v PX 100000", "SETEX k 100 v", "PSETEX k 100000 v"] {
        let mut pair = Pair::new();
        assert!(pair.step(line), "{line}");
        let listing = pair.replica.listing().join("");
        assert!(listing.contains(&format!("expires Some({at})")), "{line}: {listing}");
    }
}

#[test]
fn times_that_have_passed_remove_the_key() {
    for line in ["PEXPIREAT k 1", "EXPIRE k 0", "GETEX k PXAT 1"] {
        let mut pair = Pair::new();
        pair.step("SET k v");
        assert!(pair.step(line), "{line}");
        assert!(pair.live.listing().is_empty(), "{line}");
    }
}

/// DBSIZE counts it until then, as in Redis.
#[test]
fn a_string_stored_with_a_time_that_has_passed_goes_when_somebody_meets_it() {
    for line in ["SET k w PXAT 1", "SET k w EXAT 1", "MSETEX 1 k w PXAT 1"] {
        let mut pair = Pair::new();
        pair.step("SET k v");
        assert!(pair.step(line), "{line}");
        assert_eq!(pair.live.run("DBSIZE"), pair.replica.run("DBSIZE"), "{line}");
        assert!(pair.step("GET k"), "{line}");
        assert!(pair.live.listing().is_empty(), "{line}");
    }
}

/// With groups that have read some entries, acknowledged some, and one that has read nothing behind the first.
const STREAM_WITH_GROUPS: &[&str] = &[
    "XADD s 1-0 f v",
    "XADD s 2-0 f v",
    "XADD s 3-0 f v",
    "XADD s 4-0 f v",
    "XADD s 5-0 f v",
    "XGROUP CREATE s one 0",
    "XGROUP CREATE s two 0",
    "XREADGROUP GROUP one ann STREAMS s >",
    "XREADGROUP GROUP two bob COUNT 4 STREAMS s >",
    "XACK s one 1-0 2-0 3-0",
    "XACK s two 1-0 3-0",
];

#[test]
fn removal_that_minds_groups_repeats_whatever_it_did() {
    for line in [
        "XDELEX s KEEPREF IDS 2 1-0 2-0",
        "XDELEX s DELREF IDS 3 2-0 4-0 9-0",
        "XDELEX s ACKED IDS 5 1-0 2-0 3-0 4-0 5-0",
        "XACKDEL s two IDS 2 2-0 4-0",
        "XACKDEL s two DELREF IDS 2 2-0 4-0",
        "XACKDEL s two ACKED IDS 3 2-0 3-0 4-0",
        "XTRIM s MAXLEN 1 DELREF",
        "XTRIM s MAXLEN 0 ACKED",
        "XTRIM s ACKED MINID 5",
        "XADD s DELREF MAXLEN 2 6-0 f v",
        "XADD s MAXLEN = 1 ACKED 6-0 f v",
        "XADD s MINID 4 KEEPREF 6-0 f v",
    ] {
        let mut pair = Pair::new();
        for before in STREAM_WITH_GROUPS {
            pair.step(before);
        }
        assert!(pair.step(line), "{line} changes nothing");
        // Lag and what else is derived is the same too.
        let info = "XINFO STREAM s FULL";
        assert_eq!(pair.live.run(info), pair.replica.run(info), "{line}");
    }
}

#[test]
fn conditional_strings_repeat_what_they_stored() {
    let mut pair = Pair::new();
    pair.step("MSET a 1 b 2");
    pair.step("EXPIRE b 1000");
    for (line, changes) in [
        ("SET a 3 IFEQ 2", false),
        ("SET a 3 IFEQ 1 EX 50", true),
        ("SET b 3 IFEQ 2 KEEPTTL", true),
        ("MSETEX 2 a 4 b 4 KEEPTTL", true),
        ("MSETEX 3 a 5 b 5 c 5 XX", false),
        ("MSETEX 3 a 5 b 5 c 5 EX 7", true),
        ("MSETEX 2 c 6 d 6 PXAT 1", true),
        ("DELIFEQ a 4", false),
        ("DELIFEQ a 5", true),
    ] {
        assert_eq!(pair.step(line), changes, "{line}");
    }
}
