//! Snapshots without fork: `dump.rdb`, and the base of the log.
//!
//! ```text
//!   coordinator: file ─ cut on all shards ─ header ────────────────────────────────── tail ─ fdatasync ─ rename ─ MANIFEST
//!   each shard:                              blocks at offsets from one counter ──────┘
//! ```
//!
//! Invariant: success is reported only when file and name are durable; the old file stays until then. One snapshot at a time.

mod content;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringstone_engine::Args;
use ringstone_engine::cmd::{Group, Scope};
use ringstone_engine::serial::{Compression, RdbWriter, SnapshotWriter, crc64};
use ringstone_persist::crypt::{FileSealer, Keyring, Purpose, Unit, sealed_with};
use ringstone_persist::disk::block_on;
use ringstone_persist::install;
use ringstone_persist::log::{Base, Faults, Manifest};
use ringstone_persist::rdb::BlockEntry;
use ringstone_persist::rdb::write::{BlockWriter, Header, tail};

use crate::ask::{Ticket, ask_all};
use crate::failpoint::{DISK, Step, pass, reach};
use crate::rt::exec::{sleep, yield_now};
use crate::shard::{Shard, ShardRef};
use crate::shared::Shared;
use crate::table::Entry;
use content::ContentFile;

/// Bytes that are encoded between two looks at other tasks: about 50 us of work.
const STEP_BYTES: usize = 32 << 10;
/// A block is written when it has this size.
const BLOCK_BYTES: usize = 1 << 20;
/// A block is summed and written in pieces of this size, others having their turn in between.
const PIECE_BYTES: usize = 256 << 10;
/// Pre-images that may wait to be written before writers have to wait, per shard.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// A shard's part of the snapshot under way.
pub struct Progress {
    target: Target,
    /// Keys written so far.
    pub entries: u64,
    compression: Compression,
    newer: Newer,
}

/// Whether a shard had at the cut what Redis 7.0 does not know: hashes with fields that expire.
#[derive(Clone)]
enum Newer {
    /// It may have had some, which is all the same.
    Perhaps(bool),
    /// It had this one, in this database; the file must not hold it.
    Forbidden(usize, Vec<u8>),
    /// It had none, and the file must not hold any.
    None,
}

/// The RDB version that knows hashes with fields that expire.
const VERSION_OF_FIELD_TIMES: u32 = 12;

/// What a snapshot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `dump.rdb`.
    Dump,
    /// The base of the log.
    Base,
    /// What replicas begin with; a file without a name.
    Replicas,
}

impl Target {
    /// The step for this target.
    fn reach(self, base: Step, dump: Step) -> std::io::Result<()> {
        match self {
            Target::Base => reach(base),
            Target::Dump => reach(dump),
            Target::Replicas => Ok(()),
        }
    }
}

impl Shard {
    /// The instant of the cut on this shard.
    pub(crate) fn begin_dump(&mut self) {
        self.begin_snapshot(Target::Dump);
    }

    /// The same for the base of the log.
    pub(crate) fn begin_base(&mut self) {
        self.begin_snapshot(Target::Base);
    }

    /// The same for replicas: what is changed from here on is told to them.
    pub(crate) fn begin_for_replicas(&mut self) {
        self.begin_snapshot(Target::Replicas);
        self.keyspace.effects.set_fed(true);
    }

    fn begin_snapshot(&mut self, target: Target) {
        let compression = match target {
            _ if !self.config.rdbcompression => Compression::None,
            Target::Dump | Target::Replicas => Compression::All,
            Target::Base => Compression::Long,
        };
        self.keyspace.snapshot_set_compression(compression);
        self.keyspace.snapshot_begin();
        let is_limited =
            target == Target::Dump && self.config.rdb_version_max < VERSION_OF_FIELD_TIMES;
        let newer = if is_limited {
            let found = self.keyspace.any_with_field_times();
            found.map_or(Newer::None, |(db, key)| Newer::Forbidden(db, key.to_vec()))
        } else {
            Newer::Perhaps(self.keyspace.has_field_times())
        };
        self.snapshot = Some(Progress { target, entries: 0, compression, newer });
        let shards = self.shards();
        if self.commit.begin_offered(shards) {
            self.keyspace.effects.set_enabled(true);
            self.prepare_segments();
        } else if let Some(writer) = self.commit.writer() {
            writer.rotate();
        }
    }

    /// True when a writer has to wait: too many pre-images wait to be written, or the command would change a large collection
    /// that is still to be saved.
    pub(crate) fn snapshot_is_behind(&mut self, db: usize, entry: &Entry, args: Args<'_>) -> bool {
        if !matches!(entry.spec.scope, Scope::Keys) {
            return false;
        }
        if self.keyspace.snapshot_queue_bytes() > QUEUE_BYTES_MAX {
            return true;
        }
        // String commands replace a collection or refuse it; what is replaced is moved, whatever its size.
        if entry.spec.group == Group::String {
            return false;
        }
        let Ok(positions) = entry.spec.key_positions(args) else { return false };
        positions.iter().any(|at| self.keyspace.snapshot_holds(db, args.at(*at)))
    }

    pub(crate) fn end_snapshot(&mut self) {
        self.snapshot = None;
        if self.keyspace.snapshot_is_running() {
            self.keyspace.snapshot_abort();
        }
        self.wake();
    }

    /// Starts a snapshot in the background.
    pub(crate) fn spawn_save(&mut self, target: Target) {
        let Some(me) = self.me() else { return };
        self.queues.spawn(async move {
            let _logged_where_it_failed = save(&me, target).await;
        });
    }

    /// Starts BGREWRITEAOF's work in the background.
    pub(crate) fn spawn_rewrite(&mut self) {
        let Some(me) = self.me() else { return };
        self.queues.spawn(async move { crate::log_switch::rewrite(&me).await });
    }
}

/// Makes a snapshot; an error has been logged already.
pub async fn save(shard: &ShardRef, target: Target) -> Result<(), String> {
    let shared = shard.borrow().shared.clone();
    if !shared.saving.claim(target) {
        return Err("Background save already in progress".into());
    }
    let result = save_claimed(shard, target).await;
    end_claim(shard, target);
    result
}

/// How often a wait for a claim looks again.
const POLL: Duration = Duration::from_millis(2);

/// [`Saving::claim`], once it can be had.
pub async fn claim(shard: &ShardRef, target: Target) {
    let shared = shard.borrow().shared.clone();
    while !shared.saving.claim(target) {
        sleep(POLL).await;
    }
}

/// Gives back what [`Saving::claim`] gave, and starts what was put off meanwhile.
pub fn end_claim(shard: &ShardRef, target: Target) {
    let mut this = shard.borrow_mut();
    let shared = this.shared.clone();
    let saving = &shared.saving;
    saving.end_claim(target);
    if saving.rewrite_scheduled.swap(false, Ordering::AcqRel) {
        this.spawn_rewrite();
    } else if saving.save_scheduled.swap(false, Ordering::AcqRel) {
        this.spawn_save(Target::Dump);
    }
}

/// How many times as long as a rewrite took the next one of the server's own accord is not begun: writes that come faster than
/// rewrites shrink the log would otherwise have them run one after the other, on the cores that serve.
const REST: i64 = 9;
/// The least time after one that failed, in ms: a disk that is full now may not be for ever.
const REST_AFTER_FAILURE_MS: i64 = 60_000;

/// The same for who has [`Saving::claim`]ed it.
pub async fn save_claimed(shard: &ShardRef, target: Target) -> Result<(), String> {
    let (shared, started_ms) = (shard.borrow().shared.clone(), crate::rt::clock::unix_ms());
    let saving = &shared.saving;
    saving.note_begin(started_ms);
    tracing::info!("{} started", name(target));
    let changes = saving.changes.load(Ordering::Relaxed);
    let result = write_and_install(shard, target).await;
    let ended_ms = crate::rt::clock::unix_ms();
    let took_ms = (ended_ms - started_ms).max(0);
    let seconds = took_ms / 1000;
    match &result {
        Ok(()) => tracing::info!("{} done in {took_ms} ms", name(target)),
        Err(e) => tracing::error!("{} failed: {e}", name(target)),
    }
    match target {
        Target::Dump => {
            saving.last_failed.store(result.is_err(), Ordering::Relaxed);
            saving.last_seconds.store(seconds, Ordering::Relaxed);
            if result.is_ok() {
                saving.changes.fetch_sub(changes, Ordering::Relaxed);
                saving.last_save_s.store(ended_ms / 1000, Ordering::Relaxed);
                saving.saves.fetch_add(1, Ordering::Relaxed);
            }
        }
        Target::Base => {
            saving.last_rewrite_failed.store(result.is_err(), Ordering::Relaxed);
            saving.last_rewrite_seconds.store(seconds, Ordering::Relaxed);
            saving.rewrites.fetch_add(u64::from(result.is_ok()), Ordering::Relaxed);
            let least_ms = if result.is_err() { REST_AFTER_FAILURE_MS } else { 0 };
            let rests_ms = took_ms.saturating_mul(REST).max(least_ms);
            let rests_until_ms = ended_ms.saturating_add(rests_ms);
            saving.rewrite_rests_until_ms.store(rests_until_ms, Ordering::Relaxed);
        }
        Target::Replicas => {}
    }
    result
}

fn name(target: Target) -> &'static str {
    match target {
        Target::Dump => "snapshot",
        Target::Base => "log rewrite",
        Target::Replicas => "snapshot for replicas",
    }
}

async fn write_and_install(shard: &ShardRef, target: Target) -> Result<(), String> {
    let (dir, temporary) = {
        let this = shard.borrow();
        let config = &this.config;
        match target {
            Target::Dump | Target::Replicas => {
                (config.dir.clone(), config.dir.join(format!("temp-{}.rdb", std::process::id())))
            }
            Target::Base => {
                let dir = config.log_dir();
                let temporary = dir.join("base.rdb.new");
                (dir, temporary)
            }
        }
    };
    let result = write_file(shard, target, &temporary).await;
    let cut = match result {
        Ok(cut) => cut,
        Err(e) => {
            ask_all(shard, Shard::end_snapshot).await;
            on_helper(shard, move || drop(std::fs::remove_file(temporary))).await;
            return Err(e);
        }
    };
    match target {
        Target::Dump => {
            let (path, log_dir, shared, config) = {
                let this = shard.borrow();
                let log_dir = this.config.log_dir();
                let path = dir.join(&this.config.dbfilename);
                (path, log_dir, this.shared.clone(), this.config.clone())
            };
            let installed = on_helper(shard, move || {
                install(&temporary, &path)?;
                shared.with_manifest(|manifest| {
                    shared.encryption.note_files(&config, manifest.as_deref());
                });
                // Without a GSN the cut was taken while nothing was logged.
                if cut.is_none() { supersede_log(&shared, &log_dir) } else { Ok(()) }
            });
            installed.await.unwrap_or_else(|| Err("the helper is gone".into()))
        }
        // Whoever sends it takes it from there.
        Target::Replicas => Ok(()),
        Target::Base => install_base(shard, dir, temporary, cut.ok_or("there is no log")?).await,
    }
}

/// Writes the whole file under its temporary name; the cut's GSN.
pub(crate) async fn write_file(
    shard: &ShardRef,
    target: Target,
    path: &Path,
) -> Result<Option<u64>, String> {
    let fail = |e: std::io::Error| format!("{}: {e}", path.display());
    let keyring = shard.borrow().shared.encryption.keyring();
    let sealer = sealer_for(&keyring, path)?;
    let mut file = ContentFile::open(path, true, sealer.clone()).await.map_err(fail)?;
    target.reach(Step::BaseCut, Step::DumpCut).map_err(fail)?;
    let cut = crate::tx::global::cut(shard, target).await;
    let newer = newer_types(shard).await?;
    let header = {
        let this = shard.borrow();
        Header {
            created_s: u64::try_from(this.now_ms / 1000).unwrap_or(0),
            used_memory_bytes: crate::memory::used_bytes() as u64,
            is_aof_base: target == Target::Base,
            has_newer_types: newer,
            functions: &cut.functions,
            ..Header::default()
        }
        .encode()
    };
    file.write_at(0, &header.bytes).await.map_err(fail)?;
    let offsets = Arc::new(AtomicU64::new(header.bytes.len() as u64));
    let (mut blocks, mut units) = (Vec::new(), Vec::new());
    for part in start_parts(shard, path, &offsets, sealer.as_ref()) {
        let part = part.get().await.unwrap_or_else(|| Err("a shard is gone".into()))?;
        blocks.extend(part.0);
        units.extend(part.1);
    }
    let (offset, bytes) = tail(&header, blocks).map_err(|e| e.to_string())?;
    target.reach(Step::BaseTail, Step::DumpTail).map_err(fail)?;
    file.write_at(offset, &bytes).await.map_err(fail)?;
    file.finish(units).await.map_err(fail)?;
    Ok(cut.gsn)
}

/// Seals a snapshot's file, where files are to be sealed.
pub(crate) fn sealer_for(keyring: &Keyring, path: &Path) -> Result<Option<FileSealer>, String> {
    let what = path.display().to_string();
    let made = keyring.seals().then(|| FileSealer::new(keyring, Purpose::Snapshot, &what));
    made.transpose().map_err(|e| e.to_string())
}

/// Whether the file will hold what Redis 7.0 does not know; an error when it must not.
async fn newer_types(shard: &ShardRef) -> Result<bool, String> {
    let parts = ask_all(shard, |there| there.snapshot.as_ref().map(|cut| cut.newer.clone())).await;
    let parts: Vec<Newer> = parts.into_iter().flatten().collect();
    for part in &parts {
        if let Newer::Forbidden(db, key) = part {
            return Err(format!(
                "the hash {} in database {db} has fields that expire, which takes an RDB file of version \
                 {VERSION_OF_FIELD_TIMES}; rdb-version-max is less",
                String::from_utf8_lossy(key).escape_debug()
            ));
        }
    }
    let newer = parts.iter().any(|part| matches!(part, Newer::Perhaps(true)));
    if newer && parts.iter().any(|part| matches!(part, Newer::None)) {
        return Err("rdb-version-max was changed just now".into());
    }
    Ok(newer)
}

type Blocks = Result<(Vec<BlockEntry>, Vec<Unit>), String>;

fn start_parts(
    shard: &ShardRef,
    path: &Path,
    offsets: &Arc<AtomicU64>,
    sealer: Option<&FileSealer>,
) -> Vec<crate::ask::Answer<Blocks>> {
    let mut this = shard.borrow_mut();
    let shards = this.shards();
    (0..shards)
        .map(|to| {
            let (ticket, answer) = this.question();
            let (path, offsets, sealer) = (path.to_owned(), offsets.clone(), sealer.cloned());
            this.call(to, move |there| there.start_part(path, offsets, sealer, ticket));
            answer
        })
        .collect()
}

impl Shard {
    fn start_part(
        &mut self,
        path: PathBuf,
        offsets: Arc<AtomicU64>,
        sealer: Option<FileSealer>,
        ticket: Ticket<Blocks>,
    ) {
        let Some(me) = self.me() else { return };
        self.queues.spawn_background(async move {
            let blocks = write_part(&me, &path, &offsets, sealer)
                .await
                .map_err(|e| format!("{}: {e}", path.display()));
            let mut this = me.borrow_mut();
            this.end_snapshot();
            this.answer_ticket(ticket, blocks);
        });
    }
}

async fn write_part(
    shard: &ShardRef,
    path: &Path,
    offsets: &AtomicU64,
    sealer: Option<FileSealer>,
) -> std::io::Result<(Vec<BlockEntry>, Vec<Unit>)> {
    let mut file = ContentFile::open(path, false, sealer).await?;
    let (index, compression, target) = {
        let this = shard.borrow();
        let cut = this.snapshot.as_ref();
        let compression = cut.map_or(Compression::All, |cut| cut.compression);
        (this.index, compression, cut.map_or(Target::Dump, |cut| cut.target))
    };
    let mut blocks = BlockWriter::new(u32::try_from(index).unwrap_or(u32::MAX), offsets);
    let mut writer = SnapshotWriter::new(RdbWriter::default());
    writer.set_compression(compression);
    loop {
        let done = {
            let mut this = shard.borrow_mut();
            let done = this.keyspace.snapshot_step(&mut writer, STEP_BYTES);
            let entries = blocks.entries() + writer.entries();
            if let Some(progress) = &mut this.snapshot {
                progress.entries = entries;
            }
            if !this.tx.stalled.is_empty() {
                this.wake();
            }
            done
        };
        if writer.len_bytes() >= BLOCK_BYTES || (done && writer.entries() > 0) {
            target.reach(Step::BaseBlock, Step::DumpBlock)?;
            let (mut block, entries) = writer.take_block();
            write_block(&mut file, &mut blocks, &mut block, entries).await?;
        }
        if done {
            break;
        }
        yield_now().await;
    }
    let units = file.close().await?;
    Ok((blocks.into_entries(), units))
}

/// Sums and writes a block in pieces, since one large collection may make it large.
async fn write_block(
    file: &mut ContentFile,
    blocks: &mut BlockWriter<'_>,
    block: &mut Vec<u8>,
    entries: u64,
) -> std::io::Result<()> {
    let offset = blocks.place(block);
    let (mut at, mut crc64) = (offset, 0);
    for piece in block.chunks(PIECE_BYTES) {
        let len = piece.len() as u64;
        crc64 = crc64::combine(crc64, crc64::checksum(piece), len);
        file.write_at(at, piece).await?;
        at += len;
    }
    blocks.placed(BlockEntry { offset, len: at - offset, entries, crc64, shard: blocks.shard() });
    Ok(())
}

/// Makes the file durable under its final name.
fn install(temporary: &Path, path: &Path) -> Result<(), String> {
    let fail = |e: std::io::Error| format!("{}: {e}", path.display());
    block_on(install::install(&DISK, temporary, path, Faults::NONE)).map_err(fail)
}

/// Says in the MANIFEST of a log that is off that `dump.rdb` is newer: should the log be switched on in the configuration
/// only, the next start takes the snapshot. A crash before that takes the log, which holds all that was acknowledged last.
fn supersede_log(shared: &Shared, dir: &Path) -> Result<(), String> {
    let name = |e: &dyn std::fmt::Display| format!("{}: {e}", dir.join("MANIFEST").display());
    let mark = |manifest: &mut Manifest| {
        if std::mem::replace(&mut manifest.is_superseded, true) {
            return Ok(());
        }
        reach(Step::DumpSupersede).map_err(|e| name(&e))?;
        block_on(manifest.store(&DISK, dir)).map_err(|e| name(&e))
    };
    shared.with_manifest(|manifest| match manifest {
        Some(manifest) => mark(manifest),
        None => match block_on(Manifest::load(&DISK, dir)) {
            Ok(None) => Ok(()),
            Ok(Some(mut manifest)) => {
                manifest.unlock(&shared.encryption.keyring()).map_err(|e| name(&e))?;
                mark(&mut manifest)
            }
            // Nobody can take it for newer than it is: a start with it is refused.
            Err(e) => {
                tracing::warn!("the log that is off cannot be used any more: {}", name(&e));
                Ok(())
            }
        },
    })
}

/// Makes the file the log's base: first durable, then named by MANIFEST, then what it covers is given up.
async fn install_base(
    shard: &ShardRef,
    dir: PathBuf,
    temporary: PathBuf,
    cut: u64,
) -> Result<(), String> {
    let file_name = format!("base-{cut}.rdb");
    let first_live: Vec<(u32, u64)> = ask_all(shard, move |there| {
        let index = u32::try_from(there.index).unwrap_or(u32::MAX);
        there.commit.writer().map(|writer| (index, writer.first_live_seq(cut)))
    })
    .await
    .into_iter()
    .flatten()
    .collect();
    let (shared, config) = {
        let this = shard.borrow();
        (this.shared.clone(), this.config.clone())
    };
    let installed = on_helper(shard, move || {
        let path = dir.join(&file_name);
        let sealed = sealed_with(&temporary).map_err(|e| format!("{}: {e}", path.display()))?;
        install(&temporary, &path)?;
        let bytes = std::fs::metadata(&path).map_or(0, |m| m.len());
        shared.with_manifest(|manifest| {
            let Some(manifest) = manifest else { return Err("there is no log".to_owned()) };
            let old = manifest.base.clone();
            manifest.set_base(
                Base { file_name: file_name.clone(), cut_gsn: cut },
                first_live.into_iter().chain(shared.vanished()),
            );
            manifest.seals.base_id = sealed.map(|(id, _)| id);
            block_on(manifest.store(&DISK, &dir))
                .map_err(|e| format!("{}: {e}", dir.join("MANIFEST").display()))?;
            pass(Step::BaseNamed);
            if let Some(old) = old.filter(|old| old.file_name != file_name)
                && let Err(e) = std::fs::remove_file(dir.join(&old.file_name))
            {
                tracing::warn!("{} could not be removed: {e}", old.file_name);
            }
            shared.encryption.note_files(&config, Some(manifest));
            shared.saving.begin_log_bytes(bytes);
            shared.archive.nudge();
            Ok(())
        })
    })
    .await;
    installed.unwrap_or_else(|| Err("the helper is gone".into()))?;
    pass(Step::BaseRetire);
    ask_all(shard, move |there| {
        if let Some(writer) = there.commit.writer() {
            writer.retire_below(cut);
        }
        there.prepare_segments();
    })
    .await;
    Ok(())
}

/// Runs a call that may block on the helper thread, and brings its result.
pub async fn on_helper<T: Send + 'static>(
    shard: &ShardRef,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let answer = {
        let mut this = shard.borrow_mut();
        let (ticket, answer) = this.question();
        let (shared, index) = (this.shared.clone(), this.index);
        this.shared.helper.run(move || {
            let result = work();
            shared.post(index, move |shard| shard.answer_ticket(ticket, result));
        });
        answer
    };
    answer.get().await
}
