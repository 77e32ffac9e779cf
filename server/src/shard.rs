//! One shard: its data, its connections, its log, and the pass that drives them.
//!
//! ```text
//!   pass = intake (completions) ─> commands ─> mesh ─> commit (close the batch, write the log) ─> replies
//! ```
//!
//! Invariant: everything here is touched by the shard's own thread only. The reactor borrows the shard for one pass; tasks
//! borrow it between two awaits, never across one.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use ringstone_engine::Keyspace;

use crate::config::Config;
use crate::flow::commit::Commit;
use crate::flow::decode::Ahead;
use crate::flow::intake::Listener;
use crate::msg::Msg;
use crate::rt::exec::Queues;
use crate::rt::mesh::Mesh;
use crate::rt::ring::{Completion, NetRing};
use crate::shared::Shared;
use crate::slab::Slab;
use crate::stats::Stats;
use crate::table::Table;
use crate::tx::Transactions;

/// A shard as its own tasks hold it.
pub type ShardRef = Rc<RefCell<Shard>>;

/// Messages taken from each peer in one pass.
const MESSAGES_A_PASS: usize = crate::rt::mesh::RING_LEN;

/// One shard.
pub struct Shard {
    /// Its number.
    pub index: usize,
    /// Itself, for tasks that it starts.
    pub me: Weak<RefCell<Shard>>,
    /// The ring.
    pub net: NetRing,
    /// The way to other shards.
    pub mesh: Mesh<Msg>,
    /// Task queues.
    pub queues: Queues,
    /// What it listens on; none where it does no more.
    pub listeners: Vec<Option<Listener>>,
    /// Its connections.
    pub conns: Slab,
    /// Its data.
    pub keyspace: Keyspace,
    /// The parameters as of now.
    pub config: Arc<Config>,
    /// All users.
    pub users: Arc<crate::acl::Users>,
    /// Shared by all shards.
    pub shared: Arc<Shared>,
    /// All commands.
    pub table: &'static Table,
    /// Batches and the log.
    pub commit: Commit,
    /// Locks and transactions.
    pub tx: Transactions,
    /// Questions to other shards.
    pub questions: crate::ask::Questions,
    /// Who waits for keys.
    pub blocked: crate::blocked::Blocked,
    /// WATCH.
    pub watches: crate::tx::watch::Watches,
    /// Counters.
    pub stats: Stats,
    /// Share of keys with a time to live whose time is up, as the expiry cycle finds them.
    pub stale_share: f64,
    /// Connections that watch with MONITOR.
    pub monitors: Vec<crate::conn::ConnId>,
    /// What commands cost.
    pub measure: crate::measure::Measure,
    /// Its part in keeping the memory limit.
    pub room: crate::room::Room,
    /// Its part in keeping the limit of clients' memory.
    pub client_room: crate::room::clients::ClientRoom,
    /// Lua.
    pub scripts: crate::script::Scripts,
    /// Scripts that were set aside and go on by and by.
    pub scripts_aside: usize,
    /// CLIENT PAUSE.
    pub pause: crate::cmd::client::Pause,
    /// Who is told of changed keys.
    pub tracking: crate::tracking::Tracking,
    /// Subscribers.
    pub pubsub: crate::pubsub::PubSub,
    /// What replicas are told.
    pub replication: crate::replication::Replication,
    /// Connections whose output has to be looked at.
    pub dirty: Vec<crate::conn::ConnId>,
    /// Connections whose output is above their soft limit, or was lately.
    pub slow_readers: Vec<crate::conn::ConnId>,
    /// Commands that are read ahead, kept to be used again.
    pub ahead: Ahead,
    /// Now, in ms since 1970, as of this pass.
    pub now_ms: i64,
    /// A snapshot under way.
    pub snapshot: Option<crate::snapshot::Progress>,
    /// The reactor sleeps in the executor, where only the eventfd reaches it.
    pub(crate) asleep: bool,
    /// DEBUG PAUSE-CRON.
    pub is_cron_paused: bool,
    /// No new connections are taken.
    pub stopping: bool,
    completions: Vec<Completion>,
    messages: Vec<(usize, Msg)>,
}

/// What a shard is made of.
pub struct ShardParts {
    /// Its number.
    pub index: usize,
    /// The way to other shards.
    pub mesh: Mesh<Msg>,
    /// Its data.
    pub keyspace: Keyspace,
    /// Its log.
    pub commit: Commit,
    /// The parameters.
    pub config: Arc<Config>,
    /// Shared by all shards.
    pub shared: Arc<Shared>,
}

impl Shard {
    /// A shard on the calling thread.
    pub fn new(parts: ShardParts, net: NetRing) -> ShardRef {
        let ShardParts { index, mesh, mut keyspace, commit, config, shared } = parts;
        keyspace.events.set_wanted(config.notify_keyspace_events);
        keyspace.set_access_policy(crate::room::access_policy(&config));
        let measure = crate::measure::Measure::new(Table::get(), &config);
        mesh.peers().announce(index, net.fd(), net.eventfd());
        let replication = crate::replication::Replication::new(shared.run_id.clone());
        Rc::new_cyclic(|me| {
            RefCell::new(Shard {
                index,
                me: me.clone(),
                net,
                mesh,
                queues: Queues::new(),
                listeners: Vec::new(),
                conns: Slab::default(),
                keyspace,
                client_room: crate::room::clients::ClientRoom::new(&config),
                config,
                users: shared.users(),
                shared,
                table: Table::get(),
                commit,
                tx: Transactions::default(),
                questions: crate::ask::Questions::default(),
                blocked: crate::blocked::Blocked::default(),
                watches: crate::tx::watch::Watches::default(),
                stats: Stats::default(),
                stale_share: 0.0,
                monitors: Vec::new(),
                measure,
                room: Default::default(),
                scripts: crate::script::Scripts::default(),
                scripts_aside: 0,
                pause: crate::cmd::client::Pause::default(),
                tracking: crate::tracking::Tracking::default(),
                pubsub: crate::pubsub::PubSub::default(),
                replication,
                dirty: Vec::new(),
                slow_readers: Vec::new(),
                ahead: Ahead::default(),
                now_ms: crate::rt::clock::unix_ms(),
                snapshot: None,
                asleep: false,
                is_cron_paused: false,
                stopping: false,
                completions: Vec::new(),
                messages: Vec::new(),
            })
        })
    }

    /// Itself, for a task.
    pub fn me(&self) -> Option<ShardRef> {
        self.me.upgrade()
    }

    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.mesh.shards()
    }

    /// One pass; false when there was nothing to do.
    pub fn pass(&mut self) -> bool {
        let mut completions = std::mem::take(&mut self.completions);
        let mut worked = match self.net.enter(&mut completions) {
            Ok(worked) => worked,
            Err(e) => {
                tracing::error!("io_uring_enter failed: {e}");
                false
            }
        };
        self.now_ms = crate::rt::clock::unix_ms();
        worked |= self.make_room();
        // Before what clients have sent: who sent it may know by now what another shard did, and so must this one (a message
        // to a subscriber comes before the reply to an UNSUBSCRIBE that was sent after PUBLISH was answered).
        worked |= self.receive();
        for completion in completions.drain(..) {
            self.on_completion(completion);
        }
        self.completions = completions;
        for call in self.shared.clone().take_mail(self.index) {
            call(self);
            worked = true;
        }
        if !self.tx.stalled.is_empty() && !self.commit.is_stalled() {
            worked |= self.retry_stalled();
        }
        if self.tracking.has_news() {
            self.tell_news();
            worked = true;
        }
        self.push_all_late();
        worked |= self.end_late_waits();
        worked |= self.resume_served();
        worked |= self.commit_and_reply();
        if self.client_room.limits() {
            self.keep_client_limit();
        }
        worked
    }

    fn receive(&mut self) -> bool {
        if self.shards() == 1 {
            return false;
        }
        let mut messages = std::mem::take(&mut self.messages);
        self.mesh.receive(MESSAGES_A_PASS, &mut messages);
        let worked = !messages.is_empty();
        if worked {
            self.measure.begin();
        }
        for (_, message) in messages.drain(..) {
            self.on_message(message);
        }
        self.messages = messages;
        worked
    }

    pub(crate) fn on_message(&mut self, message: Msg) {
        match message {
            Msg::Hop(hop) => self.on_hop(*hop),
            Msg::Exec(exec) => self.on_exec(exec),
            Msg::HopReply { conn, number, bytes } => self.on_hop_reply(conn, number, bytes),
            Msg::TxAsk(ask) => self.on_tx_ask(ask),
            Msg::TxRun { number, coordinator, run } => self.on_tx_run(number, coordinator, run),
            Msg::TxDone { number, shard, done } => self.tx.on_done(number, shard, done),
            Msg::TxEnd(end) => self.on_tx_end(*end),
            Msg::Call(call) => call(self),
        }
    }

    /// Says that this shard is about to sleep; false when there is something to do first. Whoever has something for it from
    /// now on wakes it, until [`Mesh::unpark`].
    pub(crate) fn is_quiet(&mut self) -> bool {
        let idle = self.dirty.is_empty() && !self.pubsub.has_late() && !self.tracking.has_news();
        if !idle || !self.mesh.park() {
            return false;
        }
        // Only now: a peer that makes a batch safe from here on finds this shard parked.
        let polls = self.must_poll();
        if polls {
            self.mesh.unpark();
        }
        !polls
    }

    /// True while a task of this shard waits for files of glommio.
    pub(crate) fn has_background_work(&self) -> bool {
        self.snapshot.is_some() || self.runs_script()
    }

    /// True while a script of this shard has been set aside and goes on between passes.
    pub(crate) fn runs_script(&self) -> bool {
        self.scripts_aside > 0
    }

    /// Makes the reactor look again, after a task changed something while it may be asleep.
    pub fn wake(&self) {
        if self.asleep {
            self.mesh.peers().wake(self.index);
        }
    }

    /// Runs `call` on shard `to`, at once if that is this one.
    pub fn call(&mut self, to: usize, call: impl FnOnce(&mut Shard) + Send + 'static) {
        if to == self.index {
            call(self);
        } else {
            self.mesh.send(to, Msg::Call(Box::new(call)));
            self.wake();
        }
    }
}
