//! RDB files: those written here, those of others, and broken ones.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail loudly too"
)]

mod support;

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::AtomicU64;

use proptest::prelude::*;
use ringstone_engine::serial::crc64;
use ringstone_engine::types::list::Side;
use ringstone_engine::types::{EncodingLimits, Hash, List, Object, Set, Value, ZSet};
use ringstone_persist::rdb::write::{BlockWriter, DbSize, Header, tail};
use ringstone_persist::rdb::{Expired, RdbFault, RdbFile};
use support::{Redis, TestEntry, load, options, shard_of, write_file};

const FAR_MS: i64 = 4_102_444_800_000;

fn library() -> Vec<u8> {
    b"#!lua name=mylib\nredis.register_function('f', function(keys, args) return 1 end)".to_vec()
}

/// Keys of every collection, in two databases.
fn entries(count: usize) -> Vec<TestEntry> {
    let limits = EncodingLimits::default();
    let mut out: Vec<TestEntry> = Vec::new();
    for n in 0..count {
        let text = format!("value-{n}-").repeat(n % 30);
        let value = match n % 6 {
            0 => Value::Int(i64::try_from(n).unwrap() << (n % 40)),
            1 => Value::Bytes(text.into_bytes()),
            2 => {
                let mut list = List::new(&limits);
                (0..n % 50 + 1)
                    .for_each(|i| list.push(Side::Right, format!("{i}{text}").as_bytes()));
                list.into_value()
            }
            3 => {
                let mut set = Set::new(&limits);
                (0..n % 50 + 1).for_each(|i| {
                    set.add(
                        format!("{}{i}", if n % 2 == 0 { "m" } else { "" }).as_bytes(),
                        &limits,
                    );
                });
                set.into_value()
            }
            4 => {
                let mut hash = Hash::new(&limits);
                (0..n % 300 + 1).for_each(|i| {
                    hash.set(format!("f{i}").as_bytes(), text.as_bytes(), &limits);
                });
                hash.into_value()
            }
            _ => {
                let mut set = ZSet::new();
                (0..n % 300 + 1).for_each(|i| {
                    set.insert(format!("m{i}").as_bytes(), i as f64 * 0.7, &limits);
                });
                set.into_value()
            }
        };
        let expire = (n % 7 == 0).then_some(FAR_MS + i64::try_from(n).unwrap());
        out.push((if n % 10 == 9 { 3 } else { 0 }, format!("key:{n}").into_bytes(), value, expire));
    }
    out
}

fn sample(dir: &tempfile::TempDir, count: usize) -> PathBuf {
    let path = dir.path().join("dump.rdb");
    let header = Header {
        created_s: 1_700_000_000,
        used_memory_bytes: 1 << 20,
        is_aof_base: false,
        functions: &[library()],
        db_sizes: &[DbSize { db: 0, keys: 9, expires: 1 }, DbSize { db: 3, keys: 1, expires: 0 }],
        aux: &[("repl-id", b"abc")],
        ..Header::default()
    };
    write_file(&path, &header, &entries(count), 40);
    path
}

#[test]
fn blocks_are_loaded_in_parallel_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = sample(&dir, 500);
    let (summary, loaded) = load(&path, Expired::Keep).unwrap();
    assert!(summary.indexed);
    assert_eq!((summary.keys, summary.expired, summary.empty), (500, 0, 0));
    assert_eq!(summary.functions, [library()]);
    assert_eq!(summary.aux("redis-ver"), Some(&b"7.0.15"[..]));
    assert_eq!(summary.aux("repl-id"), Some(&b"abc"[..]));
    assert_eq!(summary.db_sizes.len(), 2);
    let loaded = loaded.0.into_inner().unwrap();
    for (db, key, value, expire_at_ms) in entries(500) {
        let entry = &loaded[&(db, key)];
        assert_eq!(entry.expire_at_ms, expire_at_ms);
        assert_eq!(entry.value.as_ref().encoding(), value.as_ref().encoding());
    }
    let file = RdbFile::open(&path).unwrap();
    assert!(!file.is_aof_base());
    let index = file.index().unwrap();
    assert_eq!(index.blocks.iter().map(|b| b.entries).sum::<u64>(), 500);
    assert_eq!(index.blocks[1].shard, 1);
}

#[test]
fn without_its_index_the_same_file_loads_in_one_pass() {
    let dir = tempfile::tempdir().unwrap();
    let path = sample(&dir, 300);
    let (_, with_index) = load(&path, Expired::Keep).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // An index of a version to come: the trailer's magic is another one, and the sum is that of the new bytes.
    let end = bytes.len() - 8;
    bytes[end - 2] = b'9';
    let sum = crc64::checksum(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let (summary, without) = load(&path, Expired::Keep).unwrap();
    assert!(!summary.indexed);
    assert_eq!((summary.keys, summary.functions.len()), (300, 1));
    assert_eq!(without.digest(), with_index.digest());
}

#[test]
fn redis_server_loads_what_is_written_here_with_the_same_digest() {
    let dir = tempfile::tempdir().unwrap();
    let path = sample(&dir, 600);
    let (_, loaded) = load(&path, Expired::Keep).unwrap();
    let Some(redis) = Redis::start(dir.path(), &[]) else { return };
    assert_eq!(redis.cli(&["DEBUG", "DIGEST"]), loaded.digest());
    assert_eq!(redis.cli(&["DBSIZE"]), "540");
    assert!(redis.cli(&["FUNCTION", "LIST"]).contains("mylib"));
    let check = Command::new("redis-check-rdb").arg(&path).output().unwrap();
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.status.success() && text.contains("Checksum OK"), "{text}");
}

#[test]
fn redis_server_takes_such_a_file_as_the_base_of_its_append_only_files() {
    let dir = tempfile::tempdir().unwrap();
    let aof = dir.path().join("appendonlydir");
    std::fs::create_dir(&aof).unwrap();
    let base = aof.join("appendonly.aof.1.base.rdb");
    write_file(&base, &Header { is_aof_base: true, ..Header::default() }, &entries(100), 30);
    std::fs::write(aof.join("appendonly.aof.1.incr.aof"), b"*2\r\n$3\r\nDEL\r\n$5\r\nkey:1\r\n")
        .unwrap();
    let manifest = "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
    std::fs::write(aof.join("appendonly.aof.manifest"), manifest).unwrap();
    let Some(redis) = Redis::start(dir.path(), &["--appendonly", "yes"]) else { return };
    assert_eq!(redis.cli(&["DBSIZE"]), "89");
    assert_eq!(redis.cli(&["EXISTS", "key:1", "key:2"]), "1");
}

#[test]
fn a_file_without_keys_is_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dump.rdb");
    write_file(&path, &Header { is_aof_base: true, ..Header::default() }, &[], 10);
    let (summary, loaded) = load(&path, Expired::Keep).unwrap();
    assert!(summary.indexed && RdbFile::open(&path).unwrap().is_aof_base());
    assert!(loaded.0.into_inner().unwrap().is_empty());
    let Some(redis) = Redis::start(dir.path(), &[]) else { return };
    assert_eq!(redis.cli(&["DBSIZE"]), "0");
}

#[test]
fn expired_keys_are_dropped_and_counted_or_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = sample(&dir, 70);
    let (summary, _) = load(&path, Expired::DropBefore(FAR_MS + 36)).unwrap();
    assert_eq!((summary.keys, summary.expired), (64, 6));
    let (summary, _) = load(&path, Expired::Keep).unwrap();
    assert_eq!((summary.keys, summary.expired), (70, 0));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = sample(&dir, 60);
    let bytes = std::fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(331).chain(bytes.len() - 600..bytes.len()) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        std::fs::write(&path, &changed).unwrap();
        assert!(load(&path, Expired::Keep).is_err(), "byte {at}");
    }
}

#[test]
fn every_cut_is_noticed_and_the_message_names_file_and_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = sample(&dir, 30);
    let bytes = std::fs::read(&path).unwrap();
    for cut in (0..bytes.len()).step_by(61).chain(bytes.len() - 40..bytes.len()) {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let error = load(&path, Expired::Keep).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(error.to_string().contains("; "), "{error}");
    }
}

#[test]
fn a_block_that_holds_more_than_keys_is_refused_so_that_nothing_gets_lost() {
    // A function library, a field, sizes, an end.
    for hidden in [&b"\xf5\x03lib"[..], b"\xfa\x01a\x01b", b"\xfb\x01\x00", b"\xff"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dump.rdb");
        let header = Header::default().encode();
        let offsets = AtomicU64::new(header.bytes.len() as u64);
        let mut writer = BlockWriter::new(0, &offsets);
        let mut block = [b"\xfe\x00\x00\x01k\x01v", hidden].concat();
        writer.seal(&mut block, 1);
        let (_, end) = tail(&header, writer.into_entries()).unwrap();
        std::fs::write(&path, [header.bytes, block, end].concat()).unwrap();
        let error = load(&path, Expired::Keep).unwrap_err();
        assert!(error.to_string().contains("corrupt block"), "{error}");
        assert_eq!(error.offset, 4096 + 7);
    }
}

#[test]
fn swapped_blocks_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = sample(&dir, 200);
    let mut bytes = std::fs::read(&path).unwrap();
    let blocks = RdbFile::open(&path).unwrap().index().unwrap().blocks.clone();
    let (a, b) =
        (usize::try_from(blocks[0].offset).unwrap(), usize::try_from(blocks[1].offset).unwrap());
    for page in 0..4096 {
        bytes.swap(a + page, b + page);
    }
    std::fs::write(&path, &bytes).unwrap();
    let error = load(&path, Expired::Keep).unwrap_err();
    assert!(matches!(error.fault, RdbFault::Checksum { .. }), "{error}");
}

#[test]
fn a_sum_of_zero_means_not_summed_and_something_behind_the_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.rdb");
    let body = b"REDIS0009\xfe\x00\x00\x03key\x05value\xff";
    std::fs::write(&path, [&body[..], &[0; 8]].concat()).unwrap();
    assert_eq!(load(&path, Expired::Keep).unwrap().0.keys, 1);
    let sealed = [&body[..], &crc64::checksum(body).to_le_bytes()].concat();
    std::fs::write(&path, &sealed).unwrap();
    assert_eq!(load(&path, Expired::Keep).unwrap().0.keys, 1);
    std::fs::write(&path, [&sealed[..], b"*1\r\n"].concat()).unwrap();
    let error = load(&path, Expired::Keep).unwrap_err();
    assert!(matches!(error.fault, RdbFault::Trailing(4)), "{error}");
    let file = RdbFile::open(&path).unwrap();
    let sink = support::Collected::default();
    let summary = file.load_prefix(&options(Expired::Keep), &shard_of, &sink).unwrap();
    assert_eq!(summary.end_offset, sealed.len() as u64);
    // Before version 5 nothing was summed.
    std::fs::write(&path, b"REDIS0003\xfe\x00\x00\x03key\x05value\xff").unwrap();
    assert_eq!(load(&path, Expired::Keep).unwrap().0.keys, 1);
}

#[test]
fn opcodes_of_newer_servers_are_passed_over_or_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.rdb");
    let with = |body: &[u8], magic: &[u8]| {
        let body = [magic, body, b"\xff"].concat();
        std::fs::write(&path, [&body[..], &crc64::checksum(&body).to_le_bytes()].concat()).unwrap();
        load(&path, Expired::Keep)
    };
    // MODULE_AUX with one field of each kind, SLOT_INFO, IDLE and FREQ.
    let body = b"\xf7\x05\x02\x01\x01\x07\x02\x07\x03abcd\x04abcdefgh\x05\x02hi\x00\xfe\x01\xf4\x05\x01\x00\xf8\x40\xff\x00\x01a\x01b\xf9\x07\x00\x01c\xc0\x05";
    let (summary, loaded) = with(body, b"REDIS0011").unwrap();
    assert_eq!(summary.keys, 2);
    let loaded = loaded.0.into_inner().unwrap();
    assert_eq!(loaded[&(1, b"a".to_vec())].idle_s, Some(255));
    assert_eq!(loaded[&(1, b"c".to_vec())].freq, Some(7));
    assert!(matches!(loaded[&(1, b"c".to_vec())].value, Value::Int(5)));

    let fault = |body: &[u8], magic: &[u8]| with(body, magic).map(drop).unwrap_err().fault;
    assert!(matches!(fault(b"\xf2", b"REDIS0012"), RdbFault::UnknownOpcode(0xf2)));
    assert!(matches!(fault(b"\x1e\x01k\x00", b"REDIS0012"), RdbFault::UnknownOpcode(0x1e)));
    assert!(matches!(fault(b"\xf6\x00", b"REDIS0010"), RdbFault::Unsupported(_)));
    assert!(matches!(fault(b"\xf3\x00", b"VALKEY080"), RdbFault::Unsupported(_)));
    assert!(matches!(fault(b"", b"REDIS0013"), RdbFault::Version(13)));
    assert!(matches!(fault(b"\x07\x01k\x05\x00", b"REDIS0010"), RdbFault::Value { .. }));

    // Type 22 is one thing for Redis and another for Valkey.
    let valkey = b"\x16\x01h\x01\x01f\x01v\xff\xff\xff\xff\xff\xff\xff\xff";
    assert_eq!(with(valkey, b"VALKEY080").unwrap().0.keys, 1);
    assert_eq!(with(b"\x16\x01h\x01\x00\x01f\x01v", b"REDIS0012").unwrap().0.keys, 1);
    // An empty collection is passed over, as in Redis.
    let (summary, _) = with(b"\x02\x01e\x00\x00\x01a\x01b", b"REDIS0010").unwrap();
    assert_eq!((summary.keys, summary.empty), (1, 1));
}

/// A small file that is not summed, so that changes of it reach the decoders; with or without its index.
fn unsummed(with_index: bool) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(sample(&dir, 24)).unwrap();
    let end = bytes.len() - 8;
    bytes[end..].fill(0);
    if !with_index {
        bytes[end - 2] = b'9';
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn changes_that_no_sum_tells_of_are_loaded_or_refused_but_never_harm(
        with_index in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = unsummed(with_index);
        for (at, byte) in changes {
            let at = at.index(bytes.len() - 100);
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.rdb");
        std::fs::write(&path, &bytes).unwrap();
        match load(&path, Expired::Keep) {
            Ok((summary, loaded)) => {
                prop_assert_eq!(summary.keys, loaded.0.into_inner().unwrap().len() as u64);
            }
            Err(error) => prop_assert!(error.offset <= bytes.len() as u64, "{}", error),
        }
    }
}
