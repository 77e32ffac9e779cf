//! Error replies by their code.

/// Codes that are told apart. Scripts make codes of their own, so that their number has to be bounded.
const CODES_MAX: usize = 128;
/// What errors with further codes are counted as.
const OVERFLOW: &str = "ERRORSTATS_OVERFLOW";

/// Counters by code.
#[derive(Clone, Debug, Default)]
pub struct ErrorCounts {
    /// Few codes occur, so that a list will do.
    counts: Vec<(Box<str>, u64)>,
}

impl ErrorCounts {
    /// Counts error replies of a code.
    pub fn note(&mut self, code: &str, count: u64) {
        if let Some((_, known)) = self.counts.iter_mut().find(|(known, _)| **known == *code) {
            *known += count;
        } else if self.counts.len() < CODES_MAX || code == OVERFLOW {
            self.counts.push((code.into(), count));
        } else {
            self.note(OVERFLOW, count);
        }
    }

    /// Adds another shard's.
    pub fn add(&mut self, other: &ErrorCounts) {
        other.counts.iter().for_each(|(code, count)| self.note(code, *count));
    }

    /// Error replies in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// Codes and counts, sorted.
    pub fn sorted(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<_> = self.counts.iter().map(|(code, count)| (&**code, *count)).collect();
        all.sort_unstable();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_beyond_the_bound_are_counted_together() {
        let mut counts = ErrorCounts::default();
        (0..200).for_each(|i| counts.note(&format!("CODE{i}"), 1));
        counts.note("CODE0", 1);
        assert_eq!(counts.total(), 201);
        assert_eq!(counts.sorted().len(), CODES_MAX + 1);
        assert!(counts.sorted().contains(&("CODE0", 2)));
        assert!(counts.sorted().contains(&(OVERFLOW, 72)));
    }
}
