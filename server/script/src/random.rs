//! The generator behind `math.random`: POSIX's 48-bit one, so that a seed gives the same numbers everywhere, as with Redis.

/// Its state.
pub(crate) struct Random(u64);

const LOW_48: u64 = (1 << 48) - 1;

impl Random {
    /// The state before any seed.
    pub(crate) fn new() -> Random {
        Random(0x1234_abcd_330e)
    }

    /// Starts the numbers of `seed`.
    pub(crate) fn seed(&mut self, seed: i32) {
        self.0 = u64::from(seed.cast_unsigned()) << 16 | 0x330e;
    }

    /// The next number in `0..1`.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & LOW_48;
        let bits = (self.0 >> 17) % 0x7fff_ffff;
        bits as f64 / f64::from(i32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_lrand48() {
        let mut random = Random::new();
        random.seed(0);
        // lrand48() after srand48(0) begins with 366850414 and 1610402240.
        assert_eq!(random.next(), 366_850_414.0 / 2_147_483_647.0);
        assert_eq!(random.next(), 1_610_402_240.0 / 2_147_483_647.0);
    }
}
