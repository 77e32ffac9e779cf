//! Whole RDB files: an error or keys; what was loaded is saved and loads as the same; with the index and without it a file
//! holds the same.
//!
//! An input that begins like an RDB file is one: it is loaded as it is, and with its sum put right. Any other is the blocks
//! of a file of our own: a byte of flags, then each block as a length of two bytes and its content.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ringstone_fuzz::rdb::{Collected, file_of_blocks, load, scratch_path, seal, without_index};
use ringstone_persist::rdb::RdbError;
use ringstone_persist::rdb::write::Header;

static PATH: LazyLock<PathBuf> = LazyLock::new(scratch_path);

fuzz_target!(|data: &[u8]| {
    if data.starts_with(b"REDIS") || data.starts_with(b"VALKEY") {
        whole(data);
    } else if let Some((flags, blocks)) = data.split_first() {
        parts(*flags, blocks);
    }
});

fn whole(data: &[u8]) {
    let as_it_is = load(&PATH, data).map(|(_, keys)| keys);
    let mut sealed = data.to_vec();
    seal(&mut sealed);
    match (load(&PATH, &sealed), as_it_is) {
        (Ok((_, keys)), Ok(before)) => {
            assert_eq!(keys.listing(), before.listing());
            saves_and_loads(&keys);
        }
        (Ok((_, keys)), Err(_)) => saves_and_loads(&keys),
        (Err(error), before) => {
            tells(&error);
            // Old versions have no sum, and what stands in its place are keys.
            assert!(before.is_err() || data.get(5..9).is_none_or(|version| version < b"0005"));
        }
    }
}

fn parts(flags: u8, mut rest: &[u8]) {
    let mut blocks = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk::<2>() {
        let (block, after) = after.split_at(usize::from(u16::from_le_bytes(*len)).min(after.len()));
        // As every block begins.
        blocks.push(([&[0xfe, 0], block].concat(), 1));
        rest = after;
    }
    let functions = if flags & 1 == 0 { vec![] } else { vec![b"#!lua name=x\n".to_vec()] };
    let header = Header { is_aof_base: flags & 2 != 0, functions: &functions, ..Header::default() };
    let file = file_of_blocks(&header, blocks);
    let indexed = load(&PATH, &file);
    let plain = load(&PATH, &without_index(&file));
    match indexed {
        Ok((summary, keys)) => {
            assert!(summary.indexed);
            let (other, same) = plain.unwrap_or_else(|e| panic!("refused without its index: {e}"));
            assert!(!other.indexed);
            assert_eq!(keys.listing(), same.listing());
            assert_eq!(summary.functions, other.functions);
            saves_and_loads(&keys);
        }
        Err(error) => tells(&error),
    }
}

fn saves_and_loads(keys: &Collected) {
    for compress in [false, true] {
        let file = keys.save(compress, 2);
        let (summary, again) = load(&PATH, &file).unwrap_or_else(|e| panic!("what was saved: {e}"));
        assert!(summary.indexed);
        assert_eq!(again.listing(), keys.listing());
    }
}

fn tells(error: &RdbError) {
    assert!(!error.to_string().is_empty());
}
