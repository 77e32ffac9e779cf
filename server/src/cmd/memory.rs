//! MEMORY: the subcommands that tell about the process. MEMORY USAGE, which reads a key, is the engine's.

use ringstone_engine::cmd::{Flags, Group, Spec};
use ringstone_engine::{Error, Tree};

use super::info::facts::Facts;
use super::info::memory::human;
use super::{Host, HostCommand, Outcome};
use crate::ask::ask_all;
use crate::memory::{Usage, usage};
use crate::shared::Shared;

/// The family's commands.
pub const COMMANDS: &[&HostCommand] = &[&MEMORY];

const TIPS: &[&str] =
    &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

const SUB: Spec = Spec { arity: 2, group: Group::Server, since: "4.0.0", ..Spec::DEFAULT };

/// The container's row is the engine's; these come to its subcommands.
static MEMORY: HostCommand = HostCommand {
    spec: Spec { name: "memory", arity: -2, ..SUB },
    run: super::container,
    subs: &[&DOCTOR, &HELP, &MALLOC_STATS, &PURGE, &STATS],
};

/// What MEMORY STATS and MEMORY DOCTOR look at.
struct Numbers {
    all: Facts,
    usage: Usage,
    rss: usize,
    peak: usize,
    startup: usize,
    overhead: usize,
}

impl Numbers {
    fn new(all: Facts, shared: &Shared) -> Numbers {
        let usage = usage();
        let startup = shared.memory_at_start();
        let overhead = all.overhead_bytes(startup);
        let peak = shared.memory_peak(usage.allocated);
        Numbers { all, usage, rss: crate::memory::rss_bytes(), peak, startup, overhead }
    }

    fn dataset(&self) -> usize {
        self.usage.allocated.saturating_sub(self.overhead)
    }
}

fn ratio(a: usize, b: usize) -> f64 {
    a as f64 / b.max(1) as f64
}

/// The difference, which may be negative.
fn difference(a: usize, b: usize) -> i64 {
    i64::try_from(a).unwrap_or(i64::MAX) - i64::try_from(b).unwrap_or(i64::MAX)
}

static STATS: HostCommand = HostCommand {
    spec: Spec {
        name: "memory|stats",
        summary: "Tells what memory is used for.",
        tips: TIPS,
        ..SUB
    },
    run: |host, _| {
        let shared = host.shard.shared.clone();
        host.later(|shard| async move {
            let all = Facts::sum(ask_all(&shard, |there| there.facts(false)).await);
            Tree::Map(stats(&Numbers::new(all, &shared)))
        })
    },
    subs: &[],
};

fn stats(numbers: &Numbers) -> Vec<Tree> {
    let Numbers { all, usage, rss, peak, startup, overhead } = numbers;
    let net = usage.allocated.saturating_sub(*startup);
    let mut out = Fields(Vec::new());
    out.int("peak.allocated", *peak);
    out.int("total.allocated", usage.allocated);
    out.int("startup.allocated", *startup);
    out.int("replication.backlog", 0);
    out.int("clients.slaves", 0);
    out.int("clients.normal", all.client_bytes);
    out.int("cluster.links", 0);
    out.int("aof.buffer", all.log_pending_bytes);
    for (index, db) in all.dbs.iter().enumerate().filter(|(_, db)| db.keys > 0) {
        let mut one = Fields(Vec::new());
        one.int("overhead.hashtable.main", db.index_bytes);
        // Entries know when they expire and in which slot they are.
        one.int("overhead.hashtable.expires", 0);
        one.int("overhead.hashtable.slot-to-keys", 0);
        out.name(&format!("db.{index}"));
        out.0.push(Tree::Map(one.0));
    }
    out.int("overhead.total", *overhead);
    out.int("keys.count", all.keys());
    out.int("keys.bytes-per-key", if all.keys() > 0 { net / all.keys() } else { 0 });
    out.int("dataset.bytes", numbers.dataset());
    out.double("dataset.percentage", ratio(numbers.dataset(), net) * 100.0);
    out.double("peak.percentage", ratio(usage.allocated, *peak) * 100.0);
    out.int("allocator.allocated", usage.allocated);
    out.int("allocator.active", usage.active);
    out.int("allocator.resident", usage.resident);
    out.double("allocator-fragmentation.ratio", ratio(usage.active, usage.allocated));
    out.difference("allocator-fragmentation.bytes", usage.active, usage.allocated);
    out.double("allocator-rss.ratio", ratio(usage.resident, usage.active));
    out.difference("allocator-rss.bytes", usage.resident, usage.active);
    out.double("rss-overhead.ratio", ratio(*rss, usage.resident));
    out.difference("rss-overhead.bytes", *rss, usage.resident);
    out.double("fragmentation", ratio(*rss, usage.allocated));
    out.difference("fragmentation.bytes", *rss, usage.allocated);
    out.0
}

/// Names and values in turn.
struct Fields(Vec<Tree>);

impl Fields {
    fn name(&mut self, name: &str) {
        self.0.push(Tree::Bulk(name.as_bytes().to_vec()));
    }
    fn int(&mut self, name: &str, value: usize) {
        self.name(name);
        self.0.push(Tree::Int(i64::try_from(value).unwrap_or(i64::MAX)));
    }
    fn difference(&mut self, name: &str, a: usize, b: usize) {
        self.name(name);
        self.0.push(Tree::Int(difference(a, b)));
    }
    fn double(&mut self, name: &str, value: f64) {
        self.name(name);
        self.0.push(Tree::Double(value));
    }
}

static DOCTOR: HostCommand = HostCommand {
    spec: Spec {
        name: "memory|doctor",
        summary: "Looks for problems with memory, and says what to do about them.",
        tips: TIPS,
        ..SUB
    },
    run: |host, _| {
        let shared = host.shard.shared.clone();
        host.later(|shard| async move {
            let all = Facts::sum(ask_all(&shard, |there| there.facts(false)).await);
            let text = diagnosis(&Numbers::new(all, &shared));
            Tree::Verbatim("txt".into(), text.into_bytes())
        })
    },
    subs: &[],
};

/// Below this much data there is nothing to diagnose, in bytes.
const LITTLE: usize = 5 << 20;
/// With fewer keys than this neither.
const FEW: usize = 1000;
/// More than this much per connection is worth a word, in bytes.
const CLIENT_LARGE: usize = 200 << 10;

fn diagnosis(numbers: &Numbers) -> String {
    let Numbers { all, usage, rss, peak, startup, .. } = numbers;
    if usage.allocated.saturating_sub(*startup) < LITTLE || all.keys() < FEW {
        return "There is too little data here for a diagnosis.\n".to_owned();
    }
    let mut found = Vec::new();
    if *peak > usage.allocated / 2 * 3 {
        found.push(format!(
            "Peak: {} are in use now, but it was {} at the peak. Much of that memory stays with the process until it is needed \
             again or MEMORY PURGE is called.",
            human(usage.allocated),
            human(*peak)
        ));
    }
    if ratio(*rss, usage.allocated) > 1.4 && difference(*rss, usage.allocated) > 10 << 20 {
        found.push(format!(
            "Fragmentation: the process holds {}, {:.2} times what is in use. Values of changing sizes leave gaps; a restart \
             closes them.",
            human(*rss),
            ratio(*rss, usage.allocated)
        ));
    }
    if ratio(usage.resident, usage.active) > 1.1
        && difference(usage.resident, usage.active) > 10 << 20
    {
        found.push(format!(
            "Allocator: it keeps {} that nobody uses. MEMORY PURGE gives them back.",
            human(usage.resident - usage.active)
        ));
    }
    if all.client_bytes > CLIENT_LARGE * all.clients.max(1) {
        found.push(format!(
            "Clients: their buffers take {}. Some client reads its replies too slowly, or sends very large commands: see \
             tot-mem of CLIENT LIST, and client-output-buffer-limit.",
            human(all.client_bytes)
        ));
    }
    if found.is_empty() {
        return "No problem with memory was found.\n".to_owned();
    }
    found.into_iter().map(|text| format!("* {text}\n")).collect()
}

static MALLOC_STATS: HostCommand = HostCommand {
    spec: Spec {
        name: "memory|malloc-stats",
        complexity: "Depends on how much memory is allocated, could be slow",
        summary: "Shows the allocator's own statistics.",
        tips: TIPS,
        ..SUB
    },
    run: |host, _| on_helper(host, crate::memory::report),
    subs: &[],
};

static PURGE: HostCommand = HostCommand {
    spec: Spec {
        name: "memory|purge",
        complexity: "Depends on how much memory is allocated, could be slow",
        summary: "Has the allocator give unused memory back to the system.",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..SUB
    },
    run: |host, _| {
        host.later(|shard| async move {
            match crate::snapshot::on_helper(&shard, crate::rt::allocator::purge).await {
                Some(true) => Tree::Simple("OK".into()),
                _ => Tree::Error(Error::text("ERR Error purging dirty pages")),
            }
        })
    },
    subs: &[],
};

/// The reply is a text that is made where it holds up nobody.
fn on_helper(host: &mut Host<'_>, work: fn() -> String) -> Result<Outcome, Error> {
    host.later(move |shard| async move {
        match crate::snapshot::on_helper(&shard, work).await {
            Some(text) => Tree::Verbatim("txt".into(), text.into_bytes()),
            None => Tree::Error(Error::text("ERR the helper is gone")),
        }
    })
}

static HELP: HostCommand = HostCommand {
    spec: Spec {
        name: "memory|help",
        flags: Flags::LOADING.union(Flags::STALE),
        summary: "Lists the subcommands.",
        ..SUB
    },
    run: |host, _| {
        super::help(
            host,
            "MEMORY",
            &[
                "DOCTOR",
                "    Return memory problems reports.",
                "MALLOC-STATS",
                "    Return internal statistics report from the memory allocator.",
                "PURGE",
                "    Attempt to purge dirty pages for reclamation by the allocator.",
                "STATS",
                "    Return information about the memory usage of the server.",
                "USAGE <key> [SAMPLES <count>]",
                "    Return memory in bytes used by <key> and its value. The count is exact.",
            ],
        )
    },
    subs: &[],
};
