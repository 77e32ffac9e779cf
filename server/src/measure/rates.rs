//! How much happens a second, lately.

/// Samples that the average is taken of.
const SAMPLES: usize = 16;
/// The shortest time between two samples.
const INTERVAL_MS: i64 = 100;

/// Counters of commands, bytes received and bytes sent, and how fast they grow.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    sampled_ms: i64,
    counters: [u64; 3],
    samples: [[u64; 3]; SAMPLES],
    next: usize,
}

impl Rates {
    /// Takes a sample if it is time for one.
    pub fn sample(&mut self, now_ms: i64, counters: [u64; 3]) {
        let elapsed_ms = now_ms - self.sampled_ms;
        if elapsed_ms < INTERVAL_MS {
            return;
        }
        let elapsed_ms = u64::try_from(elapsed_ms).unwrap_or(u64::MAX);
        if self.sampled_ms > 0
            && let Some(sample) = self.samples.get_mut(self.next)
        {
            for ((rate, now), before) in sample.iter_mut().zip(counters).zip(self.counters) {
                *rate = now.saturating_sub(before).saturating_mul(1000) / elapsed_ms;
            }
            self.next = (self.next + 1) % SAMPLES;
        }
        self.sampled_ms = now_ms;
        self.counters = counters;
    }

    /// Commands, bytes received and bytes sent a second.
    pub fn a_second(&self) -> [u64; 3] {
        let mut sums = [0; 3];
        for sample in &self.samples {
            sums.iter_mut().zip(sample).for_each(|(sum, rate)| *sum += rate);
        }
        sums.map(|sum| sum / SAMPLES as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_averages_of_the_last_samples() {
        let mut rates = Rates::default();
        rates.sample(1000, [0, 0, 0]);
        for i in 1..=32 {
            rates.sample(1000 + i * 100, [i as u64 * 10, i as u64 * 100, 7]);
            // Too early for another one.
            rates.sample(1000 + i * 100 + 50, [i as u64 * 1000, 0, 0]);
        }
        assert_eq!(rates.a_second(), [100, 1000, 0]);
    }
}
