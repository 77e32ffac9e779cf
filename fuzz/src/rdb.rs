//! RDB files from bytes, and what is in them.

use std::collections::BTreeMap;
use std::os::fd::IntoRawFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use ringstone_engine::serial::digest::{self, DigestBytes};
use ringstone_engine::serial::{Compression, RdbWriter, SnapshotWriter, crc64};
use ringstone_engine::types::EncodingLimits;
use ringstone_persist::rdb::write::{BlockWriter, Header, tail};
use ringstone_persist::rdb::{Expired, LoadOptions, Loaded, RdbError, RdbFile, Sink, Summary};

use ringstone_tests::generate::pair::{Row, described};

/// EOF and CRC-64.
const END_LEN: usize = 9;
const SHARDS: usize = 3;

/// A path of a file in memory, without a name, that every input is written to and that goes with the process.
pub fn scratch_path() -> PathBuf {
    let shared = Path::new("/dev/shm");
    let dir = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    let file = tempfile::tempfile_in(dir).expect("a temporary file");
    PathBuf::from(format!("/proc/self/fd/{}", file.into_raw_fd()))
}

/// What was loaded: by database and key the value and its expiry.
#[derive(Debug, Default)]
pub struct Collected(Mutex<BTreeMap<(u32, Vec<u8>), Loaded>>);

impl Sink for Collected {
    fn batch(&self, shard: usize, entries: Vec<Loaded>) -> Result<(), String> {
        let mut all = self.0.lock().unwrap();
        for entry in entries {
            assert_eq!(shard, shard_of(&entry.key));
            if all.insert((entry.db, entry.key.clone()), entry).is_some() {
                return Err("a key is there twice".to_owned());
            }
        }
        Ok(())
    }
}

impl Collected {
    /// Key by key, with a digest of the value.
    pub fn listing(&self) -> Vec<(u32, Vec<u8>, Option<i64>, DigestBytes)> {
        let all = self.0.lock().unwrap();
        let row = |entry: &Loaded| {
            let digest = digest::value_digest(entry.value.as_ref(), false);
            (entry.db, entry.key.clone(), entry.expire_at_ms, digest)
        };
        all.values().map(row).collect()
    }

    /// The same with all that is to be said of values.
    pub fn rows(&self) -> Vec<Row> {
        let all = self.0.lock().unwrap();
        let row = |entry: &Loaded| {
            let described = described(entry.value.as_ref());
            (entry.db, entry.key.clone(), entry.expire_at_ms, described)
        };
        all.values().map(row).collect()
    }

    /// All of it as a file of our own, with blocks of at most `per_block` keys.
    pub fn save(&self, compress: bool, per_block: usize) -> Vec<u8> {
        let all = self.0.lock().unwrap();
        let entries: Vec<&Loaded> = all.values().collect();
        let blocks = entries.chunks(per_block.max(1)).map(|chunk| {
            let mut out = SnapshotWriter::new(RdbWriter::new(if compress { Compression::All } else { Compression::None }));
            for entry in chunk {
                out.entry(entry.db, &entry.key, entry.value.as_ref(), entry.expire_at_ms);
            }
            out.take_block()
        });
        file_of_blocks(&Header::default(), blocks)
    }
}

fn shard_of(key: &[u8]) -> usize {
    key.iter().map(|byte| usize::from(*byte)).sum::<usize>() % SHARDS
}

/// Our own layout around blocks, whatever they hold.
pub fn file_of_blocks(
    header: &Header<'_>,
    blocks: impl IntoIterator<Item = (Vec<u8>, u64)>,
) -> Vec<u8> {
    let header = header.encode();
    let offsets = AtomicU64::new(header.bytes.len() as u64);
    let mut writer = BlockWriter::new(0, &offsets);
    let mut file = header.bytes.clone();
    for (mut block, entries) in blocks {
        assert_eq!(writer.seal(&mut block, entries), file.len() as u64);
        file.extend_from_slice(&block);
    }
    let (offset, bytes) = tail(&header, writer.into_entries()).expect("blocks side by side");
    assert_eq!(offset, file.len() as u64);
    file.extend_from_slice(&bytes);
    file
}

/// Makes the CRC-64 at the end right, in case it is one.
pub fn seal(file: &mut [u8]) {
    if let Some(summed) = file.len().checked_sub(END_LEN - 1) {
        let sum = crc64::checksum(&file[..summed]);
        file[summed..].copy_from_slice(&sum.to_le_bytes());
    }
}

/// The same file without its index, so that it is loaded like one of Redis.
pub fn without_index(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    let magic = file.len() - END_LEN - 1;
    file[magic] ^= 1;
    seal(&mut file);
    file
}

/// Loads a file from `path`.
pub fn load(path: &Path, bytes: &[u8]) -> Result<(Summary, Collected), RdbError> {
    std::fs::write(path, bytes).expect("space for a small file");
    let file = RdbFile::open(path)?;
    let options = LoadOptions {
        limits: EncodingLimits::default(),
        expired: Expired::Keep,
        threads: 1,
        shards: SHARDS,
    };
    let collected = Collected::default();
    let _ = file.is_aof_base();
    let summary = file.load_parallel(&options, &shard_of, &collected)?;
    Ok((summary, collected))
}
