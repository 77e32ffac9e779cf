//! The rows agree with themselves.

use std::collections::HashMap;

use ringstone_engine::ArgBuf;
use ringstone_engine::cmd::{Arg, ArgKind, Begin, Command, Find, Flags, Group, by_opcode};
use ringstone_engine::keyspace::OPCODE_DEL;

use crate::harness::rows;

#[test]
fn names_are_unique_and_lower_case() {
    let mut seen = HashMap::new();
    for row in rows() {
        let name = row.spec.name;
        assert_eq!(name, name.to_ascii_lowercase());
        assert!(seen.insert(name, ()).is_none(), "{name} is there twice");
    }
    for container in ringstone_engine::cmd::all() {
        for sub in container.subs {
            let prefix = format!("{}|", container.spec.name);
            assert!(sub.spec.name.starts_with(&prefix), "{} in {prefix}", sub.spec.name);
            assert!(sub.subs.is_empty(), "{} has subcommands of its own", sub.spec.name);
        }
    }
}

#[test]
fn opcodes_are_unique_and_in_their_family_s_range() {
    let mut seen = HashMap::new();
    for row in rows().filter(|row| row.spec.opcode != 0) {
        let (name, opcode) = (row.spec.name, row.spec.opcode);
        if let Some(other) = seen.insert(opcode, name) {
            panic!("{name} and {other} share opcode {opcode}");
        }
        assert!(row.spec.flags.contains(Flags::WRITE), "{name} is logged but is no write");
        let ranges: &[std::ops::RangeInclusive<u16>] = match row.spec.group {
            Group::String => &[1..=63],
            // SORT with STORE and kin are generic; FLUSHALL and SWAPDB stand with the generic family.
            Group::Generic | Group::Server | Group::Connection => &[64..=127, 448..=511],
            Group::List => &[128..=191],
            Group::Set => &[192..=255],
            Group::Hash => &[256..=319],
            Group::SortedSet | Group::Geo => &[320..=383],
            Group::Stream => &[384..=447],
            Group::Bitmap => &[512..=575],
            Group::HyperLogLog => &[576..=639],
            Group::Transactions | Group::Pubsub | Group::Scripting | Group::Cluster => &[448..=511],
        };
        assert!(ranges.iter().any(|range| range.contains(&opcode)), "{name}: opcode {opcode}");
    }
    assert_eq!(by_opcode(OPCODE_DEL).map(|command| command.spec.name), Some("del"));
    assert!(by_opcode(0).is_none());
}

#[test]
fn opcodes_that_were_given_out_never_change() {
    const PINNED: &[(u16, &str)] = &[
        (1, "set"),
        (2, "append"),
        (3, "setrange"),
        (4, "incrby"),
        (64, "del"),
        (65, "pexpireat"),
        (66, "persist"),
        (67, "rename"),
        (68, "copy"),
        (69, "move"),
        (70, "swapdb"),
        (71, "flushdb"),
        (72, "flushall"),
    ];
    for (opcode, name) in PINNED {
        assert_eq!(by_opcode(*opcode).map(|command| command.spec.name), Some(*name));
    }
}

#[test]
fn arity_leaves_room_for_the_keys() {
    for row in rows() {
        let spec = &row.spec;
        let least = usize::from(spec.arity.unsigned_abs());
        assert!(least >= 1, "{} has no arity", spec.name);
        for key in spec.keys {
            if let Begin::Index(at) = key.begin {
                let needed = match key.find {
                    Find::Range(last, ..) if last >= 0 => at + last,
                    Find::KeyNum(_, first, _) => at + first,
                    Find::Range(..) | Find::Unknown => at,
                };
                let needed = usize::try_from(needed).expect("a position") + 1;
                // A negative arity allows optional arguments, but a first key is never one (SORT's patterns are unknown).
                assert!(needed <= least || spec.arity < 0, "{}: key at {needed}", spec.name);
            }
        }
        let args = ArgBuf::from_parts(std::iter::repeat_n("1", least));
        let keys = spec.key_positions(args.as_args());
        for at in keys.into_iter().flatten() {
            assert!(at >= 1 && at < least, "{}: key position {at}", spec.name);
        }
    }
}

#[test]
fn every_row_is_documented() {
    for row in rows() {
        let spec = &row.spec;
        assert!(!spec.summary.is_empty() && !spec.summary.contains('\n'), "{}", spec.name);
        assert!(!spec.complexity.is_empty(), "{}", spec.name);
        assert!(spec.since.split('.').count() == 3, "{}", spec.name);
        let flags = spec.flags;
        assert!(!flags.contains(Flags::WRITE.union(Flags::READONLY)), "{}", spec.name);
        has_argument_docs(row);
        spec.args.iter().for_each(|arg| is_well_formed(spec.name, arg));
    }
}

/// A row whose arity asks for arguments says which.
fn has_argument_docs(row: &Command) {
    let name_len = row.spec.name.split('|').count();
    let needs = usize::from(row.spec.arity.unsigned_abs()) > name_len;
    assert!(!needs || !row.spec.args.is_empty() || !row.subs.is_empty(), "{}", row.spec.name);
}

fn is_well_formed(name: &str, arg: &Arg) {
    let nested = matches!(arg.kind, ArgKind::OneOf | ArgKind::Block);
    assert_eq!(nested, !arg.args.is_empty(), "{name}: {}", arg.name);
    assert!(arg.kind != ArgKind::PureToken || arg.token.is_some(), "{name}: {}", arg.name);
    arg.args.iter().for_each(|arg| is_well_formed(name, arg));
}
