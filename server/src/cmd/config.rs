//! CONFIG GET, SET, REWRITE, RESETSTAT.

use std::sync::Arc;

use ringstone_engine::cmd::{Arg, ArgKind, Flags, Group, Spec};
use ringstone_engine::glob;
use ringstone_engine::{Args, Error, Reply, Tree};

use super::{Host, HostCommand, Outcome};
use crate::ask::ask_all;
use crate::config::Config;
use crate::encryption;
use crate::log_switch;
use crate::shard::{Shard, ShardRef};

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&CONFIG];

const SUB: Spec = Spec {
    flags: Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE),
    group: Group::Server,
    since: "2.0.0",
    ..Spec::DEFAULT
};

static CONFIG: HostCommand = HostCommand {
    spec: Spec {
        name: "config",
        arity: -2,
        group: Group::Server,
        since: "2.0.0",
        complexity: "Depends on subcommand.",
        summary: "A container for commands about parameters.",
        ..Spec::DEFAULT
    },
    run: super::container,
    subs: &[&GET, &SET, &REWRITE, &RESETSTAT, &HELP],
};

static GET: HostCommand = HostCommand {
    spec: Spec {
        name: "config|get",
        arity: -3,
        complexity: "O(N) when N is the number of configuration parameters provided",
        summary: "Tells the values of parameters.",
        history: &[("7.0.0", "Added the ability to pass multiple pattern parameters in one call")],
        args: &[Arg {
            multiple: true,
            ..Arg::block("parameter", &[Arg::new("parameter", ArgKind::String)])
        }],
        ..SUB
    },
    run: |host, args| {
        let patterns: Vec<&[u8]> = args.iter_from(2).collect();
        let found = host
            .shard
            .shared
            .with_config(|store| store.get(&patterns, glob::matches_ignoring_case));
        let mut reply = host.reply();
        reply.map(found.len());
        for (name, value) in found {
            reply.bulk(&name);
            reply.bulk(&value);
        }
        Ok(Outcome::Done)
    },
    subs: &[],
};

static SET: HostCommand = HostCommand {
    spec: Spec {
        name: "config|set",
        arity: -4,
        complexity: "O(N) when N is the number of configuration parameters provided",
        summary: "Sets parameters, all or none.",
        history: &[("7.0.0", "Added the ability to set multiple parameters in one call.")],
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        args: &[Arg {
            multiple: true,
            ..Arg::block(
                "parameter_value",
                &[Arg::new("parameter", ArgKind::String), Arg::new("value", ArgKind::String)],
            )
        }],
        ..SUB
    },
    run: set,
    subs: &[],
};

fn set(host: &mut Host<'_>, args: Args<'_>) -> Result<Outcome, Error> {
    let words: Vec<&[u8]> = args.iter_from(2).collect();
    let local = host.conn.is_local();
    let shared = host.shard.shared.clone();
    // Named is enough: a switch that another client began is waited for.
    let names = |wanted: &[u8]| words.iter().step_by(2).any(|n| n.eq_ignore_ascii_case(wanted));
    let names_log = names(b"appendonly");
    let names_keys = names(b"encryption-key-file");
    let (config, change) = shared
        .with_config(|store| {
            let change = store.set(&words, local)?;
            if change.touches("dir")
                && let Err(e) = std::fs::metadata(&store.config().dir)
            {
                return Err(store.roll_back(&change, "dir", &e.to_string()));
            }
            Ok((store.config().clone(), change))
        })
        .map_err(|e| Error::owned(e.to_string()))?;
    if let Some(log) = shared.log() {
        log.set_level(config.loglevel);
    }
    host.later(move |shard| async move {
        let (logs, new_password) = (config.appendonly, change.touches("requirepass"));
        let listens_elsewhere = change.touches("bind") || change.touches("port");
        let limits_clients = change.touches("maxmemory-clients") || change.touches("maxmemory");
        if listens_elsewhere && let Err(reason) = listen_anew(&shard).await {
            tracing::error!("{reason}");
            let (param, why) = if change.touches("port") {
                ("port", "Unable to listen on this port. Check server logs.")
            } else {
                ("bind", "Failed to bind to specified addresses.")
            };
            let error = shared.with_config(|store| store.roll_back(&change, param, why));
            return Tree::Error(Error::owned(error.to_string()));
        }
        if names_keys && let Err(reason) = encryption::reload(&shard, config.clone()).await {
            tracing::error!("the keys are not changed: {reason}");
            let param = "encryption-key-file";
            let error = shared.with_config(|store| store.roll_back(&change, param, &reason));
            return Tree::Error(Error::owned(error.to_string()));
        }
        apply_everywhere(&shard, config, new_password).await;
        if names_log && let Err(reason) = log_switch::switch(&shard, logs).await {
            tracing::error!("the log cannot be switched on: {reason}");
            let (error, config) = shared.with_config(|store| {
                let why = "Unable to turn on AOF. Check server logs.";
                (store.roll_back(&change, "appendonly", why), store.config().clone())
            });
            if listens_elsewhere && let Err(reason) = listen_anew(&shard).await {
                tracing::error!(
                    "what was listened on before cannot be listened on again: {reason}"
                );
            }
            apply_everywhere(&shard, config, new_password).await;
            return Tree::Error(Error::owned(error.to_string()));
        }
        if limits_clients {
            // Whoever has to go is gone when this is answered.
            crate::room::clients::evict(&shard).await;
        }
        Tree::Simple("OK".into())
    })
}

/// Listens where the parameters say now.
async fn listen_anew(shard: &ShardRef) -> Result<(), String> {
    let shared = shard.borrow().shared.clone();
    let changed = crate::snapshot::on_helper(shard, move || crate::listen::change(&shared)).await;
    changed.unwrap_or_else(|| Err("the helper is gone".to_owned()))?;
    // Whoever answers has taken over what was posted before.
    ask_all(shard, |_| ()).await;
    Ok(())
}

async fn apply_everywhere(shard: &ShardRef, config: Config, new_password: bool) {
    if new_password {
        let shared = shard.borrow().shared.clone();
        shared.change_users(|users| users.set_default_password(config.requirepass.get()));
    }
    let config = Arc::new(config);
    ask_all(shard, move |there| {
        there.apply_config(&config);
        if new_password {
            there.take_over_users(NOBODY);
        }
    })
    .await;
}

/// No client has this number.
const NOBODY: u64 = 0;

impl Shard {
    /// Takes over new values.
    pub(crate) fn apply_config(&mut self, config: &Arc<Config>) {
        let before = std::mem::replace(&mut self.config, config.clone());
        self.configure_archive(&before);
        self.measure.configure(config);
        self.keyspace.limits = crate::limits::encoding(config, self.keyspace.limits);
        self.keyspace.events.set_wanted(config.notify_keyspace_events);
        self.limit_tracked();
        self.limit_clients(config);
        self.keyspace.set_access_policy(crate::room::access_policy(config));
        self.measure_memory();
        self.make_room();
        let shards = self.shards();
        self.close_batch();
        self.commit.set_mode(crate::boot::sync_mode(config.appendfsync), shards);
        self.prepare_segments();
    }
}

static REWRITE: HostCommand = HostCommand {
    spec: Spec {
        name: "config|rewrite",
        arity: 2,
        since: "2.8.0",
        summary: "Writes the values in force to the configuration file.",
        ..SUB
    },
    run: |host, _| {
        let shared = host.shard.shared.clone();
        host.later(|shard| async move {
            let result = crate::snapshot::on_helper(&shard, move || {
                shared.with_config(|store| {
                    let users = crate::users_file::in_force(store.config(), &shared.users());
                    store.rewrite(&users).map_err(|e| e.to_string())
                })
            })
            .await;
            match result {
                Some(Ok(())) => Tree::Simple("OK".into()),
                Some(Err(reason)) => Tree::Error(Error::owned(reason)),
                None => Tree::Error(Error::text("ERR the helper is gone")),
            }
        })
    },
    subs: &[],
};

static RESETSTAT: HostCommand = HostCommand {
    spec: Spec {
        name: "config|resetstat",
        arity: 2,
        summary: "Sets counters back to zero.",
        ..SUB
    },
    run: |host, _| {
        host.later(|shard| async move {
            ask_all(&shard, |there| {
                there.stats = crate::stats::Stats::default();
                there.measure.reset();
                there.keyspace.stats = ringstone_engine::keyspace::Stats::default();
                there.keyspace.reset_lazyfreed_objects();
            })
            .await;
            Tree::Simple("OK".into())
        })
    },
    subs: &[],
};

static HELP: HostCommand = HostCommand {
    spec: Spec {
        name: "config|help",
        arity: 2,
        flags: Flags::LOADING.union(Flags::STALE),
        since: "5.0.0",
        summary: "Lists the subcommands.",
        ..SUB
    },
    run: |host, _| {
        super::help(
            host,
            "CONFIG",
            &[
                "GET <pattern>",
                "    Return parameters matching the glob-like <pattern> and their values.",
                "SET <directive> <value>",
                "    Set the configuration <directive> to <value>.",
                "RESETSTAT",
                "    Reset statistics reported by the INFO command.",
                "REWRITE",
                "    Rewrite the configuration file.",
            ],
        )
    },
    subs: &[],
};
