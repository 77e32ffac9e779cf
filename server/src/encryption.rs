//! Encryption at rest: where the master keys come from, what the files are sealed under, and how that is brought up to date.
//!
//! ```text
//!   start, CONFIG SET encryption-key-file, SIGHUP ─> keyring ─> MANIFEST: keys wrapped anew, a new data key ─> all writers
//!                                                        └─> renew: a new base, a new dump.rdb, where the old ones differ
//! ```
//!
//! Invariant: a key that was known stays known until the process ends, so that files which are sealed under it can be read.
//! Invariant: writers get a data key only when MANIFEST names it durably.

mod source;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ringstone_persist::crypt::{KeyId, Keyring, sealed_with};
use ringstone_persist::disk::{StdDisk, block_on};
use ringstone_persist::log::{FrameCipher, Manifest};

use crate::ask::ask_all;
use crate::config::Config;
use crate::shard::{Shard, ShardRef};
use crate::shared::Shared;
use crate::snapshot::{Target, claim, end_claim, on_helper, save_claimed};
pub use source::keyring;

/// What all shards share of it.
#[derive(Default)]
pub struct Encryption {
    keyring: Mutex<Keyring>,
    files: Mutex<Files>,
}

/// What lies in the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// The snapshot and the base of the log, as far as they are there, with the master key of each; none: in clear.
    pub whole: BTreeMap<&'static str, Option<KeyId>>,
    /// Master keys that the log's own keys are wrapped under.
    pub log: Vec<KeyId>,
    /// Some of the log is in clear.
    log_has_clear: bool,
}

impl Files {
    /// All master keys that some file needs.
    pub fn master_keys(&self) -> Vec<KeyId> {
        let whole = self.whole.values().flatten();
        let mut ids: Vec<KeyId> = whole.chain(&self.log).copied().collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// True when some file is in clear.
    pub fn has_clear(&self) -> bool {
        self.log_has_clear || self.whole.values().any(Option::is_none)
    }

    fn is_stale(&self, what: &'static str, keyring: &Keyring) -> bool {
        let wanted = keyring.active().filter(|_| keyring.seals());
        let whole = self.whole.get(what).is_some_and(|found| *found != wanted);
        let log = match wanted {
            Some(id) => self.log_has_clear || self.log.iter().any(|found| *found != id),
            None => !self.log.is_empty(),
        };
        whole || (what == BASE && log)
    }
}

/// Names of files in [`Files`] and in INFO.
const DUMP: &str = "snapshot";
const BASE: &str = "base";

impl Encryption {
    /// The keys as of now.
    pub fn keyring(&self) -> Keyring {
        self.keyring.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces them.
    pub fn set_keyring(&self, keyring: Keyring) {
        *self.keyring.lock().unwrap_or_else(PoisonError::into_inner) = keyring;
    }

    /// What lies in the files.
    pub fn files(&self) -> Files {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the files; on the helper thread, after a start and whenever one was replaced.
    pub fn note_files(&self, config: &Config, manifest: Option<&Manifest>) {
        let mut files = Files::default();
        let mut look = |what, path: &Path| {
            if path.is_file()
                && let Ok(sealed) = sealed_with(path)
            {
                files.whole.insert(what, sealed.map(|(_, id)| id));
            }
        };
        if !config.dbfilename.as_os_str().is_empty() {
            look(DUMP, &config.dir.join(&config.dbfilename));
        }
        if let Some(manifest) = manifest {
            if let Some(base) = &manifest.base {
                look(BASE, &config.log_dir().join(&base.file_name));
            }
            files.log = manifest.seals.master_keys();
            files.log_has_clear = manifest.has_clear_frames();
        }
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }
}

/// Reads the keys anew and goes over to the first of them: what is written from now on is sealed under it, and the rest is
/// written anew in the background.
///
/// # Errors
/// What is wrong; then all is as before.
pub async fn reload(shard: &ShardRef, config: Config) -> Result<(), String> {
    let shared = shard.borrow().shared.clone();
    // No base or snapshot may be on its way from one key to the other.
    claim(shard, Target::Base).await;
    let changed = on_helper(shard, move || change(&shared, &config)).await;
    let changed = changed.unwrap_or_else(|| Err("the helper is gone".to_owned()));
    if let Ok(Some(cipher)) = &changed {
        let cipher = cipher.clone();
        ask_all(shard, move |there| {
            if let Some(writer) = there.commit.writer() {
                writer.set_cipher(Some(cipher.clone()));
            }
        })
        .await;
    }
    end_claim(shard, Target::Base);
    changed?;
    let (me, queues) = (shard.clone(), shard.borrow().queues);
    queues.spawn(async move { renew(&me).await });
    Ok(())
}

impl Shard {
    /// SIGHUP: reads the keys anew, where there are any.
    pub(crate) fn reload_keys(&mut self) {
        let Some(me) = self.me() else { return };
        let config = self.shared.with_config(|store| store.config().clone());
        if self.shared.encryption.keyring().active().is_none() {
            return;
        }
        self.queues.spawn(async move {
            if let Err(reason) = reload(&me, config).await {
                tracing::error!("the keys are not changed: {reason}");
            }
        });
    }
}

/// Puts the new keys in force; gives the log's new data key, where it is on and sealed.
fn change(shared: &Shared, config: &Config) -> Result<Option<FrameCipher>, String> {
    let before = shared.encryption.keyring();
    let new = keyring(config)?;
    let new = new.with_older(&before);
    let dir = config.log_dir();
    let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", dir.join("MANIFEST").display());
    let change = |manifest: &mut Manifest| {
        let cipher = manifest.change_keyring(&new).map_err(|e| failed(&e))?;
        // Should this fail, either MANIFEST can be read with what is known.
        block_on(manifest.store(&StdDisk, &dir)).map_err(|e| failed(&e))?;
        Ok::<_, String>(cipher)
    };
    let cipher = shared.with_manifest(|manifest| match manifest {
        Some(manifest) => {
            let cipher = change(manifest)?;
            shared.encryption.note_files(config, Some(manifest));
            Ok(cipher)
        }
        // A log that is off.
        None => match block_on(Manifest::load(&StdDisk, &dir)).map_err(|e| failed(&e))? {
            Some(mut manifest) if manifest.seals.is_sealed() => {
                manifest.unlock(&before).map_err(|e| failed(&e))?;
                change(&mut manifest).map(|_| None)
            }
            _ => Ok(None),
        },
    })?;
    if let Some(id) = new.active().filter(|id| before.active() != Some(*id)) {
        tracing::info!("what is written from now on is encrypted under the master key {id}");
    }
    shared.encryption.set_keyring(new);
    Ok(cipher)
}

/// Writes anew what is not sealed as it is to be: under another key, in clear, or sealed where nothing is to be.
pub async fn renew(shard: &ShardRef) {
    let (shared, dir) = {
        let this = shard.borrow();
        (this.shared.clone(), this.config.dir.clone())
    };
    let keyring = shared.encryption.keyring();
    if keyring.seals() {
        on_helper(shard, move || remove_leftovers(&dir)).await;
    }
    for (what, target) in [(BASE, Target::Base), (DUMP, Target::Dump)] {
        if !shared.encryption.files().is_stale(what, &keyring) {
            continue;
        }
        claim(shard, target).await;
        let is_there = target != Target::Base || shard.borrow().commit.has_log();
        if is_there {
            tracing::info!("the {what} is not encrypted as it is to be: writing it anew");
            let _logged_where_it_failed = save_claimed(shard, target).await;
        }
        end_claim(shard, target);
    }
}

/// Removes what snapshots that were cut short have left: it may be in clear. The directory is this process's own.
fn remove_leftovers(dir: &Path) {
    let own = std::process::id().to_string();
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let middle = name.strip_prefix("temp-").and_then(|rest| rest.strip_suffix(".rdb"));
        let Some(pid) = middle.map(|rest| rest.strip_prefix("replicas-").unwrap_or(rest)) else {
            continue;
        };
        if pid != own && !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()) {
            match std::fs::remove_file(entry.path()) {
                Ok(()) => tracing::warn!("removed {name}, the rest of a snapshot cut short"),
                Err(e) => tracing::warn!("{name} cannot be removed: {e}"),
            }
        }
    }
}
