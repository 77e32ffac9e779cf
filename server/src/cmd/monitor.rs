//! MONITOR.

use ringstone_engine::Error;
use ringstone_engine::cmd::{Flags, Group, Spec};

use super::{HostCommand, Outcome};

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&MONITOR];

static MONITOR: HostCommand = HostCommand {
    spec: Spec {
        name: "monitor",
        arity: 1,
        flags: Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE),
        group: Group::Server,
        complexity: "",
        summary: "Shows every command that the server runs.",
        ..Spec::DEFAULT
    },
    run: |host, _| {
        if host.conn.in_exec {
            return Err(Error::text("ERR MONITOR isn't allowed for DENY BLOCKING client"));
        }
        if host.conn.monitors {
            return Ok(Outcome::Silent);
        }
        host.shard.start_monitoring(host.conn);
        host.ok()
    },
    subs: &[],
};
