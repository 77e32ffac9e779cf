//! Step 4: which shard's business is it?
//!
//! | keys | way |
//! |---|---|
//! | all here, or none | run at once |
//! | all on one other shard | a hop: the reply comes back into its place |
//! | on several shards | a transaction: the keys are lent to this shard (`tx`) |
//! | the whole keyspace | a part on every shard at one instant (`tx`) |

use std::sync::atomic::Ordering;

use ringstone_engine::cmd::{Flags, Scope};
use ringstone_engine::{ArgBuf, Args, Error, Tree};
use smallvec::SmallVec;

use super::admit::Admitted;
use crate::conn::Conn;
use crate::msg::{Hop, Msg};
use crate::shard::Shard;
use crate::table::{Entry, Run};
use crate::tx::locks::{KeyHash, Need};
use crate::tx::{LocalCommand, Waiter};

/// Positions of a command's keys.
pub type KeyPositions = SmallVec<[usize; 4]>;

/// Hash of a key for locks and for "is its last write safe yet".
pub fn key_hash(key: &[u8]) -> KeyHash {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = foldhash::fast::FixedState::with_seed(0x52_69_6e_67).build_hasher();
    hasher.write(key);
    hasher.finish()
}

impl Shard {
    /// Sends an admitted command where it belongs.
    pub(crate) fn route(&mut self, conn: &mut Conn, command: Admitted<'_>) {
        let Admitted { entry, args, .. } = command;
        if self.pause.is_on(self.now_ms) && self.must_wait_for_unpause(conn, entry, args) {
            return self.wait_for_unpause(conn, entry, args);
        }
        if let Run::Host(run) = entry.run {
            return self.run_host(conn, entry, run, args);
        }
        match entry.spec.scope {
            Scope::Keys => {}
            Scope::All(_) if self.shards() == 1 => return self.run_local(conn, entry, args, None),
            Scope::All(_) => return self.start_transaction(conn, entry, args),
            Scope::Cursor(at) => return self.route_cursor(conn, entry, args, at),
        }
        if self.shards() == 1 {
            return self.run_local(conn, entry, args, None);
        }
        if entry.spec.derived_keys.is_some_and(|derived| (derived.wanted)(args)) {
            return self.start_transaction(conn, entry, args);
        }
        if let Some(at) = entry.one_key {
            let owner = self.shared.slots.shard_of_key(args.at(at));
            return if owner == self.index {
                self.run_local(conn, entry, args, None)
            } else {
                self.hop(conn, owner, entry, args)
            };
        }
        match entry.spec.key_positions(args) {
            Ok(keys) => self.route_keys(conn, entry, args, &keys),
            // The command itself words the error.
            Err(_) => self.run_local(conn, entry, args, None),
        }
    }

    fn route_keys(
        &mut self,
        conn: &mut Conn,
        entry: &'static Entry,
        args: Args<'_>,
        keys: &KeyPositions,
    ) {
        let mut owners = keys.iter().map(|at| self.shared.slots.shard_of_key(args.at(*at)));
        let Some(first) = owners.next() else { return self.run_local(conn, entry, args, None) };
        if !owners.all(|owner| owner == first) {
            return self.start_transaction(conn, entry, args);
        }
        if first == self.index {
            self.run_local(conn, entry, args, None)
        } else {
            self.hop(conn, first, entry, args)
        }
    }

    fn hop(&mut self, conn: &mut Conn, owner: usize, entry: &'static Entry, args: Args<'_>) {
        self.hop_carrying(conn, owner, entry, ArgBuf::from(args), None);
    }

    /// The same, for a SCAN that goes on with what it found here.
    pub(super) fn hop_carrying(
        &mut self,
        conn: &mut Conn,
        owner: usize,
        entry: &'static Entry,
        args: ArgBuf,
        carried: Option<Vec<Tree>>,
    ) {
        self.stats.hops += 1;
        let number = conn.expect_reply();
        // Who waits for keys of several shards is served by the first of a client's writes, not by a later one that overtook it,
        // and who listens to events hears of them in their order.
        let keeps_order = entry.spec.flags.contains(Flags::WRITE)
            && (self.shared.waits_on_several.load(Ordering::Acquire) > 0
                || self.has_event_listeners());
        if keeps_order || entry.spec.flags.contains(Flags::BLOCKING) {
            conn.stand_by_hop(number);
        }
        let (origin, id, db, resp3) = (self.index, conn.id, conn.db, conn.resp3);
        let (no_touch, caller) = (conn.no_touch, conn.caller(origin));
        let reply_max = self.output_max_bytes(conn);
        let hop = Hop {
            origin,
            conn: id,
            number,
            db,
            resp3,
            no_touch,
            caller,
            reply_max,
            entry,
            args,
            carried,
        };
        self.mesh.send(owner, Msg::Hop(Box::new(hop)));
    }

    /// Runs a command here unless a transaction has its keys; then it waits in their queue.
    pub(crate) fn run_local(
        &mut self,
        conn: &mut Conn,
        entry: &'static Entry,
        args: Args<'_>,
        cursor_shard: Option<usize>,
    ) {
        if self.may_run_now(conn.db, entry, args) {
            return self.execute(conn, entry, args, cursor_shard);
        }
        if let Some(busy) = self.shared.running.busy_error() {
            return self.reply_error(conn, &busy);
        }
        conn.blocked = true;
        let waiter = LocalCommand { conn: conn.id, entry, args: ArgBuf::from(args), cursor_shard };
        let need = lock_need(entry, args);
        self.enqueue(need, Waiter::Command(Box::new(waiter)));
    }

    /// True when neither locks nor a snapshot that is behind keep the command from running.
    pub(crate) fn may_run_now(&mut self, db: usize, entry: &'static Entry, args: Args<'_>) -> bool {
        if !self.tx.locks.is_free() {
            let free = match lock_need(entry, args) {
                Need::Keys(keys) => self.tx.locks.may_run(&keys),
                Need::All => false,
            };
            if !free {
                return false;
            }
        }
        let writes = entry.spec.flags.contains(Flags::WRITE);
        if writes && self.commit.is_stalled() {
            return false;
        }
        self.snapshot.is_none() || !writes || !self.snapshot_is_behind(db, entry, args)
    }

    /// SCAN's cursor says which shard is next: `cursor * shards + shard`.
    fn route_cursor(&mut self, conn: &mut Conn, entry: &'static Entry, args: Args<'_>, at: usize) {
        if self.shards() == 1 {
            return self.run_local(conn, entry, args, None);
        }
        let (owner, args) = match split_cursor(args, at, self.shards()) {
            Ok(split) => split,
            Err(error) => return self.reply_error(conn, &error),
        };
        if owner == self.index {
            self.run_local(conn, entry, args.as_args(), Some(owner));
        } else {
            self.hop(conn, owner, entry, args.as_args());
        }
    }
}

/// The shard that the cursor at argument `at` names, and the arguments as that shard wants them.
pub(crate) fn split_cursor(
    args: Args<'_>,
    at: usize,
    shards: usize,
) -> Result<(usize, ArgBuf), Error> {
    let cursor = std::str::from_utf8(args.at(at)).ok().and_then(|text| text.parse::<u64>().ok());
    let cursor = cursor.ok_or(Error::InvalidCursor)?;
    let shards = shards.max(1) as u64;
    let owner = usize::try_from(cursor % shards).unwrap_or(0);
    Ok((owner, with_cursor(args, at, cursor / shards)))
}

/// The arguments with another cursor.
pub(crate) fn with_cursor(args: Args<'_>, at: usize, cursor: u64) -> ArgBuf {
    let cursor = cursor.to_string();
    let args = args.iter_from(0).enumerate();
    ArgBuf::from_parts(args.map(|(i, arg)| if i == at { cursor.as_bytes() } else { arg }))
}

/// The locks that a command needs.
pub(crate) fn lock_need(entry: &Entry, args: Args<'_>) -> Need {
    match entry.spec.scope {
        Scope::Keys => {
            let keys = entry.spec.key_positions(args).unwrap_or_default();
            Need::Keys(keys.iter().map(|at| key_hash(args.at(*at))).collect())
        }
        Scope::All(_) | Scope::Cursor(_) => Need::All,
    }
}
