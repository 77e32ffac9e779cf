//! A snapshot as the server makes it: each shard's part while writes go on, one file of all, and its way back into keyspaces.

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use ringstone_engine::Keyspace;
use ringstone_engine::keyspace::Mode;
use ringstone_engine::serial::{Compression, RdbWriter, SnapshotWriter};
use ringstone_engine::types::EncodingLimits;
use ringstone_persist::disk::Disk as _;
use ringstone_persist::rdb::write::{BlockWriter, Header, tail};
use ringstone_persist::rdb::{Expired, LoadOptions, Loaded, RdbFile, Sink};

use super::commands::shard_of;
use super::disk::Disk;
use super::oracle::Violation;

/// A block is closed when it has this size.
const BLOCK_BYTES: usize = 3000;

/// One shard's part.
pub struct Part {
    out: SnapshotWriter,
    /// With the number of keys in each.
    blocks: Vec<(Vec<u8>, u64)>,
    is_done: bool,
    has_newer_types: bool,
}

impl Part {
    /// The cut on this shard.
    pub fn begin(keyspace: &mut Keyspace, compression: Compression) -> Part {
        keyspace.snapshot_set_compression(compression);
        keyspace.snapshot_begin();
        Part {
            out: SnapshotWriter::new(RdbWriter::new(compression)),
            blocks: Vec::new(),
            is_done: false,
            has_newer_types: keyspace.has_field_times(),
        }
    }

    /// Writes about so many bytes; true when all is written.
    pub fn step(&mut self, keyspace: &mut Keyspace, budget_bytes: usize) -> bool {
        if !self.is_done {
            self.is_done = keyspace.snapshot_step(&mut self.out, budget_bytes);
            let full = self.out.len_bytes() >= BLOCK_BYTES;
            if self.out.entries() > 0 && (full || self.is_done) {
                self.blocks.push(self.out.take_block());
            }
        }
        self.is_done
    }
}

/// Writes the whole file, not yet synced.
pub async fn write(
    disk: &Disk,
    path: &Path,
    parts: Vec<Part>,
    is_aof_base: bool,
) -> io::Result<()> {
    let has_newer_types = parts.iter().any(|part| part.has_newer_types);
    let header = Header { is_aof_base, has_newer_types, ..Header::default() }.encode();
    let file = disk.create(path).await?;
    disk.write_all_at(&file, &header.bytes, 0).await?;
    let offsets = AtomicU64::new(header.bytes.len() as u64);
    let mut entries = Vec::new();
    for (shard, part) in (0..).zip(parts) {
        let mut blocks = BlockWriter::new(shard, &offsets);
        for (mut block, keys) in part.blocks {
            let offset = blocks.seal(&mut block, keys);
            disk.write_all_at(&file, &block, offset).await?;
        }
        entries.extend(blocks.into_entries());
    }
    let (offset, bytes) = tail(&header, entries).map_err(io::Error::other)?;
    disk.write_all_at(&file, &bytes, offset).await
}

/// Keys of a file, by shard.
struct Loading(Vec<Mutex<Vec<Loaded>>>);

impl Sink for Loading {
    fn batch(&self, shard: usize, entries: Vec<Loaded>) -> Result<(), String> {
        self.0[shard].lock().unwrap().extend(entries);
        Ok(())
    }
}

/// Loads a file into empty keyspaces.
pub fn load(disk: &Disk, path: &Path, keyspaces: &mut [Keyspace]) -> Result<(), Violation> {
    let fail = |text: String| Violation(format!("{}: {text}", path.display()));
    let bytes = disk.bytes(path).ok_or_else(|| fail("is not there".to_owned()))?;
    let file = RdbFile::from_bytes(path, bytes).map_err(|e| fail(e.to_string()))?;
    let shards = keyspaces.len();
    let options = LoadOptions {
        limits: keyspaces.first().map_or_else(EncodingLimits::default, |keyspace| keyspace.limits),
        expired: Expired::Keep,
        threads: 1,
        shards,
    };
    let loading = Loading(keyspaces.iter().map(|_| Mutex::default()).collect());
    let loaded = file.load_parallel(&options, &|key| shard_of(key, shards), &loading);
    loaded.map_err(|e| fail(e.to_string()))?;
    for (keyspace, entries) in keyspaces.iter_mut().zip(loading.0) {
        for entry in entries.into_inner().unwrap() {
            let mut db = keyspace.db(entry.db as usize, 0, Mode::Replay);
            let before = db.len();
            db.set(&entry.key, entry.value, entry.expire_at_ms);
            if db.len() == before {
                return Err(fail(format!("{} stands twice", entry.key.escape_ascii())));
            }
        }
    }
    Ok(())
}
