//! `cargo xtask conformance`: Redis's own Tcl test suite against Ringstone, beside what passes on redis-server.
//!
//! ```text
//!   source (Debian's source package)
//!      └─> unit: a fresh server + driver.tcl ──> results (files) ──> report (terminal, docs/compatibility.md)
//! ```
//!
//! redis-server is run once; what passes there is the measure.

mod report;
mod results;
mod source;
mod unit;

use std::fs;
use std::path::PathBuf;

use clap::Args;
use ringstone_tests::server::{Binary, Launch};

use crate::step::workspace;
use report::{Reasons, Total};
use results::Results;

/// Units in the order of running.
const UNITS: &[&str] = &[
    "unit/printver",
    "unit/dump",
    "unit/auth",
    "unit/protocol",
    "unit/keyspace",
    "unit/scan",
    "unit/info",
    "unit/info-command",
    "unit/type/string",
    "unit/type/incr",
    "unit/type/list",
    "unit/type/list-2",
    "unit/type/list-3",
    "unit/type/set",
    "unit/type/zset",
    "unit/type/hash",
    "unit/type/stream",
    "unit/type/stream-cgroups",
    "unit/sort",
    "unit/expire",
    "unit/other",
    "unit/multi",
    "unit/quit",
    "unit/aofrw",
    "unit/acl",
    "unit/acl-v2",
    "unit/latency-monitor",
    "integration/redis-cli",
    "integration/redis-benchmark",
    "unit/pubsub",
    "unit/pubsubshard",
    "unit/slowlog",
    "unit/scripting",
    "unit/functions",
    "unit/maxmemory",
    "unit/introspection",
    "unit/introspection-2",
    "unit/limits",
    "unit/obuf-limits",
    "unit/bitops",
    "unit/bitfield",
    "unit/geo",
    "unit/memefficiency",
    "unit/hyperloglog",
    "unit/lazyfree",
    "unit/wait",
    "unit/pause",
    "unit/querybuf",
    "unit/pendingquerybuf",
    "unit/tracking",
    "unit/networking",
    "unit/client-eviction",
    "unit/violations",
    "unit/replybufsize",
];

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Only this unit (`unit/type/list`, or a part of the name); several times for several
    #[arg(long)]
    unit: Vec<String>,
    /// Numbers of shards, each a run of its own
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    shards: Vec<usize>,
    /// The server; the workspace's own otherwise
    #[arg(long)]
    bin: Option<PathBuf>,
    /// Run redis-server again, too, although its results are there
    #[arg(long)]
    reference: bool,
    /// Show each failure and its message
    #[arg(long)]
    failures: bool,
}

/// Runs the units, tells what passed, writes the page when the results of all units are there.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let reasons = Reasons::load()?;
    let tree = source::tree()?;
    let chosen = |unit: &str| {
        options.unit.is_empty()
            || options.unit.iter().any(|u| unit == u)
            || !options.unit.iter().any(|u| UNITS.contains(&u.as_str()))
                && options.unit.iter().any(|u| unit.contains(u.as_str()))
    };
    let units: Vec<&str> = UNITS.iter().copied().filter(|u| chosen(u)).collect();
    if units.is_empty() {
        return Err(format!("no such unit; there are:\n{}", UNITS.join("\n")));
    }
    let redis = Results::of_redis();
    for unit in &units {
        if options.reference || redis.get(unit).is_none() {
            let result = unit::run(&tree, unit, &launch(Binary::redis()))?;
            redis.put(unit, &result)?;
            println!("redis-server {unit}: {} pass", result.passed());
        }
    }
    let binary = match &options.bin {
        Some(path) => Binary {
            path: std::path::absolute(path).map_err(|e| format!("{}: {e}", path.display()))?,
        },
        None => Binary::ringstone(),
    };
    for &shards in &options.shards {
        println!("\n{} with {shards} shards", binary.path.display());
        let kept = Results::of_ringstone(shards);
        let mut total = Total::default();
        for unit in &units {
            let result = unit::run(&tree, unit, &launch(binary.clone()).shards(shards))?;
            kept.put(unit, &result)?;
            let reference = redis.get(unit).unwrap_or_default();
            println!("{}", total.add(unit, &reference, &result));
            if options.failures {
                show_failures(&result);
            }
        }
        println!("{}", total.line());
    }
    write_page(&reasons)
}

/// A server as the suite wants it: keeps nothing, lets itself be debugged.
fn launch(binary: Binary) -> Launch {
    let redis = binary.is_redis();
    let launch = Launch::new(binary).set("enable-debug-command", "yes");
    let launch = launch.set("enable-protected-configs", "yes");
    if redis { launch.set("enable-module-command", "yes") } else { launch }
}

fn show_failures(result: &unit::Unit) {
    for step in &result.setup {
        println!("    outside of tests: {}", step.replace('\n', " / "));
    }
    for test in &result.tests {
        if let Some(why) = &test.failure {
            println!("    {}: {}", test.name, why.replace('\n', " / "));
        }
    }
}

fn write_page(reasons: &Reasons) -> Result<(), String> {
    // Numbers of shards with which all units were run.
    let is_whole = |shards: &usize| {
        let kept = Results::of_ringstone(*shards);
        UNITS.iter().all(|unit| kept.get(unit).is_some())
    };
    let whole: Vec<usize> = [1, 2].into_iter().filter(is_whole).collect();
    let page = report::page(UNITS, &whole, reasons).filter(|_| !whole.is_empty());
    let Some(page) = page else {
        println!("docs/compatibility.md is left as it is: not all units have been run yet.");
        return Ok(());
    };
    let path = workspace().join("docs/compatibility.md");
    fs::write(&path, page).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("docs/compatibility.md is fresh.");
    Ok(())
}
