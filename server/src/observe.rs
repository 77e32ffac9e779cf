//! After a write: which keys did it change, and who wants to know?
//!
//! What changed is read from the recorded effects, so that no command has to announce it: expiry, commands over several shards
//! and those over the whole keyspace are seen alike. While nobody observes, this costs one branch a command.
//!
//! ```text
//!   effects ─> Touched ─> WATCH, CLIENT TRACKING
//!                      └> commands that wait for keys
//! ```
//!
//! Invariant: the shard that owns a key is the one that observes it, before any later command can see the change.

use std::sync::atomic::Ordering;

use ringstone_engine::cmd::{Scope, Spec};
use ringstone_engine::effect::{RawRecord, Records};
use ringstone_engine::num::parse_i64;
use ringstone_engine::{Args, Span};

use crate::shard::Shard;
use crate::table::Table;

/// What a write has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched<'a> {
    /// A key of a database.
    Key(usize, &'a [u8], Change),
    /// All keys of a database, which is empty now.
    Database(usize),
    /// Two databases were exchanged.
    Swapped(usize, usize),
}

/// A key that was changed, to be told to its owner.
pub type TouchedKey = (usize, Vec<u8>, Change);

/// What of a key a write has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its content.
    Content,
    /// Something else, such as a stream's groups: only who waits for the key is concerned.
    Other,
}

impl Change {
    fn of(spec: &Spec, args: Args<'_>) -> Change {
        match spec.name {
            // The record says so when the stream was made as well.
            "xgroup|create" if args.iter_from(0).any(|word| word == b"MKSTREAM") => Change::Content,
            "xack" | "xclaim" | "xsetid" => Change::Other,
            name if name.starts_with("xgroup|") => Change::Other,
            _ => Change::Content,
        }
    }
}

/// Calls `each` with what the records of `bytes` have changed, in their order.
pub fn each_touched(
    table: &Table,
    databases: usize,
    bytes: &[u8],
    each: &mut dyn FnMut(Touched<'_>),
) {
    let (mut buf, mut spans) = (Vec::new(), Vec::new());
    let mut records = Records::new(bytes);
    while let Some(Ok(record)) = records.next_raw() {
        touched_by(table, databases, &record, &mut buf, &mut spans, each);
    }
}

fn touched_by(
    table: &Table,
    databases: usize,
    record: &RawRecord<'_>,
    buf: &mut Vec<u8>,
    spans: &mut Vec<Span>,
    each: &mut dyn FnMut(Touched<'_>),
) {
    let Some(command) = table.by_opcode(record.opcode) else { return };
    if !record.read_into(command.spec.name.as_bytes(), buf, spans) {
        return;
    }
    let (args, db) = (Args::new(buf, spans), record.db as usize);
    match command.spec.scope {
        Scope::All(_) => whole(command.spec.name, args, db, databases, each),
        Scope::Keys | Scope::Cursor(_) => {
            // COPY only reads the one, a ZUNIONSTORE all but one of its keys.
            let (first, second) = databases_of(&command.spec, args, db);
            let change = Change::of(&command.spec, args);
            for at in command.spec.written_positions(args).unwrap_or_default() {
                each(Touched::Key(first, args.at(at), change));
                if let Some(second) = second {
                    each(Touched::Key(second, args.at(at), change));
                }
            }
        }
    }
}

/// The databases in which a command has changed its keys: MOVE in its own and in the one that it names, COPY in the latter only.
fn databases_of(spec: &Spec, args: Args<'_>, own: usize) -> (usize, Option<usize>) {
    if !spec.names_database() {
        return (own, None);
    }
    let index =
        |at: usize| args.get(at).and_then(parse_i64).and_then(|db| usize::try_from(db).ok());
    match spec.name {
        "move" => (own, index(2)),
        _ => {
            let named = (3..args.len()).rev().find(|at| args.is(*at, "DB"));
            (named.and_then(|at| index(at + 1)).unwrap_or(own), None)
        }
    }
}

fn whole(
    name: &str,
    args: Args<'_>,
    db: usize,
    databases: usize,
    each: &mut dyn FnMut(Touched<'_>),
) {
    let index = |at: usize| {
        args.get(at).and_then(parse_i64).and_then(|db| usize::try_from(db).ok()).unwrap_or(0)
    };
    match name {
        "swapdb" => each(Touched::Swapped(index(1), index(2))),
        "flushdb" => each(Touched::Database(db)),
        _ => (0..databases).for_each(|db| each(Touched::Database(db))),
    }
}

impl Shard {
    /// Has everybody who observes learn what was changed since the last call.
    #[inline]
    pub(crate) fn observe(&mut self) {
        self.observe_changes();
        if self.blocked.queues.has_ready() {
            self.serve_blocked(None);
        }
    }

    /// The same, and nobody who waits is served yet.
    #[inline]
    pub(crate) fn observe_changes(&mut self) {
        self.publish_events();
        self.keyspace.effects.end_unit();
        if self.keyspace.effects.is_observed() {
            let bytes = self.keyspace.effects.unseen().to_vec();
            self.observe_records(&bytes);
            self.observe_unrecorded();
        }
    }

    fn observe_unrecorded(&mut self) {
        let keys = self.keyspace.take_unrecorded();
        if !keys.is_empty() {
            self.tracking.set_lapsed(Vec::new());
        }
        for (db, key) in keys {
            self.on_touched(Touched::Key(db, &key, Change::Content));
        }
    }

    /// The same for records that are not in the open batch.
    pub(crate) fn observe_records(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() && self.keyspace.effects.is_observed() {
            self.tracking.set_lapsed(self.keyspace.take_lapsed());
            let (table, databases) = (self.table, self.keyspace.databases());
            each_touched(table, databases, bytes, &mut |touched| self.on_touched(touched));
        }
    }

    /// Something of this shard was changed.
    pub(crate) fn on_touched(&mut self, touched: Touched<'_>) {
        self.touch_watched(touched);
        self.blocked.queues.touch(touched);
        self.invalidate(touched);
    }

    /// Whoever begins or ceases to observe something on this shard calls this.
    pub(crate) fn observers_changed(&mut self) {
        let observes =
            !self.watches.is_empty() || !self.blocked.queues.is_empty() || self.tracking.observes();
        if observes != self.keyspace.effects.is_observed() {
            self.keyspace.effects.set_observed(observes);
            if observes {
                self.shared.observers.fetch_add(1, Ordering::SeqCst);
            } else {
                self.shared.observers.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    /// True when any shard observes something.
    pub(crate) fn is_observed_anywhere(&self) -> bool {
        self.shared.observers.load(Ordering::SeqCst) > 0
    }
}
