//! `cargo xtask pitr`: a recorded history, and instants of it restored from the archive.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ringstone_tests::pitr;

use crate::choices;

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Starts of the server, most of which end with kill -9
    #[arg(long, default_value_t = 8)]
    rounds: u32,
    /// How long each lasts
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Instants that are restored and compared
    #[arg(long, default_value_t = 50)]
    instants: u32,
    /// `appendfsync`
    #[arg(long, default_value = "everysec", value_parser = ["always", "everysec", "no"])]
    fsync: String,
    /// The server, with `ringstone` beside it; the workspace's own otherwise
    #[arg(long)]
    bin: Option<PathBuf>,
    /// Where the random choices begin; the clock otherwise
    #[arg(long)]
    seed: Option<u64>,
    /// A further parameter of the server, `name=value`
    #[arg(long, value_parser = crate::crash::parameter)]
    set: Vec<(String, String)>,
}

/// Runs it, prints what was done, fails at the first difference.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let seed = options.seed.unwrap_or_else(choices::clock);
    let binary = choices::binary(options.bin.as_deref())?;
    let Options { rounds, seconds, instants, fsync, .. } = options;
    println!(
        "pitr: fsync={fsync} rounds={rounds} seconds={seconds} instants={instants} seed={seed}"
    );
    let report = pitr::run(&pitr::Options {
        binary,
        rounds: options.rounds,
        round: Duration::from_secs(options.seconds),
        instants: options.instants,
        fsync: options.fsync.clone(),
        seed,
        set: options.set.clone(),
    })?;
    println!(
        "{} writes up to GSN {}, {} kills, {} rewrites, {} files of archive with {} bytes: {} instants restored exactly",
        report.writes,
        report.gsn,
        report.kills,
        report.rewrites,
        report.archive.0,
        report.archive.1,
        report.restored
    );
    Ok(())
}
