//! The program `ringstone`: what can be done with data while no server runs. A subcommand is a file of this folder and a
//! row of [`Command`].
//!
//! ```text
//!   ringstone log dump DIR ──> place (which files) ──> recovery over disk::overlay (nothing is written) ──> output
//! ```
//!
//! Invariant: what only looks opens files for reading only; it takes recovery's own code over an overlay, so that it says what
//! a start would do, and cannot do it.
//! Invariant: a directory that a server uses is left alone.

mod check;
mod effects;
mod export;
mod import;
mod instant;
mod log;
mod log_dump;
mod output;
mod place;
mod restore;
mod state;
mod times;
mod truncate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub(crate) use output::Output;

/// What `ringstone` takes.
#[derive(Parser)]
#[command(
    name = "ringstone",
    version,
    about = "Looks at Ringstone's data, and moves it, while no server runs",
    after_help = "Status: 0 done, nothing is wrong; 1 something is damaged, and nothing that was acknowledged is lost; 2 damaged, \
                  a start is refused; 3 not done. More: docs/tools.md."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The subcommands.
#[derive(Subcommand)]
enum Command {
    /// Says what stands there, what is damaged, and what a start would do; changes nothing
    Check(check::Options),
    /// The log, frame by frame
    #[command(subcommand)]
    Log(Log),
    /// A data directory as of any instant that an archive holds (log-archive-dir)
    Restore(restore::Options),
    /// Writes a state for other programs: as an RDB file, or as an append-only directory of Redis 7
    Export(export::Options),
    /// Takes over data of Redis or Valkey, as a directory that a server starts from
    Import(import::Options),
    /// Ends a log earlier: at a GSN, or at a point in time
    Truncate(truncate::Options),
}

/// What can be done with a log.
#[derive(Subcommand)]
enum Log {
    /// Prints the frames of a log or of one of its files, in order, with their effects as commands
    Dump(log_dump::Options),
}

/// How a subcommand ended, when it did what it was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// Nothing is wrong.
    Sound,
    /// Something is damaged; a start goes on, and nothing that was acknowledged is lost.
    Damaged,
    /// Damaged; a start is refused.
    Refused,
}

/// Why a subcommand could not do its work, in words for the operator.
pub(crate) type Failure = String;

/// What a subcommand gives.
pub(crate) type Outcome = Result<Verdict, Failure>;

/// The whole life of the process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Where the stream is closed there is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(3) } else { ExitCode::SUCCESS };
        }
    };
    output::show_warnings();
    let mut out = Output::stdout();
    let outcome = match &cli.command {
        Command::Check(options) => check::run(options, &mut out),
        Command::Log(Log::Dump(options)) => log_dump::run(options, &mut out),
        Command::Restore(options) => restore::run(options, &mut out),
        Command::Export(options) => export::run(options, &mut out),
        Command::Import(options) => import::run(options, &mut out),
        Command::Truncate(options) => truncate::run(options, &mut out),
    };
    let outcome = outcome.and_then(|verdict| out.finish().map(|()| verdict));
    match outcome {
        Ok(Verdict::Sound) => ExitCode::SUCCESS,
        Ok(Verdict::Damaged) => ExitCode::from(1),
        Ok(Verdict::Refused) => ExitCode::from(2),
        Err(failure) if failure == output::CLOSED => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure);
            ExitCode::from(3)
        }
    }
}
