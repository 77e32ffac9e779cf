//! Developer commands, a file each. `cargo xtask --help` lists them.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a command-line tool for developers, which talks on its terminal"
)]

mod bench;
mod choices;
mod conformance;
mod corrupt;
mod crash;
mod differ;
mod docs;
mod fuzz;
mod pitr;
mod power;
mod programs;
mod race;
mod simulate;
mod step;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer commands of Ringstone")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All that CI checks, step by step; stops at the first that fails
    Test(test::Options),
    /// Criterion micro-benches
    Bench(bench::Options),
    /// Ringstone beside redis-server, the same load in turn, figures as a table
    Race(race::Options),
    /// Redis's own test suite, beside what passes on redis-server; writes docs/compatibility.md
    Conformance(conformance::Options),
    /// Installs the client libraries, in Python and for Node.js, whose programs the tests run
    Programs,
    /// kill -9 under load, again and again, with a check of every acknowledged write
    Crash(crash::Options),
    /// Power cuts at any moment of a recorded run, with a check of every acknowledged write
    Power(power::Options),
    /// Damaged files of every kind: a start gives the same data, a prefix with a warning, or a refusal
    Corrupt(corrupt::Options),
    /// Instants of a recorded history, restored from the archive of the log and compared
    Pitr(pitr::Options),
    /// Random commands to redis-server and to Ringstone, whose replies and data must agree
    Differ(differ::Options),
    /// Crashes of simulated servers, by the million, each followed by a start that is checked
    Simulate(simulate::Options),
    /// cargo-fuzz targets
    Fuzz(fuzz::Options),
    /// Writes the documents that are generated from tables
    Docs(docs::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Test(options) => test::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Race(options) => race::run(&options),
        Command::Conformance(options) => conformance::run(&options),
        Command::Programs => programs::run(),
        Command::Crash(options) => crash::run(&options),
        Command::Power(options) => power::run(&options),
        Command::Corrupt(options) => corrupt::run(&options),
        Command::Pitr(options) => pitr::run(&options),
        Command::Differ(options) => differ::run(&options),
        Command::Simulate(options) => simulate::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Docs(options) => docs::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
