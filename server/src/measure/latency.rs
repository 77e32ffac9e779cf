//! Events that took long: the time series behind LATENCY.

/// Samples that are kept of an event, one a second at most.
const SAMPLES: usize = 160;

/// One event's samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// When (seconds since 1970) and how long (ms), oldest first.
    pub samples: Vec<(i64, u64)>,
    /// The longest ever, in ms.
    pub max_ms: u64,
}

impl Series {
    fn add(&mut self, at_s: i64, ms: u64) {
        self.max_ms = self.max_ms.max(ms);
        match self.samples.last_mut() {
            Some((last_s, last_ms)) if *last_s == at_s => *last_ms = ms.max(*last_ms),
            _ => {
                if self.samples.len() == SAMPLES {
                    self.samples.remove(0);
                }
                self.samples.push((at_s, ms));
            }
        }
    }

    /// Puts another shard's samples among these: of one second the longest counts.
    pub fn merge(&mut self, other: &Series) {
        self.max_ms = self.max_ms.max(other.max_ms);
        self.samples.extend_from_slice(&other.samples);
        self.samples.sort_unstable();
        let mut merged: Vec<(i64, u64)> = Vec::new();
        for (at_s, ms) in self.samples.drain(..) {
            match merged.last_mut() {
                Some((last_s, last_ms)) if *last_s == at_s => *last_ms = ms,
                _ => merged.push((at_s, ms)),
            }
        }
        self.samples = merged.split_off(merged.len().saturating_sub(SAMPLES));
    }
}

/// All events of a shard. There are few, so that a list will do.
#[derive(Clone, Debug, Default)]
pub struct Events(Vec<(&'static str, Series)>);

impl Events {
    /// Adds a sample.
    #[cold]
    pub fn add(&mut self, event: &'static str, at_s: i64, ms: u64) {
        self.series(event).add(at_s, ms);
    }

    fn series(&mut self, event: &'static str) -> &mut Series {
        let at = self.0.iter().position(|(name, _)| *name == event);
        let at = at.unwrap_or_else(|| {
            self.0.push((event, Series::default()));
            self.0.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed just now")]
        &mut self.0[at].1
    }

    /// Puts another shard's events among these.
    pub fn merge(&mut self, other: &Events) {
        other.0.iter().for_each(|(event, series)| self.series(event).merge(series));
        self.0.sort_unstable_by_key(|(event, _)| *event);
    }

    /// Events and their series.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Series)> {
        self.0.iter().map(|(event, series)| (*event, series))
    }

    /// The series of an event.
    pub fn get(&self, event: &[u8]) -> Option<&Series> {
        self.iter().find(|(name, _)| name.as_bytes() == event).map(|(_, series)| series)
    }

    /// Forgets these events, or all when none is named; which they were.
    pub fn forget(&mut self, named: &[Vec<u8>]) -> Vec<&'static str> {
        let is_named =
            |event: &str| named.is_empty() || named.iter().any(|n| n == event.as_bytes());
        let gone = self.0.extract_if(.., |(event, _)| is_named(event));
        gone.map(|(event, _)| event).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_second_the_longest_sample_counts_and_old_ones_go() {
        let mut events = Events::default();
        for (at_s, ms) in [(1, 10), (1, 30), (1, 20), (2, 5)] {
            events.add("command", at_s, ms);
        }
        let series = events.get(b"command").unwrap().clone();
        assert_eq!(series, Series { samples: vec![(1, 30), (2, 5)], max_ms: 30 });
        (3..300).for_each(|at_s| events.add("command", at_s, 1));
        let series = events.get(b"command").unwrap();
        assert_eq!((series.samples.len(), series.samples[0], series.max_ms), (160, (140, 1), 30));
    }

    #[test]
    fn series_of_shards_are_merged_by_time() {
        let mut one = Series { samples: vec![(1, 10), (3, 5)], max_ms: 40 };
        one.merge(&Series { samples: vec![(1, 7), (2, 9), (3, 8)], max_ms: 9 });
        assert_eq!(one, Series { samples: vec![(1, 10), (2, 9), (3, 8)], max_ms: 40 });
    }
}
