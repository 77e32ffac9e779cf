//! Client-side caching: clients are told when a key that they have read is changed.
//!
//! ```text
//!   read   ─> the shard that owns the key notes the reader               Tracked
//!   write  ─> observe ─> the readers' shards: a push, or to whom they redirect it     deliver
//!             or, for BCAST, the keys of a pass that begin with a client's prefixes
//! ```
//!
//! Of a transaction's keys clients in BCAST mode are told by its coordinator, so that they get one message whoever owns the keys.
//!
//! Invariant: a read is noted before any later command can change the key, so that no change is missed; that a reader is told of a
//! change he has seen already does no harm.

mod deliver;
mod settings;
mod tracked;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ringstone_engine::Args;
use ringstone_engine::cmd::Flags;

pub(crate) use deliver::Note;
pub(crate) use settings::check_overlaps;
pub use settings::{Redirect, Settings};
use tracked::Tracked;

use crate::conn::{Conn, ConnId};
use crate::map::Map;
use crate::observe::{Change, Touched, TouchedKey};
use crate::shard::Shard;
use crate::table::Entry;

/// A connection, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its shard.
    pub shard: usize,
    /// Its place there.
    pub conn: ConnId,
    /// CLIENT ID.
    pub id: u64,
}

/// A client that tracks keys and runs a command.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The client.
    pub client: Client,
    /// The keys that it reads are noted.
    pub remembers: bool,
}

/// Who changed keys in a transaction.
#[derive(Clone, Debug, Default)]
pub struct Author {
    /// The client that ran it, if it is one that tracks keys.
    pub caller: Option<Caller>,
    /// Keys that went by themselves, as their time was up.
    pub lapsed: Vec<Box<[u8]>>,
}

/// What clients are told.
#[derive(Clone, Debug)]
pub(crate) enum Invalid {
    /// These keys have changed.
    Keys(Arc<[Box<[u8]>]>),
    /// All have.
    All,
}

/// The clients of one prefix, and its keys that were changed in this pass, each with who changed it last.
#[derive(Default)]
struct Prefix {
    clients: Vec<(Client, bool)>,
    changed: BTreeMap<Box<[u8]>, u64>,
}

/// A shard's side of tracking.
#[derive(Default)]
pub struct Tracking {
    /// Who has read which of this shard's keys.
    tracked: Tracked,
    /// Prefixes of all shards' clients in BCAST mode.
    prefixes: Map<Box<[u8]>, Prefix>,
    /// Connections of this shard that track.
    clients: usize,
    /// Who runs the command at hand, if it is one that tracks.
    pub caller: Option<Caller>,
    /// Keys among the changes at hand that went by themselves.
    lapsed: Vec<Box<[u8]>>,
    /// All keys of a database have gone in this pass.
    flushed: bool,
    /// A prefix has changed keys.
    changed: bool,
    /// The changes at hand are a transaction's, whose coordinator tells clients in BCAST mode.
    in_transaction: bool,
}

impl Tracking {
    /// True when changes have to be looked at.
    pub fn observes(&self) -> bool {
        self.clients > 0 || !self.tracked.is_empty() || !self.prefixes.is_empty()
    }

    /// What is looked at next was changed in a transaction of `author`; none: it was not.
    pub fn set_author(&mut self, author: Option<Author>) {
        self.in_transaction = author.is_some();
        let author = author.unwrap_or_default();
        (self.caller, self.lapsed) = (author.caller, author.lapsed);
    }

    /// These keys, among the changes at hand, went by themselves.
    pub fn set_lapsed(&mut self, keys: Vec<Box<[u8]>>) {
        self.lapsed = keys;
    }

    fn note_for_prefixes(&mut self, key: &[u8], by: u64) {
        for (prefix, news) in &mut self.prefixes {
            if key.starts_with(prefix) {
                news.changed.insert(key.into(), by);
                self.changed = true;
            }
        }
    }

    /// True when clients are to be told something at the end of the pass.
    pub fn has_news(&self) -> bool {
        self.flushed || self.changed
    }

    /// Connections that track, keys noted, and notes in all.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.clients, self.tracked.len(), self.tracked.items())
    }

    /// Prefixes of clients in BCAST mode, of all shards.
    pub fn prefix_count(&self) -> usize {
        self.prefixes.len()
    }
}

impl Shard {
    /// Notes that the command at hand has read its keys, if its client wants that.
    #[inline]
    pub(crate) fn remember_read(&mut self, entry: &Entry, args: Args<'_>) {
        if let Some(caller) = self.tracking.caller {
            for key in read_keys(caller, entry, args) {
                self.track(key, caller.client);
            }
        }
    }

    /// Notes that `client` has read a key of this shard.
    pub(crate) fn track(&mut self, key: &[u8], client: Client) {
        // What was changed before the read does not concern the reader.
        self.observe_changes();
        if self.tracking.tracked.add(key, client) {
            self.shared.tracked_keys.fetch_add(1, Ordering::Relaxed);
            self.limit_tracked();
        }
        self.observers_changed();
    }

    /// Forgets keys when there are more than `tracking-table-max-keys` on all shards, and tells their readers: here, as long as
    /// this shard has more than its share, else where that is so.
    pub(crate) fn limit_tracked(&mut self) {
        if self.limit_own_tracked() {
            let index = self.index;
            (0..self.shards()).filter(|to| *to != index).for_each(|to| {
                self.call(to, |there| {
                    there.limit_own_tracked();
                });
            });
        }
    }

    /// True when there are still too many.
    fn limit_own_tracked(&mut self) -> bool {
        let (most, shards) = (self.config.tracking_table_max_keys, self.shards());
        if most == 0 {
            return false;
        }
        let share = most / shards + usize::from(self.index < most % shards);
        while self.shared.tracked_keys.load(Ordering::Relaxed) > most {
            if self.tracking.tracked.len() <= share {
                return true;
            }
            let random =
                self.keyspace.db(0, self.now_ms, ringstone_engine::keyspace::Mode::Live).random();
            let Some((key, readers)) = self.tracking.tracked.take_any(random) else { break };
            self.shared.tracked_keys.fetch_sub(1, Ordering::Relaxed);
            self.tell(&readers, &Invalid::Keys([Box::from(&*key)].into()), 0);
        }
        false
    }

    /// All keys of a database have gone: all clients are told to forget everything.
    fn flush_tracked(&mut self) {
        let gone = std::mem::take(&mut self.tracking.tracked);
        self.shared.tracked_keys.fetch_sub(gone.len(), Ordering::Relaxed);
        self.tracking.flushed = true;
    }

    /// Something of this shard was changed: its readers are told.
    pub(crate) fn invalidate(&mut self, touched: Touched<'_>) {
        if !self.tracking.observes() {
            return;
        }
        match touched {
            Touched::Key(_, key, Change::Content) => self.invalidate_key(key),
            Touched::Key(_, _, Change::Other) => {}
            Touched::Database(_) => self.flush_tracked(),
            Touched::Swapped(..) => {}
        }
    }

    /// A command was run: one that empties a database tells all clients, even those of a shard that had no keys in it.
    #[inline]
    pub(crate) fn note_flush(&mut self, entry: &Entry) {
        if self.tracking.observes() && matches!(entry.spec.name, "flushall" | "flushdb") {
            self.flush_tracked();
        }
    }

    fn invalidate_key(&mut self, key: &[u8]) {
        let Tracking { caller, lapsed, in_transaction, .. } = &self.tracking;
        let by = changed_by(key, *caller, lapsed);
        if !in_transaction {
            self.tracking.note_for_prefixes(key, by);
        }
        if let Some(readers) = self.tracking.tracked.take(key) {
            self.shared.tracked_keys.fetch_sub(1, Ordering::Relaxed);
            self.tell(&readers, &Invalid::Keys([Box::from(key)].into()), by);
        }
    }

    /// A transaction that this shard coordinates has changed keys, of whichever shards.
    pub(crate) fn broadcast_changes(&mut self, touched: &[TouchedKey], author: &Author) {
        for (_, key, change) in touched {
            if *change == Change::Content {
                let by = changed_by(key, author.caller, &author.lapsed);
                self.tracking.note_for_prefixes(key, by);
            }
        }
    }

    /// Tells clients at the end of a pass what has to do with many keys.
    pub(crate) fn tell_news(&mut self) {
        if std::mem::take(&mut self.tracking.flushed) {
            let index = self.index;
            let tracking = self.conns.iter_mut().filter(|conn| conn.tracking.is_some());
            let clients: Vec<_> = tracking.map(|conn| conn.as_client(index)).collect();
            clients.iter().for_each(|client| self.tell_changed(*client, &Invalid::All));
        }
        if std::mem::take(&mut self.tracking.changed) {
            let mut prefixes = std::mem::take(&mut self.tracking.prefixes);
            prefixes.values_mut().for_each(|prefix| self.broadcast(prefix));
            self.tracking.prefixes = prefixes;
        }
    }

    fn broadcast(&mut self, prefix: &mut Prefix) {
        let changed = std::mem::take(&mut prefix.changed);
        if changed.is_empty() {
            return;
        }
        let all = Invalid::Keys(changed.keys().cloned().collect());
        for (client, no_loop) in &prefix.clients {
            if *no_loop && changed.values().any(|by| *by == client.id) {
                let others = changed.iter().filter(|(_, by)| **by != client.id);
                let others: Arc<[_]> = others.map(|(key, _)| key.clone()).collect();
                if !others.is_empty() {
                    self.tell_one(*client, Invalid::Keys(others));
                }
            } else {
                self.tell_one(*client, all.clone());
            }
        }
    }

    fn tell_one(&mut self, client: Client, what: Invalid) {
        self.call(client.shard, move |there| there.tell_changed(client, &what));
    }

    /// A connection of this shard begins or ceases to track.
    pub(crate) fn count_tracking(&mut self, begins: bool) {
        let clients = &mut self.tracking.clients;
        *clients = if begins { *clients + 1 } else { clients.saturating_sub(1) };
        self.observe();
        self.observers_changed();
    }

    /// A client in BCAST mode has these prefixes from now on.
    pub(crate) fn set_prefixes(&mut self, client: Client, no_loop: bool, prefixes: &[Box<[u8]>]) {
        self.observe();
        self.forget_prefixes(client);
        for prefix in prefixes {
            let entry = self.tracking.prefixes.entry(prefix.clone()).or_default();
            entry.clients.push((client, no_loop));
        }
        self.observers_changed();
    }

    /// A client has no prefixes any more.
    pub(crate) fn forget_prefixes(&mut self, client: Client) {
        for prefix in self.tracking.prefixes.values_mut() {
            prefix.clients.retain(|(known, _)| *known != client);
        }
        self.tracking.prefixes.retain(|_, prefix| !prefix.clients.is_empty());
        self.observers_changed();
    }

    /// A connection ceases to track; nobody waits for it.
    pub(crate) fn stop_tracking(&mut self, conn: &mut Conn) {
        let Some(settings) = conn.tracking.take() else { return };
        self.count_tracking(false);
        if settings.broadcasts() {
            let client = conn.as_client(self.index);
            for shard in 0..self.shards() {
                self.call(shard, move |there| there.forget_prefixes(client));
            }
        }
    }
}

/// The client that changed a key; 0 when it went by itself.
fn changed_by(key: &[u8], caller: Option<Caller>, lapsed: &[Box<[u8]>]) -> u64 {
    let lapsed = lapsed.iter().any(|gone| **gone == *key);
    caller.filter(|_| !lapsed).map_or(0, |caller| caller.client.id)
}

/// The keys that a command has read and that its client wants to be told of.
pub(crate) fn read_keys<'a>(
    caller: Caller,
    entry: &Entry,
    args: Args<'a>,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let reads = caller.remembers && entry.spec.flags.contains(Flags::READONLY);
    let positions = if reads { entry.spec.key_positions(args).ok() } else { None };
    positions.unwrap_or_default().into_iter().map(move |at| args.at(at))
}
