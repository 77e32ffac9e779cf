//! A keyspace that serves commands, and a second one that only learns what the first recorded.

use std::fmt::Write as _;

use ringstone_engine::cmd::{self, Command};
use ringstone_engine::effect::Records;
use ringstone_engine::keyspace::{Classes, Mode};
use ringstone_engine::reply::TreeSink;
use ringstone_engine::serial::{digest, dump};
use ringstone_engine::types::{EncodingLimits, Hash, Stream, Value, ValueRef};
use ringstone_engine::{ArgBuf, Args, Ctx, Error, Keyspace, Tree};

/// Databases of each.
pub const DATABASES: usize = 2;
/// `SETRANGE k 500000000 x` is a wish that is granted, but not here.
const STRING_LEN_MAX: usize = 1 << 20;

/// A key: database, name, expiry, and all that is to be said of its value.
pub type Row = (u32, Vec<u8>, Option<i64>, Vec<u8>);

/// The two.
pub struct Pair {
    /// Serves commands.
    pub live: Keyspace,
    copy: Keyspace,
}

impl Default for Pair {
    fn default() -> Pair {
        let new = |seed| {
            let mut keyspace = Keyspace::new(DATABASES, seed);
            keyspace.limits.string_len_max = STRING_LEN_MAX;
            keyspace
        };
        let mut pair = Pair { live: new(7), copy: new(8) };
        pair.live.events.set_wanted(Classes::all());
        pair
    }
}

impl Pair {
    /// Runs a command; its reply.
    pub fn run(&mut self, command: &Command, args: Args<'_>, db: usize, now_ms: i64) -> Tree {
        let mut sink = TreeSink::new(true);
        let mut ctx = Ctx { db: self.live.db(db, now_ms, Mode::Live), reply: &mut sink };
        let reply = match (command.run)(&mut ctx, args) {
            Ok(()) => sink.into_reply(),
            Err(Error::WouldBlock(_)) => Tree::Null,
            Err(error) => Tree::Error(error),
        };
        self.replay(now_ms);
        reply
    }

    /// The active expiry.
    pub fn expire(&mut self, now_ms: i64) {
        self.live.expire_cycle(now_ms, 100);
        self.replay(now_ms);
    }

    fn replay(&mut self, now_ms: i64) {
        self.live.events.take();
        let records = self.live.effects.take();
        for record in Records::new(records.bytes()) {
            let record = record.expect("a record that was just written");
            let command = cmd::by_opcode(record.opcode).expect("a row for every opcode");
            let mut args = ArgBuf::from_parts([command.spec.name]);
            record.args.as_args().iter_from(0).for_each(|arg| args.push(arg));
            let mut sink = TreeSink::new(false);
            let db = self.copy.db(record.db as usize, now_ms, Mode::Replay);
            (command.run)(&mut Ctx { db, reply: &mut sink }, args.as_args())
                .expect("an effect runs");
        }
    }

    /// The copy holds the same, and all of it survives DUMP and RESTORE.
    pub fn check(&mut self) {
        let rows = listing(&mut self.live);
        assert_eq!(rows, listing(&mut self.copy));
        for index in 0..DATABASES {
            let mut db = self.live.db(index, 0, Mode::Replay);
            db.for_each(&mut |entry| comes_back(entry.value(), &dump::dump_payload(entry.value())));
            let of = rows.iter().filter(|row| row.0 as usize == index);
            assert_eq!(db.len(), of.clone().count());
            assert_eq!(db.expires_len(), of.filter(|row| row.2.is_some()).count());
        }
    }
}

/// All keys in order.
pub fn listing(keyspace: &mut Keyspace) -> Vec<Row> {
    let mut out = Vec::new();
    for index in 0..DATABASES {
        keyspace.db(index, 0, Mode::Replay).for_each(&mut |entry| {
            let (key, described) = (entry.key().to_vec(), described(entry.value()));
            out.push((index as u32, key, entry.expire_at_ms(), described));
        });
    }
    out.sort();
    out
}

/// A value's digest, and what that keeps silent about: when fields expire, the groups of streams.
pub fn described(value: ValueRef<'_>) -> Vec<u8> {
    let mut out = digest::value_digest(value, false).to_vec();
    match value {
        ValueRef::Stream(stream) => {
            out.extend(groups(stream).into_bytes());
            let deliveries = stream.groups().values().flat_map(|group| group.pending().values());
            out.extend(deliveries.flat_map(|pending| pending.delivered_at_ms.to_le_bytes()));
        }
        ValueRef::Hash(hash) => out.extend(times(hash).into_iter().flat_map(i64::to_le_bytes)),
        _ => {}
    }
    out
}

/// When the fields of a hash expire, in order.
pub fn times(hash: &Hash) -> Vec<i64> {
    let of = hash.iter().filter_map(|(field, _)| hash.time_of(&field.to_vec()));
    let mut times: Vec<i64> = of.collect();
    times.sort_unstable();
    times
}

/// A stream's counters and groups, but for the times at which consumers were seen or given something.
pub fn groups(stream: &Stream) -> String {
    let mut out = format!("{:?} {}", stream.max_deleted_id(), stream.entries_added());
    for (name, group) in stream.groups() {
        let name = name.escape_ascii();
        let _ = write!(out, " {name} {:?} {:?}", group.last_id, group.entries_read);
        for consumer in group.consumers() {
            let _ = write!(out, " {}", consumer.name.escape_ascii());
        }
        for (id, pending) in group.pending() {
            let consumer = group.name_of(pending.consumer).escape_ascii();
            let _ = write!(out, " {id:?} {consumer} {}", pending.deliveries);
        }
    }
    out
}

/// A value's payload gives the same value again.
pub fn comes_back(value: ValueRef<'_>, payload: &[u8]) {
    let again = dump::restore_payload(payload, &EncodingLimits::default());
    let again = again.expect("what was written loads");
    assert_eq!(described(value), described(again.as_ref()));
    assert_eq!(value.element_count(), again.as_ref().element_count());
}

/// The same for a value that was loaded.
pub fn saves_and_loads(value: &Value) {
    comes_back(value.as_ref(), &dump::dump_payload(value.as_ref()));
}
