//! SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE, TIME.

use std::sync::atomic::Ordering;

use ringstone_engine::cmd::{Arg, Flags, Group, Spec};
use ringstone_engine::{Error, Reply, Tree};

use super::{HostCommand, Outcome};
use crate::snapshot::{Target, save};

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&BGREWRITEAOF, &BGSAVE, &LASTSAVE, &SAVE, &TIME];

const ADMIN: Flags = Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::NO_ASYNC_LOADING);

static SAVE: HostCommand = HostCommand {
    spec: Spec {
        name: "save",
        arity: 1,
        flags: ADMIN.union(Flags::NO_MULTI),
        group: Group::Server,
        complexity: "O(N) where N is the total number of keys in all databases",
        summary: "Writes a snapshot, and answers when it is on disk. Other clients are served meanwhile.",
        ..Spec::DEFAULT
    },
    run: |host, _| {
        if host.shard.shared.saving.is_busy() {
            return Err(Error::text("ERR Background save already in progress"));
        }
        host.later(|shard| async move {
            match save(&shard, Target::Dump).await {
                Ok(()) => Tree::Simple("OK".into()),
                Err(reason) => Tree::Error(Error::owned(format!("ERR {reason}"))),
            }
        })
    },
    subs: &[],
};

static BGSAVE: HostCommand = HostCommand {
    spec: Spec {
        name: "bgsave",
        arity: -1,
        flags: ADMIN,
        group: Group::Server,
        summary: "Writes a snapshot in the background.",
        history: &[("3.2.2", "Added the `SCHEDULE` option.")],
        args: &[Arg::word("schedule", "SCHEDULE").optional().since("3.2.2")],
        ..Spec::DEFAULT
    },
    run: |host, args| {
        let schedule = match args.len() {
            1 => false,
            2 if args.is(1, "SCHEDULE") => true,
            _ => return Err(Error::Syntax),
        };
        let saving = &host.shard.shared.saving;
        if saving.saving.load(Ordering::Acquire) {
            return Err(Error::text("ERR Background save already in progress"));
        }
        if saving.rewriting.load(Ordering::Acquire) {
            if !schedule {
                return Err(Error::text(
                    "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to \
                     schedule a BGSAVE whenever possible.",
                ));
            }
            saving.save_scheduled.store(true, Ordering::Release);
            host.reply().simple("Background saving scheduled");
            return Ok(Outcome::Done);
        }
        host.shard.spawn_save(Target::Dump);
        host.reply().simple("Background saving started");
        Ok(Outcome::Done)
    },
    subs: &[],
};

static BGREWRITEAOF: HostCommand = HostCommand {
    spec: Spec {
        name: "bgrewriteaof",
        arity: 1,
        flags: ADMIN,
        group: Group::Server,
        summary: "Replaces the log by a new base in the background. While the log is off, its directory gets the data of this moment.",
        ..Spec::DEFAULT
    },
    run: |host, _| {
        let saving = &host.shard.shared.saving;
        if saving.rewriting.load(Ordering::Acquire) {
            return Err(Error::text(
                "ERR Background append only file rewriting already in progress",
            ));
        }
        if saving.saving.load(Ordering::Acquire) {
            saving.rewrite_scheduled.store(true, Ordering::Release);
            host.reply().simple("Background append only file rewriting scheduled");
            return Ok(Outcome::Done);
        }
        host.shard.spawn_rewrite();
        host.reply().simple("Background append only file rewriting started");
        Ok(Outcome::Done)
    },
    subs: &[],
};

static LASTSAVE: HostCommand = HostCommand {
    spec: Spec {
        name: "lastsave",
        arity: 1,
        flags: Flags::LOADING.union(Flags::STALE).union(Flags::FAST),
        acl: ringstone_engine::cmd::Acl::DANGEROUS.union(ringstone_engine::cmd::Acl::ADMIN),
        group: Group::Server,
        summary: "Tells when the last snapshot was written, in seconds since 1970.",
        tips: &["nondeterministic_output"],
        ..Spec::DEFAULT
    },
    run: |host, _| {
        let at = host.shard.shared.saving.last_save_s.load(Ordering::Relaxed);
        host.reply().int(at);
        Ok(Outcome::Done)
    },
    subs: &[],
};

static TIME: HostCommand = HostCommand {
    spec: Spec {
        name: "time",
        arity: 1,
        flags: Flags::LOADING.union(Flags::STALE).union(Flags::FAST),
        group: Group::Server,
        since: "2.6.0",
        summary: "Tells the server's time: seconds since 1970, and microseconds of the second.",
        tips: &["nondeterministic_output"],
        ..Spec::DEFAULT
    },
    run: |host, _| {
        let now = crate::rt::clock::unix_us();
        let mut reply = host.reply();
        reply.array(2);
        reply.bulk((now / 1_000_000).to_string().as_bytes());
        reply.bulk((now % 1_000_000).to_string().as_bytes());
        Ok(Outcome::Done)
    },
    subs: &[],
};
