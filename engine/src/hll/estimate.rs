//! From registers to a number: Ertl's improved raw estimator, as Redis computes it.

use super::{PATTERN_BITS, REGISTERS};

const ALPHA_INFINITE: f64 = 0.721_347_520_444_481_7;

/// How many registers have each value.
#[derive(Clone, Debug)]
pub struct Histogram([u32; 64]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([0; 64])
    }
}

impl Histogram {
    /// Counts `len` registers of this value.
    pub fn add(&mut self, value: u8, len: usize) {
        if let Some(count) = self.0.get_mut(usize::from(value)) {
            *count = count.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
        }
    }

    /// The number of different elements, about.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a cast of a float saturates; 16384 is exact"
    )]
    pub fn estimate(&self) -> u64 {
        let registers = REGISTERS as f64;
        let count = |value: u32| {
            f64::from(
                usize::try_from(value).ok().and_then(|at| self.0.get(at)).copied().unwrap_or(0),
            )
        };
        let mut z = registers * tau((registers - count(PATTERN_BITS + 1)) / registers);
        for value in (1..=PATTERN_BITS).rev() {
            z = (z + count(value)) * 0.5;
        }
        z += registers * sigma(count(0) / registers);
        (ALPHA_INFINITE * registers * registers / z).round() as u64
    }
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}
