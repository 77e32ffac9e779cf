//! When a group of frames may be written while others are in flight (`always` only).
//!
//! About two groups are in flight, and each gathers what arrives during a write: many tiny groups cost more CPU than
//! they hide latency. A third and more start only when a group is large, as the device then has something to overlap.

/// The rule's numbers.
#[derive(Clone, Copy, Debug)]
pub struct GroupPolicy {
    /// Groups in flight whatever their size.
    pub small_in_flight_max: usize,
    /// Groups in flight when they are large.
    pub in_flight_max: usize,
    /// From how many bytes on a group is large.
    pub large_bytes: usize,
    /// From how many bytes on a group is closed and another begun.
    pub group_bytes_max: usize,
}

impl Default for GroupPolicy {
    fn default() -> Self {
        GroupPolicy {
            small_in_flight_max: 2,
            in_flight_max: 8,
            large_bytes: 64 << 10,
            group_bytes_max: 512 << 10,
        }
    }
}

impl GroupPolicy {
    /// Whether the gathered group of `bytes` may start now.
    pub fn may_start(&self, in_flight: usize, bytes: usize) -> bool {
        in_flight < self.small_in_flight_max
            || (bytes >= self.large_bytes && in_flight < self.in_flight_max)
    }

    /// Whether a frame of `more` bytes still goes into a group that has `bytes`.
    pub fn may_join(&self, bytes: usize, more: usize) -> bool {
        bytes == 0 || bytes.saturating_add(more) <= self.group_bytes_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_groups_gather_behind_two_and_large_ones_overlap_up_to_eight() {
        let policy = GroupPolicy::default();
        assert!(policy.may_start(0, 100));
        assert!(policy.may_start(1, 100));
        assert!(!policy.may_start(2, 100));
        assert!(!policy.may_start(2, (64 << 10) - 1));
        assert!(policy.may_start(2, 64 << 10));
        assert!(policy.may_start(7, 64 << 10));
        assert!(!policy.may_start(8, 1 << 20));
    }

    #[test]
    fn a_frame_of_any_size_fits_an_empty_group_only() {
        let policy = GroupPolicy::default();
        assert!(policy.may_join(0, 512 << 20));
        assert!(!policy.may_join(1, 512 << 20));
        assert!(policy.may_join(1000, 1000));
    }
}
