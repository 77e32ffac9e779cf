//! What the eviction policies know of a key: 24 bits in its entry, kept as Redis keeps them.
//!
//! LRU: the clock in seconds at the last access. LFU: minutes (16 bits) of the last decay, and a logarithmic counter (8 bits).

use super::{Db, Keyspace};
use crate::raw::Entry;

const CLOCK_MASK: u32 = 0x00ff_ffff;
/// Counter of a new key, so that it is not the first to go.
const LFU_INIT: u32 = 5;

/// What the access bits of entries mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AccessPolicy {
    /// When a key was used last.
    #[default]
    Lru,
    /// How often it is used.
    Lfu {
        /// `lfu-log-factor`
        log_factor: u32,
        /// `lfu-decay-time`, minutes
        decay_minutes: u32,
    },
}

/// The policy and the clock of the current pass.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Access {
    policy: AccessPolicy,
    seconds: u32,
    minutes: u32,
    /// Accesses are not noted: CLIENT NO-TOUCH.
    quiet: bool,
}

impl Access {
    /// The bits of an entry that is new.
    #[inline]
    pub(super) fn born(&self) -> u32 {
        match self.policy {
            AccessPolicy::Lru => self.seconds,
            AccessPolicy::Lfu { .. } => self.minutes << 8 | LFU_INIT,
        }
    }
    /// Notes an access.
    #[inline]
    pub(super) fn touch(&self, entry: &mut Entry, random: impl FnOnce() -> u64) {
        if self.quiet {
            return;
        }
        let before = entry.access();
        let after = match self.policy {
            AccessPolicy::Lru => self.seconds,
            AccessPolicy::Lfu { log_factor, decay_minutes } => {
                let counter = self.decayed(before, decay_minutes);
                self.minutes << 8 | counted(counter, log_factor, random())
            }
        };
        // Most accesses fall in the same second: leave the cache line clean then.
        if before != after {
            entry.set_access(after);
        }
    }
    /// Seconds since the last access, by the bits of an entry.
    pub(super) fn idle_seconds(&self, entry: &Entry) -> u64 {
        u64::from(self.seconds.wrapping_sub(entry.access()) & CLOCK_MASK)
    }
    /// The access counter, decayed to now; 0 under LRU.
    pub(super) fn counter(&self, entry: &Entry) -> u8 {
        let AccessPolicy::Lfu { decay_minutes, .. } = self.policy else { return 0 };
        u8::try_from(self.decayed(entry.access(), decay_minutes)).unwrap_or(u8::MAX)
    }
    fn decayed(&self, bits: u32, decay_minutes: u32) -> u32 {
        let elapsed = self.minutes.wrapping_sub(bits >> 8) & 0xffff;
        (bits & 0xff).saturating_sub(elapsed.checked_div(decay_minutes).unwrap_or(0))
    }
}

/// Counts one access with a chance that shrinks as the counter grows.
fn counted(counter: u32, log_factor: u32, random: u64) -> u32 {
    if counter >= 255 {
        return 255;
    }
    let above = u64::from(counter.saturating_sub(LFU_INIT));
    let odds = above * u64::from(log_factor) + 1;
    counter + u32::from(random.is_multiple_of(odds))
}

impl Keyspace {
    /// Sets the time that accesses are noted with; called once a pass.
    pub fn set_clock(&mut self, now_ms: i64) {
        let seconds = u64::try_from(now_ms / 1000).unwrap_or(0);
        self.access.seconds = u32::try_from(seconds & u64::from(CLOCK_MASK)).unwrap_or(0);
        self.access.minutes = u32::try_from((seconds / 60) & 0xffff).unwrap_or(0);
    }
    /// Says what the access bits mean from now on.
    pub fn set_access_policy(&mut self, policy: AccessPolicy) {
        self.access.policy = policy;
    }
    /// Whether commands from now on leave access bits alone (CLIENT NO-TOUCH).
    pub fn set_quiet(&mut self, quiet: bool) {
        self.access.quiet = quiet;
    }
    /// What the access bits mean.
    pub fn access_policy(&self) -> AccessPolicy {
        self.access.policy
    }
}

impl Db<'_> {
    /// Notes an access of `key` even if accesses are not noted (TOUCH); false when it is not there.
    pub fn touch(&mut self, key: &[u8]) -> bool {
        let quiet = std::mem::replace(&mut self.ks.access.quiet, false);
        let found = self.get(key).is_some();
        self.ks.access.quiet = quiet;
        found
    }
    /// Seconds since the last access (OBJECT IDLETIME); it does not count as one. Meaningless under LFU.
    pub fn idle_seconds(&mut self, key: &[u8]) -> Option<u64> {
        let access = self.ks.access;
        Some(access.idle_seconds(self.peek(key)?))
    }
    /// The access counter, decayed to now (OBJECT FREQ); `None` without such a key. Meaningless under LRU.
    pub fn frequency(&mut self, key: &[u8]) -> Option<u8> {
        let access = self.ks.access;
        Some(access.counter(self.peek(key)?))
    }
    /// Notes an access of `key` that counts neither as hit nor as miss, as a write's is; false when it is not there.
    pub fn note_use(&mut self, key: &[u8]) -> bool {
        self.locate(key).and_then(|place| self.touched(place)).is_some()
    }
    /// Sets when `key` was last accessed, in seconds before now (RESTORE IDLETIME); not under LFU.
    pub fn set_idle_seconds(&mut self, key: &[u8], seconds: u64) {
        if self.ks.access.policy != AccessPolicy::Lru {
            return;
        }
        let clock = u64::from(self.ks.access.seconds);
        let bits = clock.wrapping_sub(seconds) & u64::from(CLOCK_MASK);
        self.set_access(key, u32::try_from(bits).unwrap_or(0));
    }
    /// Sets the access counter of `key` (RESTORE FREQ); not under LRU.
    pub fn set_frequency(&mut self, key: &[u8], counter: u8) {
        if self.ks.access.policy == AccessPolicy::Lru {
            return;
        }
        let bits = self.ks.access.minutes << 8 | u32::from(counter);
        self.set_access(key, bits);
    }
}
