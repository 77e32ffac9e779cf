//! MULTI: commands are queued, EXEC runs them as one unit.
//!
//! | what the queue needs | way |
//! |---|---|
//! | keys of this shard, nobody has them, nothing has to wait | run at once, in the batch at hand |
//! | keys of one other shard | a hop there (`exec_hop`) |
//! | keys of several shards, or some that others have | [`Held::keys`], watched keys among them |
//! | the whole keyspace | [`Held::whole`] |
//!
//! Either way all effects are in one frame of the log.

use std::sync::atomic::Ordering;

use ringstone_engine::cmd::{Acl, Flags};
use ringstone_engine::keyspace::Mode;
use ringstone_engine::num::parse_i64;
use ringstone_engine::{ArgBuf, Args, Error, Reply, Tree};

use super::held::{Call, Held, LentKey};
use super::watch::Dirty;
use crate::cmd::script::{change_of, changed_to_tree, changes_libraries};
use crate::cmd::{Host, Outcome};
use crate::conn::{BatchId, Conn, ConnId};
use crate::flow::execute::RespReply;
use crate::migrate::{Request, migrate_in, moves_keys};
use crate::msg::Patience;
use crate::shard::{Shard, ShardRef};
use crate::table::{Entry, Run};

/// Commands of the server that never wait for anything.
const INSTANT: &[&str] = &["ping", "echo", "select", "time", "lastsave"];

/// What a watched key takes, about: its name in the connection, a registration on its shard.
const WATCHED_BYTES: usize = 128;

/// What a connection has of MULTI and WATCH.
#[derive(Default)]
pub struct Tx {
    /// There between MULTI and EXEC.
    pub queue: Option<Queue>,
    /// Keys watched, with their databases.
    pub watched: Vec<(usize, Vec<u8>)>,
    /// Raised when one of them was changed.
    pub dirty: Dirty,
}

/// Commands between MULTI and EXEC.
pub struct Queue {
    commands: Vec<Queued>,
    /// Bytes of their arguments.
    args_bytes: usize,
    /// A command was refused: EXEC will be as well.
    failed: bool,
    /// The database that will be selected after the commands so far.
    db: usize,
    writes: bool,
    /// A command may need more memory.
    needs_memory: bool,
}

pub(super) struct Queued {
    pub(super) entry: &'static Entry,
    pub(super) args: ArgBuf,
    pub(super) db: usize,
}

impl Tx {
    /// Bytes that all of it takes.
    pub fn memory_bytes(&self) -> usize {
        let queue = self.queue.as_ref().map_or(0, Queue::memory_bytes);
        size_of::<Tx>() + queue + self.watched.len() * WATCHED_BYTES
    }
}

impl Queue {
    /// An empty queue; `db` is the selected database.
    pub fn new(db: usize) -> Queue {
        Queue {
            commands: Vec::new(),
            args_bytes: 0,
            failed: false,
            db,
            writes: false,
            needs_memory: false,
        }
    }

    /// Number of commands.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// True when no command is queued.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    pub(super) fn commands(&self) -> &[Queued] {
        &self.commands
    }

    pub(super) fn into_commands(self) -> Vec<Queued> {
        self.commands
    }

    /// True when a command may write.
    pub fn writes(&self) -> bool {
        self.writes
    }

    /// EXEC will be refused.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Bytes that the queued commands take.
    pub fn memory_bytes(&self) -> usize {
        self.args_bytes + self.commands.capacity() * size_of::<Queued>()
    }

    fn push(&mut self, entry: &'static Entry, args: Args<'_>, (databases, writes): (usize, bool)) {
        let args_buf = ArgBuf::from(args);
        self.args_bytes += args_buf.len_bytes();
        self.commands.push(Queued { entry, args: args_buf, db: self.db });
        self.writes |= writes;
        self.needs_memory |= entry.spec.flags.contains(Flags::DENYOOM);
        if entry.spec.name == "select"
            && let Some(db) = parse_i64(args.at(1)).and_then(|db| usize::try_from(db).ok())
            && db < databases
        {
            self.db = db;
        }
    }
}

impl Shard {
    /// Queues an admitted command behind MULTI.
    pub(crate) fn queue_command(&mut self, conn: &mut Conn, entry: &'static Entry, args: Args<'_>) {
        let (databases, writes) = (self.keyspace.databases(), self.may_change_data(entry, args));
        if let Some(queue) = conn.tx.as_mut().and_then(|tx| tx.queue.as_mut()) {
            queue.push(entry, args, (databases, writes));
        }
        let mark = conn.reply_mark();
        let resp3 = conn.resp3;
        RespReply::new(conn.reply_buffer(), resp3).simple("QUEUED");
        self.after_reply(conn, mark);
    }

    /// Forgets MULTI and WATCH of a connection.
    pub(crate) fn forget_tx(&mut self, conn: &mut Conn) {
        if let Some(tx) = conn.tx.take() {
            self.unwatch(&tx);
        }
    }

    /// Ends the watching of a connection's keys, on all shards.
    pub(crate) fn unwatch(&mut self, tx: &Tx) {
        for (_, key) in &tx.watched {
            let (key, dirty) = (key.clone(), Dirty::clone(&tx.dirty));
            let owner = self.shared.slots.shard_of_key(&key);
            self.call(owner, move |there| there.unwatch_key(&key, &dirty));
        }
    }

    /// EXEC.
    pub(crate) fn exec(&mut self, conn: &mut Conn, args: Args<'_>) -> Result<Outcome, Error> {
        let Some(mut tx) = conn.tx.take_if(|tx| tx.queue.is_some()) else {
            return Err(Error::text("ERR EXEC without MULTI"));
        };
        let queue = tx.queue.take().unwrap_or_else(|| Queue::new(conn.db));
        if let Err(error) = self.may_exec(&queue) {
            self.unwatch(&tx);
            return Err(error);
        }
        if !self.can_exec_here(&tx, &queue) {
            if let Some(owner) = self.owner_of(&tx, &queue) {
                self.exec_there(conn, owner, *tx, queue);
                return Ok(Outcome::Silent);
            }
            return self.exec_held(conn, *tx, queue, args);
        }
        let changed = self.are_changed_here(&tx.watched, &tx.dirty);
        self.unwatch(&tx);
        if changed {
            let resp3 = conn.resp3;
            RespReply::new(conn.reply_buffer(), resp3).null_array();
        } else {
            self.exec_here(conn, queue);
        }
        Ok(Outcome::Done)
    }

    fn may_exec(&self, queue: &Queue) -> Result<(), Error> {
        if queue.failed {
            return Err(Error::text("EXECABORT Transaction discarded because of previous errors."));
        }
        if queue.needs_memory && self.room.is_out() {
            let error = crate::room::out_of_memory();
            return Err(discarded(&error));
        }
        if queue.writes {
            let stop_on_save_error = self.config.stops_on_save_error();
            let writable = self.commit.check_writable(stop_on_save_error, &self.shared.saving);
            writable.map_err(|e| discarded(&e))?;
            self.check_replicas().map_err(|e| discarded(&e))?;
        }
        Ok(())
    }

    fn can_exec_here(&mut self, tx: &Tx, queue: &Queue) -> bool {
        let one = self.shards() == 1;
        let is_here =
            |shard: &Shard, key: &[u8]| one || shard.shared.slots.shard_of_key(key) == shard.index;
        // Whoever has a watched key may have changed it, and the flag is not raised yet.
        if !self.tx.stalled.is_empty()
            || !tx.watched.iter().all(|(_, key)| is_here(self, key))
            || !self.are_free(&tx.watched)
        {
            return false;
        }
        queue.commands.iter().all(|Queued { entry, args, db }| match entry.run {
            Run::Host(_) => INSTANT.contains(&entry.spec.name),
            Run::Data(_) => {
                let args = args.as_args();
                let positions = entry.spec.key_positions(args).unwrap_or_default();
                (one || !self.needs_whole(entry, args))
                    && positions.iter().all(|at| is_here(self, args.at(*at)))
                    && self.may_run_now(*db, entry, args)
            }
        })
    }

    /// Whether one of these watched keys, which are here and free, was changed.
    pub(super) fn are_changed_here(&mut self, watched: &[(usize, Vec<u8>)], dirty: &Dirty) -> bool {
        // A key whose time is up is changed, whether or not somebody has noticed.
        let mut gone = false;
        for (db, key) in watched {
            gone |= self.is_gone(*db, key, dirty);
        }
        self.observe();
        gone || dirty.load(Ordering::Acquire)
    }

    fn exec_here(&mut self, conn: &mut Conn, queue: Queue) {
        let (mark, resp3, mut batch) = (conn.reply_mark(), conn.resp3, 0);
        let mut shown = Vec::new();
        self.keyspace.set_quiet(conn.no_touch);
        RespReply::new(conn.reply_buffer(), resp3).array(queue.len());
        for Queued { entry, args, db } in &queue.commands {
            if let Err(error) = self.permit_in_exec(conn, entry, args.as_args()) {
                let resp3 = conn.resp3;
                RespReply::new(conn.reply_buffer(), resp3).error(&error);
                continue;
            }
            match entry.run {
                Run::Data(_) => {
                    let resp3 = conn.resp3;
                    self.tracking.caller = conn.caller(self.index);
                    let (args, from) = (args.as_args(), conn.reply_mark());
                    let reply = conn.reply_buffer();
                    batch = batch.max(self.run_and_note(*db, resp3, entry, args, reply));
                    let reply_bytes = conn.reply_mark() - from;
                    self.remember(conn, entry, args, reply_bytes);
                    self.show(conn, entry, *db, args, &mut shown);
                }
                Run::Host(run) => {
                    let outcome = run(&mut Host { shard: self, conn }, args.as_args());
                    self.note_call(entry, outcome.as_ref().err());
                    self.remember(conn, entry, args.as_args(), 0);
                    self.show(conn, entry, conn.db, args.as_args(), &mut shown);
                    if let Err(error) = outcome {
                        let resp3 = conn.resp3;
                        RespReply::new(conn.reply_buffer(), resp3).error(&error);
                    }
                }
            }
        }
        if batch > 0 {
            conn.hold_since(mark, batch);
        }
        conn.push(&shown);
        self.observe();
        self.tracking.caller = None;
    }

    fn exec_held(
        &mut self,
        conn: &mut Conn,
        tx: Tx,
        queue: Queue,
        args: Args<'_>,
    ) -> Result<Outcome, Error> {
        let me = self.me().ok_or(Error::text("ERR the server is shutting down"))?;
        self.stats.transactions += 1;
        conn.stand_by_task();
        let (id, args, began) = (conn.id, ArgBuf::from(args), self.measure.began());
        let mut keys: Vec<LentKey> = Vec::new();
        let mut whole = false;
        for Queued { entry, args, db } in &queue.commands {
            // What a script touches is only known when it has run, and it cannot run twice here.
            whole |= is_script(entry) || changes_libraries(entry.spec.name);
            if matches!(entry.run, Run::Data(_)) || moves_keys(entry) {
                whole |= self.needs_whole(entry, args.as_args());
                keys.extend(self.lent_keys(*db, entry, args.as_args()));
            }
        }
        for (db, key) in &tx.watched {
            keys.push((self.shared.slots.shard_of_key(key), *db, key.clone()));
        }
        self.queues.spawn(async move {
            let held = if whole { Held::whole(&me).await } else { Held::keys(&me, keys).await };
            let held = match held {
                Ok(held) => held,
                Err(busy) => {
                    let mut this = me.borrow_mut();
                    this.unwatch(&tx);
                    return this.reject_exec_late(id, &busy);
                }
            };
            let (bytes, batch) = exec_in(held, id, &tx, &queue).await;
            let mut this = me.borrow_mut();
            this.unwatch(&tx);
            if let Some(exec) = this.table.find(b"exec") {
                this.note_call_counted(exec, began, false);
                this.show_of(id, exec, None, args.as_args());
            }
            this.finish_raw(id, &bytes, batch);
        });
        Ok(Outcome::Aside)
    }
}

impl Shard {
    /// EXEC is refused after it has waited: a script is busy.
    fn reject_exec_late(&mut self, id: ConnId, busy: &Error) {
        let error = discarded(busy);
        match self.table.find(b"exec") {
            Some(exec) => self.reject_late(id, exec, &error),
            None => self.finish(id, &Tree::Error(error), 0),
        }
    }
}

/// Why EXEC does nothing.
pub(super) fn discarded(why: &Error) -> Error {
    Error::owned(format!("EXECABORT Transaction discarded because of: {why}"))
}

async fn exec_in(mut held: Held, id: ConnId, tx: &Tx, queue: &Queue) -> (Vec<u8>, BatchId) {
    let mut bytes = Vec::new();
    let shard = ShardRef::clone(held.shard());
    let settings = shard.borrow_mut().conns.get(id).map(|conn| (conn.resp3, conn.no_touch));
    let (mut resp3, no_touch) = settings.unwrap_or_default();
    if is_changed(&mut held, tx).await {
        RespReply::new(&mut bytes, resp3).null_array();
        return (bytes, held.end());
    }
    RespReply::new(&mut bytes, resp3).array(queue.len());
    for Queued { entry, args, db } in &queue.commands {
        let args = args.as_args();
        if let Err(error) = permit(&shard, id, entry, args) {
            RespReply::new(&mut bytes, resp3).error(&error);
            continue;
        }
        match entry.run {
            Run::Data(_) => {
                let call = Call { db: *db, resp3, no_touch, entry, args };
                held.set_caller_of(id);
                let from = bytes.len();
                held.run_any(&call, &mut RespReply::new(&mut bytes, resp3)).await;
                let mut this = shard.borrow_mut();
                this.remember_of(id, entry, args, bytes.len() - from);
                this.show_of(id, entry, Some(*db), args);
            }
            Run::Host(_) if is_script(entry) => {
                shard.borrow_mut().show_script_of(id, entry, *db, args);
                let began = shard.borrow().measure.now();
                let tree = run_script(&mut held, id, *db, args).await;
                let mut this = shard.borrow_mut();
                this.note_call_counted(entry, began, tree.as_error().is_some());
                this.remember_of(id, entry, args, crate::cmd::reply_bytes(&tree));
                drop(this);
                tree.write_to(&mut RespReply::new(&mut bytes, resp3));
            }
            Run::Host(_) if moves_keys(entry) || changes_libraries(entry.spec.name) => {
                let began = shard.borrow().measure.now();
                held.set_caller_of(id);
                let reply = HostReply::Tree(run_in_held(&mut held, entry, *db, args).await);
                reply.note(&shard, entry, began);
                shard.borrow_mut().remember_of(id, entry, args, 0);
                shard.borrow_mut().show_of(id, entry, Some(*db), args);
                reply.write_to(&mut bytes, resp3);
            }
            Run::Host(run) => {
                let began = shard.borrow().measure.now();
                let reply = run_host(&shard, id, run, args).await;
                shard.borrow_mut().add_said(&mut held.data().effects);
                reply.note(&shard, entry, began);
                shard.borrow_mut().remember_of(id, entry, args, 0);
                shard.borrow_mut().show_of(id, entry, None, args);
                resp3 = shard.borrow_mut().conns.get(id).map_or(resp3, |conn| conn.resp3);
                reply.write_to(&mut bytes, resp3);
            }
        }
    }
    (bytes, held.end())
}

/// Whether the user of a connection that waits for EXEC may still run a command.
fn permit(shard: &ShardRef, id: ConnId, entry: &Entry, args: Args<'_>) -> Result<(), Error> {
    let mut this = shard.borrow_mut();
    // A connection that is gone had been allowed to queue it.
    let Some(conn) = this.conns.take(id) else { return Ok(()) };
    let permitted = this.permit_in_exec(&conn, entry, args);
    this.conns.put_back(conn);
    permitted
}

async fn is_changed(held: &mut Held, tx: &Tx) -> bool {
    if tx.dirty.load(Ordering::Acquire) {
        return true;
    }
    let now_ms = held.now_ms();
    if held.is_whole() {
        let keys = tx.watched.clone();
        held.fetch_named(&keys).await;
    }
    let data = held.data();
    if data.is_paused() {
        // A key whose time is up is not removed now; it had not been up when it was watched, or only since the pause began.
        return tx.watched.iter().any(|(db, key)| {
            let is_there = data.db(*db, now_ms, Mode::Replay).contains(key);
            is_there && !data.db(*db, now_ms, Mode::Reading).contains(key)
        });
    }
    let before = data.effects.count();
    for (db, key) in &tx.watched {
        // A key whose time is up is removed by the look at it.
        data.db(*db, now_ms, Mode::Live).peek(key);
    }
    data.effects.count() != before
}

enum HostReply {
    Bytes(Vec<u8>),
    Tree(Tree),
}

impl HostReply {
    fn write_to(self, bytes: &mut Vec<u8>, resp3: bool) {
        match self {
            HostReply::Bytes(reply) => bytes.extend_from_slice(&reply),
            HostReply::Tree(tree) => tree.write_to(&mut RespReply::new(bytes, resp3)),
        }
    }

    /// Counts the command that gave this reply.
    fn note(&self, shard: &ShardRef, entry: &Entry, began: u64) {
        let failure = match self {
            HostReply::Tree(tree) => tree.as_error(),
            HostReply::Bytes(_) => None,
        };
        shard.borrow_mut().note_call_since(entry, began, failure);
    }
}

/// Runs a command of the server whose changes belong to the transaction: MIGRATE, or one of FUNCTION.
async fn run_in_held(held: &mut Held, entry: &Entry, db: usize, args: Args<'_>) -> Tree {
    match change_of(entry.spec.name, args) {
        Some(change) => {
            changed_to_tree(change.and_then(|change| crate::script::change_in(held, change)))
        }
        None => match Request::parse(args) {
            Ok(request) => migrate_in(held, db, &request).await,
            Err(error) => Tree::Error(error),
        },
    }
}

/// Runs a command of the server for a connection that waits for EXEC.
async fn run_host(shard: &ShardRef, id: ConnId, run: crate::cmd::Run, args: Args<'_>) -> HostReply {
    let task = {
        let mut this = shard.borrow_mut();
        let Some(mut conn) = this.conns.take(id) else { return HostReply::Bytes(Vec::new()) };
        let mark = conn.reply_mark();
        conn.in_exec = true;
        let outcome = run(&mut Host { shard: &mut this, conn: &mut conn }, args);
        conn.in_exec = false;
        let bytes = conn.reply_buffer().split_off(mark);
        this.conns.put_back(conn);
        match outcome {
            Ok(Outcome::Later(task)) => task,
            Ok(Outcome::Done | Outcome::Failed | Outcome::Silent | Outcome::Aside) => {
                return HostReply::Bytes(bytes);
            }
            Err(error) => return HostReply::Tree(Tree::Error(error)),
        }
    };
    HostReply::Tree(task.await)
}

pub(crate) fn is_script(entry: &Entry) -> bool {
    entry.spec.acl.contains(Acl::SCRIPTING) && entry.spec.flags.contains(Flags::NO_MANDATORY_KEYS)
}

/// Runs a script or function in what EXEC holds.
async fn run_script(held: &mut Held, id: ConnId, db: usize, args: Args<'_>) -> Tree {
    let program = {
        let mut this = held.shard().borrow_mut();
        let Some(mut conn) = this.conns.take(id) else { return Tree::Null };
        let selected = std::mem::replace(&mut conn.db, db);
        let program = crate::cmd::script::program_of(&mut this, &conn, args);
        conn.db = selected;
        this.conns.put_back(conn);
        program
    };
    match program {
        Ok(program) => {
            crate::script::run_in(held, &program, Patience::Endless).await.unwrap_or(Tree::Null)
        }
        Err(error) => Tree::Error(error),
    }
}

/// True when a command is one of those that MULTI does not queue.
pub fn runs_in_multi(entry: &Entry) -> bool {
    matches!(entry.spec.name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
}
