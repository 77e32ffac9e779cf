//! `cargo xtask differ`: random commands to redis-server and to Ringstone, whose replies and data must agree.

use std::path::PathBuf;

use clap::Args;
use ringstone_tests::differ;
use ringstone_tests::server::Launch;

use crate::choices;

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Commands of a seed
    #[arg(long, default_value_t = 2000)]
    commands: u64,
    /// How many seeds
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Shards of Ringstone
    #[arg(long, default_value_t = 2)]
    shards: usize,
    /// RESP3
    #[arg(long)]
    resp3: bool,
    /// The server; the workspace's own otherwise
    #[arg(long)]
    bin: Option<PathBuf>,
}

/// Runs them, prints what differs, fails when anything does.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let binary = choices::binary(options.bin.as_deref())?;
    let report = differ::run(&differ::Options {
        launch: Launch::new(binary).shards(options.shards),
        seed: options.seed,
        seeds: options.seeds,
        commands: options.commands,
        resp3: options.resp3,
    });
    report.differences.iter().for_each(|line| println!("{line}"));
    println!("{} commands, {} differences", report.commands, report.differences.len());
    if report.differences.is_empty() { Ok(()) } else { Err("differ: FAILED".to_owned()) }
}
