//! What all shards share: counters and watermarks, never data.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ringstone_peer::SlotMap;
use ringstone_persist::log::{Manifest, Watermarks};

use crate::acl::{AclLog, Users};
use crate::config::ConfigStore;
use crate::log::Log;
use crate::msg::Call;
use crate::rt::file::Helper;
use crate::rt::mesh::Peers;
use crate::shard::Shard;
use crate::snapshot::Target;

/// Shared by all shards of a process.
pub struct Shared {
    /// Which shard owns which slot.
    pub slots: SlotMap,
    /// The global sequence number, and how far each shard's log is.
    pub watermarks: Watermarks,
    /// Wakes shards from other threads.
    pub peers: Arc<Peers>,
    /// The next CLIENT ID.
    pub next_client_id: AtomicU64,
    /// The next transaction's number.
    pub next_transaction: AtomicU64,
    /// Next numbers of SLOWLOG and its kin.
    pub next_remembered: crate::measure::remembered::NextIds,
    /// Connections of all shards that watch with MONITOR.
    pub monitors: AtomicUsize,
    /// MONITOR's lines on their way, by the shard that they go to.
    pub monitor_lines: Vec<crate::monitor::LinesUnderWay>,
    /// Shards on which somebody observes what is written.
    pub observers: AtomicUsize,
    /// Clients that wait for keys of several shards.
    pub waits_on_several: AtomicUsize,
    /// Keys of all shards whose readers are noted for CLIENT TRACKING.
    pub tracked_keys: AtomicUsize,
    /// Connections of all shards.
    pub clients: AtomicUsize,
    /// Every parameter's value and where it came from.
    config: Mutex<ConfigStore>,
    /// All users; each shard has its own hold of them.
    users: Mutex<Arc<Users>>,
    /// What was denied lately.
    acl_log: Mutex<AclLog>,
    /// Calls that may block run there.
    pub helper: Helper,
    /// State of saving, for INFO and LASTSAVE.
    pub saving: Saving,
    /// Master keys, and which files are sealed under which.
    pub encryption: crate::encryption::Encryption,
    /// The archive of the log.
    pub archive: crate::archive::Archive,
    /// Random id of this run, 40 hex digits.
    pub run_id: String,
    /// When the process started, in ms since 1970.
    pub started_ms: i64,
    /// A shutdown is under way, and may still be aborted.
    pub ending: AtomicBool,
    /// Set once: the process ends.
    pub stopping: AtomicBool,
    /// The log's MANIFEST.
    manifest: Mutex<Option<Manifest>>,
    /// First live segments of shards that are no more.
    vanished: Mutex<Vec<(u32, u64)>>,
    /// Cached scripts.
    pub scripts: crate::script::Cache,
    /// Function libraries.
    pub libraries: crate::script::Libraries,
    /// Scripts that have run for a while.
    pub running: crate::script::RunningList,
    /// The server's log of messages.
    log: OnceLock<Log>,
    memory_at_start: usize,
    memory_peak: AtomicUsize,
    /// Scripts may call commands that they must not (DEBUG SET-DISABLE-DENY-SCRIPTS).
    pub scripts_call_any: AtomicBool,
    /// TCP addresses that the shards listen on.
    listening: Mutex<Vec<std::net::SocketAddr>>,
    /// What the shards know of each other's memory.
    pub memory: crate::room::Board,
    /// Bytes that the connections of each shard hold, while `maxmemory-clients` is set.
    pub client_memory: crate::room::clients::Board,
    /// Which shards have replies that wait for other shards' logs.
    waiting: Vec<AtomicBool>,
    /// Which shards have subscribers of which channels.
    pub subscriptions: crate::pubsub::directory::Directory,
    /// What they share of replication.
    pub replication: crate::replication::SharedPart,
    /// Calls from threads that are no shards.
    mail: Vec<Mailbox>,
}

#[derive(Default)]
struct Mailbox {
    full: AtomicBool,
    calls: Mutex<Vec<Call>>,
}

/// State of snapshots and rewrites.
#[derive(Default)]
pub struct Saving {
    /// A snapshot to dump.rdb is being written.
    pub saving: AtomicBool,
    /// A base for the log is being written.
    pub rewriting: AtomicBool,
    /// A rewrite is wanted as soon as the snapshot under way has ended.
    pub rewrite_scheduled: AtomicBool,
    /// A snapshot is wanted as soon as the rewrite under way has ended.
    pub save_scheduled: AtomicBool,
    /// When the last snapshot succeeded, in seconds since 1970.
    pub last_save_s: AtomicI64,
    /// Changes since then.
    pub changes: AtomicI64,
    /// The last snapshot failed.
    pub last_failed: AtomicBool,
    /// The last rewrite failed.
    pub last_rewrite_failed: AtomicBool,
    /// When the one under way began, in ms since 1970.
    pub began_ms: AtomicI64,
    /// When the last one was tried, in seconds since 1970.
    pub last_try_s: AtomicI64,
    /// How long the last one took, in seconds; -1 = none.
    pub last_seconds: AtomicI64,
    /// The same of the last rewrite.
    pub last_rewrite_seconds: AtomicI64,
    /// No rewrite of its own accord before then, in ms since 1970.
    pub rewrite_rests_until_ms: AtomicI64,
    /// Successful ones.
    pub saves: AtomicU64,
    /// Successful rewrites.
    pub rewrites: AtomicU64,
    /// Keys written by the one under way.
    pub keys_done: AtomicU64,
    /// Keys that it has to write.
    pub keys_total: AtomicU64,
    /// Bytes of the log's base.
    pub base_bytes: AtomicU64,
    /// Bytes of log since the base, of all shards.
    pub log_bytes: AtomicU64,
    /// Bytes of log before that base.
    pub log_bytes_before: AtomicU64,
    /// Keys loaded at start.
    pub loaded: AtomicU64,
    /// Keys that had expired when loaded.
    pub loaded_expired: AtomicU64,
    /// Shards whose logs take nothing now: writes are refused on all, since any may have keys there.
    pub logs_unwell: AtomicUsize,
    /// Why, as the shard says that fell ill last.
    why_unwell: Mutex<String>,
}

impl Saving {
    /// True while a snapshot of either kind is being written.
    pub fn is_busy(&self) -> bool {
        self.saving.load(Ordering::Acquire) || self.rewriting.load(Ordering::Acquire)
    }

    /// Claims the right to write a snapshot; false while another is being written. Two that claim at once may both fail.
    pub fn claim(&self, target: Target) -> bool {
        let (mine, other) = self.flags(target);
        // SeqCst: of two that set their own flag first and look at the other's then, one at least sees the other.
        if mine.swap(true, Ordering::SeqCst) {
            return false;
        }
        let claimed = !other.load(Ordering::SeqCst);
        if !claimed {
            mine.store(false, Ordering::SeqCst);
        }
        claimed
    }

    /// A base was installed: the log's bytes are counted from here on.
    pub fn begin_log_bytes(&self, base_bytes: u64) {
        self.base_bytes.store(base_bytes, Ordering::Relaxed);
        let before = self.log_bytes.swap(0, Ordering::Relaxed);
        self.log_bytes_before.fetch_add(before, Ordering::Relaxed);
    }

    /// Bytes of log, those before the base included: they only grow.
    pub fn logged_bytes(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed) + self.log_bytes_before.load(Ordering::Relaxed)
    }

    /// Gives it back.
    pub fn end_claim(&self, target: Target) {
        self.flags(target).0.store(false, Ordering::SeqCst);
    }

    fn flags(&self, target: Target) -> (&AtomicBool, &AtomicBool) {
        match target {
            Target::Dump | Target::Replicas => (&self.saving, &self.rewriting),
            Target::Base => (&self.rewriting, &self.saving),
        }
    }
}

impl Saving {
    /// A shard's log takes nothing any more.
    pub fn note_unwell(&self, why: &str) {
        why.clone_into(&mut self.why_unwell.lock().unwrap_or_else(PoisonError::into_inner));
        self.logs_unwell.fetch_add(1, Ordering::Release);
    }

    /// It does again.
    pub fn note_well(&self) {
        self.logs_unwell.fetch_sub(1, Ordering::Release);
    }

    /// Why writes are refused, if they are.
    pub fn why_unwell(&self) -> Option<String> {
        let unwell = self.logs_unwell.load(Ordering::Acquire) > 0;
        unwell.then(|| self.why_unwell.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Saving {
    /// One begins, at this time in ms since 1970.
    pub fn note_begin(&self, now_ms: i64) {
        self.began_ms.store(now_ms, Ordering::Relaxed);
        self.last_try_s.store(now_ms / 1000, Ordering::Relaxed);
    }

    /// What was loaded at start: keys and expired keys, bytes of the base and of the log behind it.
    pub fn note_boot(&self, loaded: (u64, u64), log_bytes: (u64, u64)) {
        self.loaded.store(loaded.0, Ordering::Relaxed);
        self.loaded_expired.store(loaded.1, Ordering::Relaxed);
        self.base_bytes.store(log_bytes.0, Ordering::Relaxed);
        self.log_bytes.store(log_bytes.1, Ordering::Relaxed);
    }
}

impl Shared {
    /// What is shared by the shards of `slots`.
    pub fn new(
        slots: SlotMap,
        next_gsn: u64,
        peers: Arc<Peers>,
        config: ConfigStore,
        helper: Helper,
        seed: [u8; 20],
    ) -> Shared {
        let started_ms = crate::rt::clock::unix_ms();
        let saving = Saving::default();
        saving.last_save_s.store(started_ms / 1000, Ordering::Relaxed);
        saving.last_seconds.store(-1, Ordering::Relaxed);
        saving.last_rewrite_seconds.store(-1, Ordering::Relaxed);
        Shared {
            watermarks: Watermarks::new(slots.shards(), next_gsn),
            slots,
            peers,
            next_client_id: AtomicU64::new(1),
            next_transaction: AtomicU64::new(1),
            next_remembered: crate::measure::remembered::NextIds::default(),
            monitors: AtomicUsize::new(0),
            monitor_lines: (0..slots.shards()).map(|_| Default::default()).collect(),
            observers: AtomicUsize::new(0),
            waits_on_several: AtomicUsize::new(0),
            tracked_keys: AtomicUsize::new(0),
            clients: AtomicUsize::new(0),
            config: Mutex::new(config),
            users: Mutex::new(Arc::new(Users::new(None))),
            acl_log: Mutex::default(),
            helper,
            saving,
            encryption: crate::encryption::Encryption::default(),
            archive: crate::archive::Archive::default(),
            run_id: seed.iter().map(|byte| format!("{byte:02x}")).collect(),
            started_ms,
            ending: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            manifest: Mutex::new(None),
            vanished: Mutex::default(),
            scripts: crate::script::Cache::default(),
            libraries: crate::script::Libraries::default(),
            running: crate::script::RunningList::default(),
            log: OnceLock::new(),
            memory_at_start: crate::memory::used_bytes(),
            memory_peak: AtomicUsize::new(0),
            scripts_call_any: AtomicBool::new(false),
            listening: Mutex::default(),
            memory: crate::room::Board::new(slots.shards()),
            client_memory: crate::room::clients::Board::new(slots.shards()),
            waiting: (0..slots.shards()).map(|_| AtomicBool::new(false)).collect(),
            subscriptions: Default::default(),
            replication: Default::default(),
            mail: (0..slots.shards()).map(|_| Mailbox::default()).collect(),
        }
    }

    /// Works with the log's MANIFEST, on the helper thread.
    pub fn with_manifest<T>(&self, work: impl FnOnce(Option<&mut Manifest>) -> T) -> T {
        work(self.manifest.lock().unwrap_or_else(PoisonError::into_inner).as_mut())
    }

    /// The MANIFEST that recovery left; none while the log is off.
    pub fn set_manifest(&self, manifest: Option<Manifest>, vanished: Vec<(u32, u64)>) {
        *self.vanished.lock().unwrap_or_else(PoisonError::into_inner) = vanished;
        *self.manifest.lock().unwrap_or_else(PoisonError::into_inner) = manifest;
    }

    /// First live segments of shards that are no more, for MANIFEST.
    pub fn vanished(&self) -> Vec<(u32, u64)> {
        self.vanished.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The TCP addresses that the shards listen on.
    pub fn listening(&self) -> Vec<std::net::SocketAddr> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The shards begin to listen on some, and end to on others.
    pub fn set_listening(&self, new: Vec<std::net::SocketAddr>, gone: &[std::net::SocketAddr]) {
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        listening.retain(|address| !gone.contains(address));
        listening.extend(new);
    }

    /// The server's log of messages.
    pub fn log(&self) -> Option<&Log> {
        self.log.get()
    }

    /// Sets it, once at start.
    pub fn set_log(&self, log: Log) {
        let _only_once = self.log.set(log);
    }

    /// Bytes that the process held before it served anything.
    pub fn memory_at_start(&self) -> usize {
        self.memory_at_start
    }

    /// The most bytes ever seen, `now` included.
    pub fn memory_peak(&self, now: usize) -> usize {
        self.memory_peak.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// Has shard `index` run `call`, from any thread.
    pub fn post(&self, index: usize, call: impl FnOnce(&mut Shard) + Send + 'static) {
        if let Some(mailbox) = self.mail.get(index) {
            mailbox.calls.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(call));
            mailbox.full.store(true, Ordering::Release);
            self.peers.wake(index);
        }
    }

    /// What was posted to shard `index`.
    pub fn take_mail(&self, index: usize) -> Vec<Call> {
        match self.mail.get(index) {
            Some(mailbox) if mailbox.full.swap(false, Ordering::AcqRel) => {
                std::mem::take(&mut *mailbox.calls.lock().unwrap_or_else(PoisonError::into_inner))
            }
            _ => Vec::new(),
        }
    }

    /// Shard `index` has replies that wait for other shards' logs, or has none.
    pub fn set_waiting(&self, index: usize, waiting: bool) {
        if let Some(flag) = self.waiting.get(index)
            && flag.load(Ordering::Relaxed) != waiting
        {
            flag.store(waiting, Ordering::SeqCst);
        }
    }

    /// The other shards that have such replies.
    pub fn waiting_peers(&self, index: usize) -> impl Iterator<Item = usize> {
        let waiting = self.waiting.iter().enumerate();
        waiting
            .filter(move |(peer, flag)| *peer != index && flag.load(Ordering::SeqCst))
            .map(|(peer, _)| peer)
    }

    /// All users as of now.
    pub fn users(&self) -> Arc<Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the users. Shards go on with those that they have until they take over the new ones
    /// ([`Shard::take_over_users`]).
    pub fn change_users<T>(&self, work: impl FnOnce(&mut Users) -> T) -> T {
        let mut current = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        work(Arc::make_mut(&mut current))
    }

    /// Works with the log of what was denied; held for a moment only.
    pub fn with_acl_log<T>(&self, work: impl FnOnce(&mut AclLog) -> T) -> T {
        work(&mut self.acl_log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Works with the parameters; held for a moment only, by CONFIG and INFO.
    pub fn with_config<T>(&self, work: impl FnOnce(&mut ConfigStore) -> T) -> T {
        work(&mut self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
