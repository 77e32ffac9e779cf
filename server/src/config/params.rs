//! The table of parameters. One row a parameter: its field's name and type, its name, kind, default, when it can be
//! changed, and its documentation. The file's syntax, command line flags, CONFIG GET, SET and REWRITE, `docs/config.md`
//! and the sample `ringstone.conf` are derived from it.
//!
//! Invariant: names and aliases are unique; every default is a value of its kind (both tested).

use super::kind::{BadValue, Kind, Setting};
use super::types::{
    Access, Bind, ClientMemory, EvictionPolicy, Fsync, LogLevel, NewChannels, OutputLimits,
    Percentiles, SavePoint, Secret,
};
use ringstone_engine::keyspace::Classes;
use std::path::PathBuf;

/// When a parameter can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At start only.
    Boot,
    /// At any time.
    Live,
    /// At any time, if `enable-protected-configs` allows it to the client.
    Protected,
    /// On the command line only: a decision for one start, which must not stay in a file.
    CommandLine,
}

/// One row of the table.
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Older names for it.
    pub aliases: &'static [&'static str],
    /// The heading it stands under in documentation.
    pub section: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its default, as it would stand in a file.
    pub default: &'static str,
    /// When it can be changed.
    pub when: When,
    /// What it does.
    pub doc: &'static str,
    set: SetFn,
    text: fn(&Config, Kind) -> Vec<u8>,
    lines: fn(&Config, Kind) -> Vec<Vec<u8>>,
    same: fn(&Config, &Config) -> bool,
}

type SetFn = fn(&mut Config, Kind, &[Vec<u8>], bool) -> Result<(), BadValue>;

impl Param {
    /// The parameter of a name or alias, letter case ignored.
    pub fn find(name: &[u8]) -> Option<&'static Param> {
        PARAMS.iter().find(|p| p.names().any(|n| name.eq_ignore_ascii_case(n.as_bytes())))
    }

    /// Whether its value must not be shown.
    pub fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// Its name and aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Sets it from the words of a line; `append` when an earlier line of the same configuration set it.
    ///
    /// # Errors
    /// When the words are not a value; the configuration is then as before.
    pub fn set(
        &self,
        config: &mut Config,
        words: &[Vec<u8>],
        append: bool,
    ) -> Result<(), BadValue> {
        (self.set)(config, self.kind, words, append).map_err(|bad| {
            // These texts begin with the parameter's name, as in Redis.
            if bad.0.starts_with("can't") {
                BadValue(format!("{} {}", self.name, bad.0))
            } else {
                bad
            }
        })
    }

    /// Sets it from one text, as CONFIG SET has it: the words of a list are separated by single spaces.
    ///
    /// # Errors
    /// As [`Param::set`].
    pub fn set_text(&self, config: &mut Config, text: &[u8]) -> Result<(), BadValue> {
        let words: Vec<Vec<u8>> = if self.kind.is_list() {
            text.split(|b| *b == b' ').map(<[u8]>::to_vec).collect()
        } else {
            vec![text.to_vec()]
        };
        self.set(config, &words, false)
    }

    /// Its value as CONFIG GET has it.
    pub fn text(&self, config: &Config) -> Vec<u8> {
        (self.text)(config, self.kind)
    }

    /// Its value as lines of a file, without its name.
    pub fn lines(&self, config: &Config) -> Vec<Vec<u8>> {
        (self.lines)(config, self.kind)
    }

    /// Whether two configurations agree on it.
    pub fn is_same(&self, a: &Config, b: &Config) -> bool {
        (self.same)(a, b)
    }
}

/// Builds the struct [`Config`] and the table [`PARAMS`] from the same rows.
macro_rules! params {
    ($($section:literal { $(
        $(#[doc = $doc:literal])+
        $field:ident: $type:ty = $name:literal $([$($alias:literal)+])?, $kind:expr, $default:literal, $when:ident;
    )+ })+) => {
        /// A configuration: plain values that shards read. Made by [`super::load`], changed by [`super::ConfigStore`].
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config { $($(
            $(#[doc = $doc])+
            pub $field: $type,
        )+)+ }

        impl Default for Config {
            fn default() -> Self {
                let mut config = Config { $($($field: <$type>::default(),)+)+ };
                for param in PARAMS {
                    // A default that is refused (the working directory is gone) stays empty; using it then fails.
                    let _refused = param.set_text(&mut config, param.default.as_bytes());
                }
                config
            }
        }

        /// All parameters, in the order in which they are documented.
        pub static PARAMS: &[Param] = &[$($(Param {
            name: $name,
            aliases: &[$($($alias),+)?],
            section: $section,
            kind: $kind,
            default: $default,
            when: When::$when,
            doc: concat!($($doc),+),
            set: |config, kind, words, append| Setting::set(&mut config.$field, kind, words, append),
            text: |config, kind| config.$field.text(kind),
            lines: |config, kind| config.$field.lines(kind),
            same: |a, b| a.$field == b.$field,
        },)+)+];
    };
}

/// An integer from 0 up, as far as a 32-bit signed one goes.
const fn count(unit: &'static str) -> Kind {
    Kind::Int { min: 0, max: i32::MAX as i64, unit }
}

/// A number of elements.
const ENTRIES: Kind = Kind::Int { min: 0, max: i64::MAX, unit: "elements" };
/// A number of commands.
const COMMANDS: Kind = Kind::Int { min: 0, max: i64::MAX, unit: "commands" };
/// A size without bounds.
const SIZE: Kind = Kind::Memory { min: 0, max: i64::MAX };

params! {
    "Network" {
        /// Addresses to listen on. With `""` the server does not listen on TCP.
        bind: Bind = "bind", Kind::Addresses, "127.0.0.1 -::1", Live;
        /// TCP port; 0 = none.
        port: u16 = "port", Kind::Int { min: 0, max: 65535, unit: "" }, "6379", Live;
        /// Path of a Unix socket to listen on as well.
        unixsocket: PathBuf = "unixsocket", Kind::Path, "", Boot;
        /// Permissions of the Unix socket; 0 = as the umask has it.
        unixsocketperm: u32 = "unixsocketperm", Kind::Octal { max: 0o777 }, "0", Boot;
        /// Connections that may wait to be accepted. The kernel's `net.core.somaxconn` bounds it.
        tcp_backlog: u32 = "tcp-backlog", count("connections"), "511", Boot;
        /// Idle time after which a TCP connection is probed; 0 = never.
        tcp_keepalive: u32 = "tcp-keepalive", count("seconds"), "300", Live;
        /// Disconnect a client that was idle for so long; 0 = never. Replicas, subscribers and blocked clients are
        /// spared.
        timeout: u32 = "timeout", count("seconds"), "0", Live;
        /// Without a password, serve only clients of this host.
        protected_mode: bool = "protected-mode", Kind::Bool, "yes", Live;
        /// Most clients at a time; more are refused. Each takes a file descriptor.
        maxclients: u32 = "maxclients", Kind::Int { min: 1, max: 4_294_967_295, unit: "clients" }, "10000", Live;
        /// Longest string value and longest argument.
        proto_max_bulk_len: u64 = "proto-max-bulk-len", Kind::Memory { min: 1 << 20, max: (4 << 30) - (1 << 20) }, "512mb", Live;
        /// Most bytes of one client's unread commands; above it the client is disconnected.
        client_query_buffer_limit: u64 = "client-query-buffer-limit", Kind::Memory { min: 1 << 20, max: i64::MAX }, "1gb", Live;
        /// How much output may wait for a client of a class: above the hard limit, or above the soft limit for the
        /// soft seconds, it is disconnected. 0 = no limit. One line a class.
        client_output_buffer_limit: OutputLimits = "client-output-buffer-limit", Kind::OutputLimits, "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60", Live;
    }
    "General" {
        /// Number of shards, one thread each; 0 = one a core that the process may use. The data of another number of
        /// shards is distributed anew at start.
        shards: u32 = "shards", Kind::Int { min: 0, max: 1024, unit: "shards" }, "0", Boot;
        /// Pin each shard's thread to a core of its own.
        pin_shards: bool = "pin-shards", Kind::Bool, "yes", Boot;
        /// Number of databases for SELECT.
        databases: u32 = "databases", Kind::Int { min: 1, max: 65536, unit: "databases" }, "16", Boot;
        /// How often a second background work (expiry, timeouts) is looked after.
        hz: u32 = "hz", Kind::Int { min: 1, max: 500, unit: "times a second" }, "10", Live;
        /// How much work goes into removing expired keys that nobody reads.
        active_expire_effort: u32 = "active-expire-effort", Kind::Int { min: 1, max: 10, unit: "" }, "1", Live;
        /// How much is logged.
        loglevel: LogLevel = "loglevel", Kind::Enum(LogLevel::WORDS), "notice", Live;
        /// File to log to; `""` = standard output.
        logfile: PathBuf = "logfile", Kind::Path, "", Boot;
        /// Go on in the background once the server listens. What goes wrong from then on is told in `logfile` only.
        daemonize: bool = "daemonize", Kind::Bool, "no", Boot;
        /// File that gets the process id while the server runs.
        pidfile: PathBuf = "pidfile", Kind::Path, "", Boot;
    }
    "Memory" {
        /// Memory that the server may use; 0 = no limit. Beyond it, keys are removed as `maxmemory-policy` says, and commands that need
        /// memory are refused when none may be.
        maxmemory: u64 = "maxmemory", SIZE, "0", Live;
        /// Memory that all connections together may use, in bytes or (`5%`) as a part of `maxmemory`; 0 = no limit. Beyond it those that
        /// use most are disconnected, save for replicas and those that said CLIENT NO-EVICT ON.
        maxmemory_clients: ClientMemory = "maxmemory-clients", Kind::MemoryOrPercent, "0", Live;
        /// Which keys are removed when `maxmemory` is used up.
        maxmemory_policy: EvictionPolicy = "maxmemory-policy", Kind::Enum(EvictionPolicy::WORDS), "noeviction", Live;
        /// Keys that are compared to find the one to remove.
        maxmemory_samples: u32 = "maxmemory-samples", Kind::Int { min: 1, max: 64, unit: "keys" }, "5", Live;
        /// How long removing keys may delay a command: 10 = half a millisecond, 100 = as long as it takes.
        maxmemory_eviction_tenacity: u32 = "maxmemory-eviction-tenacity", Kind::Int { min: 0, max: 100, unit: "" }, "10", Live;
        /// How slowly the counter of a key's accesses grows.
        lfu_log_factor: u32 = "lfu-log-factor", count(""), "10", Live;
        /// Minutes after which the counter of a key's accesses is lowered by one; 0 = never.
        lfu_decay_time: u32 = "lfu-decay-time", count("minutes"), "1", Live;
    }
    "Security" {
        /// Password of the user `default`, which clients must give with AUTH; `""` = none.
        requirepass: Secret = "requirepass", Kind::Secret, "", Live;
        /// File with the users, one a line: `user name rules`. It is read at start and by ACL LOAD, and written by ACL
        /// SAVE; a relative path is one in `dir`. `""` = users are defined by `user` lines of this file, by ACL SETUSER
        /// and CONFIG REWRITE.
        aclfile: PathBuf = "aclfile", Kind::Path, "", Boot;
        /// Whether new users may use all channels or none, until a rule says otherwise.
        acl_pubsub_default: NewChannels = "acl-pubsub-default", Kind::Enum(NewChannels::WORDS), "resetchannels", Live;
        /// Most entries of ACL LOG.
        acllog_max_len: usize = "acllog-max-len", Kind::Int { min: 0, max: i64::MAX, unit: "entries" }, "128", Live;
        /// Who may use DEBUG.
        enable_debug_command: Access = "enable-debug-command", Kind::Enum(Access::WORDS), "no", Boot;
        /// Who may change protected parameters with CONFIG SET.
        enable_protected_configs: Access = "enable-protected-configs", Kind::Enum(Access::WORDS), "no", Boot;
    }
    "Persistence" {
        /// Directory of the snapshot and of the log's directory.
        dir: PathBuf = "dir", Kind::Dir, ".", Protected;
        /// Write every change to the log, so that it outlives a crash. CONFIG SET answers when the log is in force, or has
        /// ended.
        appendonly: bool = "appendonly", Kind::Bool, "yes", Live;
        /// When the log is forced to disk: `always` = before a write is acknowledged; `everysec` = once a second,
        /// a power failure loses the last second at most; `no` = every half minute, or when a MiB is full.
        appendfsync: Fsync = "appendfsync", Kind::Enum(Fsync::WORDS), "everysec", Live;
        /// Directory of the log, in `dir`.
        appenddirname: PathBuf = "appenddirname", Kind::DirName, "appendonly", Boot;
        /// Base name of Redis's append-only files, for their import at the first start.
        appendfilename: PathBuf = "appendfilename", Kind::FileName { may_be_empty: false }, "appendonly.aof", Boot;
        /// Size of a log segment.
        log_segment_size: u64 = "log-segment-size", Kind::Memory { min: 1 << 20, max: 1 << 30 }, "16mb", Boot;
        /// Directory to which the log is copied as it becomes durable, compressed, with its bases, so that any instant can be
        /// restored (`ringstone restore`); `""` = none. A relative path is below `dir`. Segments are kept until they are there.
        log_archive_dir: PathBuf = "log-archive-dir", Kind::Path, "", Live;
        /// How often what is in no full segment yet is archived as well; 0 = only full segments, and at the end of the server.
        log_archive_interval_seconds: u32 = "log-archive-interval-seconds", count("seconds"), "60", Live;
        /// Every instant since so many seconds ago can be restored, older ones are removed; 0 = keep all.
        log_archive_retention_seconds: u32 = "log-archive-retention-seconds", count("seconds"), "0", Live;
        /// Above so many bytes of one log's archive its oldest instants are removed, whatever their age; 0 = keep all. The newest base
        /// and what follows it always stay.
        log_archive_retention_bytes: u64 = "log-archive-retention-bytes", SIZE, "0", Live;
        /// Bytes of the log that may wait to be archived. Above it segments are not kept any more for an archive that does not work:
        /// instants are lost, which the log of messages and INFO tell, and the server goes on; 0 = keep them until the disk is full.
        log_archive_backlog_max: u64 = "log-archive-backlog-max", SIZE, "4gb", Live;
        /// Rewrite the log when it has grown by so much since the last rewrite; 0 = never by itself. Rewrites by itself take
        /// at most a tenth of the time.
        auto_aof_rewrite_percentage: u32 = "auto-aof-rewrite-percentage", count("percent"), "100", Live;
        /// Do not rewrite a log smaller than this by itself.
        auto_aof_rewrite_min_size: u64 = "auto-aof-rewrite-min-size", SIZE, "64mb", Live;
        /// Import a Redis append-only file whose end is torn by a crash, leaving the unfinished end out; otherwise
        /// refuse to start. (An unfinished end of Ringstone's own log was never acknowledged, and is always left out.)
        aof_load_truncated: bool = "aof-load-truncated", Kind::Bool, "yes", Live;
        /// Start although acknowledged writes are missing from the log, and drop what comes after the gap.
        force_truncate: bool = "force-truncate", Kind::Bool, "no", CommandLine;
        /// Make a snapshot after so many seconds if there were so many changes. Several pairs or several lines;
        /// `""` = never by itself.
        save: Vec<SavePoint> = "save", Kind::SavePoints, "3600 1 300 100 60 10000", Live;
        /// Name of the snapshot's file, in `dir`.
        dbfilename: PathBuf = "dbfilename", Kind::FileName { may_be_empty: true }, "dump.rdb", Protected;
        /// Compress strings in snapshots.
        rdbcompression: bool = "rdbcompression", Kind::Bool, "yes", Live;
        /// The newest version of RDB files that snapshots may have: 10 = what Redis 7.0 loads, 12 = what Redis 8.0 loads. A snapshot has
        /// version 10 where that will do, so that this matters only when hashes have fields that expire: with less than 12 a snapshot
        /// then fails, and says which key is in its way. The base of the log, which only Ringstone reads, is not concerned.
        rdb_version_max: u32 = "rdb-version-max", Kind::Int { min: 10, max: 12, unit: "" }, "12", Live;
        /// Refuse writes while the last snapshot failed and snapshots are configured.
        stop_writes_on_bgsave_error: bool = "stop-writes-on-bgsave-error", Kind::Bool, "yes", Live;
    }
    "Encryption" {
        /// Encrypt log and snapshots; see [encryption](encryption.md). Files that are there already are written anew at the start.
        encryption_at_rest: bool = "encryption-at-rest", Kind::Bool, "no", Boot;
        /// File with the master keys, one a line, of which the first is used for what is written: 64 hexadecimal digits or 44
        /// characters of base64. Or a file of exactly 32 bytes. To set it, to the same name too, reads it anew and rotates.
        encryption_key_file: PathBuf = "encryption-key-file", Kind::Path, "", Live;
        /// Environment variable with the master keys, in the same form.
        encryption_key_env: PathBuf = "encryption-key-env", Kind::Path, "", Boot;
        /// Shell command that prints the master keys, in the same form. It is run at start and on SIGHUP.
        encryption_key_command: Secret = "encryption-key-command", Kind::Secret, "", Boot;
    }
    "Replication" {
        /// Bytes of the stream of changes that are kept for replicas that come back.
        repl_backlog_size: u64 = "repl-backlog-size", Kind::Memory { min: 1, max: i64::MAX }, "1mb", Live;
        /// Seconds without a replica after which they are dropped; 0 = never.
        repl_backlog_ttl: u32 = "repl-backlog-ttl", count("seconds"), "3600", Live;
        /// How often replicas are pinged.
        repl_ping_replica_period: u32 = "repl-ping-replica-period" ["repl-ping-slave-period"], Kind::Int { min: 1, max: i32::MAX as i64, unit: "seconds" }, "10", Live;
        /// Silence of a replica after which it is dropped.
        repl_timeout: u32 = "repl-timeout", Kind::Int { min: 1, max: i32::MAX as i64, unit: "seconds" }, "60", Live;
        /// Refuse writes with fewer replicas than this; 0 = never.
        min_replicas_to_write: u32 = "min-replicas-to-write" ["min-slaves-to-write"], count("replicas"), "0", Live;
        /// A replica counts there if it was heard of within so many seconds; 0 = writes are never refused.
        min_replicas_max_lag: u32 = "min-replicas-max-lag" ["min-slaves-max-lag"], count("seconds"), "10", Live;
    }
    "Notifications" {
        /// Events of keys that are published: `K` = in channels `__keyspace@<db>__:<key>`, `E` = in channels
        /// `__keyevent@<db>__:<event>`; of these classes: `g` = generic, `$` = strings, `l` = lists, `s` = sets, `h` = hashes,
        /// `z` = sorted sets, `t` = streams, `x` = expired, `e` = evicted, `d` = modules, `n` = new keys, `m` = misses,
        /// `A` = `g$lshzxetd`.
        notify_keyspace_events: Classes = "notify-keyspace-events", Kind::Events, "", Live;
        /// Keys whose readers are remembered for CLIENT TRACKING; when there are more, the readers of some are told as if the keys had
        /// changed. 0 = no limit. Each shard keeps its part.
        tracking_table_max_keys: usize = "tracking-table-max-keys", Kind::Int { min: 0, max: i64::MAX, unit: "keys" }, "1000000", Live;
    }
    "Observability" {
        /// Keep the distribution of each command's latency, for INFO latencystats and LATENCY HISTOGRAM.
        latency_tracking: bool = "latency-tracking", Kind::Bool, "yes", Live;
        /// Percentiles that INFO latencystats shows.
        latency_tracking_info_percentiles: Percentiles = "latency-tracking-info-percentiles", Kind::Percentiles, "50 99 99.9", Live;
        /// Keep samples of events that took so long or longer, for LATENCY; 0 = of none.
        latency_monitor_threshold: u64 = "latency-monitor-threshold", Kind::Int { min: 0, max: i64::MAX, unit: "ms" }, "0", Live;
        /// Commands that ran so long or longer get into the slow log; -1 = none.
        slowlog_log_slower_than: i64 = "slowlog-log-slower-than" ["commandlog-execution-slower-than"], Kind::Int { min: -1, max: i64::MAX, unit: "us" }, "10000", Live;
        /// Commands that the slow log keeps.
        slowlog_max_len: usize = "slowlog-max-len" ["commandlog-slow-execution-max-len"], COMMANDS, "128", Live;
        /// Commands whose request is so large or larger get into COMMANDLOG's log of large requests; -1 = none.
        commandlog_request_larger_than: i64 = "commandlog-request-larger-than", Kind::Int { min: -1, max: i64::MAX, unit: "bytes" }, "1048576", Live;
        /// Commands that the log of large requests keeps.
        commandlog_large_request_max_len: usize = "commandlog-large-request-max-len", COMMANDS, "128", Live;
        /// Commands whose reply is so large or larger get into COMMANDLOG's log of large replies; -1 = none.
        commandlog_reply_larger_than: i64 = "commandlog-reply-larger-than", Kind::Int { min: -1, max: i64::MAX, unit: "bytes" }, "1048576", Live;
        /// Commands that the log of large replies keeps.
        commandlog_large_reply_max_len: usize = "commandlog-large-reply-max-len", COMMANDS, "128", Live;
    }
    "Scripts" {
        /// Milliseconds after which a script or function counts as busy: others then get an error and may end it. 0 = never.
        busy_reply_threshold: u64 = "busy-reply-threshold" ["lua-time-limit"], Kind::Int { min: 0, max: i64::MAX, unit: "milliseconds" }, "5000", Live;
    }
    "Encodings" {
        /// Hashes of up to so many fields are kept in one compact block ...
        hash_max_listpack_entries: usize = "hash-max-listpack-entries" ["hash-max-ziplist-entries"], ENTRIES, "512", Live;
        /// ... if no field and value is longer than this.
        hash_max_listpack_value: usize = "hash-max-listpack-value" ["hash-max-ziplist-value"], SIZE, "64", Live;
        /// Size of a list's node: elements, or -1 to -5 for 4, 8, 16, 32 and 64 KiB.
        list_max_listpack_size: i64 = "list-max-listpack-size" ["list-max-ziplist-size"], Kind::Int { min: i32::MIN as i64, max: i32::MAX as i64, unit: "" }, "-2", Live;
        /// Nodes at each end of a list that are not compressed; 0 = compress none.
        list_compress_depth: usize = "list-compress-depth", count("nodes"), "0", Live;
        /// Sets of integers of up to so many members are kept as a sorted array.
        set_max_intset_entries: usize = "set-max-intset-entries", ENTRIES, "512", Live;
        /// Sorted sets of up to so many members are kept in one compact block ...
        zset_max_listpack_entries: usize = "zset-max-listpack-entries" ["zset-max-ziplist-entries"], ENTRIES, "128", Live;
        /// ... if no member is longer than this.
        zset_max_listpack_value: usize = "zset-max-listpack-value" ["zset-max-ziplist-value"], SIZE, "64", Live;
        /// Size of a stream's node; 0 = no limit.
        stream_node_max_bytes: usize = "stream-node-max-bytes", SIZE, "4096", Live;
        /// Entries of a stream's node; 0 = no limit.
        stream_node_max_entries: usize = "stream-node-max-entries", ENTRIES, "100", Live;
        /// HyperLogLogs of up to so many bytes, header included, are kept as runs of equal registers.
        hll_sparse_max_bytes: usize = "hll-sparse-max-bytes", SIZE, "3000", Live;
    }
}

#[cfg(test)]
mod tests;
