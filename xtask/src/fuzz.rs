//! `cargo xtask fuzz`: each cargo-fuzz target for a while, on the stable compiler.

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

/// Runs the targets; the first that finds something ends it.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    if !works("cargo", &["fuzz", "--version"]) {
        println!("cargo-fuzz is missing: installing it");
        check(&mut cargo(&["install", "cargo-fuzz", "--locked"]))?;
    }
    for target in targets()? {
        if options.target.as_ref().is_some_and(|only| *only != target) {
            continue;
        }
        println!("\n=== fuzz {target}, {} s", options.seconds);
        let limit = format!("-max_total_time={}", options.seconds);
        let mut command = cargo(&["fuzz", "run", &target, "--", &limit, "-timeout=10"]);
        // The sanitizer's flags are accepted by a stable compiler only with this.
        check(command.env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(())
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
