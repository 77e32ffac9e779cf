//! `cargo xtask docs`: writes the documents that are generated from tables. The tests that compare them with the tables write
//! them when told to.

use clap::Args;

use crate::step::{cargo, check};

/// Nothing to choose.
#[derive(Args)]
pub(crate) struct Options {}

/// Writes them.
pub(crate) fn run(_: &Options) -> Result<(), String> {
    let mut command = cargo(&["test", "--quiet", "--package", "ringstone-server", "--lib", "docs"]);
    check(command.env("UPDATE_DOCS", "1"))?;
    println!("docs/commands.md, docs/config.md and ringstone.conf are fresh.");
    Ok(())
}
