//! A shard's counters; INFO adds up those of all shards.

/// Counters since the start, or since CONFIG RESETSTAT.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Connections accepted.
    pub connections: u64,
    /// Connections refused because of maxclients.
    pub rejected: u64,
    /// Commands processed.
    pub commands: u64,
    /// Bytes received.
    pub input_bytes: u64,
    /// Bytes sent.
    pub output_bytes: u64,
    /// Error replies.
    pub errors: u64,
    /// Commands that went to another shard.
    pub hops: u64,
    /// Transactions over several shards.
    pub transactions: u64,
    /// Clients dropped because of their output buffer.
    pub output_limit_disconnections: u64,
    /// Clients dropped because of `maxmemory-clients`.
    pub evicted_clients: u64,
    /// Clients dropped because of their query buffer.
    pub query_limit_disconnections: u64,
    /// Times that something was read from a client.
    pub reads: u64,
    /// Times that something was written to a client.
    pub writes: u64,
    /// Time that the expiry cycle took, in ns.
    pub expire_ns: u64,
    /// Times that the expiry cycle stopped although there was more to do.
    pub expire_stops: u64,
    /// What users were denied.
    pub acl_denied: AclDenied,
    /// Longest input buffer seen lately.
    pub input_buffer_max: usize,
    /// Longest output buffer seen lately.
    pub output_buffer_max: usize,
}

/// What users were denied, by reason.
#[derive(Clone, Copy, Debug, Default)]
pub struct AclDenied {
    /// To log in.
    pub logins: u64,
    /// A command.
    pub commands: u64,
    /// A key.
    pub keys: u64,
    /// A channel.
    pub channels: u64,
}

impl Stats {
    /// Adds another shard's.
    pub fn add(&mut self, other: &Stats) {
        self.connections += other.connections;
        self.rejected += other.rejected;
        self.commands += other.commands;
        self.input_bytes += other.input_bytes;
        self.output_bytes += other.output_bytes;
        self.errors += other.errors;
        self.hops += other.hops;
        self.transactions += other.transactions;
        self.output_limit_disconnections += other.output_limit_disconnections;
        self.evicted_clients += other.evicted_clients;
        self.query_limit_disconnections += other.query_limit_disconnections;
        self.reads += other.reads;
        self.writes += other.writes;
        self.expire_ns += other.expire_ns;
        self.expire_stops += other.expire_stops;
        self.acl_denied.logins += other.acl_denied.logins;
        self.acl_denied.commands += other.acl_denied.commands;
        self.acl_denied.keys += other.acl_denied.keys;
        self.acl_denied.channels += other.acl_denied.channels;
        self.input_buffer_max = self.input_buffer_max.max(other.input_buffer_max);
        self.output_buffer_max = self.output_buffer_max.max(other.output_buffer_max);
    }
}
