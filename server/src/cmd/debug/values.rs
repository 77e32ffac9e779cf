//! DEBUG DIGEST, DIGEST-VALUE, OBJECT, POPULATE: stored values, seen from inside.

use ringstone_engine::keyspace::Mode;
use ringstone_engine::num::parse_i64;
use ringstone_engine::serial::digest::{dataset_digest, key_digest, value_digest};
use ringstone_engine::serial::{Digest, DigestBytes};
use ringstone_engine::{Args, Error, Tree};

use super::{Host, Outcome};
use crate::ask::{ask, ask_all};
use crate::shard::{Shard, ShardRef};
use crate::table::Table;

/// DEBUG DIGEST: a digest of all data.
pub(super) fn digest(host: &mut Host<'_>) -> Result<Outcome, Error> {
    host.later(|shard| async move { Tree::Simple(hex(&dataset(&shard).await)) })
}

async fn dataset(shard: &ShardRef) -> DigestBytes {
    let all = ask_all(shard, Shard::db_digests).await;
    let mut dbs: Vec<(u32, Digest)> = Vec::new();
    for (index, bytes) in all.into_iter().flatten() {
        match dbs.iter_mut().find(|(db, _)| *db == index) {
            Some((_, digest)) => digest.xor(&bytes),
            None => {
                let mut digest = Digest::default();
                digest.xor(&bytes);
                dbs.push((index, digest));
            }
        }
    }
    dataset_digest(
        dbs.into_iter()
            .map(|(index, digest)| (index, digest.bytes()))
            .filter(|(_, bytes)| *bytes != DigestBytes::default()),
    )
}

impl Shard {
    fn db_digests(&mut self) -> Vec<(u32, DigestBytes)> {
        let now_ms = self.now_ms;
        (0..self.keyspace.databases())
            .map(|index| {
                let mut digest = Digest::default();
                let db = &mut self.keyspace.db(index, now_ms, Mode::Live);
                db.for_each(&mut |entry| {
                    digest.xor(&key_digest(
                        entry.key(),
                        entry.value(),
                        entry.expire_at_ms().is_some(),
                    ))
                });
                (u32::try_from(index).unwrap_or(0), digest.bytes())
            })
            .collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// DEBUG DIGEST-VALUE: a digest for each key's value.
pub(super) fn digest_value(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let keys: Vec<Vec<u8>> = args.iter_from(2).map(<[u8]>::to_vec).collect();
    let db = host.conn.db;
    host.later(move |shard| async move {
        let mut digests = Vec::new();
        for key in keys {
            let owner = shard.borrow().shared.slots.shard_of_key(&key);
            let digest = ask(&shard, owner, move |there| {
                let now_ms = there.now_ms;
                let mut db = there.keyspace.db(db, now_ms, Mode::Live);
                db.peek(&key)
                    .map(|entry| value_digest(entry.value(), entry.expire_at_ms().is_some()))
            })
            .await;
            digests.push(Tree::Simple(hex(&digest.flatten().unwrap_or_default())));
        }
        Tree::Array(digests)
    })
}

/// DEBUG OBJECT: a line about a value.
pub(super) fn object(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let key = args.at(2).to_vec();
    let db = host.conn.db;
    host.later(move |shard| async move {
        let owner = shard.borrow().shared.slots.shard_of_key(&key);
        let text = ask(&shard, owner, move |there| there.object_line(db, &key)).await;
        text.flatten().map_or(Tree::Error(Error::text("ERR no such key")), Tree::Simple)
    })
}

impl Shard {
    fn object_line(&mut self, db: usize, key: &[u8]) -> Option<String> {
        let now_ms = self.now_ms;
        // It shows a key whose time is up as long as it is there.
        let idle = self.keyspace.db(db, now_ms, Mode::Replay).idle_seconds(key);
        let mut db = self.keyspace.db(db, now_ms, Mode::Replay);
        let entry = db.peek(key)?;
        let value = entry.value();
        let mut out = ringstone_engine::serial::RdbWriter::default();
        value.save(&mut out);
        Some(format!(
            "Value at:{:p} refcount:1 encoding:{} serializedlength:{} lru:0 lru_seconds_idle:{}",
            entry.key().as_ptr(),
            value.encoding(),
            out.buf.len(),
            idle.unwrap_or(0),
        ))
    }
}

/// DEBUG POPULATE: makes strings, each on the shard that owns its name.
pub(super) fn populate(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let positive = |at: usize| {
        parse_i64(args.at(at))
            .and_then(|number| usize::try_from(number).ok())
            .ok_or(Error::text("ERR value is out of range, must be positive"))
    };
    let count = positive(2)?;
    let prefix = args.get(3).unwrap_or(b"key").to_vec();
    let size = if args.len() > 4 { positive(4)? } else { 0 };
    if size > host.shard.keyspace.limits.string_len_max {
        return Err(Error::text("ERR value is out of range, must be positive"));
    }
    let db = host.conn.db;
    host.later(move |shard| async move {
        ask_all(&shard, move |there| there.populate(db, count, &prefix, size)).await;
        Tree::Simple("OK".into())
    })
}

impl Shard {
    fn populate(&mut self, db: usize, count: usize, prefix: &[u8], size: usize) {
        let set = Table::get().find(b"set").map_or(0, |entry| entry.spec.opcode);
        let (now_ms, slots, index) = (self.now_ms, self.shared.slots, self.index);
        let mut db = self.keyspace.db(db, now_ms, Mode::Live);
        for number in 0..count {
            let key = [prefix, b":", number.to_string().as_bytes()].concat();
            if slots.shard_of_key(&key) != index || db.contains(&key) {
                continue;
            }
            let mut value = format!("value:{number}").into_bytes();
            if size > 0 {
                value.resize(size, 0);
            }
            db.set_str(&key, &value, None);
            db.effect(set, &[&key, &value]);
        }
        self.wake();
    }
}
