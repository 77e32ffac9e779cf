//! INFO's sections about the process: server, clients, replication, cpu, modules, cluster.

use std::fmt::Write;

use ringstone_peer::replication::Stage;

use super::About;
use crate::rt::clock;

pub(super) fn server(out: &mut String, about: &About<'_>) {
    let (shared, config) = (about.shared, about.config);
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
    line!(out, "monotonic_clock:{}", about.all.clock);
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

pub(super) fn clients(out: &mut String, about: &About<'_>) {
    let (all, config) = (about.all, about.config);
    line!(out, "# Clients");
    line!(out, "connected_clients:{}", all.clients);
    line!(out, "cluster_connections:0");
    line!(out, "maxclients:{}", config.maxclients);
    line!(out, "client_recent_max_input_buffer:{}", all.stats.input_buffer_max);
    line!(out, "client_recent_max_output_buffer:{}", all.stats.output_buffer_max);
    line!(out, "blocked_clients:{}", all.blocked);
    line!(out, "tracking_clients:{}", about.all.tracking.0);
    line!(out, "clients_in_timeout_table:{}", all.with_deadline);
}

pub(super) fn replication(out: &mut String, about: &About<'_>) {
    let config = about.config;
    line!(out, "# Replication");
    let Some(facts) = &about.all.replication else { return };
    line!(out, "role:master");
    line!(out, "connected_slaves:{}", facts.replicas.len());
    if config.min_replicas_to_write > 0 && config.min_replicas_max_lag > 0 {
        line!(out, "min_slaves_good_slaves:{}", facts.good);
    }
    for (index, replica) in facts.replicas.iter().enumerate() {
        line!(
            out,
            "slave{index}:ip={},port={},state={},offset={},lag={}",
            replica.ip,
            replica.port,
            replica.stage.name(),
            replica.offset,
            if replica.stage == Stage::Online { replica.lag_s(facts.now_ms) } else { 0 }
        );
    }
    line!(out, "master_failover_state:no-failover");
    line!(out, "master_replid:{}", facts.id);
    line!(out, "master_replid2:0000000000000000000000000000000000000000");
    line!(out, "master_repl_offset:{}", facts.offset);
    line!(out, "second_repl_offset:-1");
    let (first, len, _) = facts.backlog.unwrap_or_default();
    line!(out, "repl_backlog_active:{}", u8::from(facts.backlog.is_some()));
    line!(out, "repl_backlog_size:{}", config.repl_backlog_size);
    line!(out, "repl_backlog_first_byte_offset:{first}");
    line!(out, "repl_backlog_histlen:{len}");
}

pub(super) fn cpu(out: &mut String, about: &About<'_>) {
    let (user, system) = clock::cpu_seconds(false);
    let (user_children, system_children) = clock::cpu_seconds(true);
    line!(out, "# CPU");
    line!(out, "used_cpu_sys:{system:.6}");
    line!(out, "used_cpu_user:{user:.6}");
    line!(out, "used_cpu_sys_children:{system_children:.6}");
    line!(out, "used_cpu_user_children:{user_children:.6}");
    // The threads of the shards are what Redis's main thread is.
    let (user, system) = about.all.cpu;
    line!(out, "used_cpu_sys_main_thread:{system:.6}");
    line!(out, "used_cpu_user_main_thread:{user:.6}");
}

pub(super) fn modules(out: &mut String, _: &About<'_>) {
    line!(out, "# Modules");
}

pub(super) fn cluster(out: &mut String, _: &About<'_>) {
    line!(out, "# Cluster");
    line!(out, "cluster_enabled:0");
}
