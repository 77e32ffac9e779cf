//! CRC-64/Jones as Redis has it: reflected, initial value 0, no final xor; over `123456789` it is `e9c6d914c4b8d9ca`.
//!
//! With initial value 0 it is linear: `crc(A || B) = shift(crc(A), len(B)) ^ crc(B)`, so shards sum their own blocks
//! and the sums are put together at the end.

use crc_fast::CrcAlgorithm::Crc64Redis;

/// The checksum of `bytes`.
pub fn checksum(bytes: &[u8]) -> u64 {
    crc_fast::checksum(Crc64Redis, bytes)
}

/// The checksum of `A || B` from those of A and B and B's length in bytes.
///
/// Own code: the crate's squares whole matrices and takes 0.9 ms, this takes about 1 us, and a file has thousands of blocks.
pub fn combine(a: u64, b: u64, b_len_bytes: u64) -> u64 {
    if a == 0 {
        return b;
    }
    // To append n zero bytes is to multiply by x^(8n).
    let mut shifted = a;
    let mut left = b_len_bytes;
    for power in POWERS.iter().skip(3) {
        if left & 1 == 1 {
            shifted = multiply(shifted, *power);
        }
        left >>= 1;
        if left == 0 {
            break;
        }
    }
    shifted ^ b
}

/// Jones's polynomial, reflected: the highest bit is the coefficient of x^0.
const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;
/// x^(2^k) modulo the polynomial.
const POWERS: [u64; 67] = powers();

#[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
const fn powers() -> [u64; 67] {
    let mut out = [1 << 62; 67];
    let mut at = 1;
    while at < out.len() {
        out[at] = multiply(out[at - 1], out[at - 1]);
        at += 1;
    }
    out
}

/// The product of two polynomials modulo the polynomial.
const fn multiply(a: u64, mut b: u64) -> u64 {
    let mut product = 0;
    let mut bit = 1 << 63;
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        b = if b & 1 == 1 { (b >> 1) ^ POLYNOMIAL } else { b >> 1 };
        bit >>= 1;
    }
    product
}

/// A checksum over bytes that come piece by piece.
#[derive(Clone, Copy, Debug)]
pub struct Crc64(crc_fast::Digest);

impl Default for Crc64 {
    fn default() -> Self {
        Crc64(crc_fast::Digest::new(Crc64Redis))
    }
}

impl Crc64 {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    /// The checksum so far.
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn has_redis_check_value() {
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(checksum(b""), 0);
    }

    /// Redis's `_crc64`, bit by bit.
    fn oracle(bytes: &[u8]) -> u64 {
        let mut crc = 0u64;
        for byte in bytes {
            crc ^= u64::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            }
        }
        crc
    }

    #[test]
    fn long_parts_are_put_together_as_the_crate_does() {
        let (a, b) = (0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210);
        for len in [0, 1, 4096, 3 << 20, u64::from(u32::MAX), 1 << 40] {
            assert_eq!(combine(a, b, len), crc_fast::checksum_combine(Crc64Redis, a, b, len));
        }
    }

    proptest! {
        #[test]
        fn a_sum_of_parts_is_the_sum_of_the_whole(
            bytes in prop::collection::vec(any::<u8>(), 0..2000), cut in 0usize..2000,
        ) {
            let (a, b) = bytes.split_at(cut.min(bytes.len()));
            let whole = oracle(&bytes);
            prop_assert_eq!(checksum(&bytes), whole);
            prop_assert_eq!(combine(checksum(a), checksum(b), b.len() as u64), whole);
            let mut piecewise = Crc64::default();
            piecewise.update(a);
            piecewise.update(b);
            prop_assert_eq!(piecewise.value(), whole);
        }
    }
}
