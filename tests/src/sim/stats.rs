//! What seeds went through.

use std::fmt;

macro_rules! stats {
    ($($name:ident: $text:literal,)*) => {
        /// Counters, a field each.
        #[derive(Clone, Copy, Debug, Default)]
        #[expect(missing_docs, reason = "their texts say it")]
        pub struct Stats {
            $(pub $name: u64,)*
        }

        impl Stats {
            /// Adds another seed's.
            pub fn add(&mut self, other: Stats) {
                $(self.$name += other.$name;)*
            }

            /// What each counter counts, and how much that was.
            pub fn rows(&self) -> Vec<(&'static str, u64)> {
                vec![$(($text, self.$name),)*]
            }
        }
    };
}

stats! {
    lives: "runs of a server",
    kills: "crashes: kill -9",
    power_losses: "crashes: power loss",
    in_recovery: "of them within recovery or right after it",
    in_saving: "of them while a snapshot was written",
    torn: "writes cut by a crash, sector by sector",
    sync_errors: "failed syncs that later syncs hide",
    io_errors: "reads and writes that failed",
    space_errors: "operations without space",
    short: "reads and writes that ended early",
    flips: "bits flipped",
    full: "shards that ended without space",
    fatal: "runs that gave up as a fresh segment failed as well",
    failovers: "shards that ended while they wrote again what had failed",
    mode_changes: "changes of appendfsync",
    switches: "logs switched on or off",
    cuts: "log rewrites",
    dumps: "dump.rdb saved",
    recycled: "files used again",
    staged: "sectors of stage files changed",
    commands: "commands",
    transactions: "transactions",
    acknowledged: "replies",
    replayed: "frames replayed",
}

impl Stats {
    /// All crashes.
    pub fn crashes(&self) -> u64 {
        self.kills + self.power_losses
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows().iter().try_for_each(|(text, n)| writeln!(f, "{n:>14} {text}"))
    }
}
