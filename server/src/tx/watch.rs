//! WATCH: a flag for each watching connection, raised by the shards that own its keys.
//!
//! The connection and every registration share the flag. EXEC reads it when it has all its keys to itself, those that are
//! watched among them: whoever changed one of them before has raised it by then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::map::Map;
use crate::observe::{Change, Touched};
use crate::shard::Shard;

/// Raised when a watched key was changed.
pub type Dirty = Arc<AtomicBool>;

struct Watcher {
    db: usize,
    /// The key was there when WATCH came: a flush changes it.
    existed: bool,
    dirty: Dirty,
}

/// The keys of a shard that are watched.
#[derive(Default)]
pub struct Watches {
    keys: Map<Vec<u8>, Vec<Watcher>>,
}

impl Watches {
    /// True when no key is watched.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn touch(&self, touched: Touched<'_>, exists: &mut dyn FnMut(usize, &[u8]) -> bool) {
        match touched {
            Touched::Key(_, _, Change::Other) => {}
            Touched::Key(db, key, Change::Content) => {
                for watcher in self.keys.get(key).into_iter().flatten().filter(|w| w.db == db) {
                    watcher.dirty.store(true, Ordering::Release);
                }
            }
            Touched::Database(db) => self.each(|_, w| w.db == db && w.existed),
            Touched::Swapped(a, b) => {
                self.each(|key, w| (w.db == a || w.db == b) && (w.existed || exists(w.db, key)));
            }
        }
    }

    fn each(&self, mut is_changed: impl FnMut(&[u8], &Watcher) -> bool) {
        for (key, watchers) in &self.keys {
            for watcher in watchers {
                if is_changed(key, watcher) {
                    watcher.dirty.store(true, Ordering::Release);
                }
            }
        }
    }
}

impl Shard {
    /// Watches a key of this shard.
    pub(crate) fn watch_key(&mut self, db: usize, key: Vec<u8>, dirty: Dirty) {
        let existed = self.has_live_key(db, &key);
        // A key that had expired already is gone without the new flag being raised.
        self.observe();
        self.watches.keys.entry(key).or_default().push(Watcher { db, existed, dirty });
        self.observers_changed();
    }

    /// Ends the watching of a key of this shard under the flag `dirty`.
    pub(crate) fn unwatch_key(&mut self, key: &[u8], dirty: &Dirty) {
        if let Some(watchers) = self.watches.keys.get_mut(key) {
            watchers.retain(|watcher| !Arc::ptr_eq(&watcher.dirty, dirty));
            if watchers.is_empty() {
                self.watches.keys.remove(key);
            }
        }
        self.observers_changed();
    }

    pub(crate) fn touch_watched(&mut self, touched: Touched<'_>) {
        if self.watches.is_empty() {
            return;
        }
        let watches = std::mem::take(&mut self.watches);
        watches.touch(touched, &mut |db, key| self.has_live_key(db, key));
        self.watches = watches;
    }

    /// True when a key is there and has not expired; counts as no access.
    pub(crate) fn has_live_key(&mut self, db: usize, key: &[u8]) -> bool {
        let mode = self.keyspace.look_mode();
        self.keyspace.db(db, self.now_ms, mode).peek(key).is_some()
    }

    /// True when a key, which is watched under this flag and was there, is gone, whether or not somebody has removed it.
    pub(super) fn is_gone(&mut self, db: usize, key: &[u8], dirty: &Dirty) -> bool {
        let is_of = |w: &&Watcher| w.db == db && Arc::ptr_eq(&w.dirty, dirty);
        let watchers = self.watches.keys.get(key);
        let existed = watchers.and_then(|all| all.iter().find(is_of)).is_some_and(|w| w.existed);
        !self.has_live_key(db, key) && existed
    }
}
