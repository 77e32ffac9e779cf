//! `cargo xtask simulate`: the simulator of the tests crate, from the command line.

use std::cell::Cell;
use std::panic;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use ringstone_tests::sim::{Mutation, Stats, replay_command, run_seed, trace_seed};

use crate::choices;
use crate::step::{cargo, check};

/// How often the progress is told.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Violations after which it makes no sense to go on.
const VIOLATIONS_MAX: usize = 20;

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// How many crashes
    #[arg(long, default_value_t = 200_000)]
    crashes: u64,
    /// The first seed; the clock otherwise
    #[arg(long)]
    seed: Option<u64>,
    /// Threads; as many as there are processors otherwise
    #[arg(long)]
    jobs: Option<usize>,
    /// Run this seed alone
    #[arg(long)]
    only: Option<u64>,
    /// With `--only`: print what happens
    #[arg(long)]
    trace: bool,
    /// Break this rule on purpose
    #[arg(long)]
    mutation: Option<String>,
    /// Break every rule in turn, and show which seed notices
    #[arg(long)]
    mutations: bool,
}

thread_local! {
    static SEED: Cell<u64> = const { Cell::new(0) };
}

/// Runs seeds until there were enough crashes; fails when a rule did not hold.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    if cfg!(debug_assertions) {
        // Optimised it is twenty times as fast.
        let mut again: Command =
            cargo(&["run", "--quiet", "--release", "--package", "xtask", "--"]);
        return check(again.args(std::env::args_os().skip(1)));
    }
    let mutation = match &options.mutation {
        Some(name) => Some(Mutation::from_name(name).ok_or_else(|| {
            let names: Vec<&str> = Mutation::ALL.iter().map(|(name, _)| *name).collect();
            format!("no mutation is called {name}; there are {}", names.join(", "))
        })?),
        None => None,
    };
    let told = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        eprintln!("in {}", replay_command(SEED.get(), mutation));
        told(info);
    }));
    if options.mutations {
        return all_mutations(options.seed.unwrap_or(0));
    }
    if let Some(seed) = options.only {
        SEED.set(seed);
        let run = if options.trace { trace_seed } else { run_seed };
        let stats = run(seed, mutation).map_err(|e| format!("seed {seed}: {e}"))?;
        println!("seed {seed}: {} crashes, all is well\n{stats}", stats.crashes());
        return Ok(());
    }
    many(options, mutation)
}

fn many(options: &Options, mutation: Option<Mutation>) -> Result<(), String> {
    let first = options.seed.unwrap_or_else(|| choices::clock() * 1_000_000);
    let jobs =
        options.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    println!("simulate: {} crashes, seeds from {first}, {jobs} jobs", options.crashes);
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let (total, violations) = (Mutex::new(Stats::default()), Mutex::new(Vec::<String>::new()));
    let began = Instant::now();
    let locked = || *total.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    SEED.set(seed);
                    match run_seed(seed, mutation) {
                        Ok(stats) => {
                            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                            total.add(stats);
                            let enough = total.crashes() >= options.crashes;
                            stop.fetch_or(enough, Ordering::Relaxed);
                        }
                        Err(violation) => {
                            println!(
                                "VIOLATION: {violation}\n  {}",
                                replay_command(seed, mutation)
                            );
                            let mut all = violations.lock().unwrap_or_else(PoisonError::into_inner);
                            all.push(violation.to_string());
                            stop.fetch_or(all.len() >= VIOLATIONS_MAX, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        let mut told = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(100));
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                let found = violations.lock().unwrap_or_else(PoisonError::into_inner).len();
                tell(&locked(), began.elapsed(), found);
            }
        }
    });
    let stats = locked();
    let seeds = next.load(Ordering::Relaxed) - first;
    let found = violations.into_inner().unwrap_or_else(PoisonError::into_inner).len();
    println!("{seeds} seeds in {:.1} s", began.elapsed().as_secs_f64());
    tell(&stats, began.elapsed(), found);
    print!("{stats}");
    if found == 0 { Ok(()) } else { Err(format!("simulate: {found} violations")) }
}

fn tell(stats: &Stats, took: Duration, violations: usize) {
    let a_minute = stats.crashes() as f64 * 60.0 / took.as_secs_f64().max(0.001);
    println!("{:>10} crashes, {a_minute:.0} a minute, {violations} violations", stats.crashes());
}

/// Seeds within which every mutation must be noticed.
const MUTATION_SEEDS: u64 = 5000;

fn all_mutations(first: u64) -> Result<(), String> {
    let mut unnoticed = Vec::new();
    for (name, mutation) in Mutation::ALL {
        let noticed = (first..first + MUTATION_SEEDS).find_map(|seed| {
            SEED.set(seed);
            Some((seed, run_seed(seed, Some(*mutation)).err()?))
        });
        match noticed {
            Some((seed, violation)) => println!("{name:24} {:>5} {violation}", seed - first),
            None => unnoticed.push(*name),
        }
    }
    if unnoticed.is_empty() { Ok(()) } else { Err(format!("unnoticed: {}", unnoticed.join(", "))) }
}
