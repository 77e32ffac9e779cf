//! The threads that own the shards' keyspaces while everything is loaded.
//!
//! Work reaches a keyspace through one channel, so that it happens in the order in which it was sent. An effect whose keys
//! belong to several keyspaces borrows them through the same channels, as a transaction would.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;

use ringstone_engine::cmd::spec::{Begin, Find};
use ringstone_engine::cmd::{Command, Scope};
use ringstone_engine::effect::{RawRecord, Records};
use ringstone_engine::keyspace::Mode;
use ringstone_engine::raw::Entry;
use ringstone_engine::reply::NoReply;
use ringstone_engine::types::EncodingLimits;
use ringstone_engine::{ArgBuf, Args, Ctx, Keyspace};
use ringstone_peer::SlotMap;
use ringstone_persist::rdb::{Expired, LoadOptions, Loaded, RdbFile, Sink, Summary};

use crate::config::Config;
use crate::table::Table;

/// Pieces of work that may wait for one owner.
const QUEUE: usize = 64;
/// Commands in one piece of work.
const COMMANDS: usize = 512;
/// Bytes of records in one piece of work.
const RECORD_BYTES: usize = 256 << 10;
/// Keys whose memory is asked for before the first of them is used.
const AHEAD: usize = 32;

/// A key somewhere: database and name.
type KeyPlace = (usize, Vec<u8>);

enum Work {
    Entries(Vec<Loaded>),
    Commands(Vec<Planned>),
    Records(RecordBatch),
    Lend(Vec<KeyPlace>, SyncSender<Vec<(usize, Entry)>>),
    TakeBack(Vec<(usize, Entry)>),
}

#[derive(Clone)]
struct Planned {
    db: usize,
    command: &'static Command,
    args: ArgBuf,
    origin: Origin,
}

/// Records of Ringstone's own log for one owner, as they stand there.
#[derive(Default)]
struct RecordBatch {
    bytes: Vec<u8>,
    /// Up to which byte records were made at which time, in ms since 1970.
    times: Vec<(usize, i64)>,
}

impl RecordBatch {
    fn push(&mut self, record: &[u8], now_ms: i64) {
        self.bytes.extend_from_slice(record);
        match self.times.last_mut() {
            Some((end, at)) if *at == now_ms => *end = self.bytes.len(),
            _ => self.times.push((self.bytes.len(), now_ms)),
        }
    }
}

/// Where a command comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Ringstone's own log, and when the effect was made, in ms since 1970.
    Log(i64),
    /// A file of Redis: which one, at which byte, and the time of the import in ms since 1970.
    File(Arc<Path>, u64, i64),
}

impl Origin {
    fn now_ms(&self) -> i64 {
        match self {
            Origin::Log(now_ms) | Origin::File(_, _, now_ms) => *now_ms,
        }
    }

    /// `what` with the place that it is about.
    pub(super) fn explain(&self, what: &str) -> String {
        match self {
            Origin::Log(_) => what.to_owned(),
            Origin::File(path, offset, _) => {
                format!("{}: {what} (at byte {offset})", path.display())
            }
        }
    }
}

/// The owners, seen from the thread that loads.
pub struct Owners {
    slots: SlotMap,
    queues: Vec<SyncSender<Work>>,
    threads: Vec<JoinHandle<Result<Keyspace, String>>>,
    waiting: Vec<Vec<Planned>>,
    /// Like `waiting`; of the two, one is empty, so that the order is kept.
    records: Vec<RecordBatch>,
    databases: usize,
    options: LoadOptions,
    scratch: Keyspace,
    /// Texts of function libraries, which no shard owns.
    pub functions: Vec<Vec<u8>>,
}

impl Owners {
    /// One thread a shard.
    pub fn start(config: &Config, slots: SlotMap, seed: [u8; 32]) -> Result<Owners, String> {
        let mut owners = Owners::none();
        owners.slots = slots;
        owners.databases = config.databases as usize;
        let set_seed = seed
            .iter()
            .fold(1u64, |sum, byte| sum.wrapping_mul(0x0100_0000_01b3) ^ u64::from(*byte));
        let seeded = EncodingLimits { hash_seed: set_seed, ..EncodingLimits::default() };
        owners.options.limits = crate::limits::encoding(config, seeded);
        owners.options.shards = slots.shards();
        owners.options.threads = slots.shards().max(1);
        owners.scratch = Keyspace::new(owners.databases, 1);
        owners.scratch.set_clock(crate::rt::clock::unix_ms());
        let limits = owners.options.limits;
        for shard in 0..slots.shards() {
            let (sender, receiver) = mpsc::sync_channel(QUEUE);
            let databases = owners.databases;
            let seed = seed.iter().fold(shard as u64 + 1, |sum, byte| {
                sum.wrapping_mul(0x0100_0000_01b3) ^ u64::from(*byte)
            });
            let thread =
                std::thread::Builder::new().name(format!("load-{shard}")).spawn(move || {
                    let mut keyspace = Keyspace::new(databases, seed);
                    keyspace.limits = limits;
                    // What is loaded counts as used at the start.
                    keyspace.set_clock(crate::rt::clock::unix_ms());
                    own(keyspace, &receiver)
                });
            owners.threads.push(thread.map_err(|e| format!("a thread cannot be started: {e}"))?);
            owners.queues.push(sender);
            owners.waiting.push(Vec::new());
            owners.records.push(RecordBatch::default());
        }
        Ok(owners)
    }

    /// No owners.
    pub fn none() -> Owners {
        let limits = ringstone_engine::types::EncodingLimits::default();
        Owners {
            slots: SlotMap::new(1),
            queues: Vec::new(),
            threads: Vec::new(),
            waiting: Vec::new(),
            records: Vec::new(),
            databases: 0,
            options: LoadOptions { limits, expired: Expired::Keep, threads: 1, shards: 1 },
            scratch: Keyspace::new(1, 1),
            functions: Vec::new(),
        }
    }

    /// Loads an RDB file.
    pub fn load(&mut self, file: &RdbFile, expired: Expired) -> Result<Summary, String> {
        let summary = self.load_prefix(file, expired)?;
        let trailing = file.len().saturating_sub(summary.end_offset);
        if trailing > 0 {
            return Err(format!(
                "{}: {trailing} bytes follow the end of the RDB data (at byte {})",
                file.path().display(),
                summary.end_offset
            ));
        }
        Ok(summary)
    }

    /// Loads RDB data that something else may follow: the commands of an append-only file.
    pub fn load_prefix(&mut self, file: &RdbFile, expired: Expired) -> Result<Summary, String> {
        let options = LoadOptions { expired, ..self.options };
        let slots = self.slots;
        let summary = file
            .load_prefix(&options, &|key: &[u8]| slots.shard_of_key(key), &Queues(&self.queues))
            .map_err(|e| e.to_string())?;
        self.settle()?;
        Ok(summary)
    }

    /// Number of owners.
    pub fn shards(&self) -> usize {
        self.queues.len()
    }

    /// Encoding thresholds and number of threads.
    pub fn options(&self) -> &LoadOptions {
        &self.options
    }

    /// Applies the records of a frame that was made at `wall_ms`.
    pub fn apply(&mut self, records: &[u8], wall_ms: u64) -> Result<(), String> {
        let now_ms = i64::try_from(wall_ms).unwrap_or(i64::MAX);
        let mut records = Records::new(records);
        while let Some(record) = records.next_raw() {
            let record = record.map_err(|e| e.to_string())?;
            if crate::script::replay(&mut self.functions, &record) {
                continue;
            }
            let command = command_of(&record)?;
            let origin = Origin::Log(now_ms);
            check(
                self.databases,
                record.db as usize,
                command,
                record.argc().saturating_add(1),
                &origin,
            )?;
            if let Some(owner) = self.owner_of(command, &record) {
                self.plan_record(owner, record.bytes, now_ms)?;
                continue;
            }
            let mut args = ArgBuf::default();
            args.push(command.spec.name.as_bytes());
            if !record.each_arg(|arg| args.push(arg)) {
                return Err(BROKEN.to_owned());
            }
            self.command(record.db as usize, command, args, origin)?;
        }
        Ok(())
    }

    /// The owner of all that a record changes, where a look at its first argument tells.
    fn owner_of(&self, command: &Command, record: &RawRecord<'_>) -> Option<usize> {
        if self.queues.len() == 1 {
            return Some(0);
        }
        let names_one_key = matches!(command.spec.scope, Scope::Keys)
            && command.spec.more_keys.is_none()
            && matches!(
                command.spec.keys,
                [spec] if matches!((spec.begin, spec.find), (Begin::Index(1), Find::Range(0, ..)))
            );
        record.first_arg().filter(|_| names_one_key).map(|key| self.slots.shard_of_key(key))
    }

    /// Applies one command.
    pub fn command(
        &mut self,
        db: usize,
        command: &'static Command,
        args: ArgBuf,
        origin: Origin,
    ) -> Result<(), String> {
        check(self.databases, db, command, args.as_args().len(), &origin)?;
        let planned = Planned { db, command, args, origin };
        let Planned { args, origin, .. } = &planned;
        if !matches!(command.spec.scope, Scope::Keys) {
            for owner in 0..self.queues.len() {
                self.plan(owner, planned.clone())?;
            }
            return Ok(());
        }
        let positions = command
            .spec
            .key_positions(args.as_args())
            .map_err(|e| origin.explain(&e.to_string()))?;
        let mut owners: Vec<usize> =
            positions.iter().map(|at| self.slots.shard_of_key(args.as_args().at(*at))).collect();
        owners.sort_unstable();
        owners.dedup();
        match owners.as_slice() {
            [] => self.plan(0, planned),
            [owner] => self.plan(*owner, planned),
            _ => self.borrowed(&planned, &positions, &owners),
        }
    }

    fn borrowed(
        &mut self,
        planned: &Planned,
        positions: &[usize],
        owners: &[usize],
    ) -> Result<(), String> {
        let Planned { db, command, args, .. } = planned;
        let names_db = command.spec.names_database();
        let dbs: Vec<usize> = if names_db { (0..self.databases).collect() } else { vec![*db] };
        let names: BTreeSet<&[u8]> = positions.iter().map(|at| args.as_args().at(*at)).collect();
        let places_of = |slots: SlotMap, owner: usize| -> Vec<KeyPlace> {
            let own = names.iter().filter(|key| slots.shard_of_key(key) == owner);
            own.flat_map(|key| dbs.iter().map(|db| (*db, key.to_vec()))).collect()
        };
        for owner in owners {
            self.flush(*owner)?;
            let (sender, receiver) = mpsc::sync_channel(1);
            self.send(*owner, Work::Lend(places_of(self.slots, *owner), sender))?;
            let lent = receiver.recv().map_err(|_| "a loading thread has stopped".to_owned())?;
            lent.into_iter().for_each(|(db, entry)| self.scratch.checkin(db, entry));
        }
        run_planned(&mut self.scratch, planned)?;
        // All that is there belongs to one of the owners: a command makes only keys that it names.
        let mut back: Vec<(usize, Entry)> = Vec::new();
        self.scratch.drain(&mut |db, entry| back.push((db, entry)));
        for owner in owners {
            let is_own =
                |(_, entry): &mut (usize, Entry)| self.slots.shard_of_key(entry.key()) == *owner;
            let own = back.extract_if(.., is_own).collect();
            self.send(*owner, Work::TakeBack(own))?;
        }
        Ok(())
    }

    /// Waits until everything that was sent is done.
    pub fn settle(&mut self) -> Result<(), String> {
        for owner in 0..self.queues.len() {
            self.flush(owner)?;
            let (sender, receiver) = mpsc::sync_channel(1);
            self.send(owner, Work::Lend(Vec::new(), sender))?;
            if receiver.recv().is_err() {
                return Err(self.failure(owner));
            }
        }
        Ok(())
    }

    /// Ends the threads; their keyspaces.
    pub fn finish(mut self) -> Result<Vec<Keyspace>, String> {
        for owner in 0..self.queues.len() {
            self.flush(owner)?;
        }
        self.queues.clear();
        self.threads
            .drain(..)
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a loading thread panicked".into())))
            .collect()
    }

    fn plan(&mut self, owner: usize, planned: Planned) -> Result<(), String> {
        self.flush_records(owner)?;
        let Some(waiting) = self.waiting.get_mut(owner) else { return Ok(()) };
        waiting.push(planned);
        if waiting.len() >= COMMANDS { self.flush_commands(owner) } else { Ok(()) }
    }

    fn plan_record(&mut self, owner: usize, record: &[u8], now_ms: i64) -> Result<(), String> {
        self.flush_commands(owner)?;
        let Some(batch) = self.records.get_mut(owner) else { return Ok(()) };
        batch.push(record, now_ms);
        if batch.bytes.len() >= RECORD_BYTES { self.flush_records(owner) } else { Ok(()) }
    }

    fn flush(&mut self, owner: usize) -> Result<(), String> {
        self.flush_records(owner)?;
        self.flush_commands(owner)
    }

    fn flush_commands(&mut self, owner: usize) -> Result<(), String> {
        match self.waiting.get_mut(owner) {
            Some(waiting) if !waiting.is_empty() => {
                let commands = std::mem::replace(waiting, Vec::with_capacity(COMMANDS));
                self.send(owner, Work::Commands(commands))
            }
            _ => Ok(()),
        }
    }

    fn flush_records(&mut self, owner: usize) -> Result<(), String> {
        match self.records.get_mut(owner) {
            Some(batch) if !batch.bytes.is_empty() => {
                let batch = std::mem::take(batch);
                self.send(owner, Work::Records(batch))
            }
            _ => Ok(()),
        }
    }

    fn send(&mut self, owner: usize, work: Work) -> Result<(), String> {
        let sent = self.queues.get(owner).map(|queue| queue.send(work).is_ok());
        if sent == Some(true) { Ok(()) } else { Err(self.failure(owner)) }
    }

    /// Why an owner has stopped.
    fn failure(&mut self, owner: usize) -> String {
        if owner >= self.threads.len() {
            return "there is no such shard".into();
        }
        let thread = self.threads.remove(owner);
        self.queues.clear();
        match thread.join() {
            Ok(Err(reason)) => reason,
            Ok(Ok(_)) => "a loading thread has stopped".into(),
            Err(_) => "a loading thread panicked".into(),
        }
    }
}

/// The queues as a loader's threads see them.
struct Queues<'a>(&'a [SyncSender<Work>]);

impl Sink for Queues<'_> {
    fn batch(&self, shard: usize, entries: Vec<Loaded>) -> Result<(), String> {
        let sent = self.0.get(shard).map(|queue| queue.send(Work::Entries(entries)).is_ok());
        if sent == Some(true) {
            Ok(())
        } else {
            Err("the thread that owns these keys has stopped".into())
        }
    }
}

/// An owner's thread.
fn own(mut keyspace: Keyspace, queue: &Receiver<Work>) -> Result<Keyspace, String> {
    for work in queue {
        match work {
            Work::Entries(entries) => store_all(&mut keyspace, entries)?,
            Work::Records(batch) => run_records(&mut keyspace, &batch)?,
            Work::Commands(commands) => {
                commands.iter().try_for_each(|planned| run_planned(&mut keyspace, planned))?
            }
            Work::Lend(keys, back) => {
                let lent = |(db, key): KeyPlace| Some((db, keyspace.checkout(db, &key)?));
                let lent = keys.into_iter().filter_map(lent).collect();
                // Nobody waits only when the loading has failed elsewhere.
                let _ = back.send(lent);
            }
            Work::TakeBack(entries) => {
                entries.into_iter().for_each(|(db, entry)| keyspace.checkin(db, entry))
            }
        }
    }
    Ok(keyspace)
}

/// Stores entries in groups, so that one waits for the index's memory while others are stored.
fn store_all(keyspace: &mut Keyspace, entries: Vec<Loaded>) -> Result<(), String> {
    let mut entries = entries.into_iter();
    loop {
        let group = entries.as_slice();
        let group = group.get(..AHEAD).unwrap_or(group);
        if group.is_empty() {
            return Ok(());
        }
        for entry in group {
            keyspace.prefetch_hash(entry.db as usize, keyspace.hash(&entry.key));
        }
        entries.by_ref().take(AHEAD).try_for_each(|entry| store(keyspace, entry))?;
    }
}

fn store(keyspace: &mut Keyspace, entry: Loaded) -> Result<(), String> {
    let index = entry.db as usize;
    if index >= keyspace.databases() {
        return Err(format!(
            "the file has keys in database {index}: raise 'databases' above {index}"
        ));
    }
    let mut db = keyspace.db(index, 0, Mode::Replay);
    let before = db.len();
    db.set(&entry.key, entry.value, entry.expire_at_ms);
    if db.len() == before {
        let key = String::from_utf8_lossy(&entry.key).into_owned();
        return Err(format!(
            "key '{key}' of database {index} stands twice in the file (again at byte {})",
            entry.offset
        ));
    }
    Ok(())
}

/// What is said of a record whose arguments do not fit its length.
const BROKEN: &str = "a record's arguments do not fit its length";

fn check(
    databases: usize,
    db: usize,
    command: &Command,
    argc: usize,
    origin: &Origin,
) -> Result<(), String> {
    if db >= databases {
        return Err(
            origin.explain(&format!("database {db} does not exist: raise 'databases' above {db}"))
        );
    }
    if !command.spec.arity_fits(argc) {
        return Err(origin.explain(&format!("{} with {argc} arguments", command.spec.name)));
    }
    Ok(())
}

/// Whether a record could be applied, as far as it tells by itself.
pub(crate) fn check_record(record: &RawRecord<'_>, databases: usize) -> Result<(), String> {
    if !record.each_arg(|_| ()) {
        return Err(BROKEN.to_owned());
    }
    if crate::script::replayed_name(record.opcode).is_some() {
        return Ok(());
    }
    let command = command_of(record)?;
    check(databases, record.db as usize, command, record.argc().saturating_add(1), &Origin::Log(0))
}

fn command_of(record: &RawRecord<'_>) -> Result<&'static Command, String> {
    let opcode = record.opcode;
    Table::get()
        .by_opcode(opcode)
        .ok_or_else(|| format!("opcode {opcode} is unknown: was it written by a newer version?"))
}

/// Runs records in groups, so that one waits for its key's memory while others run.
fn run_records(keyspace: &mut Keyspace, batch: &RecordBatch) -> Result<(), String> {
    let mut records = Records::new(&batch.bytes);
    let mut times = batch.times.iter().copied().peekable();
    let mut ahead: Vec<(RawRecord<'_>, u64)> = Vec::with_capacity(AHEAD);
    let (mut buf, mut spans) = (Vec::new(), Vec::new());
    let mut at = 0;
    loop {
        ahead.clear();
        while let Some(record) = (ahead.len() < AHEAD).then(|| records.next_raw()).flatten() {
            let record = record.map_err(|e| e.to_string())?;
            let hash = keyspace.hash(record.first_arg().unwrap_or_default());
            keyspace.prefetch_hash(record.db as usize, hash);
            ahead.push((record, hash));
        }
        if ahead.is_empty() {
            return Ok(());
        }
        ahead.iter().for_each(|(r, hash)| keyspace.prefetch_entry(r.db as usize, *hash));
        for (record, _) in &ahead {
            let command = command_of(record)?;
            if !record.read_into(command.spec.name.as_bytes(), &mut buf, &mut spans) {
                return Err(BROKEN.to_owned());
            }
            while times.next_if(|(end, _)| *end <= at).is_some() {}
            let now_ms = times.peek().map_or(0, |(_, now_ms)| *now_ms);
            at += record.bytes.len();
            let origin = Origin::Log(now_ms);
            run(keyspace, record.db as usize, command, Args::new(&buf, &spans), &origin)?;
        }
    }
}

fn run(
    keyspace: &mut Keyspace,
    db: usize,
    command: &Command,
    args: Args<'_>,
    origin: &Origin,
) -> Result<(), String> {
    let mut reply = NoReply::default();
    let db = keyspace.db(db, origin.now_ms(), Mode::Replay);
    let mut ctx = Ctx { db, reply: &mut reply };
    let result = (command.run)(&mut ctx, args);
    match result.err().or(reply.error) {
        None => Ok(()),
        Some(error) => {
            let name = command.spec.name;
            Err(origin.explain(&format!("{name} cannot be applied: {error}")))
        }
    }
}

fn run_planned(keyspace: &mut Keyspace, planned: &Planned) -> Result<(), String> {
    let Planned { db, command, args, origin } = planned;
    run(keyspace, *db, command, args.as_args(), origin)
}
