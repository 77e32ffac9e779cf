//! The simulator: whole servers of several shards on a disk that forgets, driven by one seed.
//!
//! ```text
//!   seed ─> Rng ─> Run: N shards (LogWriter, Watermarks, batches, transactions, cuts) ─> Disk ─ crash ─> recover ─> Oracle
//!                  └────────────────── shard count, sync mode and faults change from run to run ──────────────────────┘
//! ```
//!
//! The code under test is the real `ringstone_persist::log`; only the disk and the shards that drive it are played.
//! The oracle: what is recovered is a prefix of what was executed, every acknowledged write is in it, a transaction is
//! there whole or not at all, no frame is read from a segment that it was not written to, and recovering again gives the
//! same. A [`Mutation`] breaks one rule on purpose, to show that the oracle notices.
//!
//! Invariant: everything follows from the seed.

pub mod damage;
pub mod disk;
pub mod mutation;
pub mod oracle;
pub mod rng;
pub mod run;
pub mod shard;

pub use damage::{Outcome, damage_once};
pub use disk::{Crash, Disk};
pub use mutation::Mutation;
pub use oracle::{Oracle, Violation};
pub use rng::Rng;

/// What a seed went through.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Crashes, those within recovery included.
    pub crashes: u64,
    /// Writes acknowledged.
    pub acknowledged: u64,
    /// Frames that recovery replayed.
    pub replayed: u64,
    /// Snapshots finished.
    pub cuts: u64,
    /// I/O errors that were injected.
    pub faults: u64,
    /// Shards that wrote what had failed into a fresh segment.
    pub failovers: u64,
    /// Sectors of stage files that changed.
    pub staged: u64,
    /// Shards that ran out of space.
    pub full: u64,
    /// Runs that ended since a fresh segment failed as well.
    pub fatal: u64,
    /// Changes of the sync mode while running.
    pub mode_changes: u64,
    /// Files that were used again.
    pub recycled: u64,
}

impl Stats {
    /// Adds another seed's.
    pub fn add(&mut self, other: Stats) {
        self.crashes += other.crashes;
        self.acknowledged += other.acknowledged;
        self.replayed += other.replayed;
        self.cuts += other.cuts;
        self.faults += other.faults;
        self.failovers += other.failovers;
        self.staged += other.staged;
        self.full += other.full;
        self.fatal += other.fatal;
        self.mode_changes += other.mode_changes;
        self.recycled += other.recycled;
    }
}

/// Lives through several runs, each ended by a crash and checked after recovery.
pub fn run_seed(seed: u64, mutation: Option<Mutation>) -> Result<Stats, Violation> {
    let mut world = run::World::new(seed, mutation);
    let lives = 3 + world.rng.below(5);
    for _ in 0..lives {
        world.live_and_crash()?;
    }
    Ok(world.stats)
}

/// The shell command that runs one seed again.
pub fn replay_command(seed: u64, mutation: Option<Mutation>) -> String {
    let mutation =
        mutation.map_or(String::new(), |m| format!("RINGSTONE_SIM_MUTATION={} ", m.name()));
    format!(
        "{mutation}RINGSTONE_SIM_SEED={seed} cargo test -p ringstone-tests --test sim sim_replays_the_seed_asked_for -- --nocapture"
    )
}
