//! Commands that wait for keys (BLPOP, XREAD BLOCK ...).
//!
//! ```text
//!   the connection's shard (home)                     the shards that own the keys
//!     knows who waits, for how long                     queue: database, key ─> who waits, in the order of arrival
//!     time is up, CLIENT UNBLOCK, closed ── claim ──>   a key was changed: the first is served, at once
//!                                        <── claim ──
//! ```
//!
//! A command is registered while its keys cannot change: where it ran, or, with keys of several shards, before its transaction
//! gives them back. So no change is overlooked.
//!
//! Invariant: whoever ends a wait, by a reply or without one, has claimed it, and only one can. Whoever serves has claimed, and
//! then something is there for sure, or puts the claim back.

mod home;
mod queue;
mod serve;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringstone_engine::cmd::blocking::Block;
use ringstone_engine::{ArgBuf, Args};

use crate::conn::{Conn, ConnId};
use crate::shard::Shard;
use crate::table::Entry;
use crate::tracking::Caller;

pub use home::Home;
pub use queue::Queues;

/// A command that waits, as home and the shards of its keys know it.
pub struct Waiting {
    /// Unique in the process.
    id: u64,
    /// The connection's shard.
    home: usize,
    /// The connection.
    conn: ConnId,
    /// The command.
    entry: &'static Entry,
    /// Its arguments, to be remembered when it was slow.
    args: ArgBuf,
    /// Selected database.
    db: usize,
    /// Form of the reply.
    resp3: bool,
    /// It does not count as an access.
    no_touch: bool,
    /// Who waits, if it is a client that tracks keys, as whoever changes the key that is written.
    caller: Option<Caller>,
    /// When the time is up, in ms since 1970; none: never.
    deadline_ms: Option<i64>,
    /// What it waits for.
    block: Block,
    claimed: AtomicBool,
}

impl Waiting {
    /// Somebody is about to end the wait, or has ended it.
    fn is_claimed(&self) -> bool {
        self.claimed.load(Ordering::Acquire)
    }

    /// True for the one that may end the wait.
    fn claim(&self) -> bool {
        self.claimed.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Somebody else may end the wait.
    fn put_claim_back(&self) {
        self.claimed.store(false, Ordering::Release);
    }
}

/// Who asks to wait.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The connection's shard.
    pub home: usize,
    /// The connection.
    pub conn: ConnId,
    /// The command.
    pub entry: &'static Entry,
    /// Its arguments.
    pub args: Args<'a>,
    /// Selected database.
    pub db: usize,
    /// Form of the reply.
    pub resp3: bool,
    /// It does not count as an access.
    pub no_touch: bool,
    /// The client, if it is one that tracks keys.
    pub caller: Option<Caller>,
}

/// A shard's part in all waits.
#[derive(Default)]
pub struct Blocked {
    next: u64,
    /// Who waits for keys of this shard.
    pub queues: Queues,
    /// Which connections of this shard wait.
    pub home: Home,
}

impl Shard {
    fn new_waiting(&mut self, asker: Asker<'_>, block: Block) -> Arc<Waiting> {
        let Asker { home, conn, entry, args, db, resp3, no_touch, caller } = asker;
        self.blocked.next += 1;
        let shards = self.shards() as u64;
        let timeout_ms = block.timeout_ms.and_then(|ms| i64::try_from(ms).ok());
        Arc::new(Waiting {
            id: self.blocked.next * shards + self.index as u64,
            home,
            conn,
            entry,
            args: ArgBuf::from(args),
            db,
            resp3,
            no_touch,
            caller: caller.map(|caller| Caller { remembers: false, ..caller }),
            deadline_ms: timeout_ms.and_then(|ms| self.now_ms.checked_add(ms)),
            block,
            claimed: AtomicBool::new(false),
        })
    }

    /// A command of a connection of this shard waits; all its keys are here.
    pub(crate) fn wait_here(
        &mut self,
        conn: &mut Conn,
        (entry, args): (&'static Entry, Args<'_>),
        block: Block,
    ) {
        conn.blocked = true;
        let (home, id) = (self.index, conn.id);
        let (db, resp3, no_touch, caller) = (conn.db, conn.resp3, conn.no_touch, conn.caller(home));
        let asker = Asker { home, conn: id, entry, args, db, resp3, no_touch, caller };
        let waiting = self.new_waiting(asker, block);
        self.register(&waiting);
        self.begin_wait(waiting);
    }

    /// A command of another shard's connection waits here. Its place among the replies is `number`.
    pub(crate) fn wait_for_hop(&mut self, asker: Asker<'_>, number: u64, block: Block) {
        let waiting = self.new_waiting(asker, block);
        self.register(&waiting);
        self.call(asker.home, move |home| home.hop_waits(waiting, number));
    }

    /// A command of a connection of this shard waits for keys of several shards, which a transaction still holds.
    pub(crate) fn wait_on_several(&mut self, asker: Asker<'_>, block: Block) {
        match self.conns.get(asker.conn) {
            Some(conn) if !conn.closing => conn.task_waits(),
            _ => return,
        }
        let waiting = self.new_waiting(asker, block);
        self.begin_wait(Arc::clone(&waiting));
        let owners = self.owners_of(&waiting);
        if owners.len() > 1 {
            self.shared.waits_on_several.fetch_add(1, Ordering::AcqRel);
        }
        for owner in owners {
            let waiting = Arc::clone(&waiting);
            self.call(owner, move |there| there.register(&waiting));
        }
    }

    /// The shards on which a command is registered.
    fn owners_of(&self, waiting: &Waiting) -> Vec<usize> {
        let keys = waiting.block.keys.iter();
        let mut owners: Vec<usize> = keys.map(|key| self.shared.slots.shard_of_key(key)).collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }
}
