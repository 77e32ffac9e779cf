//! RDB files and append-only files of Redis: damaged on disk, and loaded by persist's own code.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use ringstone_engine::serial::digest::key_digest;
use ringstone_engine::types::EncodingLimits;
use ringstone_persist::import::{Import, ImportOptions};
use ringstone_persist::rdb::{Expired, LoadOptions, Loaded, RdbFile, Sink};

use super::Outcome;
use super::mutation::Mutation;
use crate::sim::rng::{Rng, mix};

/// Sums what is loaded, in any order.
#[derive(Default)]
struct Sum(AtomicU64);

impl Sink for Sum {
    fn batch(&self, _: usize, entries: Vec<Loaded>) -> Result<(), String> {
        for entry in entries {
            let hash = key_digest(&entry.key, entry.value.as_ref(), entry.expire_at_ms.is_some());
            let head = u64::from_le_bytes(*hash.first_chunk().expect("20 bytes"));
            let time = entry.expire_at_ms.unwrap_or(-1) as u64;
            // A sum, so that a key that is there twice is noticed.
            self.0.fetch_add(mix(head ^ mix(time) ^ u64::from(entry.db)), Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The sum of an RDB file's content.
pub(super) fn digest(path: &Path) -> Result<u64, String> {
    let file = RdbFile::open(path).map_err(|e| e.to_string())?;
    let limits = EncodingLimits::default();
    let options = LoadOptions { limits, expired: Expired::Keep, threads: 1, shards: 1 };
    let sum = Sum::default();
    let summary = file.load_parallel(&options, &|_| 0, &sum).map_err(|e| e.to_string())?;
    let functions = summary.functions.iter().map(|code| u64::from(crc32fast::hash(code)));
    Ok(sum.0.load(Ordering::Relaxed) ^ functions.fold(0, |sum, one| mix(sum ^ one)))
}

/// Magic, version, and the parts of our index, if there is one.
pub(super) fn fields(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut out = vec![(0, 5), (5, 4)];
    let len = bytes.len();
    out.extend([(len.saturating_sub(8), 8), (len.saturating_sub(9), 1)]);
    if let Some(end) = super::log::memmem(bytes, b"RINGIDX1").last() {
        out.extend([(*end, 8), (end.saturating_sub(4), 4), (end.saturating_sub(12), 8)]);
    }
    if let Some(at) = super::log::memmem(bytes, b"ringstone-index").last() {
        let index = at + 15;
        out.extend((0..12).map(|n| (index + n * 8, 8)));
    }
    out.retain(|(at, field)| at + field <= len);
    out
}

/// A file to be loaded.
pub(super) struct Subject {
    /// What it is called in reports.
    pub(super) name: &'static str,
    path: PathBuf,
    bytes: Vec<u8>,
    fields: Vec<(usize, usize)>,
    /// The sum of its content, of an RDB file.
    digest: Option<u64>,
}

impl Subject {
    /// An RDB file.
    pub(super) fn snapshot(name: &'static str, path: &Path) -> Subject {
        let bytes = fs::read(path).expect("a file");
        let digest = Some(digest(path).expect("an RDB file"));
        Subject { name, path: path.to_owned(), fields: fields(&bytes), bytes, digest }
    }

    /// An append-only file, or the manifest of one.
    pub(super) fn log(name: &'static str, path: &Path) -> Subject {
        let bytes = fs::read(path).expect("a file");
        Subject { name, path: path.to_owned(), bytes, fields: Vec::new(), digest: None }
    }

    /// A random damage, as it is called and what came of it. `scratch` lies in a directory of its own.
    pub(super) fn damage(
        &self,
        rng: &mut Rng,
        other: &Subject,
        scratch: &Path,
    ) -> (String, Outcome) {
        let len = self.bytes.len();
        let mutation = Mutation::choose(rng, len, len, &self.fields);
        let what = format!("{} {}: {mutation:?}", self.name, self.path.display());
        let bytes = match mutation {
            Mutation::Foreign => other.bytes[..other.bytes.len() / 2].to_vec(),
            _ => mutation.apply(&self.bytes),
        };
        fs::write(scratch, bytes).expect("scratch space");
        (
            what,
            match self.digest {
                Some(before) => match digest(scratch) {
                    Err(why) if why.is_empty() => {
                        Outcome::Violation("refused without a word".into())
                    }
                    Err(_) => Outcome::Refused,
                    Ok(after) if after == before => Outcome::Same,
                    Ok(_) => Outcome::Violation("other data, without a word".to_owned()),
                },
                None => import(scratch),
            },
        )
    }
}

/// Files of commands have no checksums: what can be promised of them is an end, within bounds.
fn import(path: &Path) -> Outcome {
    let options = ImportOptions {
        limits: EncodingLimits::default(),
        threads: 1,
        now_ms: 1_700_000_000_000,
        load_truncated: true,
    };
    let result = Import::open(path).and_then(|import| import.run(&options, &mut |_| Ok(())));
    match result {
        Ok(summary) if summary.torn_tail.is_some() => Outcome::Prefix,
        Ok(_) => Outcome::Same,
        Err(error) if error.to_string().is_empty() => {
            Outcome::Violation("refused without a word".to_owned())
        }
        Err(_) => Outcome::Refused,
    }
}
