//! `cargo xtask fuzz`: each cargo-fuzz target for a while, on the stable compiler.

use std::time::Instant;

use clap::Args;

use crate::step::{cargo, check, works, workspace};

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Only this target
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Bounds of one process: seconds for an input, MiB in all, MiB at once. What a small input makes grow beyond is a finding.
const BOUNDS: [&str; 3] = ["-timeout=10", "-rss_limit_mb=2048", "-malloc_limit_mb=512"];
/// Leaks are not looked for: a thread that has been joined, and is just ending, looks like one.
const ASAN_OPTIONS: &str = "detect_leaks=0";

/// Runs the targets; the first that finds something ends it.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    if !works("cargo", &["fuzz", "--version"]) {
        println!("cargo-fuzz is missing: installing it");
        check(&mut cargo(&["install", "cargo-fuzz", "--locked"]))?;
    }
    let all = targets()?;
    let chosen: Vec<&String> =
        all.iter().filter(|t| options.target.as_ref().is_none_or(|only| only == *t)).collect();
    if chosen.is_empty() {
        return Err(format!("no such target; there are {}", all.join(", ")));
    }
    for target in chosen {
        println!("\n=== fuzz {target}, {} s", options.seconds);
        let begin = Instant::now();
        one(target, options.seconds)?;
        println!("=== fuzz {target}: nothing found in {} s", begin.elapsed().as_secs());
    }
    Ok(())
}

fn one(target: &str, seconds: u64) -> Result<(), String> {
    let fuzz = workspace().join("fuzz");
    // What is found on the way stays out of the seeds that are in the repository.
    let grown = fuzz.join("target/corpus").join(target);
    std::fs::create_dir_all(&grown).map_err(|e| format!("{}: {e}", grown.display()))?;
    // The sanitizer's flags are accepted by a stable compiler only with RUSTC_BOOTSTRAP.
    let mut command = cargo(&["fuzz", "run", target]);
    command.env("RUSTC_BOOTSTRAP", "1").env("ASAN_OPTIONS", ASAN_OPTIONS).arg(grown);
    let seeds = fuzz.join("corpus").join(target);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    command.arg("--").args(BOUNDS).arg("-print_final_stats=1");
    command.arg(format!("-max_total_time={seconds}"));
    let words = fuzz.join("dict").join(format!("{target}.dict"));
    if words.is_file() {
        command.arg(format!("-dict={}", words.display()));
    }
    check(&mut command)
}

fn targets() -> Result<Vec<String>, String> {
    let dir = workspace().join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
    let mut targets: Vec<String> =
        names.filter_map(|n| n.strip_suffix(".rs").map(str::to_owned)).collect();
    targets.sort();
    Ok(targets)
}
