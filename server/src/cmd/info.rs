//! INFO: facts of all shards, in Redis's sections and under Redis's names.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use ringstone_engine::Tree;
use ringstone_engine::cmd::{Acl, Arg, ArgKind, Flags, Group, Spec};
use ringstone_engine::keyspace::Mode;
use ringstone_persist::log::Health;

use super::HostCommand;
use crate::ask::ask_all;
use crate::config::Config;
use crate::pubsub::Kind;
use crate::rt::clock;
use crate::shard::Shard;
use crate::shared::Shared;
use crate::stats::Stats;

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&INFO];

static INFO: HostCommand = HostCommand {
    spec: Spec {
        name: "info",
        arity: -1,
        flags: Flags::LOADING.union(Flags::STALE),
        acl: Acl::DANGEROUS,
        group: Group::Server,
        summary: "Tells how the server is doing.",
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        args: &[Arg::new("section", ArgKind::String).optional().multiple()],
        ..Spec::DEFAULT
    },
    run: |host, args| {
        let wanted: Vec<String> = args
            .iter_from(1)
            .map(|word| String::from_utf8_lossy(word).to_ascii_lowercase())
            .collect();
        let (shared, config) = (host.shard.shared.clone(), host.shard.config.clone());
        host.later(move |shard| async move {
            let facts = ask_all(&shard, Shard::facts).await;
            let all = Facts::sum(facts);
            let mut out = String::new();
            for (name, section) in SECTIONS {
                if takes(&wanted, name) {
                    if !out.is_empty() {
                        out.push_str("\r\n");
                    }
                    section(&mut out, &all, &shared, &config);
                }
            }
            Tree::Verbatim("txt".into(), out.into_bytes())
        })
    },
    subs: &[],
};

type Section = fn(&mut String, &Facts, &Shared, &Config);

const SECTIONS: &[(&str, Section)] = &[
    ("server", server),
    ("clients", clients),
    ("memory", memory),
    ("persistence", persistence),
    ("stats", stats),
    ("replication", replication),
    ("cpu", cpu),
    ("modules", modules),
    ("cluster", cluster),
    ("keyspace", keyspace),
];

fn takes(wanted: &[String], name: &str) -> bool {
    wanted.is_empty()
        || wanted
            .iter()
            .any(|word| word == name || matches!(word.as_str(), "all" | "default" | "everything"))
}

/// What one shard, or all of them, has to tell.
#[derive(Clone, Debug, Default)]
struct Facts {
    stats: Stats,
    clients: usize,
    blocked: usize,
    hits: u64,
    misses: u64,
    expired: u64,
    lazyfree_pending: usize,
    lazyfreed: u64,
    snapshot_entries: u64,
    /// Keys and keys with expiry, per database.
    dbs: Vec<(usize, usize)>,
    log_error: Option<String>,
    log_pending_bytes: usize,
    unhealthy: bool,
}

impl Facts {
    fn sum(parts: Vec<Facts>) -> Facts {
        let mut all = Facts::default();
        for part in parts {
            all.stats.add(&part.stats);
            all.clients += part.clients;
            all.blocked += part.blocked;
            all.hits += part.hits;
            all.misses += part.misses;
            all.expired += part.expired;
            all.lazyfree_pending += part.lazyfree_pending;
            all.lazyfreed += part.lazyfreed;
            all.snapshot_entries += part.snapshot_entries;
            all.log_pending_bytes += part.log_pending_bytes;
            all.unhealthy |= part.unhealthy;
            all.log_error = all.log_error.or(part.log_error);
            all.dbs.resize(all.dbs.len().max(part.dbs.len()), (0, 0));
            for (sum, db) in all.dbs.iter_mut().zip(&part.dbs) {
                *sum = (sum.0 + db.0, sum.1 + db.1);
            }
        }
        all
    }
}

impl Shard {
    fn facts(&mut self) -> Facts {
        let (health, log_error, log_pending_bytes) = self.commit.health();
        let now_ms = self.now_ms;
        let dbs = (0..self.keyspace.databases())
            .map(|index| {
                let db = self.keyspace.db(index, now_ms, Mode::Replay);
                (db.len(), db.expires_len())
            })
            .collect();
        Facts {
            stats: self.stats,
            clients: self.conns.len(),
            blocked: self.pause.waiting(),
            hits: self.keyspace.stats.hits,
            misses: self.keyspace.stats.misses,
            expired: self.keyspace.stats.expired,
            lazyfree_pending: self.keyspace.lazyfree_pending_objects(),
            lazyfreed: self.keyspace.lazyfreed_objects(),
            snapshot_entries: self.snapshot.as_ref().map_or(0, |progress| progress.entries),
            dbs,
            log_error,
            log_pending_bytes,
            unhealthy: health != Health::Ok,
        }
    }
}

/// Adds a line; writing to a String cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => {{ let _ = write!($out, $($arg)*); $out.push_str("\r\n"); }};
}

fn server(out: &mut String, _: &Facts, shared: &Shared, config: &Config) {
    let now_us = clock::unix_us();
    let uptime_s = (now_us / 1000 - shared.started_ms) / 1000;
    line!(out, "# Server");
    line!(out, "redis_version:{}", crate::REDIS_VERSION);
    line!(out, "ringstone_version:{}", env!("CARGO_PKG_VERSION"));
    line!(out, "redis_git_sha1:00000000");
    line!(out, "redis_git_dirty:0");
    line!(out, "redis_mode:standalone");
    line!(out, "os:Linux {} {}", kernel(), std::env::consts::ARCH);
    line!(out, "arch_bits:64");
    line!(out, "multiplexing_api:io_uring");
    line!(out, "process_id:{}", std::process::id());
    line!(out, "process_supervised:no");
    line!(out, "run_id:{}", shared.run_id);
    line!(out, "tcp_port:{}", config.port);
    line!(out, "server_time_usec:{now_us}");
    line!(out, "uptime_in_seconds:{uptime_s}");
    line!(out, "uptime_in_days:{}", uptime_s / 86400);
    line!(out, "hz:{}", config.hz);
    line!(out, "configured_hz:{}", config.hz);
    line!(out, "lru_clock:{}", (now_us / 1_000_000) & 0xff_ffff);
    line!(out, "executable:{}", std::env::current_exe().unwrap_or_default().display());
    let file = shared.with_config(|store| store.file().map(|path| path.display().to_string()));
    line!(out, "config_file:{}", file.unwrap_or_default());
    line!(out, "io_threads_active:0");
    line!(out, "shards:{}", shared.slots.shards());
}

fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

fn clients(out: &mut String, all: &Facts, _: &Shared, config: &Config) {
    line!(out, "# Clients");
    line!(out, "connected_clients:{}", all.clients);
    line!(out, "cluster_connections:0");
    line!(out, "maxclients:{}", config.maxclients);
    line!(out, "client_recent_max_input_buffer:{}", all.stats.input_buffer_max);
    line!(out, "client_recent_max_output_buffer:{}", all.stats.output_buffer_max);
    line!(out, "blocked_clients:{}", all.blocked);
    line!(out, "tracking_clients:0");
    line!(out, "clients_in_timeout_table:0");
}

fn human(bytes: usize) -> String {
    const UNITS: &[(f64, &str)] =
        &[(1_099_511_627_776.0, "T"), (1_073_741_824.0, "G"), (1_048_576.0, "M"), (1024.0, "K")];
    let value = bytes as f64;
    let unit = UNITS.iter().find(|(size, _)| value >= *size);
    unit.map_or_else(|| format!("{bytes}B"), |(size, name)| format!("{:.2}{name}", value / size))
}

fn memory(out: &mut String, _: &Facts, shared: &Shared, config: &Config) {
    let usage = crate::memory::usage();
    let rss = crate::memory::rss_bytes();
    let peak = shared.memory_peak(usage.allocated);
    let startup = shared.memory_at_start();
    let dataset = usage.allocated.saturating_sub(startup);
    let total = total_memory();
    line!(out, "# Memory");
    line!(out, "used_memory:{}", usage.allocated);
    line!(out, "used_memory_human:{}", human(usage.allocated));
    line!(out, "used_memory_rss:{rss}");
    line!(out, "used_memory_rss_human:{}", human(rss));
    line!(out, "used_memory_peak:{peak}");
    line!(out, "used_memory_peak_human:{}", human(peak));
    line!(out, "used_memory_peak_perc:{:.2}%", usage.allocated as f64 * 100.0 / peak.max(1) as f64);
    line!(out, "used_memory_overhead:{startup}");
    line!(out, "used_memory_startup:{startup}");
    line!(out, "used_memory_dataset:{dataset}");
    line!(
        out,
        "used_memory_dataset_perc:{:.2}%",
        dataset as f64 * 100.0 / usage.allocated.max(1) as f64
    );
    line!(out, "allocator_allocated:{}", usage.allocated);
    line!(out, "allocator_active:{}", usage.active);
    line!(out, "allocator_resident:{}", usage.resident);
    line!(out, "total_system_memory:{total}");
    line!(out, "total_system_memory_human:{}", human(total));
    line!(out, "maxmemory:0");
    line!(out, "maxmemory_human:0B");
    line!(out, "maxmemory_policy:noeviction");
    line!(out, "allocator_frag_ratio:{:.2}", usage.active as f64 / usage.allocated.max(1) as f64);
    line!(out, "allocator_frag_bytes:{}", usage.active.saturating_sub(usage.allocated));
    line!(out, "allocator_rss_ratio:{:.2}", usage.resident as f64 / usage.active.max(1) as f64);
    line!(out, "allocator_rss_bytes:{}", usage.resident.saturating_sub(usage.active));
    line!(out, "rss_overhead_ratio:{:.2}", rss as f64 / usage.resident.max(1) as f64);
    line!(out, "rss_overhead_bytes:{}", rss.saturating_sub(usage.resident));
    line!(out, "mem_fragmentation_ratio:{:.2}", rss as f64 / usage.allocated.max(1) as f64);
    line!(out, "mem_fragmentation_bytes:{}", rss.saturating_sub(usage.allocated));
    line!(out, "mem_allocator:jemalloc-5.3.1");
    let _ = config;
}

fn total_memory() -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<usize>().ok()
    });
    kib.unwrap_or(0) * 1024
}

fn persistence(out: &mut String, all: &Facts, shared: &Shared, config: &Config) {
    let saving = &shared.saving;
    let now_s = clock::unix_ms() / 1000;
    let get = |value: &std::sync::atomic::AtomicI64| value.load(Ordering::Relaxed);
    let status = |failed: &std::sync::atomic::AtomicBool| {
        if failed.load(Ordering::Relaxed) { "err" } else { "ok" }
    };
    let (is_saving, is_rewriting) =
        (saving.saving.load(Ordering::Relaxed), saving.rewriting.load(Ordering::Relaxed));
    let current = |busy: bool| if busy { now_s - get(&saving.began_ms) / 1000 } else { -1 };
    let keys: usize = all.dbs.iter().map(|db| db.0).sum();
    let busy = is_saving || is_rewriting;
    line!(out, "# Persistence");
    line!(out, "loading:0");
    line!(out, "async_loading:0");
    line!(out, "current_cow_peak:0");
    line!(out, "current_cow_size:0");
    line!(out, "current_cow_size_age:0");
    let done = if busy { all.snapshot_entries } else { 0 };
    line!(
        out,
        "current_fork_perc:{:.2}",
        if busy { done as f64 * 100.0 / keys.max(1) as f64 } else { 0.0 }
    );
    line!(out, "current_save_keys_processed:{done}");
    line!(out, "current_save_keys_total:{}", if busy { keys } else { 0 });
    line!(out, "rdb_changes_since_last_save:{}", get(&saving.changes).max(0));
    line!(out, "rdb_bgsave_in_progress:{}", u8::from(is_saving));
    line!(out, "rdb_last_save_time:{}", get(&saving.last_save_s));
    line!(out, "rdb_last_bgsave_status:{}", status(&saving.last_failed));
    line!(out, "rdb_last_bgsave_time_sec:{}", get(&saving.last_seconds));
    line!(out, "rdb_current_bgsave_time_sec:{}", current(is_saving));
    line!(out, "rdb_saves:{}", saving.saves.load(Ordering::Relaxed));
    line!(out, "rdb_last_cow_size:0");
    line!(out, "rdb_last_load_keys_expired:{}", saving.loaded_expired.load(Ordering::Relaxed));
    line!(out, "rdb_last_load_keys_loaded:{}", saving.loaded.load(Ordering::Relaxed));
    line!(out, "aof_enabled:{}", u8::from(config.appendonly));
    line!(out, "aof_rewrite_in_progress:{}", u8::from(is_rewriting));
    line!(
        out,
        "aof_rewrite_scheduled:{}",
        u8::from(saving.rewrite_scheduled.load(Ordering::Relaxed))
    );
    line!(out, "aof_last_rewrite_time_sec:{}", get(&saving.last_rewrite_seconds));
    line!(out, "aof_current_rewrite_time_sec:{}", current(is_rewriting));
    line!(out, "aof_last_bgrewrite_status:{}", status(&saving.last_rewrite_failed));
    line!(out, "aof_rewrites:{}", saving.rewrites.load(Ordering::Relaxed));
    line!(
        out,
        "aof_rewrites_consecutive_failures:{}",
        u8::from(saving.last_rewrite_failed.load(Ordering::Relaxed))
    );
    line!(out, "aof_last_write_status:{}", if all.unhealthy { "err" } else { "ok" });
    line!(out, "aof_last_cow_size:0");
    line!(out, "module_fork_in_progress:0");
    line!(out, "module_fork_last_cow_size:0");
    if config.appendonly {
        let (base, log) =
            (saving.base_bytes.load(Ordering::Relaxed), saving.log_bytes.load(Ordering::Relaxed));
        line!(out, "aof_current_size:{}", base + log);
        line!(out, "aof_base_size:{base}");
        line!(out, "aof_pending_rewrite:0");
        line!(out, "aof_buffer_length:{}", all.log_pending_bytes);
        line!(out, "aof_pending_bio_fsync:0");
        line!(out, "aof_delayed_fsync:0");
        line!(out, "log_gsn:{}", shared.watermarks.next_gsn().saturating_sub(1));
        line!(out, "log_durable_gsn:{}", shared.watermarks.synced());
        line!(out, "log_last_error:{}", all.log_error.as_deref().unwrap_or(""));
    }
}

fn stats(out: &mut String, all: &Facts, shared: &Shared, _: &Config) {
    let subscribed = |kind| shared.subscriptions.len(kind);
    let stats = &all.stats;
    line!(out, "# Stats");
    line!(out, "total_connections_received:{}", stats.connections);
    line!(out, "total_commands_processed:{}", stats.commands);
    line!(out, "instantaneous_ops_per_sec:{}", stats.commands_per_s);
    line!(out, "total_net_input_bytes:{}", stats.input_bytes);
    line!(out, "total_net_output_bytes:{}", stats.output_bytes);
    line!(out, "total_net_repl_input_bytes:0");
    line!(out, "total_net_repl_output_bytes:0");
    line!(out, "rejected_connections:{}", stats.rejected);
    line!(out, "sync_full:0");
    line!(out, "sync_partial_ok:0");
    line!(out, "sync_partial_err:0");
    line!(out, "expired_keys:{}", all.expired);
    line!(out, "evicted_keys:0");
    line!(out, "evicted_clients:0");
    line!(out, "keyspace_hits:{}", all.hits);
    line!(out, "keyspace_misses:{}", all.misses);
    line!(out, "pubsub_channels:{}", subscribed(Kind::Channel));
    line!(out, "pubsub_patterns:{}", subscribed(Kind::Pattern));
    line!(out, "pubsubshard_channels:{}", subscribed(Kind::ShardChannel));
    line!(out, "latest_fork_usec:0");
    line!(out, "total_forks:0");
    line!(out, "migrate_cached_sockets:0");
    line!(out, "slave_expires_tracked_keys:0");
    line!(out, "total_error_replies:{}", stats.errors);
    line!(out, "client_query_buffer_limit_disconnections:{}", stats.query_limit_disconnections);
    line!(out, "client_output_buffer_limit_disconnections:{}", stats.output_limit_disconnections);
    line!(out, "lazyfree_pending_objects:{}", all.lazyfree_pending);
    line!(out, "lazyfreed_objects:{}", all.lazyfreed);
    line!(out, "shard_hops:{}", stats.hops);
    line!(out, "shard_transactions:{}", stats.transactions);
}

fn replication(out: &mut String, _: &Facts, shared: &Shared, _: &Config) {
    line!(out, "# Replication");
    line!(out, "role:master");
    line!(out, "connected_slaves:0");
    line!(out, "master_failover_state:no-failover");
    line!(out, "master_replid:{}", shared.run_id);
    line!(out, "master_replid2:0000000000000000000000000000000000000000");
    line!(out, "master_repl_offset:0");
    line!(out, "second_repl_offset:-1");
    line!(out, "repl_backlog_active:0");
    line!(out, "repl_backlog_size:1048576");
    line!(out, "repl_backlog_first_byte_offset:0");
    line!(out, "repl_backlog_histlen:0");
}

fn cpu(out: &mut String, _: &Facts, _: &Shared, _: &Config) {
    let (user, system) = clock::cpu_seconds(false);
    let (user_children, system_children) = clock::cpu_seconds(true);
    line!(out, "# CPU");
    line!(out, "used_cpu_sys:{system:.6}");
    line!(out, "used_cpu_user:{user:.6}");
    line!(out, "used_cpu_sys_children:{system_children:.6}");
    line!(out, "used_cpu_user_children:{user_children:.6}");
}

fn modules(out: &mut String, _: &Facts, _: &Shared, _: &Config) {
    line!(out, "# Modules");
}

fn cluster(out: &mut String, _: &Facts, _: &Shared, _: &Config) {
    line!(out, "# Cluster");
    line!(out, "cluster_enabled:0");
}

fn keyspace(out: &mut String, all: &Facts, _: &Shared, _: &Config) {
    line!(out, "# Keyspace");
    for (index, (keys, expires)) in all.dbs.iter().enumerate().filter(|(_, db)| db.0 > 0) {
        line!(out, "db{index}:keys={keys},expires={expires},avg_ttl=0");
    }
}
