//! INFO's sections with counters: stats, commandstats, errorstats, latencystats, keyspace.

use std::fmt::Write;

use super::About;
use crate::pubsub::Kind;
use crate::table::Table;

pub(super) fn stats(out: &mut String, about: &About<'_>) {
    let (all, shared) = (about.all, about.shared);
    let subscribed = |kind| shared.subscriptions.len(kind);
    let stats = &all.stats;
    line!(out, "# Stats");
    line!(out, "total_connections_received:{}", stats.connections);
    line!(out, "total_commands_processed:{}", stats.commands);
    let [commands, received, sent] = all.rates;
    line!(out, "instantaneous_ops_per_sec:{commands}");
    line!(out, "total_net_input_bytes:{}", stats.input_bytes);
    line!(out, "total_net_output_bytes:{}", stats.output_bytes);
    line!(out, "total_net_repl_input_bytes:0");
    line!(out, "total_net_repl_output_bytes:0");
    line!(out, "instantaneous_input_kbps:{:.2}", received as f64 / 1024.0);
    line!(out, "instantaneous_output_kbps:{:.2}", sent as f64 / 1024.0);
    line!(out, "instantaneous_input_repl_kbps:0.00");
    line!(out, "instantaneous_output_repl_kbps:0.00");
    line!(out, "rejected_connections:{}", stats.rejected);
    let syncs = all.replication.as_ref().map(|facts| facts.counters).unwrap_or_default();
    line!(out, "sync_full:{}", syncs.full);
    line!(out, "sync_partial_ok:{}", syncs.partial);
    line!(out, "sync_partial_err:{}", syncs.partial_refused);
    line!(out, "expired_keys:{}", all.expired);
    let stale = all.stale * 100.0 / shared.slots.shards().max(1) as f64;
    line!(out, "expired_stale_perc:{stale:.2}");
    line!(out, "expired_time_cap_reached_count:{}", stats.expire_stops);
    line!(out, "expire_cycle_cpu_milliseconds:{}", stats.expire_ns / 1_000_000);
    line!(out, "evicted_keys:{}", all.evicted);
    line!(out, "evicted_clients:{}", all.stats.evicted_clients);
    line!(out, "keyspace_hits:{}", all.hits);
    line!(out, "keyspace_misses:{}", all.misses);
    line!(out, "pubsub_channels:{}", subscribed(Kind::Channel));
    line!(out, "pubsub_patterns:{}", subscribed(Kind::Pattern));
    line!(out, "pubsubshard_channels:{}", subscribed(Kind::ShardChannel));
    line!(out, "latest_fork_usec:0");
    line!(out, "total_forks:0");
    line!(out, "migrate_cached_sockets:0");
    line!(out, "slave_expires_tracked_keys:0");
    line!(out, "tracking_total_keys:{}", all.tracking.1);
    line!(out, "tracking_total_items:{}", all.tracking.2);
    line!(out, "tracking_total_prefixes:{}", all.tracking_prefixes);
    line!(out, "unexpected_error_replies:0");
    line!(out, "total_error_replies:{}", stats.errors);
    line!(out, "total_reads_processed:{}", stats.reads);
    line!(out, "total_writes_processed:{}", stats.writes);
    line!(out, "io_threaded_reads_processed:0");
    line!(out, "io_threaded_writes_processed:0");
    line!(out, "client_query_buffer_limit_disconnections:{}", stats.query_limit_disconnections);
    line!(out, "client_output_buffer_limit_disconnections:{}", stats.output_limit_disconnections);
    line!(out, "acl_access_denied_auth:{}", stats.acl_denied.logins);
    line!(out, "acl_access_denied_cmd:{}", stats.acl_denied.commands);
    line!(out, "acl_access_denied_key:{}", stats.acl_denied.keys);
    line!(out, "acl_access_denied_channel:{}", stats.acl_denied.channels);
    line!(out, "shard_hops:{}", stats.hops);
    line!(out, "shard_transactions:{}", stats.transactions);
}

pub(super) fn keyspace(out: &mut String, about: &About<'_>) {
    line!(out, "# Keyspace");
    for (index, db) in about.all.dbs.iter().enumerate().filter(|(_, db)| db.keys > 0) {
        let (keys, expires, ttl_ms) = (db.keys, db.expires, db.average_ttl_ms());
        line!(out, "db{index}:keys={keys},expires={expires},avg_ttl={ttl_ms}");
    }
}

pub(super) fn commandstats(out: &mut String, about: &About<'_>) {
    line!(out, "# Commandstats");
    for entry in Table::get().entries() {
        let Some(cell) = about.all.calls.of(entry).filter(|cell| !cell.is_empty()) else {
            continue;
        };
        line!(
            out,
            "cmdstat_{}:calls={},usec={},usec_per_call={:.2},rejected_calls={},failed_calls={}",
            entry.spec.name,
            cell.calls,
            cell.ns / 1000,
            cell.usec_per_call(),
            cell.rejected,
            cell.failed
        );
    }
}

pub(super) fn errorstats(out: &mut String, about: &About<'_>) {
    line!(out, "# Errorstats");
    for (code, count) in about.all.errors.sorted() {
        line!(out, "errorstat_{}:count={count}", safe_name(code));
    }
}

/// A code without the characters that mean something in INFO's lines.
fn safe_name(code: &str) -> String {
    code.chars().map(|c| if matches!(c, '#' | ':' | '\n' | '\r') { '_' } else { c }).collect()
}

pub(super) fn latencystats(out: &mut String, about: &About<'_>) {
    line!(out, "# Latencystats");
    for entry in Table::get().entries() {
        let cell = about.all.calls.of(entry);
        let Some(latency) = cell.and_then(|cell| cell.latency.as_deref()) else { continue };
        let percentiles = about.config.latency_tracking_info_percentiles.0.iter();
        let values: Vec<String> = percentiles
            .map(|p| format!("p{p}={:.3}", latency.value_at_percentile(*p) as f64 / 1000.0))
            .collect();
        line!(out, "latency_percentiles_usec_{}:{}", entry.spec.name, values.join(","));
    }
}
