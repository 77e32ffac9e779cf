//! INFO: facts of all shards, in Redis's sections and under Redis's names.

/// Adds a line; writing to a String cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => {{ let _ = write!($out, $($arg)*); $out.push_str("\r\n"); }};
}

pub(crate) mod facts;
mod general;
pub(crate) mod memory;
mod persistence;
mod stats;

use ringstone_engine::Tree;
use ringstone_engine::cmd::{Acl, Arg, ArgKind, Flags, Group, Spec};

use super::HostCommand;
use crate::ask::ask_all;
use crate::config::Config;
use crate::shared::Shared;
use facts::Facts;

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
        history: &[("7.0.0", "Added support for taking multiple section arguments.")],
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        args: &[Arg::new("section", ArgKind::String).optional().multiple()],
        ..Spec::DEFAULT
    },
    run: |host, args| {
        let words = args.iter_from(1);
        let wanted: Vec<String> =
            words.map(|word| String::from_utf8_lossy(word).to_ascii_lowercase()).collect();
        let (shared, config) = (host.shard.shared.clone(), host.shard.config.clone());
        // Before the report takes memory of its own.
        let memory = crate::memory::usage();
        host.later(move |shard| async move {
            let chosen: Vec<&Section> = SECTIONS.iter().filter(|s| s.is_wanted(&wanted)).collect();
            let with_calls = chosen.iter().any(|section| section.shown == Shown::All);
            let parts = ask_all(&shard, move |there| there.facts(with_calls)).await;
            let about = About { all: &Facts::sum(parts), shared: &shared, config: &config, memory };
            let mut out = String::new();
            for section in chosen {
                if !out.is_empty() {
                    out.push_str("\r\n");
                }
                (section.write)(&mut out, &about);
            }
            Tree::Verbatim("txt".into(), out.into_bytes())
        })
    },
    subs: &[],
};

/// What a section writes from.
struct About<'a> {
    all: &'a Facts,
    shared: &'a Shared,
    config: &'a Config,
    memory: crate::memory::Usage,
}

/// When a section is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// With `default`, `all` and `everything`.
    Always,
    /// With `all` and `everything`, from the table of calls.
    All,
}

struct Section {
    /// Its name, as INFO takes it.
    names: &'static [&'static str],
    shown: Shown,
    write: fn(&mut String, &About<'_>),
}

const fn section(names: &'static [&'static str], write: fn(&mut String, &About<'_>)) -> Section {
    Section { names, shown: Shown::Always, write }
}

/// In the order in which they are shown.
const SECTIONS: &[Section] = &[
    section(&["server"], general::server),
    section(&["clients"], general::clients),
    section(&["memory"], memory::memory),
    section(&["persistence"], persistence::persistence),
    section(&["stats"], stats::stats),
    section(&["replication"], general::replication),
    section(&["cpu"], general::cpu),
    section(&["module_list", "modules"], general::modules),
    Section { shown: Shown::All, ..section(&["commandstats"], stats::commandstats) },
    section(&["errorstats"], stats::errorstats),
    Section { shown: Shown::All, ..section(&["latencystats"], stats::latencystats) },
    section(&["cluster"], general::cluster),
    section(&["keyspace"], stats::keyspace),
];

impl Section {
    fn is_wanted(&self, wanted: &[String]) -> bool {
        let by_default = self.shown != Shown::All;
        if wanted.is_empty() {
            return by_default;
        }
        wanted.iter().any(|word| match word.as_str() {
            "default" => by_default,
            "all" | "everything" => true,
            name => self.names.contains(&name),
        })
    }
}
