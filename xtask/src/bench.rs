//! `cargo xtask bench`: the criterion benches.

use clap::Args;

use crate::step::{cargo, check};

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Only benches whose name contains this
    filter: Option<String>,
    /// Few samples: a look, not a figure
    #[arg(long)]
    quick: bool,
}

/// Runs the benches.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut command = cargo(&["bench", "--package", "ringstone-bench", "--benches", "--"]);
    if options.quick {
        command.arg("--quick");
    }
    check(command.args(&options.filter))
}
