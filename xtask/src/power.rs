//! `cargo xtask power`: power loss on the real server, from the command line.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use ringstone_tests::power::{self, Mutation};

use crate::choices;

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// File system under the server
    #[arg(long, default_value = "ext4", value_parser = ["ext4", "xfs"])]
    fs: String,
    /// `appendfsync`
    #[arg(long, default_value = "always", value_parser = ["always", "everysec", "no"])]
    fsync: String,
    /// Power cuts to try
    #[arg(long, default_value_t = 200)]
    cuts: u64,
    /// Cuts of one recording
    #[arg(long, default_value_t = 100)]
    cuts_of_round: u64,
    /// How long the clients write in each of the three lives of the server in a recording
    #[arg(long, default_value_t = 1500)]
    load_ms: u64,
    /// How old an acknowledged write may be that is missing with `everysec`: the second, and what a slow disk still writes
    #[arg(long, default_value_t = 3000)]
    window_ms: u64,
    /// Images that are checked at a time
    #[arg(long, default_value_t = 2)]
    parallel: usize,
    /// The server; the workspace's own otherwise
    #[arg(long)]
    bin: Option<PathBuf>,
    /// Where the random choices begin; the clock otherwise
    #[arg(long)]
    seed: Option<u64>,
    /// Break a rule on purpose; the run then fails unless that is noticed
    #[arg(long)]
    mutation: Option<Broken>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Broken {
    /// The disk answers flushes and forgets them
    DropFlushes,
    /// `everysec` is judged as if it were `always`
    JudgeAsAlways,
}

/// Runs, prints the report, fails when anything was lost.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let seed = options.seed.unwrap_or_else(choices::clock);
    let binary = choices::binary(options.bin.as_deref())?;
    let mutation = options.mutation.map(|broken| match broken {
        Broken::DropFlushes => Mutation::DropFlushes,
        Broken::JudgeAsAlways => Mutation::JudgeAsAlways,
    });
    let power = power::Options {
        binary,
        filesystem: options.fs.clone(),
        fsync: options.fsync.clone(),
        cuts: options.cuts,
        cuts_of_round: options.cuts_of_round,
        load: Duration::from_millis(options.load_ms),
        everysec_window: Duration::from_millis(options.window_ms),
        seed,
        parallel: options.parallel,
        mutation,
    };
    if let Some(reason) = power.unavailable() {
        println!("power: SKIPPED on {}: {reason}", options.fs);
        return Ok(());
    }
    println!(
        "power: {} fs={} fsync={} cuts={} seed={seed}",
        power.binary.path.display(),
        options.fs,
        options.fsync,
        options.cuts
    );
    let began = Instant::now();
    let mut progress = |report: &power::Report| {
        let faults: u64 = report.faults.values().map(|(count, _)| count).sum();
        println!(
            "{:>5.0} s  {} cuts, {} faults",
            began.elapsed().as_secs_f64(),
            report.cuts,
            faults
        );
    };
    let report = power::run(&power, &mut progress).map_err(|e| format!("power: {e}"))?;
    println!("{report}\n{:.0} s", began.elapsed().as_secs_f64());
    match (report.is_clean(), mutation) {
        (true, None) => Ok(()),
        (false, None) => Err("power: FAILED".to_owned()),
        (false, Some(_)) => {
            println!("power: the broken rule was noticed");
            Ok(())
        }
        (true, Some(_)) => Err("power: FAILED, the broken rule went unnoticed".to_owned()),
    }
}
