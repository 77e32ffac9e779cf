//! Logs of the format as it was: what a release has written is read by all that follow. Never change a file of
//! `fixtures/logs`; a new format gets directories of its own.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail loudly too"
)]

use std::fs;
use std::path::{Path, PathBuf};

use ringstone_engine::effect::Records;
use ringstone_persist::disk::{StdDisk, block_on};
use ringstone_persist::log::{RecoverOptions, Recovered, recover};
use ringstone_persist::rdb::{Expired, LoadOptions, Loaded, RdbFile, Sink};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/logs")
}

/// Unpacks a log; its directory goes with the first of both.
fn unpack(name: &str) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("appendonly");
    fs::create_dir(&dir).unwrap();
    for entry in fs::read_dir(fixtures().join(name)).unwrap() {
        let path = entry.unwrap().path();
        let bytes = zstd::decode_all(fs::File::open(&path).unwrap()).unwrap();
        fs::write(dir.join(path.file_stem().unwrap()), bytes).unwrap();
    }
    (home, dir)
}

struct Nothing;

impl Sink for Nothing {
    fn batch(&self, _: usize, _: Vec<Loaded>) -> Result<(), String> {
        Ok(())
    }
}

fn effects(recovered: &Recovered) -> usize {
    let mut replay = recovered.replay();
    let mut count = 0;
    while let Some(frame) = block_on(replay.next(&StdDisk)).unwrap() {
        count += Records::new(frame.records).map(Result::unwrap).count();
    }
    count
}

#[test]
fn logs_of_format_1_are_read_for_ever() {
    // Name; GSN, frames and effects; keys of the base.
    for (name, gsn, frames, all, keys) in LOGS {
        let (_home, dir) = unpack(name);
        for shards in [1, 3] {
            let recovered =
                block_on(recover(&StdDisk, &RecoverOptions::new(&dir, shards, [0; 16], 1)));
            let recovered = recovered.unwrap();
            assert_eq!(recovered.gsn, gsn, "{name}");
            assert_eq!(recovered.warnings, [], "{name}");
            assert_eq!((recovered.frames_len(), effects(&recovered)), (frames, all), "{name}");
            let (base, _) = recovered.base().unwrap();
            let options = LoadOptions {
                limits: Default::default(),
                expired: Expired::Keep,
                threads: 1,
                shards: 1,
            };
            let file = RdbFile::open(&base).unwrap();
            assert!(file.index().is_some(), "{name}");
            assert_eq!(file.load_parallel(&options, &|_| 0, &Nothing).unwrap().keys, keys);
        }
    }
}

const LOGS: [(&str, u64, usize, usize, u64); 3] = [
    ("always-killed", 14, 7, 9, 8),
    ("everysec-killed", 14, 7, 9, 8),
    ("everysec-stopped", 14, 7, 9, 8),
];
