//! `CONFIG SET appendonly`: the log begins, or ends, while the server runs. BGREWRITEAOF while it is off: both, one after the other.
//!
//! ```text
//!   yes: recover what the log's directory holds ─> MANIFEST: a pending epoch ─> cut: all shards log from here on
//!        ─> base ─> MANIFEST: base, the epoch counts ─> OK
//!   no:  one instant: no shard logs any more ─> what was logged is durable ─> MANIFEST: the epoch is closed ─> OK
//! ```
//!
//! What a crash leaves, should the next start find `appendonly yes`:
//!
//! | crash | next start |
//! |---|---|
//! | yes, before MANIFEST names the pending epoch | as if nothing had been asked for |
//! | yes, before MANIFEST names the base | the former log's end, or the snapshot that superseded it; frames of the pending epoch do not count, since they follow on data that is on no disk |
//! | yes, after that | everything |
//! | no, at any time | all that was acknowledged before the instant at which logging ended |
//! | no, then a snapshot is saved | the snapshot: its rename comes first, then MANIFEST says that the log is superseded, then the save counts as done |
//!
//! Invariant: OK is answered only when MANIFEST says it durably. One switch at a time, and no snapshot meanwhile but its own,
//! so that a snapshot's cut lies on one side of the switch.

use std::time::Duration;

use ringstone_persist::disk::block_on;
use ringstone_persist::log::{Health, LogWriter};

use crate::ask::{ask, ask_all};
use crate::boot::{OpenedLog, open_log};
use crate::failpoint::{DISK, Step, pass, reach};
use crate::rt::exec::sleep;
use crate::shard::{Shard, ShardRef};
use crate::snapshot::{Target, claim, end_claim, on_helper, save_claimed};
use crate::tx::global::at_once;

/// How often a wait looks again.
const POLL: Duration = Duration::from_millis(2);
/// Polls after which a log that the disk does not take is given up.
const POLLS_MAX: u32 = 1500;

/// Begins or ends logging; nothing to do where it is so already.
pub async fn switch(shard: &ShardRef, on: bool) -> Result<(), String> {
    claim(shard, Target::Base).await;
    let is_on = shard.borrow().commit.has_log();
    let result = match (on, is_on) {
        (true, false) => begin(shard).await,
        (false, true) => {
            end(shard).await;
            Ok(())
        }
        (true, true) | (false, false) => Ok(()),
    };
    end_claim(shard, Target::Base);
    result
}

/// A new base. While the log is off it begins and ends: its directory then holds the data of that moment, as after CONFIG SET
/// appendonly yes and no, and a snapshot that is saved later supersedes it in the same way.
pub async fn rewrite(shard: &ShardRef) {
    let shared = shard.borrow().shared.clone();
    if !shared.saving.claim(Target::Base) {
        return;
    }
    let is_on = shard.borrow().commit.has_log();
    let result = if is_on { save_claimed(shard, Target::Base).await } else { begin(shard).await };
    if !is_on && result.is_ok() {
        end(shard).await;
    }
    end_claim(shard, Target::Base);
    if let Err(reason) = result {
        tracing::error!("the log is not rewritten: {reason}");
    }
}

async fn begin(shard: &ShardRef) -> Result<(), String> {
    tracing::info!("the log begins: writing its base");
    let (shared, config) = {
        let this = shard.borrow();
        (this.shared.clone(), this.config.clone())
    };
    let opened = on_helper(shard, move || {
        let (keyring, seed) = (shared.encryption.keyring(), crate::start::random()?);
        let recovered = open_log(&config, &keyring, (shared.slots, seed), true)?;
        pass(Step::SwitchPended);
        let opened = OpenedLog::new(&config, recovered, shared.slots);
        // Nobody takes a number while nothing is logged. One is left out, so that nobody, an archive above all, takes what comes
        // now for what followed on the former end.
        let gap = u64::from(opened.next_gsn > 1);
        shared.watermarks.go_on_at(opened.next_gsn + gap);
        shared.set_manifest(Some(opened.manifest), opened.vanished);
        Ok::<_, String>(opened.logs)
    });
    let logs = opened.await.unwrap_or_else(|| Err("the helper is gone".into()))?;
    for (index, log) in logs.into_iter().enumerate() {
        ask(shard, index, move |there| there.commit.offer_log(Some(log))).await;
    }
    let result = save_claimed(shard, Target::Base).await;
    if result.is_err() {
        // Before the cut nothing was begun, after it nothing was promised.
        ask_all(shard, |there| there.commit.offer_log(None)).await;
        at_once(shard, Shard::stop_logging).await;
        drop_logs(shard).await;
    }
    result
}

async fn end(shard: &ShardRef) {
    at_once(shard, Shard::stop_logging).await;
    pass(Step::SwitchStopped);
    let (mut polls, mut complete) = (0, true);
    while !ask_all(shard, Shard::finish_log).await.into_iter().all(|done| done) {
        let healthy = ask_all(shard, |there| there.commit.health().0 == Health::Ok).await;
        if polls > POLLS_MAX && healthy.contains(&false) {
            tracing::error!("the log cannot be made durable to its end");
            complete = false;
            break;
        }
        polls += 1;
        sleep(POLL).await;
    }
    close(shard, complete).await;
    drop_logs(shard).await;
    tracing::info!("the log has ended");
}

/// The log's end: what is durable is archived, and if it is all (`complete`) MANIFEST tells the next start that it must be there.
pub async fn close(shard: &ShardRef, complete: bool) {
    let (shared, dir) = {
        let this = shard.borrow();
        (this.shared.clone(), this.config.log_dir())
    };
    let last = shared.watermarks.synced();
    on_helper(shard, move || {
        shared.archive.finish();
        shared.with_manifest(|manifest| {
            let Some(manifest) = manifest.filter(|_| complete) else { return };
            manifest.close_epoch(last);
            let stored =
                reach(Step::EpochClose).and_then(|()| block_on(manifest.store(&DISK, &dir)));
            if let Err(e) = stored {
                tracing::warn!("MANIFEST: {e}");
            }
        });
    })
    .await;
}

/// Lets go of writers and MANIFEST.
async fn drop_logs(shard: &ShardRef) {
    while !ask_all(shard, Shard::drop_log).await.into_iter().all(|done| done) {
        sleep(POLL).await;
    }
    let shared = shard.borrow().shared.clone();
    shared.set_manifest(None, Vec::new());
}

impl Shard {
    fn stop_logging(&mut self) {
        self.commit.stop_logging();
        self.keyspace.effects.set_enabled(false);
    }

    /// True when all that was logged is durable; has the rest synced.
    fn finish_log(&mut self) -> bool {
        self.commit.writer().map(LogWriter::request_sync);
        self.wake();
        self.commit.is_clean()
    }

    fn drop_log(&mut self) -> bool {
        let was_unwell = self.commit.is_unwell();
        let dropped = self.commit.drop_log();
        if dropped {
            if was_unwell {
                self.shared.saving.note_well();
            }
            self.shared.watermarks.publish(self.index, None, None);
            self.shared.set_waiting(self.index, false);
        }
        self.wake();
        dropped
    }
}
