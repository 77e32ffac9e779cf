//! SHUTDOWN, and the orderly end that signals ask for too.
//!
//! Order: no new connections ─> a snapshot where save points ask for one ─> replies leave ─> the log is durable, and archived ─> the end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ringstone_engine::cmd::{Arg, Flags, Group, Spec};
use ringstone_engine::{Args, Error, Tree};

use super::{Host, HostCommand, Outcome};
use crate::ask::ask_all;
use crate::log_switch;
use crate::rt::exec::sleep;
use crate::rt::signal;
use crate::shard::{Shard, ShardRef};
use crate::snapshot::{Target, save};

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&SHUTDOWN];

/// How often the end looks whether everything is durable.
const POLL: Duration = Duration::from_millis(2);
/// Polls before replies that nobody reads are given up.
const POLLS_MAX: u32 = 1500;

static SHUTDOWN: HostCommand = HostCommand {
    spec: Spec {
        name: "shutdown",
        arity: -1,
        flags: Flags::ADMIN
            .union(Flags::NOSCRIPT)
            .union(Flags::LOADING)
            .union(Flags::STALE)
            .union(Flags::NO_MULTI)
            .union(Flags::ALLOW_BUSY),
        group: Group::Server,
        complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
        summary: "Makes everything durable and ends the server.",
        history: &[("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers.")],
        args: &[
            Arg {
                optional: true,
                ..Arg::one_of(
                    "nosave_save",
                    &[Arg::word("nosave", "NOSAVE"), Arg::word("save", "SAVE")],
                )
            },
            Arg::word("now", "NOW").optional().since("7.0.0"),
            Arg::word("force", "FORCE").optional().since("7.0.0"),
            Arg::word("abort", "ABORT").optional().since("7.0.0"),
        ],
        ..Spec::DEFAULT
    },
    run: shutdown,
    subs: &[],
};

/// How to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Manner {
    /// Snapshot: yes, no, or as the save points say.
    save: Option<bool>,
    /// End although the snapshot fails.
    force: bool,
}

fn shutdown(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let mut manner = Manner::default();
    let (mut abort, mut others) = (false, false);
    for at in 1..args.len() {
        if args.is(at, "NOSAVE") && manner.save.is_none() {
            manner.save = Some(false);
        } else if args.is(at, "SAVE") && manner.save.is_none() {
            manner.save = Some(true);
        } else if args.is(at, "FORCE") {
            manner.force = true;
        } else if args.is(at, "ABORT") {
            abort = true;
            continue;
        } else if !args.is(at, "NOW") {
            // NOW skips the wait for replicas, of which there are none.
            return Err(Error::Syntax);
        }
        others = true;
    }
    if abort && others {
        return Err(Error::Syntax);
    }
    let shared = host.shard.shared.clone();
    if abort {
        return if shared.ending.swap(false, Ordering::AcqRel) {
            host.ok()
        } else {
            Err(Error::text("ERR No shutdown in progress."))
        };
    }
    host.later(move |shard| async move {
        match end(&shard, manner).await {
            Ok(()) => Tree::Simple("OK".into()),
            Err(reason) => {
                tracing::error!("shutdown failed: {reason}");
                Tree::Error(Error::text("ERR Errors trying to SHUTDOWN. Check logs."))
            }
        }
    })
}

impl Shard {
    /// Ends the server because a signal asked for it.
    pub fn begin_shutdown(&mut self) {
        let Some(me) = self.me() else { return };
        self.queues.spawn(async move {
            if let Err(reason) = end(&me, Manner::default()).await {
                tracing::error!("shutdown failed: {reason}. The server goes on; SHUTDOWN NOSAVE or FORCE ends it.");
            }
        });
    }

    fn has_replies_to_send(&mut self) -> bool {
        let waiting =
            |conn: &mut crate::conn::Conn| !conn.closing && !conn.blocked && !conn.is_drained();
        self.conns.iter_mut().any(waiting)
    }

    fn sync_log(&mut self) -> bool {
        if let Some(writer) = self.commit.writer() {
            writer.request_sync();
        }
        self.wake();
        self.keyspace.effects.is_empty() && self.commit.is_clean()
    }
}

async fn end(shard: &ShardRef, manner: Manner) -> Result<(), String> {
    let shared = shard.borrow().shared.clone();
    if shared.ending.swap(true, Ordering::AcqRel) {
        return Err("a shutdown is under way".into());
    }
    let wants_save = manner.save.unwrap_or(!shard.borrow().config.save.is_empty());
    while shared.saving.is_busy() {
        sleep(POLL).await;
    }
    if wants_save
        && let Err(reason) = save(shard, Target::Dump).await
        && !manner.force
    {
        shared.ending.store(false, Ordering::Release);
        return Err(reason);
    }
    if !shared.ending.load(Ordering::Acquire) {
        return Err("aborted".into());
    }
    ask_all(shard, Shard::stop_listening).await;
    let mut polls = 0;
    loop {
        // In this order: with no reply outstanding, no command runs any more that could add to the log.
        let sending =
            ask_all(shard, Shard::has_replies_to_send).await.into_iter().any(|sending| sending);
        let clean = ask_all(shard, Shard::sync_log).await.into_iter().all(|clean| clean);
        let writable = shard.borrow().commit.check_writable(false, &shared.saving).is_ok();
        if clean && (!sending || polls > POLLS_MAX) {
            break;
        }
        if !writable && polls > POLLS_MAX {
            tracing::error!(
                "the log cannot be made durable; nothing was acknowledged that is not as durable as appendfsync promises"
            );
            break;
        }
        polls += 1;
        sleep(POLL).await;
    }
    log_switch::close(shard, true).await;
    shared.stopping.store(true, Ordering::Release);
    (0..shared.slots.shards()).for_each(|index| shared.peers.wake(index));
    signal::stop_waiting();
    Ok(())
}
