//! Parameters that Redis 7.0.15 knows and Ringstone does not act on, each with the reason.
//!
//! A file written for Redis still works: such a line gives a warning at start, unless it asks for what Ringstone does
//! anyway. Where going on without it would leave the server less protected than the operator believes, the server
//! does not start instead.

/// One parameter of Redis.
#[derive(Clone, Copy, Debug)]
pub struct Unsupported {
    /// Its name.
    pub name: &'static str,
    /// The value which says what Ringstone does anyway: no warning then.
    pub fits: Option<&'static str>,
    /// Why it has no effect.
    pub reason: &'static str,
    /// Whether the server refuses to start with it.
    pub refused: bool,
}

/// The parameter of a name, letter case ignored.
pub fn find(name: &[u8]) -> Option<&'static Unsupported> {
    UNSUPPORTED.iter().find(|u| name.eq_ignore_ascii_case(u.name.as_bytes()))
}

const fn warn(name: &'static str, fits: Option<&'static str>, reason: &'static str) -> Unsupported {
    Unsupported { name, fits, reason, refused: false }
}

const fn refuse(
    name: &'static str,
    fits: Option<&'static str>,
    reason: &'static str,
) -> Unsupported {
    Unsupported { name, fits, reason, refused: true }
}

const CLUSTER: &str = "cluster mode is not implemented yet";
const DEFRAG: &str = "active defragmentation is not implemented yet";
const LAZY: &str = "big values are always freed step by step";
const LOG: &str = "Ringstone's log has its own format";
const OS: &str = "the service manager's task; with systemd: OOMScoreAdjust, CPUAffinity, Type=notify, SyslogIdentifier";
const REPLICATION: &str = "Ringstone can be a primary, but no replica yet";
const SNAPSHOT: &str = "Ringstone writes snapshots with direct I/O and never forks";
const THREADS: &str = "every shard has its own thread: see shards and pin-shards";
const TLS: &str = "TLS is not implemented yet";

/// The table.
pub static UNSUPPORTED: &[Unsupported] = &[
    refuse("rename-command", None, "commands cannot be renamed"),
    refuse("loadmodule", None, "modules cannot be loaded"),
    warn("enable-module-command", Some("no"), "modules cannot be loaded"),
    warn("active-defrag-cycle-max", None, DEFRAG),
    warn("active-defrag-cycle-min", None, DEFRAG),
    warn("active-defrag-ignore-bytes", None, DEFRAG),
    warn("active-defrag-max-scan-fields", None, DEFRAG),
    warn("active-defrag-threshold-lower", None, DEFRAG),
    warn("active-defrag-threshold-upper", None, DEFRAG),
    warn("activedefrag", Some("no"), DEFRAG),
    warn(
        "activerehashing",
        None,
        "the key table grows segment by segment and is never rehashed as a whole",
    ),
    warn("always-show-logo", Some("no"), "there is no logo"),
    warn("aof-disable-auto-gc", Some("no"), LOG),
    warn("aof-rewrite-incremental-fsync", Some("yes"), LOG),
    warn("aof-timestamp-enabled", None, LOG),
    warn("aof-use-rdb-preamble", Some("yes"), LOG),
    warn("no-appendfsync-on-rewrite", Some("no"), "a rewrite does not delay the log"),
    warn("aof_rewrite_cpulist", Some(""), SNAPSHOT),
    warn("bgsave_cpulist", Some(""), SNAPSHOT),
    warn("rdb-del-sync-files", Some("no"), REPLICATION),
    warn(
        "rdbchecksum",
        Some("yes"),
        "snapshots always have a checksum, which is checked; a file that Redis wrote without one is loaded as well",
    ),
    warn("rdb-save-incremental-fsync", Some("yes"), SNAPSHOT),
    warn("sanitize-dump-payload", None, "every dump is checked as a whole before it is used"),
    warn("bio_cpulist", Some(""), THREADS),
    warn("server_cpulist", Some(""), THREADS),
    warn("io-threads", None, THREADS),
    warn("io-threads-do-reads", None, THREADS),
    warn("bind-source-addr", Some(""), REPLICATION),
    warn("socket-mark-id", Some("0"), "sockets are not marked"),
    warn("cluster-allow-pubsubshard-when-down", None, CLUSTER),
    warn("cluster-allow-reads-when-down", None, CLUSTER),
    warn("cluster-allow-replica-migration", None, CLUSTER),
    warn("cluster-announce-bus-port", Some("0"), CLUSTER),
    warn("cluster-announce-hostname", Some(""), CLUSTER),
    warn("cluster-announce-ip", Some(""), CLUSTER),
    warn("cluster-announce-port", Some("0"), CLUSTER),
    warn("cluster-announce-tls-port", Some("0"), CLUSTER),
    warn("cluster-config-file", None, CLUSTER),
    warn("cluster-enabled", Some("no"), CLUSTER),
    warn("cluster-link-sendbuf-limit", Some("0"), CLUSTER),
    warn("cluster-migration-barrier", None, CLUSTER),
    warn("cluster-node-timeout", None, CLUSTER),
    warn("cluster-port", Some("0"), CLUSTER),
    warn("cluster-preferred-endpoint-type", None, CLUSTER),
    warn("cluster-replica-no-failover", None, CLUSTER),
    warn("cluster-replica-validity-factor", None, CLUSTER),
    warn("cluster-require-full-coverage", None, CLUSTER),
    warn("cluster-slave-no-failover", None, CLUSTER),
    warn("cluster-slave-validity-factor", None, CLUSTER),
    warn("crash-log-enabled", None, "a crash leaves a core dump, if the system keeps them"),
    warn("crash-memcheck-enabled", None, "a crash leaves a core dump, if the system keeps them"),
    warn("supervised", Some("no"), OS),
    warn("oom-score-adj", Some("no"), OS),
    warn("oom-score-adj-values", None, OS),
    warn("syslog-enabled", Some("no"), OS),
    warn("syslog-facility", None, OS),
    warn("syslog-ident", None, OS),
    warn("disable-thp", None, "the server never forks, so huge pages do no harm"),
    warn("proc-title-template", None, "the process keeps its name"),
    warn("set-proc-title", Some("no"), "the process keeps its name"),
    warn("ignore-warnings", None, "the checks at start look for what stops the server only"),
    warn("dynamic-hz", None, "background work follows the number of shards, not of clients"),
    warn("jemalloc-bg-thread", None, "each shard's thread gives memory back itself"),
    warn("lazyfree-lazy-eviction", Some("yes"), LAZY),
    warn("lazyfree-lazy-expire", Some("yes"), LAZY),
    warn("lazyfree-lazy-server-del", Some("yes"), LAZY),
    warn("lazyfree-lazy-user-del", Some("yes"), LAZY),
    warn("lazyfree-lazy-user-flush", Some("yes"), LAZY),
    warn("masterauth", Some(""), REPLICATION),
    warn("masteruser", Some(""), REPLICATION),
    warn("propagation-error-behavior", None, REPLICATION),
    warn("repl-disable-tcp-nodelay", None, REPLICATION),
    warn("repl-diskless-load", None, REPLICATION),
    warn("repl-diskless-sync", None, REPLICATION),
    warn("repl-diskless-sync-delay", None, REPLICATION),
    warn("repl-diskless-sync-max-replicas", None, REPLICATION),
    warn("replica-announce-ip", Some(""), REPLICATION),
    warn("replica-announce-port", Some("0"), REPLICATION),
    warn("replica-announced", None, REPLICATION),
    warn("replica-ignore-disk-write-errors", None, REPLICATION),
    warn("replica-ignore-maxmemory", None, REPLICATION),
    warn("replica-lazy-flush", None, REPLICATION),
    warn("replica-priority", None, REPLICATION),
    warn("replica-read-only", None, REPLICATION),
    warn("replica-serve-stale-data", None, REPLICATION),
    warn("replicaof", None, REPLICATION),
    warn("slave-announce-ip", Some(""), REPLICATION),
    warn("slave-announce-port", Some("0"), REPLICATION),
    warn("slave-ignore-maxmemory", None, REPLICATION),
    warn("slave-lazy-flush", None, REPLICATION),
    warn("slave-priority", None, REPLICATION),
    warn("slave-read-only", None, REPLICATION),
    warn("slave-serve-stale-data", None, REPLICATION),
    warn("slaveof", None, REPLICATION),
    warn(
        "shutdown-on-sigint",
        Some("default"),
        "SIGINT and SIGTERM always stop the server in good order",
    ),
    warn(
        "shutdown-on-sigterm",
        Some("default"),
        "SIGINT and SIGTERM always stop the server in good order",
    ),
    warn("shutdown-timeout", None, REPLICATION),
    refuse("tls-port", Some("0"), TLS),
    warn("tls-auth-clients", None, TLS),
    warn("tls-ca-cert-dir", Some(""), TLS),
    warn("tls-ca-cert-file", Some(""), TLS),
    warn("tls-cert-file", Some(""), TLS),
    warn("tls-ciphers", Some(""), TLS),
    warn("tls-ciphersuites", Some(""), TLS),
    warn("tls-client-cert-file", Some(""), TLS),
    warn("tls-client-key-file", Some(""), TLS),
    warn("tls-client-key-file-pass", Some(""), TLS),
    warn("tls-cluster", Some("no"), TLS),
    warn("tls-dh-params-file", Some(""), TLS),
    warn("tls-key-file", Some(""), TLS),
    warn("tls-key-file-pass", Some(""), TLS),
    warn("tls-prefer-server-ciphers", None, TLS),
    warn("tls-protocols", Some(""), TLS),
    warn("tls-replication", Some("no"), TLS),
    warn("tls-session-cache-size", None, TLS),
    warn("tls-session-cache-timeout", None, TLS),
    warn("tls-session-caching", None, TLS),
];

#[cfg(test)]
mod tests {
    use super::super::params::Param;
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_parameter_of_redis_is_known_or_has_a_reason() {
        let redis = include_str!("params/redis-7.0.15-defaults.txt");
        for name in redis.lines().filter_map(|line| line.split(' ').next()) {
            let known = Param::find(name.as_bytes()).is_some();
            assert!(known != find(name.as_bytes()).is_some(), "{name}");
        }
    }

    #[test]
    fn names_are_unique_and_not_supported_ones() {
        let mut seen = HashSet::new();
        for entry in UNSUPPORTED {
            assert!(seen.insert(entry.name), "{} twice", entry.name);
            assert!(Param::find(entry.name.as_bytes()).is_none(), "{}", entry.name);
        }
    }
}
