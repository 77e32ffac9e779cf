//! The simulator: whole servers of several shards on a disk that forgets, driven by one seed.
//!
//! ```text
//!   seed ─> Rng ─> Run: N shards (Keyspace, Batches, LogWriter), Watermarks, transactions, snapshots ─> Disk ─ crash ─┐
//!                  ^  shard count, sync mode, log or none, and what fails change from run to run                     │
//!                  └────────── Oracle <── keyspaces <── base or dump.rdb, frames replayed <── recover <──────────────┘
//! ```
//!
//! The code under test is real: the engine's keyspaces and commands of all types, the commit step, the log, recovery, and
//! snapshot files. The disk, the clock and the order of things are played.
//!
//! The oracle knows what each frame made of the live keyspaces. What is recovered is the state after one of them, key by
//! key; every acknowledged write, and whatever a reply has shown, is in it; a transaction is there whole or not at all; no
//! frame is read from a segment that it was not written to; and recovering again gives the same. A [`Mutation`] breaks one
//! rule on purpose, to show that the oracle notices.
//!
//! Invariant: everything follows from the seed.

pub mod commands;
pub mod damage;
pub mod disk;
pub mod model;
pub mod mutation;
pub mod oracle;
pub mod rng;
pub mod run;
pub mod shard;
pub mod snapshot;
pub mod stats;

pub use damage::{Outcome, damage_once};
pub use disk::{Crash, Disk};
pub use mutation::Mutation;
pub use oracle::{Oracle, Violation};
pub use rng::Rng;
pub use stats::Stats;

/// Lives through several runs, each ended by a crash and checked after recovery.
pub fn run_seed(seed: u64, mutation: Option<Mutation>) -> Result<Stats, Violation> {
    live(run::World::new(seed, mutation))
}

/// The same, with all that happens on the disk printed.
pub fn trace_seed(seed: u64, mutation: Option<Mutation>) -> Result<Stats, Violation> {
    let mut world = run::World::new(seed, mutation);
    world.trace();
    live(world)
}

fn live(mut world: run::World) -> Result<Stats, Violation> {
    let lives = 5 + world.rng.below(20);
    for _ in 0..lives {
        world.live_and_crash()?;
    }
    Ok(world.stats)
}

/// The shell command that runs one seed again.
pub fn replay_command(seed: u64, mutation: Option<Mutation>) -> String {
    let mutation = mutation.map_or(String::new(), |m| format!(" --mutation {}", m.name()));
    format!("cargo xtask simulate --only {seed}{mutation}")
}
