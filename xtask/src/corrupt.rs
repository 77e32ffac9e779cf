//! `cargo xtask corrupt`: damaged files, and what a start makes of them.

use std::time::Instant;

use clap::Args;
use ringstone_tests::corrupt;

use crate::choices;

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Damaged files that are read in this process
    #[arg(long, default_value_t = 10_000)]
    files: u64,
    /// Damaged directories that `ringstone check` and a server are started over
    #[arg(long, default_value_t = 20)]
    real: u64,
    /// Where the random choices begin; the clock otherwise
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs it, prints the report, fails when anything happened that must not.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let seed = options.seed.unwrap_or_else(choices::clock);
    let Options { files, real, .. } = *options;
    println!("corrupt: --files {files} --real {real} --seed {seed}");
    let began = Instant::now();
    let report = corrupt::run(&corrupt::Options { files, real, seed });
    println!("{report}took {:.1} s", began.elapsed().as_secs_f64());
    if report.is_clean() { Ok(()) } else { Err("corrupt: FAILED".to_owned()) }
}
