//! `ringstone check`: what stands there, what of it is damaged, and what a start would make of it.
//!
//! ```text
//!   path ─> what is it? ─> recovery's, the loader's and the importer's own code ─> Report ─> text or JSON
//! ```
//!
//! Invariant: nothing is written. A verdict of "refused" and a start that refuses come from the same code.

mod directory;
mod file;
mod report;

use std::path::PathBuf;

use clap::Args;

use super::place::Server;
use super::{Outcome, Output};
use report::Report;

/// What to look at.
#[derive(Args)]
pub(crate) struct Options {
    /// A server's directory, a log's, one of Redis's, or a file: MANIFEST, segment, stage, RDB, append-only, ACL, configuration
    path: PathBuf,
    /// The report as JSON
    #[arg(long)]
    json: bool,
    /// Build all data in memory as well, as a start does: finds what only that finds, and takes the memory
    #[arg(long)]
    load: bool,
    #[command(flatten)]
    server: Server,
}

/// Looks, and reports.
pub(crate) fn run(options: &Options, out: &mut Output) -> Outcome {
    let path = &options.path;
    let mut report = Report::new(path);
    if path.is_dir() {
        directory::look(options, &mut report)?;
    } else {
        file::look(options, path, &mut report)?;
    }
    if options.json {
        out.line(report.to_json())?;
    } else {
        report.to_lines().iter().try_for_each(|line| out.line(line))?;
    }
    Ok(report.verdict())
}
