//! DEBUG RELOAD, LOADAOF: the data is saved and loaded again.

use ringstone_engine::{Args, Error, Tree};

use super::{Host, Outcome};
use crate::ask::ask;
use crate::shard::{Shard, ShardRef};
use crate::snapshot::{Target, save};

/// DEBUG RELOAD: through a snapshot.
pub(super) fn reload(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
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

/// DEBUG LOADAOF: through the log.
pub(super) fn load_log(host: &mut Host<'_>) -> Result<Outcome, Error> {
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
        keyspace.set_access_policy(self.keyspace.access_policy());
        keyspace.set_active_expire(self.keyspace.active_expire());
        keyspace.effects = self.keyspace.effects.take();
        keyspace.stats = self.keyspace.stats;
        keyspace.events.set_wanted(self.keyspace.events.wanted());
        keyspace.limits.list_plain_len_min = self.keyspace.limits.list_plain_len_min;
        self.keyspace = keyspace;
    }
}
