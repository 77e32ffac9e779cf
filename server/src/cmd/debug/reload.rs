//! DEBUG RELOAD, LOADAOF: the data is saved and loaded again.

use ringstone_engine::keyspace::Mode;
use ringstone_engine::{Args, Error, Keyspace, Tree};

use super::{Host, Outcome};
use crate::ask::ask;
use crate::boot::Reloaded;
use crate::script::{Libraries, LibraryChange, Policy, change_alone};
use crate::shard::{Shard, ShardRef};
use crate::snapshot::{Target, claim, end_claim, on_helper, save};

/// What a client is told whose data cannot be loaded.
const FAILED: &str = "ERR Error trying to load the RDB dump";

/// DEBUG RELOAD: through a snapshot.
pub(super) fn reload(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let (mut saves, mut flushes, mut merges) = (true, true, false);
    for at in 2..args.len() {
        if args.is(at, "NOSAVE") {
            saves = false;
        } else if args.is(at, "NOFLUSH") {
            flushes = false;
        } else if args.is(at, "MERGE") {
            merges = true;
        } else {
            return Err(Error::text(
                "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
            ));
        }
    }
    let keeps = match (flushes, merges) {
        (true, _) => Keeps::Nothing,
        (false, true) => Keeps::Others,
        (false, false) => Keeps::All,
    };
    host.later(move |shard| async move {
        if saves && let Err(reason) = save(&shard, Target::Dump).await {
            return Tree::Error(Error::owned(format!("ERR {reason}")));
        }
        let (path, keyring) = {
            let this = shard.borrow();
            (this.config.dir.join(&this.config.dbfilename), this.shared.encryption.keyring())
        };
        let functions = (differs(saves, keeps)).then_some(match keeps {
            Keeps::Nothing => Policy::Flush,
            Keeps::Others => Policy::Replace,
            Keeps::All => Policy::Append,
        });
        let answer = load_data(&shard, (keeps, functions), move |config, slots, seed| {
            crate::boot::reload_dump(config, slots, seed, &path, &keyring)
        })
        .await;
        // What was loaded is another state than the log's: it begins anew with it.
        if differs(saves, keeps)
            && shard.borrow().commit.has_log()
            && let Err(reason) = save(&shard, Target::Base).await
        {
            return Tree::Error(Error::owned(format!("ERR {reason}")));
        }
        answer
    })
}

/// Whether what is there afterwards may be another state than before.
fn differs(saves: bool, keeps: Keeps) -> bool {
    !saves || keeps != Keeps::Nothing
}

/// What stays of the data that is there when more is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeps {
    Nothing,
    /// The keys that are not loaded.
    Others,
    /// Everything; a key that is loaded and there already is an error.
    All,
}

/// DEBUG LOADAOF: through the log.
pub(super) fn load_log(host: &mut Host<'_>) -> Result<Outcome, Error> {
    host.later(|shard| async move {
        if !shard.borrow().commit.has_log() {
            return load_idle_log(&shard).await;
        }
        // A new base holds exactly what the log says: saving and loading it exercises both.
        if let Err(reason) = save(&shard, Target::Base).await {
            return Tree::Error(Error::owned(format!("ERR {reason}")));
        }
        let shared = shard.borrow().shared.clone();
        let file = shared.with_manifest(|manifest| {
            manifest.and_then(|m| m.base.as_ref().map(|base| base.file_name.clone()))
        });
        let keyring = shared.encryption.keyring();
        let path = {
            let this = shard.borrow();
            this.config.log_dir().join(file.unwrap_or_default())
        };
        load_data(&shard, (Keeps::Nothing, None), move |config, slots, seed| {
            crate::boot::reload_dump(config, slots, seed, &path, &keyring)
        })
        .await
    })
}

/// The same while the log is off: what its directory holds, of BGREWRITEAOF or from the time when it was on.
async fn load_idle_log(shard: &ShardRef) -> Tree {
    let shared = shard.borrow().shared.clone();
    // The log must not begin meanwhile.
    claim(shard, Target::Base).await;
    let (config, slots) = (shard.borrow().config.clone(), shared.slots);
    let keyring = shared.encryption.keyring();
    let loaded = on_helper(shard, move || {
        crate::boot::reload_log(&config, &keyring, slots, crate::start::random()?)
    });
    let loaded = loaded.await.unwrap_or_else(|| Err("the helper is gone".into()));
    end_claim(shard, Target::Base);
    let functions = Some(Policy::Flush);
    let answer = load_data(shard, (Keeps::Nothing, functions), move |_, _, _| loaded).await;
    if answer.as_error().is_some() {
        let text = "ERR Error trying to load the AOF files, check server logs.";
        return Tree::Error(Error::text(text));
    }
    answer
}

/// Loads data into every shard. Meant for tests that are alone with the server.
async fn load_data(
    shard: &ShardRef,
    (keeps, functions): (Keeps, Option<Policy>),
    load: impl FnOnce(
        &crate::config::Config,
        ringstone_peer::SlotMap,
        [u8; 32],
    ) -> Result<Reloaded, String>
    + Send
    + 'static,
) -> Tree {
    let (config, shared) = {
        let this = shard.borrow();
        (this.config.clone(), this.shared.clone())
    };
    let slots = shared.slots;
    let loaded = on_helper(shard, move || load(&config, slots, [7; 32])).await;
    let loaded = match loaded.unwrap_or_else(|| Err("the helper is gone".into())) {
        Ok(loaded) => loaded,
        Err(reason) => {
            tracing::error!("DEBUG: loading failed: {reason}");
            return Tree::Error(Error::text(FAILED));
        }
    };
    // A snapshot walks through the data that is there.
    claim(shard, Target::Dump).await;
    let mut done = true;
    if let Some(policy) = functions {
        let change = LibraryChange::Restore(Libraries::payload(&loaded.functions), policy);
        done = change_alone(shard, change).await.is_ok();
    }
    for (index, keyspace) in loaded.keyspaces.into_iter().enumerate() {
        if !done {
            break;
        }
        let took = ask(shard, index, move |there| there.take_in(keyspace, keeps)).await;
        done &= took.unwrap_or(false);
    }
    end_claim(shard, Target::Dump);
    if done { Tree::Simple("OK".into()) } else { Tree::Error(Error::text(FAILED)) }
}

impl Shard {
    /// False when a key of both was in the way.
    fn take_in(&mut self, mut loaded: Keyspace, keeps: Keeps) -> bool {
        match keeps {
            Keeps::Nothing => {
                self.take_over(loaded);
                return true;
            }
            Keeps::Others => {}
            Keeps::All => {
                for index in 0..loaded.databases() {
                    let mut is_there = false;
                    let mut own = self.keyspace.db(index, self.now_ms, Mode::Live);
                    loaded.db(index, self.now_ms, Mode::Live).for_each(&mut |entry| {
                        is_there |= own.contains(entry.key());
                    });
                    if is_there {
                        return false;
                    }
                }
            }
        }
        self.close_batch();
        loaded.drain(&mut |index, entry| self.keyspace.checkin(index, entry));
        true
    }

    fn take_over(&mut self, mut keyspace: Keyspace) {
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
