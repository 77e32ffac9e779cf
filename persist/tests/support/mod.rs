//! What the tests of files share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use ringstone_engine::serial::digest::{dataset_digest, key_digest};
use ringstone_engine::serial::{Digest, RdbWriter};
use ringstone_engine::types::{EncodingLimits, Value};
use ringstone_persist::rdb::opcode::{EXPIRETIME_MS, SELECTDB};
use ringstone_persist::rdb::write::{BlockWriter, Header, tail};
use ringstone_persist::rdb::{Expired, LoadOptions, Loaded, RdbError, RdbFile, Sink, Summary};

/// Keeps everything that is loaded.
#[derive(Debug, Default)]
pub(crate) struct Collected(pub(crate) Mutex<BTreeMap<(u32, Vec<u8>), Loaded>>);

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
    /// DEBUG DIGEST of what was loaded, in hex.
    pub(crate) fn digest(&self) -> String {
        let mut dbs: BTreeMap<u32, Digest> = BTreeMap::new();
        for ((db, key), entry) in self.0.lock().unwrap().iter() {
            let expires = entry.expire_at_ms.is_some();
            let hash = key_digest(key, entry.value.as_ref(), expires);
            dbs.entry(*db).or_default().xor(&hash);
        }
        hex(&dataset_digest(dbs.into_iter().map(|(db, digest)| (db, digest.bytes()))))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) const SHARDS: usize = 3;

pub(crate) fn shard_of(key: &[u8]) -> usize {
    key.iter().map(|byte| usize::from(*byte)).sum::<usize>() % SHARDS
}

pub(crate) fn options(expired: Expired) -> LoadOptions {
    LoadOptions { limits: EncodingLimits::default(), expired, threads: 2, shards: SHARDS }
}

/// Loads a file with two threads.
pub(crate) fn load(path: &Path, expired: Expired) -> Result<(Summary, Collected), RdbError> {
    let sink = Collected::default();
    let file = RdbFile::open(path)?;
    let summary = file.load_parallel(&options(expired), &shard_of, &sink)?;
    Ok((summary, sink))
}

pub(crate) type TestEntry = (u32, Vec<u8>, Value, Option<i64>);

/// Writes a file as the server does: blocks of two shards, interleaved.
pub(crate) fn write_file(
    path: &Path,
    header: &Header<'_>,
    entries: &[TestEntry],
    per_block: usize,
) {
    let header = header.encode();
    let offsets = AtomicU64::new(header.bytes.len() as u64);
    let mut file = header.bytes.clone();
    let mut shards = [BlockWriter::new(0, &offsets), BlockWriter::new(1, &offsets)];
    for (at, chunk) in entries.chunks(per_block).enumerate() {
        let mut out = RdbWriter::default();
        let mut db = None;
        for (entry_db, key, value, expire_at_ms) in chunk {
            if db != Some(*entry_db) {
                out.byte(SELECTDB);
                out.length(u64::from(*entry_db));
                db = Some(*entry_db);
            }
            if let Some(ms) = expire_at_ms {
                out.byte(EXPIRETIME_MS);
                out.ms_time(*ms);
            }
            out.byte(value.as_ref().rdb_type());
            out.string(key);
            value.as_ref().save(&mut out);
        }
        let offset = shards[at % 2].seal(&mut out.buf, chunk.len() as u64);
        assert_eq!(offset, file.len() as u64);
        file.extend_from_slice(&out.buf);
    }
    let blocks = shards.into_iter().flat_map(BlockWriter::into_entries).collect();
    let (offset, bytes) = tail(&header, blocks).unwrap();
    assert_eq!(offset, file.len() as u64);
    file.extend_from_slice(&bytes);
    assert_eq!(file.len() % 4096, 0);
    std::fs::write(path, file).unwrap();
}

/// A redis-server of ours, or `None` when none is installed.
pub(crate) struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    /// Starts one in `dir`, which loads `dump.rdb` of it.
    pub(crate) fn start(dir: &Path, more: &[&str]) -> Option<Redis> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--enable-debug-command", "yes", "--dir"])
            .arg(dir)
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let redis = Redis { child, port };
        let end = Instant::now() + Duration::from_secs(20);
        while redis.cli(&["PING"]) != "PONG" {
            assert!(Instant::now() < end, "redis-server does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(redis)
    }

    /// A command's reply as text.
    pub(crate) fn cli(&self, args: &[&str]) -> String {
        let out = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(args)
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
