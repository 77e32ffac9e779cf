//! A task that has keys, or the whole keyspace, for itself, and runs commands there as one unit.
//!
//! ```text
//!   Held::keys   the keys named, lent by their owners; nothing else can be touched
//!   Held::whole  every shard; keys come here when a command names them, parts run on all shards where one asks for that
//!   run ... run ...          on a keyspace of its own, which holds exactly what was lent
//!   end          one frame with all effects: the GSN; the keys go home, whoever waits goes on
//! ```
//!
//! Invariant: between the grant and [`Held::end`] nobody else sees or changes what is held, and what was done is in the log
//! as one frame or not at all.

use ringstone_engine::cmd::Scope;
use ringstone_engine::cmd::generic::scan::scan_count;
use ringstone_engine::keyspace::{Mode, Stats};
use ringstone_engine::raw::Entry as KeyEntry;
use ringstone_engine::{ArgBuf, Args, Effects, Error, Keyspace, Reply, Tree};

use super::asked::{Asked, borrow_keys, name_databases};
use super::global::{run_on, take_all};
use crate::conn::{BatchId, ConnId};
use crate::flow::execute::{CursorPart, run_or_wait};
use crate::flow::route::{split_cursor, with_cursor};
use crate::map::Map;
use crate::msg::{Msg, Part, Patience, TxEnd, WholeRun};
use crate::observe::{Change, Touched, TouchedKey, each_touched};
use crate::shard::{Shard, ShardRef};
use crate::table::Entry;
use crate::tracking::{Author, Caller, read_keys};

/// A key of a transaction: owner, database, name.
pub type LentKey = (usize, usize, Vec<u8>);
/// An entry and its database.
pub type LentEntry = (usize, KeyEntry);

/// Keys that a client which tracks has read in a transaction; true for those that were changed afterwards.
pub type ReadKeys = Vec<(Vec<u8>, bool)>;

/// A command as it is run in what is held.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Selected database.
    pub db: usize,
    /// Form of the reply.
    pub resp3: bool,
    /// It does not count as an access.
    pub no_touch: bool,
    /// The command.
    pub entry: &'static Entry,
    /// Its arguments.
    pub args: Args<'a>,
}

/// What a transaction has for itself.
pub struct Held {
    shard: ShardRef,
    number: u64,
    /// Shards that have granted something.
    owners: Vec<usize>,
    whole: bool,
    /// What is here, sorted.
    keys: Vec<LentKey>,
    data: Keyspace,
    /// Keys changed so far, while somebody observes.
    touched: Vec<TouchedKey>,
    /// Who runs it, if it is a client that tracks keys, which of them went by themselves, and which keys it has read.
    author: Author,
    /// True for those that were changed after they were read.
    read: Map<Vec<u8>, bool>,
    /// Events stay here, as what happened may be undone.
    keeps_events: bool,
    /// Commands are counted as calls.
    counts: bool,
    /// The time for all that is run: what is there when it begins does not expire on the way.
    now_ms: i64,
}

/// What the owners of keys learn beside the keys themselves, when a transaction ends.
#[derive(Default)]
pub(super) struct Ends {
    /// Keys that were changed, by shard.
    touched: Vec<Vec<TouchedKey>>,
    /// Keys that were read, by shard.
    read: Vec<ReadKeys>,
    author: Author,
}

impl Held {
    /// Waits for these keys; an error when a script has some of them that has been running for too long.
    pub async fn keys(shard: &ShardRef, mut keys: Vec<LentKey>) -> Result<Held, Error> {
        keys.sort_unstable();
        keys.dedup();
        let asked = shard.borrow_mut().ask_for_keys(&keys, Patience::UntilBusy);
        Held::asked(shard, keys, asked).await
    }

    /// Waits for these keys, sorted and each once, which were asked for already.
    pub async fn asked(shard: &ShardRef, keys: Vec<LentKey>, asked: Asked) -> Result<Held, Error> {
        let (number, lent) = borrow_keys(shard, &keys, asked).await?;
        let mut owners: Vec<usize> = keys.iter().map(|key| key.0).collect();
        owners.dedup();
        let mut held = Held::new(shard, number, owners, false);
        held.keys = keys;
        held.take_in(lent);
        Ok(held)
    }

    /// Waits for every shard; an error as for [`Held::keys`].
    pub async fn whole(shard: &ShardRef) -> Result<Held, Error> {
        let number = take_all(shard, Patience::UntilBusy).await?;
        let shards = shard.borrow().shards();
        Ok(Held::new(shard, number, (0..shards).collect(), true))
    }

    fn new(shard: &ShardRef, number: u64, owners: Vec<usize>, whole: bool) -> Held {
        let mut this = shard.borrow_mut();
        this.now_ms = crate::rt::clock::unix_ms();
        let (now_ms, databases) = (this.now_ms, this.keyspace.databases());
        let mut data = this.tx.scratch.take().unwrap_or_else(|| Keyspace::new(databases, number));
        data.limits = this.keyspace.limits;
        data.set_clock(now_ms);
        data.set_paused(this.keyspace.is_paused());
        data.set_access_policy(this.keyspace.access_policy());
        data.effects.set_enabled(this.commit.has_log());
        data.effects.set_observed(this.is_observed_anywhere());
        data.effects.set_fed(this.keyspace.effects.is_fed());
        data.events.set_wanted(this.keyspace.events.wanted());
        let (shard, keys, touched) = (ShardRef::clone(shard), Vec::new(), Vec::new());
        let (author, read) = (Author::default(), Map::default());
        let keeps_events = false;
        Held {
            shard,
            number,
            owners,
            whole,
            keys,
            data,
            touched,
            author,
            read,
            keeps_events,
            counts: true,
            now_ms,
        }
    }

    /// Says who runs the commands to come, if it is a client that tracks keys.
    pub fn set_caller(&mut self, caller: Option<Caller>) {
        self.author.caller = caller;
    }

    /// The same, a connection of this shard.
    pub fn set_caller_of(&mut self, id: ConnId) {
        let mut this = self.shard.borrow_mut();
        let index = this.index;
        self.author.caller = this.conns.get(id).and_then(|conn| conn.caller(index));
    }

    /// Whether events are kept until somebody takes them.
    pub fn keep_events(&mut self, keeps: bool) {
        self.keeps_events = keeps;
    }

    /// Whether the commands to come are counted as calls; not those that are run again.
    pub fn set_counting(&mut self, counts: bool) {
        self.counts = counts;
    }

    /// Notes a key that the caller has read, and of whose change he is to be told even if he made it.
    pub fn note_key(&mut self, key: &[u8]) {
        self.read.insert(key.to_vec(), true);
    }

    /// Notes keys that the caller has read, to be told of their next change.
    pub fn note_read(&mut self, entry: &Entry, args: Args<'_>) {
        if let Some(caller) = self.author.caller {
            self.read.extend(read_keys(caller, entry, args).map(|key| (key.to_vec(), false)));
        }
    }

    /// The shard that coordinates.
    pub fn shard(&self) -> &ShardRef {
        &self.shard
    }

    /// The time of all that is run here, in ms since 1970.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// True when it has the whole keyspace.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The keyspace with what is here.
    pub fn data(&mut self) -> &mut Keyspace {
        &mut self.data
    }

    /// True when all keys that a command names are here.
    pub fn has_keys_of(&self, call: &Call<'_>) -> bool {
        let needed = self.shard.borrow().lent_keys(call.db, call.entry, call.args);
        needed.iter().all(|key| self.keys.binary_search(key).is_ok())
    }

    /// Runs a command of the engine whose keys are all here; false when it failed. It does not wait for anything.
    pub fn run(&mut self, call: &Call<'_>, reply: &mut dyn Reply) -> bool {
        match self.run_or_wait(call, reply) {
            Ok(()) => true,
            Err(Error::WouldBlock(block)) => {
                block.reply_at_once(reply);
                true
            }
            Err(_) => false,
        }
    }

    /// The same for who can let the client wait: [`Error::WouldBlock`] is no reply.
    pub fn run_or_wait(&mut self, call: &Call<'_>, reply: &mut dyn Reply) -> Result<(), Error> {
        let mut this = self.shard.borrow_mut();
        let began = this.measure.now();
        self.data.set_quiet(call.no_touch);
        let result =
            run_or_wait(&mut self.data, call.db, self.now_ms, call.entry, call.args, reply);
        let failure = result.as_ref().err().filter(|e| !matches!(e, Error::WouldBlock(_)));
        if self.counts {
            this.note_call_since(call.entry, began, failure);
        }
        drop(this);
        self.tell();
        self.note_read(call.entry, call.args);
        result
    }

    /// Has others learn what was done since the last call: at once as events, at the end as changes.
    pub(crate) fn tell(&mut self) {
        self.note_touched();
        if !self.keeps_events && !self.data.events.is_empty() {
            let events = self.data.events.take();
            self.shard.borrow_mut().publish_these(&events);
        }
    }

    /// Has those that wait for a key look at it, changed or not.
    pub fn touch(&mut self, db: usize, key: Vec<u8>) {
        self.touched.push((db, key, Change::Other));
    }

    /// Runs any command of the engine: fetches keys that are not here, or runs parts on all shards. What is not held cannot be
    /// run; the answer is then `false` and there is no reply.
    pub async fn run_any(&mut self, call: &Call<'_>, reply: &mut dyn Reply) -> bool {
        match call.entry.spec.scope {
            Scope::Keys => {
                if !self.fetch_keys_of(call).await || !self.fetch_derived(call).await {
                    return false;
                }
                self.run(call, reply);
            }
            Scope::All(_) | Scope::Cursor(_) if !self.whole => return false,
            Scope::All(merge) => {
                let began = self.shard.borrow().measure.now();
                let replies = self.run_parts(call, call.args, None).await;
                self.note_parts(call, began, &replies);
                merge(replies, self.data.db(call.db, 0, Mode::Live).random(), reply);
            }
            Scope::Cursor(at) => self.run_cursor(call, at, reply).await,
        }
        true
    }

    /// Brings the keys here that a command names; false when they are not held.
    pub async fn fetch_keys_of(&mut self, call: &Call<'_>) -> bool {
        let needed = self.shard.borrow().lent_keys(call.db, call.entry, call.args);
        self.fetch(needed).await
    }

    /// Brings these keys here; false when they are not held.
    pub async fn fetch_named(&mut self, keys: &[(usize, Vec<u8>)]) -> bool {
        let needed = {
            let this = self.shard.borrow();
            let owner = |key: &[u8]| this.shared.slots.shard_of_key(key);
            keys.iter().map(|(db, key)| (owner(key), *db, key.clone())).collect()
        };
        self.fetch(needed).await
    }

    /// Brings the keys here that follow from the data at those that the command names; false when they are not held.
    pub async fn fetch_derived(&mut self, call: &Call<'_>) -> bool {
        let Some(derived) = call.entry.spec.derived_keys.filter(|d| (d.wanted)(call.args)) else {
            return true;
        };
        let needed = {
            let this = self.shard.borrow();
            let mut db = self.data.db(call.db, self.now_ms, Mode::Live);
            let names = (derived.find)(&mut db, call.args).into_iter();
            names.map(|key| (this.shared.slots.shard_of_key(&key), call.db, key)).collect()
        };
        self.fetch(needed).await
    }

    async fn fetch(&mut self, mut needed: Vec<LentKey>) -> bool {
        needed.sort_unstable();
        needed.dedup();
        needed.retain(|key| self.keys.binary_search(key).is_err());
        if needed.is_empty() || !self.whole {
            return needed.is_empty();
        }
        let wanted = |owner: usize| {
            let keys = needed.iter().filter(|key| key.0 == owner);
            keys.map(|key| (key.1, key.2.clone())).collect::<Vec<_>>()
        };
        let owners = self.owners.iter().copied().filter(|o| needed.iter().any(|key| key.0 == *o));
        let runs = owners.map(|owner| (owner, WholeRun::Lend(wanted(owner)))).collect();
        for (owner, done) in run_on(&self.shard, self.number, runs).await {
            let lent = name_databases(&needed, owner, done);
            self.take_in(lent);
        }
        self.keys.append(&mut needed);
        self.keys.sort_unstable();
        true
    }

    fn take_in(&mut self, lent: Vec<LentEntry>) {
        lent.into_iter().for_each(|(db, entry)| self.data.checkin(db, entry));
    }

    /// Runs a part on every shard, or on one; the replies in the order of the shards.
    async fn run_parts(
        &mut self,
        call: &Call<'_>,
        args: Args<'_>,
        only: Option<usize>,
    ) -> Vec<Tree> {
        self.give_back();
        let (db, resp3, entry) = (call.db, call.resp3, call.entry);
        let part = Part { db, resp3, entry, args: ArgBuf::from(args) };
        let owners = self.owners.iter().copied().filter(|owner| only.is_none_or(|o| o == *owner));
        let runs = owners.map(|owner| (owner, WholeRun::Part(part.clone()))).collect();
        let mut done = run_on(&self.shard, self.number, runs).await;
        done.sort_unstable_by_key(|(shard, _)| *shard);
        let (replies, effects): (Vec<Tree>, Vec<Effects>) =
            done.into_iter().filter_map(|(_, done)| done.ran()).unzip();
        // Every shard records the same whole-keyspace command; it is logged once.
        let says = |effects: &Effects| !effects.is_empty() || !effects.notes().is_empty();
        if let Some(effects) = effects.into_iter().find(says) {
            self.data.effects.append_seen(&effects);
        }
        replies
    }

    /// A command whose parts ran on other shards is one call, of this one.
    fn note_parts(&self, call: &Call<'_>, began: u64, replies: &[Tree]) {
        if !self.counts {
            return;
        }
        let mut this = self.shard.borrow_mut();
        let failure = replies.iter().find_map(Tree::as_error);
        this.note_call_since(call.entry, began, failure);
    }

    async fn run_cursor(&mut self, call: &Call<'_>, at: usize, reply: &mut dyn Reply) {
        let shards = self.shard.borrow().shards();
        let (mut owner, mut args) = match split_cursor(call.args, at, shards) {
            Ok(split) => split,
            Err(error) => return reply.error(&error),
        };
        let began = self.shard.borrow().measure.now();
        let (mut found, wanted) = (Vec::new(), scan_count(call.args));
        let tree = loop {
            let own = self.run_parts(call, args.as_args(), Some(owner)).await.pop();
            match CursorPart::of(own.unwrap_or(Tree::Null), found, wanted, owner, shards) {
                CursorPart::Done(tree) => break tree,
                CursorPart::GoesOn(so_far) => {
                    found = so_far;
                    owner += 1;
                    args = with_cursor(call.args, at, 0);
                }
            }
        };
        self.note_parts(call, began, std::slice::from_ref(&tree));
        tree.write_to(reply);
    }

    /// Sends what was fetched home, so that parts see it there.
    fn give_back(&mut self) {
        let home = self.drain_by_owner();
        self.keys.clear();
        let mut this = self.shard.borrow_mut();
        for (owner, entries) in home.into_iter().enumerate().filter(|(_, list)| !list.is_empty()) {
            this.call(owner, move |there| {
                entries.into_iter().for_each(|(db, entry)| there.keyspace.checkin(db, entry));
            });
        }
    }

    fn drain_by_owner(&mut self) -> Vec<Vec<LentEntry>> {
        let this = self.shard.borrow();
        let mut home: Vec<Vec<LentEntry>> = (0..this.shards()).map(|_| Vec::new()).collect();
        for (owner, db, key) in &self.keys {
            if let Some(entry) = self.data.checkout(*db, key)
                && let Some(list) = home.get_mut(*owner)
            {
                list.push((*db, entry));
            }
        }
        home
    }

    fn note_touched(&mut self) {
        if !self.data.effects.is_observed() {
            return;
        }
        let (table, databases) = (self.shard.borrow().table, self.data.databases());
        self.author.lapsed.append(&mut self.data.take_lapsed());
        let unrecorded = self.data.take_unrecorded();
        let (touched, read) = (&mut self.touched, &mut self.read);
        let mut note = |change: Touched<'_>| {
            if let Touched::Key(db, key, change) = change {
                touched.push((db, key.to_vec(), change));
                if change == Change::Content
                    && let Some(changed) = read.get_mut(key)
                {
                    *changed = true;
                }
            }
        };
        each_touched(table, databases, self.data.effects.unseen(), &mut note);
        for (db, key) in &unrecorded {
            note(Touched::Key(*db, key, Change::Content));
        }
    }

    /// Puts back what commands have changed so far: entries as they were, by database and key. Nothing of it is logged.
    pub fn undo(&mut self, former: Vec<(usize, Vec<u8>, Option<KeyEntry>)>) {
        for (db, key, entry) in former {
            drop(self.data.checkout(db, &key));
            if let Some(entry) = entry {
                self.data.checkin(db, entry);
            }
        }
        drop((self.data.effects.take(), self.data.events.take(), self.data.take_lapsed()));
        drop(self.data.take_unrecorded());
        self.author.lapsed.clear();
        self.data.stats = Stats::default();
        self.touched.clear();
    }

    /// Logs what was done and gives everything back; the batch that replies about it wait for.
    pub fn end(mut self) -> BatchId {
        let home = self.drain_by_owner();
        let effects = self.data.effects.take();
        let mut this = self.shard.borrow_mut();
        let (batch, gsn) = this.append_transaction(self.number, &effects);
        this.broadcast_changes(&self.touched, &self.author);
        let shards = this.shards();
        let mut ends = Ends {
            touched: this.split_touched(self.touched),
            read: (0..shards).map(|_| Vec::new()).collect(),
            author: self.author,
        };
        for (key, changed) in self.read {
            let owner = this.shared.slots.shard_of_key(&key);
            if let Some(read) = ends.read.get_mut(owner) {
                read.push((key, changed));
            }
        }
        this.keyspace.stats.add(std::mem::take(&mut self.data.stats));
        this.tx.scratch = Some(self.data);
        this.end_transaction(self.number, gsn, &self.owners, home, ends);
        batch
    }
}

impl Shard {
    /// The keys that a command names, as they are lent: in the selected database, or in all where the command names one.
    pub(crate) fn lent_keys(&self, db: usize, entry: &Entry, args: Args<'_>) -> Vec<LentKey> {
        let dbs = if entry.spec.names_database() {
            0..self.keyspace.databases()
        } else {
            db..db.saturating_add(1)
        };
        let mut keys = Vec::new();
        for at in entry.spec.key_positions(args).unwrap_or_default() {
            let key = args.at(at);
            let owner = self.shared.slots.shard_of_key(key);
            keys.extend(dbs.clone().map(|db| (owner, db, key.to_vec())));
        }
        keys
    }

    /// True when a command needs more than the keys that it names.
    pub(crate) fn needs_whole(&self, entry: &Entry, args: Args<'_>) -> bool {
        match entry.spec.scope {
            Scope::Keys => entry.spec.derived_keys.is_some_and(|derived| (derived.wanted)(args)),
            Scope::All(_) | Scope::Cursor(_) => true,
        }
    }

    fn split_touched(&self, touched: Vec<TouchedKey>) -> Vec<Vec<TouchedKey>> {
        let mut split: Vec<Vec<_>> = (0..self.shards()).map(|_| Vec::new()).collect();
        for (db, key, change) in touched {
            let owner = self.shared.slots.shard_of_key(&key);
            if let Some(list) = split.get_mut(owner) {
                list.push((db, key, change));
            }
        }
        split
    }

    /// Ends transaction `number` on the shards that have granted it something.
    pub(super) fn end_transaction(
        &mut self,
        number: u64,
        gsn: Option<u64>,
        owners: &[usize],
        mut home: Vec<Vec<LentEntry>>,
        mut ends: Ends,
    ) {
        for owner in owners {
            let entries = home.get_mut(*owner).map(std::mem::take).unwrap_or_default();
            let touched = ends.touched.get_mut(*owner).map(std::mem::take).unwrap_or_default();
            let read = ends.read.get_mut(*owner).map(std::mem::take).unwrap_or_default();
            let end = TxEnd { number, gsn, entries, touched, read, author: ends.author.clone() };
            if *owner == self.index {
                self.on_tx_end(end);
            } else {
                self.mesh.send(*owner, Msg::TxEnd(Box::new(end)));
            }
        }
        self.send_now();
    }
}
