//! DEBUG: what tests need of a server's inside.

use std::time::Duration;

use ringstone_engine::cmd::{Flags, Group, Spec};
use ringstone_engine::keyspace::Mode;
use ringstone_engine::num::parse_i64;
use ringstone_engine::serial::digest::{dataset_digest, key_digest, value_digest};
use ringstone_engine::serial::{Digest, DigestBytes};
use ringstone_engine::{Args, Error, Tree};

use super::{Host, HostCommand, Outcome};
use crate::ask::{ask, ask_all};
use crate::shard::{Shard, ShardRef};
use crate::snapshot::{Target, save};

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&DEBUG];

static DEBUG: HostCommand = HostCommand {
    spec: Spec {
        name: "debug",
        arity: -2,
        flags: Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE),
        group: Group::Server,
        complexity: "Depends on subcommand.",
        summary: "Shows and changes the server's inside, for tests.",
        ..Spec::DEFAULT
    },
    run: debug,
    subs: &[],
};

fn debug(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    if !host.shard.config.enable_debug_command.allows(host.conn.is_local()) {
        return Err(Error::text(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local \
             connection, otherwise you need to set this option in the configuration file, and then restart the server.",
        ));
    }
    let sub = args.at(1).to_ascii_lowercase();
    match (sub.as_slice(), args.len()) {
        (b"sleep", 3) => sleep(host, args),
        (b"jmap", 2) => host.ok(),
        (b"set-active-expire", 3) => {
            let on = parse_i64(args.at(2)).ok_or(Error::NotInteger)? != 0;
            on_all(host, move |shard| shard.keyspace.set_active_expire(on))
        }
        (b"reload", _) => reload(host, args),
        (b"loadaof", 2) => load_log(host),
        (b"object", 3) => object(host, args),
        (b"digest", 2) => {
            host.later(|shard| async move { Tree::Simple(hex(&dataset(&shard).await)) })
        }
        (b"digest-value", _) => digest_value(host, args),
        (b"help", 2) => help(host),
        _ => Err(super::wrong_subcommand("DEBUG", args.at(1))),
    }
}

fn help(host: &mut Host<'_>) -> Result<Outcome, Error> {
    super::help(
        host,
        "DEBUG",
        &[
            "DIGEST",
            "    Output a hex signature representing the current DB content.",
            "DIGEST-VALUE <key> [<key> ...]",
            "    Output a hex signature of the values of all the specified keys.",
            "JMAP",
            "    Accepted for the sake of test suites; there is no Java heap.",
            "LOADAOF",
            "    Make the log durable, and load the data from it again.",
            "OBJECT <key>",
            "    Show low level info about `key` and associated value.",
            "RELOAD [option ...]",
            "    Save a snapshot and load the data from it again. Option: NOSAVE, NOFLUSH, MERGE.",
            "SET-ACTIVE-EXPIRE <0|1>",
            "    Setting it to 0 disables expiring keys (and hash-fields) in background.",
            "SLEEP <seconds>",
            "    Stop the server for <seconds>. Decimals allowed.",
        ],
    )
}

fn on_all(
    host: &mut Host<'_>,
    work: impl Fn(&mut Shard) + Clone + Send + 'static,
) -> Result<Outcome, Error> {
    host.later(|shard| async move {
        ask_all(&shard, work).await;
        Tree::Simple("OK".into())
    })
}

/// Stops all shards for a while, as a command that takes long would.
fn sleep(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let seconds = std::str::from_utf8(args.at(2)).ok().and_then(|text| text.parse::<f64>().ok());
    let duration =
        seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).ok_or(Error::NotFloat)?;
    on_all(host, move |_| std::thread::sleep(duration))
}

fn reload(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let (mut saves, mut flushes) = (true, true);
    for at in 2..args.len() {
        if args.is(at, "NOSAVE") {
            saves = false;
        } else if args.is(at, "NOFLUSH") || args.is(at, "MERGE") {
            flushes = false;
        } else {
            return Err(Error::text(
                "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
            ));
        }
    }
    if !flushes {
        return Err(Error::text("ERR DEBUG RELOAD with NOFLUSH or MERGE is not supported"));
    }
    host.later(move |shard| async move {
        if saves && let Err(reason) = save(&shard, Target::Dump).await {
            return Tree::Error(Error::owned(format!("ERR {reason}")));
        }
        let path = {
            let this = shard.borrow();
            this.config.dir.join(&this.config.dbfilename)
        };
        replace_data(&shard, move |config, slots, seed| {
            crate::boot::reload_dump(config, slots, seed, &path)
        })
        .await
    })
}

fn load_log(host: &mut Host<'_>) -> Result<Outcome, Error> {
    if !host.shard.commit.has_log() {
        return Err(Error::text("ERR there is no log: 'appendonly' is off"));
    }
    host.later(|shard| async move {
        // A new base holds exactly what the log says: saving and loading it exercises both.
        if let Err(reason) = save(&shard, Target::Base).await {
            return Tree::Error(Error::owned(format!("ERR {reason}")));
        }
        let shared = shard.borrow().shared.clone();
        let file = shared.with_manifest(|manifest| {
            manifest.and_then(|m| m.base.as_ref().map(|base| base.file_name.clone()))
        });
        let path = {
            let this = shard.borrow();
            this.config.dir.join(&this.config.appenddirname).join(file.unwrap_or_default())
        };
        replace_data(&shard, move |config, slots, seed| {
            crate::boot::reload_dump(config, slots, seed, &path)
        })
        .await
    })
}

/// Replaces every shard's data by what `load` gives. Meant for tests that are alone with the server.
async fn replace_data(
    shard: &ShardRef,
    load: impl FnOnce(
        &crate::config::Config,
        ringstone_peer::SlotMap,
        [u8; 32],
    ) -> Result<Vec<ringstone_engine::Keyspace>, String>
    + Send
    + 'static,
) -> Tree {
    let (config, slots) = {
        let this = shard.borrow();
        (this.config.clone(), this.shared.slots)
    };
    let loaded = crate::snapshot::on_helper(shard, move || load(&config, slots, [7; 32])).await;
    match loaded {
        Some(Ok(keyspaces)) => {
            for (index, keyspace) in keyspaces.into_iter().enumerate() {
                ask(shard, index, move |there| there.take_over(keyspace)).await;
            }
            Tree::Simple("OK".into())
        }
        Some(Err(reason)) => {
            Tree::Error(Error::owned(format!("ERR Error trying to load the data: {reason}")))
        }
        None => Tree::Error(Error::text("ERR the helper is gone")),
    }
}

impl Shard {
    fn take_over(&mut self, mut keyspace: ringstone_engine::Keyspace) {
        self.close_batch();
        keyspace.set_active_expire(self.keyspace.active_expire());
        keyspace.effects = self.keyspace.effects.take();
        keyspace.stats = self.keyspace.stats;
        keyspace.events.set_wanted(self.keyspace.events.wanted());
        self.keyspace = keyspace;
    }

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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest_value(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
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

fn object(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
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
        let idle = self.keyspace.db(db, now_ms, Mode::Live).idle_seconds(key);
        let mut db = self.keyspace.db(db, now_ms, Mode::Live);
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
