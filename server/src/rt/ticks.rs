//! A clock that costs next to nothing: the processor's counter where it runs evenly, else the monotonic clock.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The shortest time over which the counter's rate is taken.
const SETTLE: Duration = Duration::from_micros(200);

/// How often both clocks are looked at to know how they stand.
const LOOKS: usize = 5;

/// Where both clocks stood when the process began to measure.
fn origin() -> (u64, Instant) {
    static ORIGIN: OnceLock<(u64, Instant)> = OnceLock::new();
    *ORIGIN.get_or_init(both_clocks)
}

/// Where both clocks stand at one moment: of a few looks the one that took the shortest, as the thread may lose the processor
/// between them.
fn both_clocks() -> (u64, Instant) {
    let look = || {
        let before = Instant::now();
        let count = counter();
        (before.elapsed(), count, before)
    };
    let first = look();
    let looks = (1..LOOKS).map(|_| look());
    let (_, count, at) = looks.fold(first, |best, next| if next.0 < best.0 { next } else { best });
    (count, at)
}

#[cfg(target_arch = "x86_64")]
fn counter() -> u64 {
    // SAFETY: RDTSC is there on every x86_64 processor, and only reads.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    0
}

/// True when the counter runs at one rate, whatever the processor's frequency and sleep states do.
#[cfg(target_arch = "x86_64")]
fn counter_is_even() -> bool {
    use std::arch::x86_64::__cpuid;
    const POWER_MANAGEMENT: u32 = 0x8000_0007;
    __cpuid(0x8000_0000).eax >= POWER_MANAGEMENT && __cpuid(POWER_MANAGEMENT).edx & (1 << 8) != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn counter_is_even() -> bool {
    false
}

/// Reads the clock, and turns differences into nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Ticker {
    uses_counter: bool,
    origin: (u64, Instant),
    /// Nanoseconds a tick, times 2^32.
    rate: u64,
}

impl Ticker {
    /// A ticker; the first one of a process takes the counter's rate, which takes a moment.
    pub fn new() -> Ticker {
        let mut ticker =
            Ticker { uses_counter: counter_is_even(), origin: origin(), rate: 1 << 32 };
        while ticker.uses_counter && ticker.origin.1.elapsed() < SETTLE {
            std::hint::spin_loop();
        }
        ticker.calibrate();
        ticker
    }

    /// Takes the counter's rate anew: the longer the process runs, the more exact it is.
    pub fn calibrate(&mut self) {
        if !self.uses_counter {
            return;
        }
        let (count, at) = both_clocks();
        let (ticks, elapsed) =
            (count.saturating_sub(self.origin.0), at.duration_since(self.origin.1));
        if let Some(rate) = (elapsed.as_nanos() << 32).checked_div(u128::from(ticks)) {
            self.rate = u64::try_from(rate).unwrap_or(u64::MAX);
        }
    }

    /// What is read, and how fast it runs.
    pub fn name(&self) -> String {
        if self.uses_counter {
            format!("X86 TSC @ {} ticks/us", (1000_u64 << 32) / self.rate.max(1))
        } else {
            "POSIX clock_gettime".to_owned()
        }
    }

    /// Now, in ticks.
    #[inline]
    pub fn now(&self) -> u64 {
        if self.uses_counter {
            counter()
        } else {
            u64::try_from(self.origin.1.elapsed().as_nanos()).unwrap_or(u64::MAX)
        }
    }

    /// How long so many ticks take, in ns.
    #[inline]
    pub fn ns(&self, ticks: u64) -> u64 {
        let ns = (u128::from(ticks) * u128::from(self.rate)) >> 32;
        u64::try_from(ns).unwrap_or(u64::MAX)
    }
}

impl Default for Ticker {
    fn default() -> Self {
        Ticker::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_monotonic_clock() {
        let ticker = Ticker::new();
        let (from, instant) = (ticker.now(), Instant::now());
        while instant.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let (ns, elapsed) = (ticker.ns(ticker.now() - from), instant.elapsed());
        let elapsed = u64::try_from(elapsed.as_nanos()).unwrap();
        assert!(ns.abs_diff(elapsed) < elapsed / 20, "{ns} ns against {elapsed}");
    }
}
