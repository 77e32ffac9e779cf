//! The archive of the log: a thread of its own copies what became durable to `log-archive-dir`.
//!
//! ```text
//!   a segment is full, the interval is over, a base is new, the end is near ──nudge──> thread: Collector::pass, prune
//!   shards <──post: archived up to this GSN, so that segments may be used again──────────┘
//!   shard 0's cron ──> too much waits: let go of segments, and say what is lost
//! ```
//!
//! Invariant: nothing of this runs on a shard's thread but a look at counters, and nobody waits for it but the end of the log,
//! and that for a bounded time.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ringstone_persist::archive::{
    ArchiveError, Collector, DirStore, Retention, SealedStore, prune,
};
use ringstone_persist::disk::{DirectReads, block_on};
use ringstone_persist::log::Manifest;

use crate::config::Config;
use crate::shard::Shard;
use crate::shared::Shared;

/// How often the thread looks whether there is something to do.
const LOOK: Duration = Duration::from_millis(250);
/// How long it waits after a failure.
const RETRY: Duration = Duration::from_secs(5);
/// How often retention is looked after when nothing else asks for it.
const PRUNE: Duration = Duration::from_secs(60);
/// How long the end of the log waits for its tail to be archived.
const FINISH: Duration = Duration::from_secs(10);

/// What CONFIG says of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Settings {
    archive_dir: PathBuf,
    log_dir: PathBuf,
    interval: Option<Duration>,
    retention: Retention,
}

impl Settings {
    fn of(config: &Config) -> Option<Settings> {
        if config.log_archive_dir.as_os_str().is_empty() {
            return None;
        }
        let seconds = |seconds: u32| (seconds > 0).then(|| u64::from(seconds));
        let bytes_max = Some(config.log_archive_retention_bytes).filter(|bytes| *bytes > 0);
        Some(Settings {
            archive_dir: config.dir.join(&config.log_archive_dir),
            log_dir: config.log_dir(),
            interval: seconds(config.log_archive_interval_seconds).map(Duration::from_secs),
            retention: Retention {
                window_ms: seconds(config.log_archive_retention_seconds).map(|s| s * 1000),
                bytes_max,
            },
        })
    }
}

/// How archiving goes, for INFO.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Everything up to this GSN is in the archive, or lost to it.
    pub gsn: u64,
    /// Its time, in milliseconds since 1970.
    pub time_ms: u64,
    /// Objects that this run has made.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Why the last attempt failed, if it did.
    pub error: Option<String>,
    /// Times that something was lost to the archive in this run.
    pub losses: u64,
}

/// What shards, INFO and the thread share of it.
#[derive(Default)]
pub struct Archive {
    orders: Mutex<Orders>,
    wake: Condvar,
    status: Mutex<Status>,
    /// Segments that shards have begun.
    segments: AtomicU64,
    /// Segments are not kept for the archive any more, as too much waits.
    let_go: AtomicBool,
    /// [`crate::shared::Saving::logged_bytes`] as of the last pass that got everything.
    archived_bytes: AtomicU64,
}

#[derive(Default)]
struct Orders {
    settings: Option<Settings>,
    /// Passes that are asked for, and those that were done or given up.
    asked: u64,
    done: u64,
}

impl Archive {
    fn orders<T>(&self, work: impl FnOnce(&mut Orders) -> T) -> T {
        work(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note<T>(&self, work: impl FnOnce(&mut Status) -> T) -> T {
        work(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over the parameters.
    pub fn configure(&self, config: &Config, logged_bytes: u64) {
        let settings = Settings::of(config);
        let changed = self.orders(|orders| {
            let changed = orders.settings != settings;
            orders.settings = settings;
            changed
        });
        if changed {
            // What was there before is not counted: nobody had asked for it to be archived in time.
            self.archived_bytes.fetch_max(logged_bytes, Ordering::Relaxed);
            self.wake.notify_all();
        }
    }

    /// Whether there is an archive.
    pub fn is_on(&self) -> bool {
        self.orders(|orders| orders.settings.is_some())
    }

    /// How it goes.
    pub fn status(&self) -> Status {
        self.note(|status| status.clone())
    }

    /// A shard begins a segment, so that the one before is full.
    pub fn note_segment(&self) {
        // Relaxed: a hint; the thread looks again by itself.
        self.segments.fetch_add(1, Ordering::Relaxed);
    }

    /// Wants a pass soon.
    pub fn nudge(&self) {
        self.orders(|orders| orders.asked += 1);
        self.wake.notify_all();
    }

    /// Bytes of the log that are not archived, about.
    pub fn backlog_bytes(&self, shared: &Shared) -> u64 {
        let logged = shared.saving.logged_bytes();
        logged.saturating_sub(self.archived_bytes.load(Ordering::Relaxed))
    }

    /// True while segments are given up unarchived.
    pub fn has_let_go(&self) -> bool {
        self.let_go.load(Ordering::Relaxed)
    }

    /// Has all that is durable by now archived. Blocks for a bounded time; on a helper.
    pub fn finish(&self) {
        let ticket = self.orders(|orders| {
            orders.asked += 1;
            orders.settings.as_ref().map(|_| orders.asked)
        });
        let Some(ticket) = ticket else { return };
        self.wake.notify_all();
        let until = Instant::now() + FINISH;
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        while orders.done < ticket && orders.settings.is_some() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!(
                    "the log's end could not be archived in {} seconds: the next start will do it",
                    FINISH.as_secs()
                );
                return;
            }
            let waited = self.wake.wait_timeout(orders, left);
            orders = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Starts the thread.
pub(crate) fn start(shared: &Arc<Shared>, config: &Config) -> std::io::Result<()> {
    shared.archive.configure(config, shared.saving.logged_bytes());
    let shared = shared.clone();
    let thread = std::thread::Builder::new().name("archive".to_owned());
    thread.spawn(move || Archiver::new(shared).run()).map(drop)
}

/// The thread's own state.
struct Archiver {
    shared: Arc<Shared>,
    collector: Option<Collector>,
    /// What the collector was opened for.
    settings: Option<Settings>,
    segments_seen: u64,
    last_pass: Instant,
    last_prune: Option<Instant>,
    not_before: Option<Instant>,
}

impl Archiver {
    fn new(shared: Arc<Shared>) -> Archiver {
        Archiver {
            shared,
            collector: None,
            settings: None,
            segments_seen: 0,
            last_pass: Instant::now(),
            last_prune: None,
            not_before: None,
        }
    }

    fn run(mut self) {
        crate::rt::priority::stand_back();
        while !self.shared.stopping.load(Ordering::Acquire) {
            let (settings, asked, is_asked) = self.wait();
            if settings != self.settings {
                self.collector = None;
                self.not_before = None;
                self.shared.archive.note(|status| *status = Status::default());
            }
            self.settings.clone_from(&settings);
            if let Some(settings) = settings
                && (is_asked || self.is_due(&settings))
            {
                self.pass(&settings);
            }
            self.shared.archive.orders(|orders| orders.done = orders.done.max(asked));
            self.shared.archive.wake.notify_all();
        }
    }

    /// Until somebody asks for something, or for a while; without an archive until there is one.
    fn wait(&self) -> (Option<Settings>, u64, bool) {
        let archive = &self.shared.archive;
        let mut orders = archive.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if orders.asked == orders.done && orders.settings == self.settings {
            orders = if orders.settings.is_some() {
                let waited = archive.wake.wait_timeout(orders, LOOK);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                archive.wake.wait(orders).unwrap_or_else(PoisonError::into_inner)
            };
        }
        (orders.settings.clone(), orders.asked, orders.asked > orders.done)
    }

    fn is_due(&self, settings: &Settings) -> bool {
        if self.not_before.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        let begun = self.shared.archive.segments.load(Ordering::Relaxed);
        let synced = self.shared.watermarks.synced();
        let is_behind = self.collector.as_ref().is_none_or(|c| c.through() < synced);
        let over = settings.interval.is_some_and(|interval| self.last_pass.elapsed() >= interval);
        let prune = self.last_prune.is_none_or(|last| last.elapsed() >= PRUNE);
        self.collector.is_none()
            || self.not_before.is_some()
            || begun != self.segments_seen
            || (is_behind && over)
            || (prune && settings.retention != Retention::default())
    }

    fn pass(&mut self, settings: &Settings) {
        let archive = &self.shared.archive;
        self.segments_seen = archive.segments.load(Ordering::Relaxed);
        self.last_pass = Instant::now();
        let logged = self.shared.saving.logged_bytes();
        let synced = self.shared.watermarks.synced();
        let manifest = self.shared.with_manifest(|manifest| manifest.cloned());
        // A log that begins is none before its base is there.
        let Some(manifest) = manifest.filter(|manifest| manifest.pending.is_none()) else { return };
        match self.try_pass(settings, &manifest, synced) {
            Ok(()) => {
                self.not_before = None;
                let archive = &self.shared.archive;
                archive.archived_bytes.fetch_max(logged, Ordering::Relaxed);
                archive.let_go.store(false, Ordering::Relaxed);
                if archive.note(|status| status.error.take()).is_some() {
                    tracing::info!("archiving works again");
                }
                if let Some(collector) = &self.collector {
                    post_archived(&self.shared, Some(collector.through()));
                }
            }
            Err(error) => {
                self.not_before = Some(Instant::now() + RETRY);
                let (dir, text) = (settings.archive_dir.display(), error.to_string());
                let before = self.shared.archive.note(|status| status.error.replace(text.clone()));
                if before.as_ref() != Some(&text) {
                    tracing::warn!(
                        "the log cannot be archived to {dir}: {text}. Segments are kept meanwhile."
                    );
                }
            }
        }
    }

    fn try_pass(
        &mut self,
        settings: &Settings,
        manifest: &Manifest,
        synced: u64,
    ) -> Result<(), ArchiveError> {
        let keyring = self.shared.encryption.keyring();
        let dir = DirStore::new(&settings.archive_dir);
        let store = SealedStore::new(dir.clone(), keyring.clone());
        let now_ms = || u64::try_from(crate::rt::clock::unix_ms()).unwrap_or(0);
        if self.collector.as_ref().is_some_and(|open| open.log() != manifest.log) {
            self.collector = None;
        }
        let collector = match &mut self.collector {
            Some(collector) => collector,
            none => {
                let started_ms = u64::try_from(self.shared.started_ms).unwrap_or(0);
                let opened = Collector::open(&store, &settings.log_dir, manifest, started_ms)?;
                let sweep = |error| ArchiveError::Io { what: "sweep the archive".into(), error };
                dir.sweep(&manifest.log.to_string()).map_err(sweep)?;
                none.insert(opened)
            }
        };
        collector.set_keyring(keyring);
        let done = block_on(collector.pass(&DirectReads, &store, manifest, synced, now_ms()))?;
        self.shared.archive.note(|status| {
            (status.gsn, status.time_ms) = (done.through, done.time_ms);
            status.objects += done.objects;
            status.bytes += done.bytes;
            status.losses += u64::from(done.lost.is_some());
        });
        if let Some(lost) = done.lost {
            tracing::warn!(
                "the log up to GSN {} was gone before it was archived: no instant from GSN {} to {} can be restored",
                lost.base_gsn,
                lost.first_gsn,
                lost.base_gsn.saturating_sub(1)
            );
        }
        if done.objects > 0 || self.last_prune.is_none_or(|last| last.elapsed() >= PRUNE) {
            self.last_prune = Some(Instant::now());
            let removed = prune(&store, collector.history(), settings.retention, now_ms())?;
            collector.note_removed(&removed);
        }
        Ok(())
    }
}

/// Tells all shards up to which GSN their segments are archived; none: nothing has to wait for that.
fn post_archived(shared: &Shared, gsn: Option<u64>) {
    for shard in 0..shared.slots.shards() {
        shared.post(shard, move |there| there.note_archived(gsn));
    }
}

impl Shard {
    fn note_archived(&mut self, gsn: Option<u64>) {
        // Switched off in between: then nothing is to be kept.
        let gsn = gsn.filter(|_| !self.config.log_archive_dir.as_os_str().is_empty());
        if let Some(writer) = self.commit.writer() {
            writer.set_archived(gsn);
        }
        self.prepare_segments();
    }

    /// New parameters: what is kept for the archive, or not any more.
    pub(crate) fn configure_archive(&mut self, before: &Config) {
        if before.log_archive_dir != self.config.log_archive_dir {
            self.note_archived(Some(0));
        }
        if self.index == 0 {
            self.shared.archive.configure(&self.config, self.shared.saving.logged_bytes());
        }
    }

    /// Gives up keeping segments for an archive that is too far behind. Called now and then on one shard.
    pub(crate) fn check_archive_backlog(&mut self) {
        let limit = self.config.log_archive_backlog_max;
        let archive = &self.shared.archive;
        if limit == 0 || self.config.log_archive_dir.as_os_str().is_empty() {
            return;
        }
        let backlog = archive.backlog_bytes(&self.shared);
        if backlog > limit && !archive.let_go.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "{backlog} bytes of the log wait to be archived, more than log-archive-backlog-max: segments are used again \
                 from now on as the log is rewritten. What is lost to the archive begins with GSN {}, and ends with the first \
                 base that it gets.",
                archive.status().gsn + 1
            );
            post_archived(&self.shared, None);
        }
    }
}
