//! Commands on keyspaces: run for clients, and replayed from records, whichever shards own the keys.

use std::sync::LazyLock;

use ringstone_engine::cmd::{self, Command, Scope};
use ringstone_engine::effect::{Opcode, Records};
use ringstone_engine::keyspace::Mode;
use ringstone_engine::reply::NoReply;
use ringstone_engine::{Args, Ctx, Error, Keyspace};

use crate::generate::pair::DATABASES;

/// Longest string; what a command asks for beyond that is refused.
const STRING_LEN_MAX: usize = 64 << 10;

static BY_OPCODE: LazyLock<Vec<Option<&'static Command>>> = LazyLock::new(|| {
    let mut table = Vec::new();
    let all = cmd::all().flat_map(|c| std::iter::once(c).chain(c.subs.iter().copied()));
    for command in all {
        let at = usize::from(command.spec.opcode);
        table.resize(table.len().max(at + 1), None);
        table[at] = Some(command);
    }
    table
});

/// The command of a record.
pub fn by_opcode(opcode: Opcode) -> Option<&'static Command> {
    BY_OPCODE.get(usize::from(opcode)).copied().flatten().filter(|_| opcode > 0)
}

/// An empty keyspace.
pub fn new_keyspace(seed: u64) -> Keyspace {
    let mut keyspace = Keyspace::new(DATABASES, seed);
    keyspace.limits.string_len_max = STRING_LEN_MAX;
    keyspace
}

/// The shard of a key.
pub fn shard_of(key: &[u8], shards: usize) -> usize {
    crc32fast::hash(key) as usize % shards.max(1)
}

/// A key's hash, as batches take it.
pub fn hash_of(key: &[u8]) -> u64 {
    u64::from(crc32fast::hash(key))
}

/// Runs a command for a client, whatever it answers.
pub fn run(keyspace: &mut Keyspace, command: &Command, args: Args<'_>, db: usize, now_ms: i64) {
    let mut reply = NoReply::default();
    let db = keyspace.db(db, now_ms, Mode::Live);
    match (command.run)(&mut Ctx { db, reply: &mut reply }, args) {
        Ok(()) | Err(Error::WouldBlock(_)) => {}
        // Most commands that are refused are meant to be.
        Err(_) => {}
    }
    keyspace.events.take();
}

fn replay_one(
    keyspace: &mut Keyspace,
    command: &Command,
    args: Args<'_>,
    db: usize,
    now_ms: i64,
) -> Result<(), String> {
    let mut reply = NoReply::default();
    let db = keyspace.db(db, now_ms, Mode::Replay);
    let result = (command.run)(&mut Ctx { db, reply: &mut reply }, args);
    match result.err().or(reply.error) {
        None => Ok(()),
        Some(error) => Err(format!("{} cannot be replayed: {error}", command.spec.name)),
    }
}

/// Applies a frame's records to the shards' keyspaces, as a start does.
pub fn replay(keyspaces: &mut [Keyspace], records: &[u8], now_ms: i64) -> Result<(), String> {
    let (mut buf, mut spans) = (Vec::new(), Vec::new());
    let mut records = Records::new(records);
    while let Some(record) = records.next_raw() {
        let record = record.map_err(|error| error.to_string())?;
        let command = by_opcode(record.opcode).ok_or("an unknown opcode")?;
        if !record.read_into(command.spec.name.as_bytes(), &mut buf, &mut spans) {
            return Err("a record that cannot be read".to_owned());
        }
        let (args, db) = (Args::new(&buf, &spans), record.db as usize);
        if matches!(command.spec.scope, Scope::All(_)) {
            let mut all = keyspaces.iter_mut();
            all.try_for_each(|keyspace| replay_one(keyspace, command, args, db, now_ms))?;
            continue;
        }
        let positions = command.spec.key_positions(args).map_err(|e| e.to_string())?;
        let owner = |at: &usize| shard_of(args.at(*at), keyspaces.len());
        let first = positions.first().map_or(0, owner);
        if positions.iter().all(|at| owner(at) == first) {
            replay_one(&mut keyspaces[first], command, args, db, now_ms)?;
            continue;
        }
        let keys: Vec<Vec<u8>> = positions.iter().map(|at| args.at(*at).to_vec()).collect();
        let mut here = borrow(keyspaces, &keys);
        replay_one(&mut here, command, args, db, now_ms)?;
        give_back(keyspaces, here);
    }
    Ok(())
}

/// A keyspace of its own with these keys in it, which are nowhere else meanwhile.
pub fn borrow(keyspaces: &mut [Keyspace], keys: &[Vec<u8>]) -> Keyspace {
    let mut here = new_keyspace(5);
    for key in keys {
        let owner = shard_of(key, keyspaces.len());
        lend(&mut keyspaces[owner], &mut here, key);
    }
    here
}

/// Moves a key, in all databases.
pub fn lend(from: &mut Keyspace, to: &mut Keyspace, key: &[u8]) {
    for db in 0..DATABASES {
        if let Some(entry) = from.checkout(db, key) {
            to.checkin(db, entry);
        }
    }
}

fn give_back(keyspaces: &mut [Keyspace], mut here: Keyspace) {
    let shards = keyspaces.len();
    here.drain(&mut |db, entry| {
        let owner = shard_of(entry.key(), shards);
        keyspaces[owner].checkin(db, entry);
    });
}
