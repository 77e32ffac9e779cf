//! From files to keyspaces: recovery of the log, loading of snapshots, import of what Redis left.
//!
//! ```text
//!   appendonly yes:  MANIFEST ─> base ─> frames in GSN order          none yet: Redis's AOF or dump.rdb ─> a base of our own
//!                             superseded: dump.rdb, which is newer ─> a base of our own
//!   appendonly no:   dump.rdb
//! ```
//!
//! Invariant: nothing is served before all is loaded, and nothing is loaded that a checksum does not vouch for.

mod apply;
mod base;
mod import;
mod look;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use ringstone_engine::Keyspace;
use ringstone_peer::SlotMap;
use ringstone_persist::crypt::Keyring;
use ringstone_persist::disk::{Disk, block_on};
use ringstone_persist::log::{
    FrameKind, LogId, LogWriter, Manifest, RecoverOptions, Recovered, RecoveryError, RecoveryPlan,
    SegmentScan, SyncMode, WriterOptions, scan_segment,
};
use ringstone_persist::rdb::{Expired, RdbFile};

use crate::config::Config;
use crate::config::types::Fsync;
use crate::failpoint::{DISK, Step, pass};
pub use apply::Owners;
pub(crate) use apply::check_record;
pub(crate) use base::{write_first, write_whole};
pub(crate) use import::{append_only_file, foreign_prefix};
pub(crate) use look::{Source, look};

/// Everything that shards start with.
pub struct Boot {
    /// One a shard.
    pub keyspaces: Vec<Keyspace>,
    /// One a shard, with the log's directory, when there is a log.
    pub logs: Option<Vec<(LogWriter, PathBuf)>>,
    /// The log's MANIFEST.
    pub manifest: Option<Manifest>,
    /// For MANIFEST at the next base: what is left of shards that are no more.
    pub vanished: Vec<(u32, u64)>,
    /// The first GSN of this run.
    pub next_gsn: u64,
    /// Function libraries that a file held: kept, so that they are not lost.
    pub functions: Vec<Vec<u8>>,
    /// Keys loaded, and keys that had expired.
    pub loaded: (u64, u64),
    /// Bytes of the base, and of the log behind it.
    pub log_bytes: (u64, u64),
}

impl Boot {
    fn nothing() -> Boot {
        Boot {
            keyspaces: Vec::new(),
            logs: None,
            manifest: None,
            vanished: Vec::new(),
            next_gsn: 1,
            functions: Vec::new(),
            loaded: (0, 0),
            log_bytes: (0, 0),
        }
    }
}

/// A reason not to start, in words for the operator.
pub type Refusal = String;

/// Loads everything. `seed` is random.
pub fn boot(
    config: &Config,
    keyring: &Keyring,
    slots: SlotMap,
    seed: [u8; 32],
) -> Result<Boot, Refusal> {
    let began = Instant::now();
    std::fs::create_dir_all(&config.dir)
        .map_err(|e| format!("dir {}: {e}", config.dir.display()))?;
    let mut owners = Owners::start(config, slots, seed)?;
    let mut boot = Boot::nothing();
    if config.appendonly {
        recover_log(config, keyring, (slots, seed), &mut owners, &mut boot)?;
    } else {
        import::load_dump(config, keyring, &mut owners, &mut boot)?;
    }
    if boot.keyspaces.is_empty() {
        boot.keyspaces = owners.finish()?;
    }
    let keys: usize = boot
        .keyspaces
        .iter_mut()
        .map(|k| {
            (0..k.databases())
                .map(|db| k.db(db, 0, ringstone_engine::keyspace::Mode::Replay).len())
                .sum::<usize>()
        })
        .sum();
    if keys > 0 {
        tracing::info!(
            "DB loaded from disk: {:.3} seconds, {keys} keys",
            began.elapsed().as_secs_f64()
        );
    }
    Ok(boot)
}

/// What a snapshot holds.
pub struct Reloaded {
    /// The data, by shard.
    pub keyspaces: Vec<Keyspace>,
    /// The texts of function libraries.
    pub functions: Vec<Vec<u8>>,
}

/// Loads a snapshot into fresh keyspaces, for DEBUG RELOAD.
pub fn reload_dump(
    config: &Config,
    slots: SlotMap,
    seed: [u8; 32],
    path: &Path,
    keyring: &Keyring,
) -> Result<Reloaded, Refusal> {
    let mut owners = Owners::start(config, slots, seed)?;
    let file = RdbFile::open_with(path, keyring).map_err(|e| e.to_string())?;
    let functions = owners.load(&file, Expired::Keep)?.functions;
    Ok(Reloaded { keyspaces: owners.finish()?, functions })
}

/// Loads what the log's directory holds while the log is off, for DEBUG LOADAOF.
pub fn reload_log(
    config: &Config,
    keyring: &Keyring,
    slots: SlotMap,
    seed: [u8; 32],
) -> Result<Reloaded, Refusal> {
    let dir = config.log_dir();
    let known = block_on(Manifest::load(&DISK, &dir)).map_err(|e| e.to_string())?;
    if known.is_none() {
        return Err(format!("there is no log in {}", dir.display()));
    }
    let mut owners = Owners::start(config, slots, seed)?;
    let recovered = open_log(config, keyring, (slots, seed), true)?;
    let mut boot = Boot::nothing();
    if let Some((path, _)) = recovered.base() {
        load_base(&path, keyring, &mut owners, &mut boot)?;
    }
    replay(&DISK, &recovered, u64::MAX, &mut owners, &mut boot)?;
    Ok(Reloaded { keyspaces: owners.finish()?, functions: boot.functions })
}

fn recover_log(
    config: &Config,
    keyring: &Keyring,
    (slots, seed): (SlotMap, [u8; 32]),
    owners: &mut Owners,
    boot: &mut Boot,
) -> Result<(), Refusal> {
    let dir = config.log_dir();
    let mut recovered = open_log(config, keyring, (slots, seed), false)?;
    let elsewhere = if recovered.manifest.is_superseded {
        tracing::warn!(
            "a snapshot was saved while the log in {} was off: taking the snapshot, which is newer",
            dir.display()
        );
        import::load_dump(config, keyring, owners, boot)?
    } else {
        recovered.base().is_none()
            && recovered.gsn == 0
            && import::import(config, keyring, owners, boot)?
    };
    if elsewhere {
        boot.keyspaces = std::mem::replace(owners, Owners::none()).finish()?;
        base::write_first(&dir, keyring, boot, &mut recovered)?;
    } else {
        take_log_again(&dir, &mut recovered)?;
        pass(Step::RecoveryBase);
        if let Some((path, cut)) = recovered.base() {
            load_base(&path, keyring, owners, boot)?;
            tracing::debug!("base {} holds everything up to GSN {cut}", path.display());
        }
        pass(Step::RecoveryReplay);
        replay(&DISK, &recovered, u64::MAX, owners, boot)?;
    }
    pass(Step::RecoveryDone);
    let opened = OpenedLog::new(config, recovered, slots);
    boot.next_gsn = opened.next_gsn;
    boot.vanished = opened.vanished;
    boot.logs = Some(opened.logs);
    boot.manifest = Some(opened.manifest);
    Ok(())
}

/// A superseded log whose snapshot is gone: it is the best that there is, and must not seem old any more once it goes on.
fn take_log_again(dir: &Path, recovered: &mut Recovered) -> Result<(), Refusal> {
    if !std::mem::take(&mut recovered.manifest.is_superseded) {
        return Ok(());
    }
    tracing::warn!("that snapshot is not there: taking what the log holds");
    block_on(recovered.manifest.store(&DISK, dir))
        .map_err(|e| format!("{}: {e}", dir.join("MANIFEST").display()))
}

/// A log that shards can write.
pub struct OpenedLog {
    /// One a shard, with the log's directory.
    pub logs: Vec<(LogWriter, PathBuf)>,
    /// Its MANIFEST.
    pub manifest: Manifest,
    /// For MANIFEST at the next base: what is left of shards that are no more.
    pub vanished: Vec<(u32, u64)>,
    /// The first GSN to take.
    pub next_gsn: u64,
}

impl OpenedLog {
    /// What shards of `slots` write after this recovery.
    pub fn new(config: &Config, recovered: Recovered, slots: SlotMap) -> OpenedLog {
        let dir = config.log_dir();
        let shards = u32::try_from(slots.shards()).unwrap_or(u32::MAX);
        let writer = |shard| LogWriter::new(writer_options(config, &recovered, shard, shards));
        OpenedLog {
            logs: (0..shards).map(|shard| (writer(shard), dir.clone())).collect(),
            vanished: recovered.vanished_first_live(shards),
            next_gsn: recovered.next_gsn(),
            manifest: recovered.manifest,
        }
    }
}

/// Recovers the log in its directory; see [`RecoverOptions::pending`].
pub fn open_log(
    config: &Config,
    keyring: &Keyring,
    (slots, seed): (SlotMap, [u8; 32]),
    pending: bool,
) -> Result<Recovered, Refusal> {
    let dir = config.log_dir();
    let shards = u32::try_from(slots.shards()).unwrap_or(u32::MAX);
    let uuid = seed.first_chunk().copied().unwrap_or_default();
    let now_ms = u64::try_from(crate::rt::clock::unix_ms()).unwrap_or(0);
    let mut options = RecoverOptions::new(&dir, shards, uuid, now_ms);
    options.force_truncate = config.force_truncate && !pending;
    options.foreign_prefix = Some(foreign_prefix(config));
    options.pending = pending;
    options.keyring = keyring.clone();
    let recovered = recover(&DISK, &options, slots.shards())
        .map_err(|e| format!("the log in {} cannot be used: {e}", dir.display()))?;
    recovered.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(recovered)
}

/// Recovers the log's state, its segments read by `threads` threads.
pub(crate) fn recover<D: Disk + Sync>(
    disk: &D,
    options: &RecoverOptions,
    threads: usize,
) -> Result<Recovered, RecoveryError> {
    let plan = block_on(RecoveryPlan::load(disk, options))?;
    let (segments, log) = (plan.segments().to_vec(), plan.log());
    let next = AtomicUsize::new(0);
    let scan = || {
        let mut scans: Vec<(usize, Result<SegmentScan, RecoveryError>)> = Vec::new();
        loop {
            // Relaxed: it orders nothing but itself, and the scans come back through `join`.
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(id) = segments.get(at) else { return scans };
            let path = options.dir.join(id.file_name());
            let scanned = block_on(scan_segment(disk, &path, &log, *id));
            let scanned =
                scanned.map_err(|error| RecoveryError::Io { what: format!("read {id}"), error });
            scans.push((at, scanned));
        }
    };
    let mut scans = thread::scope(|scope| {
        let threads = (1..threads.min(segments.len())).map(|_| scope.spawn(scan)).collect();
        let mut scans = scan();
        let threads: Vec<thread::ScopedJoinHandle<'_, _>> = threads;
        scans.extend(threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()));
        scans
    });
    scans.sort_unstable_by_key(|(at, _)| *at);
    let scans: Vec<SegmentScan> =
        scans.into_iter().map(|(_, scan)| scan).collect::<Result<_, _>>()?;
    if scans.len() != segments.len() {
        let error = std::io::Error::other("a thread that reads segments panicked");
        return Err(RecoveryError::Io { what: "read the log".to_owned(), error });
    }
    pass(Step::RecoveryScanned);
    block_on(plan.finish(disk, scans))
}

/// When to sync, from `appendfsync`.
pub fn sync_mode(fsync: Fsync) -> SyncMode {
    match fsync {
        Fsync::Always => SyncMode::Always,
        Fsync::EverySecond => SyncMode::EverySec,
        Fsync::No => SyncMode::No,
    }
}

fn writer_options(
    config: &Config,
    recovered: &Recovered,
    shard: u32,
    shards: u32,
) -> WriterOptions {
    let log = LogId::new(recovered.manifest.log.uuid);
    let mode = sync_mode(config.appendfsync);
    WriterOptions {
        old_segments: recovered.old_segments(shard, shards),
        cut_gsn: recovered.manifest.cut_gsn(),
        archived_gsn: (!config.log_archive_dir.as_os_str().is_empty()).then_some(0),
        segment_bytes: config.log_segment_size,
        cipher: recovered.cipher.clone(),
        ..WriterOptions::new(log, shard, recovered.epoch, mode, recovered.next_seq(shard))
    }
}

fn load_base(
    path: &Path,
    keyring: &Keyring,
    owners: &mut Owners,
    boot: &mut Boot,
) -> Result<(), Refusal> {
    let file = RdbFile::open_with(path, keyring).map_err(|e| e.to_string())?;
    let summary = owners.load(&file, Expired::Keep)?;
    boot.functions = summary.functions;
    boot.loaded.0 += summary.keys;
    boot.log_bytes.0 = file_len(path);
    Ok(())
}

/// Applies the frames up to the one of GSN `last`.
fn replay<D: Disk>(
    disk: &D,
    recovered: &Recovered,
    last: u64,
    owners: &mut Owners,
    boot: &mut Boot,
) -> Result<(), Refusal> {
    owners.functions = std::mem::take(&mut boot.functions);
    let mut frames = recovered.replay::<D>();
    while let Some(frame) =
        block_on(frames.next(disk)).map_err(|e| format!("reading the log: {e}"))?
    {
        if frame.gsn > last {
            break;
        }
        boot.log_bytes.1 += frame.records.len() as u64;
        if frame.kind != FrameKind::Cut {
            owners.apply(frame.records, frame.wall_ms).map_err(|e| {
                format!("GSN {} in the log of shard {}: {e}", frame.gsn, frame.shard)
            })?;
        }
    }
    boot.functions = std::mem::take(&mut owners.functions);
    owners.settle()
}

fn file_len(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.len())
}

/// The file that the process which works in a directory holds a lock on.
pub(crate) const LOCK_NAME: &str = "ringstone.lock";

/// Makes sure that no other server works in this directory; the lock goes with the process.
pub fn lock_dir(dir: &Path) -> Result<std::fs::File, Refusal> {
    std::fs::create_dir_all(dir).map_err(|e| format!("dir {}: {e}", dir.display()))?;
    let path = dir.join(LOCK_NAME);
    let file = std::fs::File::create(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    file.try_lock().map_err(|_| {
        format!(
            "another server is using {}: stop it, or give this one another --dir",
            dir.display()
        )
    })?;
    Ok(file)
}
