//! CLUSTER, ASKING, READONLY, READWRITE: cluster mode is off, and they say so, as Redis does then.

use ringstone_engine::cmd::{Acl, Arg, ArgKind, Flags, Group, Spec};
use ringstone_engine::{Args, Error};

use super::{Host, HostCommand, Outcome};

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&ASKING, &CLUSTER, &READONLY, &READWRITE];

fn disabled(_: &mut Host<'_>, _: Args<'_>) -> Result<Outcome, Error> {
    Err(Error::text("ERR This instance has cluster support disabled"))
}

const fn off(spec: Spec) -> HostCommand {
    HostCommand { spec, run: disabled, subs: &[] }
}

static CLUSTER: HostCommand = HostCommand {
    spec: Spec {
        name: "cluster",
        arity: -2,
        group: Group::Cluster,
        since: "3.0.0",
        complexity: "Depends on subcommand.",
        summary: "Tells about and changes the cluster.",
        ..Spec::DEFAULT
    },
    run: disabled,
    subs: &[
        &ADDSLOTS,
        &ADDSLOTSRANGE,
        &BUMPEPOCH,
        &COUNT_FAILURE_REPORTS,
        &COUNTKEYSINSLOT,
        &DELSLOTS,
        &DELSLOTSRANGE,
        &FAILOVER,
        &FLUSHSLOTS,
        &FORGET,
        &GETKEYSINSLOT,
        &HELP,
        &INFO,
        &KEYSLOT,
        &LINKS,
        &MEET,
        &MYID,
        &NODES,
        &REPLICAS,
        &REPLICATE,
        &RESET,
        &SAVECONFIG,
        &SET_CONFIG_EPOCH,
        &SETSLOT,
        &SHARDS,
        &SLAVES,
        &SLOTS,
    ],
};

static ADDSLOTS: HostCommand = off(Spec {
    name: "cluster|addslots",
    arity: -3,
    flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::STALE),
    group: Group::Cluster,
    since: "3.0.0",
    complexity: "O(N) where N is the total number of hash slot arguments",
    summary: "Gives slots to this node.",
    args: &[Arg::new("slot", ArgKind::Integer).multiple()],
    ..Spec::DEFAULT
});

static ADDSLOTSRANGE: HostCommand = off(Spec {
    name: "cluster|addslotsrange",
    arity: -4,
    flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::STALE),
    group: Group::Cluster,
    since: "7.0.0",
    complexity: "O(N) where N is the total number of the slots between the start slot and end slot arguments.",
    summary: "Gives ranges of slots to this node.",
    args: &[Arg::block(
        "start-slot_end-slot",
        &[Arg::new("start-slot", ArgKind::Integer), Arg::new("end-slot", ArgKind::Integer)],
    )
    .multiple()],
    ..Spec::DEFAULT
});

static BUMPEPOCH: HostCommand = off(Spec {
    name: "cluster|bumpepoch",
    arity: 2,
    flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::STALE),
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Advances the cluster's epoch.",
    tips: &["nondeterministic_output"],
    ..Spec::DEFAULT
});

static COUNT_FAILURE_REPORTS: HostCommand = off(Spec {
    name: "cluster|count-failure-reports",
    arity: 3,
    flags: Flags::ADMIN.union(Flags::STALE),
    group: Group::Cluster,
    since: "3.0.0",
    complexity: "O(N) where N is the number of failure reports",
    summary: "Counts the reports that say a node has failed.",
    args: &[Arg::new("node-id", ArgKind::String)],
    tips: &["nondeterministic_output"],
    ..Spec::DEFAULT
});

static COUNTKEYSINSLOT: HostCommand = off(Spec {
    name: "cluster|countkeysinslot",
    arity: 3,
    flags: Flags::STALE,
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Counts the keys of a slot.",
    args: &[Arg::new("slot", ArgKind::Integer)],
    ..Spec::DEFAULT
});

static DELSLOTS: HostCommand = off(Spec {
    name: "cluster|delslots",
    arity: -3,
    flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::STALE),
    group: Group::Cluster,
    since: "3.0.0",
    complexity: "O(N) where N is the total number of hash slot arguments",
    summary: "Takes slots from this node.",
    args: &[Arg::new("slot", ArgKind::Integer).multiple()],
    ..Spec::DEFAULT
});

static DELSLOTSRANGE: HostCommand = off(Spec {
    name: "cluster|delslotsrange",
    arity: -4,
    flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::STALE),
    group: Group::Cluster,
    since: "7.0.0",
    complexity: "O(N) where N is the total number of the slots between the start slot and end slot arguments.",
    summary: "Takes ranges of slots from this node.",
    args: &[Arg::block(
        "start-slot_end-slot",
        &[Arg::new("start-slot", ArgKind::Integer), Arg::new("end-slot", ArgKind::Integer)],
    )
    .multiple()],
    ..Spec::DEFAULT
});

static FAILOVER: HostCommand = off(Spec {
    name: "cluster|failover",
    arity: -2,
    flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::STALE),
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Has a replica take over from its master.",
    args: &[Arg::one_of(
        "options",
        &[Arg::word("force", "FORCE"), Arg::word("takeover", "TAKEOVER")],
    )
    .optional()],
    ..Spec::DEFAULT
});

static FLUSHSLOTS: HostCommand = off(Spec {
    name: "cluster|flushslots",
    arity: 2,
    flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::STALE),
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Takes all slots from this node.",
    ..Spec::DEFAULT
});

static FORGET: HostCommand = off(Spec {
    name: "cluster|forget",
    arity: 3,
    flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::STALE),
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Removes a node from the table of nodes.",
    args: &[Arg::new("node-id", ArgKind::String)],
    ..Spec::DEFAULT
});

static GETKEYSINSLOT: HostCommand = off(Spec {
    name: "cluster|getkeysinslot",
    arity: 4,
    flags: Flags::STALE,
    group: Group::Cluster,
    since: "3.0.0",
    complexity: "O(log(N)) where N is the number of requested keys",
    summary: "Names keys of a slot.",
    args: &[Arg::new("slot", ArgKind::Integer), Arg::new("count", ArgKind::Integer)],
    tips: &["nondeterministic_output"],
    ..Spec::DEFAULT
});

static HELP: HostCommand = off(Spec {
    name: "cluster|help",
    arity: 2,
    flags: Flags::LOADING.union(Flags::STALE),
    group: Group::Cluster,
    since: "5.0.0",
    summary: "Explains the subcommands.",
    ..Spec::DEFAULT
});

static INFO: HostCommand = off(Spec {
    name: "cluster|info",
    arity: 2,
    flags: Flags::STALE,
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Tells about the cluster's state.",
    tips: &["nondeterministic_output"],
    ..Spec::DEFAULT
});

static KEYSLOT: HostCommand = off(Spec {
    name: "cluster|keyslot",
    arity: 3,
    flags: Flags::STALE,
    group: Group::Cluster,
    since: "3.0.0",
    complexity: "O(N) where N is the number of bytes in the key",
    summary: "Computes the slot of a key.",
    args: &[Arg::new("key", ArgKind::String)],
    ..Spec::DEFAULT
});

static LINKS: HostCommand = off(Spec {
    name: "cluster|links",
    arity: 2,
    flags: Flags::STALE,
    group: Group::Cluster,
    since: "7.0.0",
    complexity: "O(N) where N is the total number of Cluster nodes",
    summary: "Tells about the connections between nodes.",
    tips: &["nondeterministic_output"],
    ..Spec::DEFAULT
});

static MEET: HostCommand = off(Spec {
    name: "cluster|meet",
    arity: -4,
    flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::STALE),
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Makes two nodes know each other.",
    history: &[("4.0.0", "Added the optional `cluster_bus_port` argument.")],
    args: &[
        Arg::new("ip", ArgKind::String),
        Arg::new("port", ArgKind::Integer),
        Arg::new("cluster_bus_port", ArgKind::Integer).optional().since("4.0.0"),
    ],
    ..Spec::DEFAULT
});

static MYID: HostCommand = off(Spec {
    name: "cluster|myid",
    arity: 2,
    flags: Flags::STALE,
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Tells this node's identifier.",
    ..Spec::DEFAULT
});

static NODES: HostCommand = off(Spec {
    name: "cluster|nodes",
    arity: 2,
    flags: Flags::STALE,
    group: Group::Cluster,
    since: "3.0.0",
    complexity: "O(N) where N is the total number of Cluster nodes",
    summary: "Lists the nodes and their slots as text.",
    tips: &["nondeterministic_output"],
    ..Spec::DEFAULT
});

static REPLICAS: HostCommand = off(Spec {
    name: "cluster|replicas",
    arity: 3,
    flags: Flags::ADMIN.union(Flags::STALE),
    group: Group::Cluster,
    since: "5.0.0",
    summary: "Lists the replicas of a master.",
    args: &[Arg::new("node-id", ArgKind::String)],
    tips: &["nondeterministic_output"],
    ..Spec::DEFAULT
});

static REPLICATE: HostCommand = off(Spec {
    name: "cluster|replicate",
    arity: 3,
    flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::STALE),
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Makes this node a replica of a master.",
    args: &[Arg::new("node-id", ArgKind::String)],
    ..Spec::DEFAULT
});

static RESET: HostCommand = off(Spec {
    name: "cluster|reset",
    arity: -2,
    flags: Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::STALE),
    group: Group::Cluster,
    since: "3.0.0",
    complexity: "O(N) where N is the number of known nodes. The command may execute a FLUSHALL as a side effect.",
    summary: "Makes this node leave the cluster.",
    args: &[Arg::one_of("hard_soft", &[Arg::word("hard", "HARD"), Arg::word("soft", "SOFT")])
        .optional()],
    ..Spec::DEFAULT
});

static SAVECONFIG: HostCommand = off(Spec {
    name: "cluster|saveconfig",
    arity: 2,
    flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::STALE),
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Writes the cluster's configuration file.",
    ..Spec::DEFAULT
});

static SET_CONFIG_EPOCH: HostCommand = off(Spec {
    name: "cluster|set-config-epoch",
    arity: 3,
    flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::STALE),
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Sets this node's epoch.",
    args: &[Arg::new("config-epoch", ArgKind::Integer)],
    ..Spec::DEFAULT
});

static SETSLOT: HostCommand = off(Spec {
    name: "cluster|setslot",
    arity: -4,
    flags: Flags::ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::STALE),
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Gives a slot to a node, or says that it moves.",
    args: &[
        Arg::new("slot", ArgKind::Integer),
        Arg::one_of(
            "subcommand",
            &[
                Arg::new("node-id", ArgKind::String).token("IMPORTING"),
                Arg::new("node-id", ArgKind::String).token("MIGRATING"),
                Arg::new("node-id", ArgKind::String).token("NODE"),
                Arg::word("stable", "STABLE"),
            ],
        ),
    ],
    ..Spec::DEFAULT
});

static SHARDS: HostCommand = off(Spec {
    name: "cluster|shards",
    arity: 2,
    flags: Flags::STALE,
    group: Group::Cluster,
    since: "7.0.0",
    complexity: "O(N) where N is the total number of cluster nodes",
    summary: "Lists shards with their slots and nodes.",
    tips: &["nondeterministic_output"],
    ..Spec::DEFAULT
});

static SLAVES: HostCommand = off(Spec {
    name: "cluster|slaves",
    arity: 3,
    flags: Flags::ADMIN.union(Flags::STALE),
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Lists the replicas of a master.",
    deprecated: Some(("5.0.0", "`CLUSTER REPLICAS`")),
    args: &[Arg::new("node-id", ArgKind::String)],
    tips: &["nondeterministic_output"],
    ..Spec::DEFAULT
});

static SLOTS: HostCommand = off(Spec {
    name: "cluster|slots",
    arity: 2,
    flags: Flags::STALE,
    group: Group::Cluster,
    since: "3.0.0",
    complexity: "O(N) where N is the total number of Cluster nodes",
    summary: "Maps slots to nodes.",
    history: &[
        ("4.0.0", "Added node IDs."),
        ("7.0.0", "Added additional networking metadata field."),
    ],
    deprecated: Some(("7.0.0", "`CLUSTER SHARDS`")),
    tips: &["nondeterministic_output"],
    ..Spec::DEFAULT
});

static ASKING: HostCommand = off(Spec {
    name: "asking",
    arity: 1,
    flags: Flags::FAST,
    acl: Acl::CONNECTION,
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Lets the next command use a slot that is being imported.",
    ..Spec::DEFAULT
});

static READONLY: HostCommand = off(Spec {
    name: "readonly",
    arity: 1,
    flags: Flags::FAST.union(Flags::LOADING).union(Flags::STALE),
    acl: Acl::CONNECTION,
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Lets the connection read from a replica of the cluster.",
    ..Spec::DEFAULT
});

static READWRITE: HostCommand = off(Spec {
    name: "readwrite",
    arity: 1,
    flags: Flags::FAST.union(Flags::LOADING).union(Flags::STALE),
    acl: Acl::CONNECTION,
    group: Group::Cluster,
    since: "3.0.0",
    summary: "Ends READONLY.",
    ..Spec::DEFAULT
});
