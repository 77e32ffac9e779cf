//! `cargo xtask race`: Ringstone beside redis-server, the same load in turn, figures as a Markdown table.
//!
//! ```text
//!   for each row: A B, A B, ... (rounds) ─> median of each ─> ratio
//!   server on core 0, redis-benchmark on core 1, data on the disk that holds the build
//! ```
//!
//! Invariant: both servers get the same flags, load and cores; what only one of them can do is no row.

mod load;
mod persist;
mod process;
mod rows;
mod table;

use std::path::PathBuf;

use clap::Args;
use ringstone_tests::server::{Binary, Home, Launch, Server, target_dir};
use serde_json::json;

use crate::step::{cargo, check};
use table::Table;

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Short runs and few keys: shows that all works, gives no figures to quote
    #[arg(long)]
    quick: bool,
    /// Runs of each row on each server
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only rows whose name contains this, letter case ignored
    #[arg(long, default_value = "")]
    only: String,
    /// Writes all figures here, too
    #[arg(long)]
    json: Option<PathBuf>,
    /// Keys of the snapshot, restart and memory rows
    #[arg(long)]
    keys: Option<u64>,
    /// The server to race; the workspace's own release build otherwise
    #[arg(long)]
    bin: Option<PathBuf>,
    /// The server to race against
    #[arg(long)]
    against: Option<PathBuf>,
}

impl Options {
    fn keys(&self) -> u64 {
        self.keys.unwrap_or(if self.quick { 100_000 } else { 2_000_000 })
    }

    fn wants(&self, row: &str) -> bool {
        row.to_lowercase().contains(&self.only.to_lowercase())
    }
}

/// The two servers, the other one first.
pub(crate) struct Racer {
    /// Its column's name.
    pub(crate) name: &'static str,
    binary: Binary,
}

impl Racer {
    /// A server pinned to core 0 with one shard, and its data's home.
    pub(crate) fn start(&self, flags: &[(&str, &str)]) -> Result<(Home, Server), String> {
        let home = Home::within(&target_dir().join("race"));
        let server = self.start_on(&home, flags)?;
        Ok((home, server))
    }

    /// The same over data that is there.
    pub(crate) fn start_on(&self, home: &Home, flags: &[(&str, &str)]) -> Result<Server, String> {
        let mut launch = Launch::new(self.binary.clone()).shards(1).under(&["taskset", "-c", "0"]);
        for (name, value) in flags {
            launch = launch.set(name, value);
        }
        launch.try_start(home).map_err(|e| e.to_string())
    }
}

/// Runs all rows that are wanted, prints the table.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let ours = match &options.bin {
        Some(path) => std::path::absolute(path).map_err(|e| format!("{}: {e}", path.display()))?,
        None => {
            check(&mut cargo(&["build", "--release", "--package", "ringstone-server"]))?;
            target_dir().join("release/ringstone-server")
        }
    };
    let theirs = options.against.clone().unwrap_or_else(|| Binary::redis().path);
    let racers = [
        Racer { name: "redis", binary: Binary { path: theirs } },
        Racer { name: "ringstone", binary: Binary { path: ours } },
    ];
    let mut table = Table::default();
    rows::run(options, &racers, &mut table);
    persist::run(options, &racers, &mut table);
    println!("\n{}", table.markdown());
    if let Some(path) = &options.json {
        let text = format!("{:#}\n", json!({ "quick": options.quick, "rows": table.json() }));
        std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    if table.is_empty() { Err(format!("no row matches `{}`", options.only)) } else { Ok(()) }
}
