//! `cargo xtask crash`: the crash ring of the tests crate, from the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ringstone_tests::crash;
use ringstone_tests::crash::faults::{FAULTS, Kind};
use ringstone_tests::server::Binary;

use crate::choices;

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// How long to go on
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// `appendfsync`; all: another one at each start
    #[arg(long, default_value = "all", value_parser = ["always", "everysec", "no", "all"])]
    fsync: String,
    /// What to bring about; see docs/crash-testing.md
    #[arg(long, value_delimiter = ',', value_parser = fault, default_value = "kill,stop,failpoint,oom,full,eio,slow")]
    faults: Vec<Kind>,
    /// Where the data is to be: a directory on the disk that is to be tried
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Shards of the first start; every third restart takes another number
    #[arg(long, default_value_t = 2)]
    shards: usize,
    /// Connections that write
    #[arg(long, default_value_t = 6)]
    clients: usize,
    /// The server; the workspace's own otherwise
    #[arg(long)]
    bin: Option<PathBuf>,
    /// Where the random choices begin; the clock otherwise
    #[arg(long)]
    seed: Option<u64>,
    /// A further parameter of the server, `name=value`
    #[arg(long, value_parser = parameter)]
    set: Vec<(String, String)>,
}

impl Options {
    /// A short run of a binary that is built already.
    pub(crate) fn short(binary: &Binary, fsync: &str, seconds: u64, seed: u64) -> Options {
        let (bin, seed) = (Some(binary.path.clone()), Some(seed));
        Options {
            seconds,
            fsync: fsync.to_owned(),
            faults: FAULTS.iter().map(|row| row.kind).collect(),
            dir: None,
            shards: 2,
            clients: 6,
            bin,
            seed,
            set: Vec::new(),
        }
    }
}

fn fault(text: &str) -> Result<Kind, String> {
    let names = || FAULTS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
    Kind::named(text).ok_or_else(|| format!("the faults are {}", names()))
}

pub(crate) fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs the loop, prints the report, fails when anything was lost.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let seed = options.seed.unwrap_or_else(choices::clock);
    let binary = choices::binary(options.bin.as_deref())?;
    let faults: Vec<&str> = options.faults.iter().map(|kind| kind.name()).collect();
    println!(
        "crash: {} faults={} fsync={} shards={} clients={} seconds={} seed={seed}",
        binary.path.display(),
        faults.join(","),
        options.fsync,
        options.shards,
        options.clients,
        options.seconds
    );
    let report = crash::run(&crash::Options {
        binary,
        duration: Duration::from_secs(options.seconds),
        fsync: options.fsync.clone(),
        faults: options.faults.clone(),
        dir: options.dir.clone(),
        shards: options.shards,
        clients: options.clients,
        seed,
        set: options.set.clone(),
    });
    println!("{report}");
    if report.is_clean() { Ok(()) } else { Err("crash: FAILED".to_owned()) }
}
