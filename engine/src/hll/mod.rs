//! HyperLogLogs: estimates of how many different elements were added, in the bytes of a string.
//!
//! ```text
//! "HYLL"  encoding:u8  0 0 0  cardinality:u64le  registers       cardinality: the last estimate; its top bit says that it is out of date
//! encoding 0, dense:  16384 registers of 6 bits, lowest bits first
//! encoding 1, sparse: 00llllll            l+1 registers that are 0
//!                     01llllll llllllll   l+1 registers that are 0
//!                     1vvvvvll            l+1 registers that are v+1
//! ```
//!
//! Invariant: the bytes after the same additions are those of Redis; whatever the bytes, the result is an error at worst.

pub mod dense;
mod estimate;
mod murmur;
pub mod sparse;

pub use estimate::Histogram;

use crate::error::Error;

/// Number of registers.
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// Bytes before the registers.
pub const HEADER_LEN: usize = 16;
/// Bytes of a dense one, header included.
pub const DENSE_LEN: usize = HEADER_LEN + REGISTERS * 6 / 8;
/// Bits of an element's hash that choose the register.
const INDEX_BITS: u32 = 14;
/// Bits of it that are looked at for zeros.
const PATTERN_BITS: u32 = 64 - INDEX_BITS;
const MAGIC: &[u8] = b"HYLL";
const ENCODING_AT: usize = 4;
const CARDINALITY_AT: usize = 8;
const SEED: u64 = 0xadc8_3b19;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;

/// How the registers are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 6 bits each.
    Dense,
    /// Runs.
    Sparse,
}

/// All registers, a byte each.
pub type Registers = [u8; REGISTERS];

/// The encoding, if the header is that of a HyperLogLog.
pub fn encoding(bytes: &[u8]) -> Option<Encoding> {
    if bytes.len() < HEADER_LEN || !bytes.starts_with(MAGIC) {
        return None;
    }
    match bytes.get(ENCODING_AT) {
        Some(&DENSE) if bytes.len() == DENSE_LEN => Some(Encoding::Dense),
        Some(&SPARSE) => Some(Encoding::Sparse),
        _ => None,
    }
}

/// A HyperLogLog without elements.
pub fn new() -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    dense::copy_to(&mut bytes, 0, MAGIC);
    dense::copy_to(&mut bytes, ENCODING_AT, &[SPARSE]);
    bytes.extend_from_slice(&sparse::EMPTY);
    bytes
}

/// The last estimate, if nothing was added since.
pub fn cached(bytes: &[u8]) -> Option<u64> {
    let field = bytes.get(CARDINALITY_AT..HEADER_LEN)?;
    let value = u64::from_le_bytes(field.try_into().ok()?);
    (value >> 63 == 0).then_some(value)
}

/// Where an estimate is kept, and its bytes.
pub fn cache_of(estimate: u64) -> (usize, [u8; 8]) {
    (CARDINALITY_AT, estimate.to_le_bytes())
}

/// Marks the last estimate as out of date.
pub fn invalidate(bytes: &mut [u8]) {
    if let Some(byte) = bytes.get_mut(HEADER_LEN - 1) {
        *byte |= 0x80;
    }
}

/// The register that an element falls into, and the value that it gives it.
pub fn place_of(element: &[u8]) -> (usize, u8) {
    let hash = murmur::hash(element, SEED);
    let index = usize::try_from(hash & (REGISTERS as u64 - 1)).unwrap_or(0);
    let zeros = (hash >> INDEX_BITS | 1 << PATTERN_BITS).trailing_zeros();
    (index, u8::try_from(zeros + 1).unwrap_or(u8::MAX))
}

/// Makes a register at least `value`; true when it was less. A sparse one that would become longer than `sparse_len_max`
/// bytes, or cannot hold the value, becomes dense.
pub fn raise(
    bytes: &mut Vec<u8>,
    index: usize,
    value: u8,
    sparse_len_max: usize,
) -> Result<bool, Error> {
    match encoding(bytes) {
        Some(Encoding::Dense) => Ok(dense::raise(bytes, index, value)),
        Some(Encoding::Sparse) => match sparse::raise(bytes, index, value, sparse_len_max)? {
            sparse::Raised::Yes => Ok(true),
            sparse::Raised::No => Ok(false),
            sparse::Raised::NoRoom => {
                make_dense(bytes)?;
                Ok(dense::raise(bytes, index, value))
            }
        },
        None => Err(Error::CorruptHll),
    }
}

/// Makes a sparse one dense; the last estimate stays.
pub fn make_dense(bytes: &mut Vec<u8>) -> Result<(), Error> {
    if encoding(bytes) != Some(Encoding::Sparse) {
        return Ok(());
    }
    let mut registers = [0; REGISTERS];
    merge(bytes, &mut registers)?;
    let mut dense = vec![0; DENSE_LEN];
    dense::copy_to(&mut dense, 0, bytes.get(..HEADER_LEN).unwrap_or_default());
    dense::copy_to(&mut dense, ENCODING_AT, &[DENSE]);
    for (index, value) in registers.iter().enumerate().filter(|(_, value)| **value > 0) {
        dense::raise(&mut dense, index, *value);
    }
    *bytes = dense;
    Ok(())
}

/// Raises registers to those of a HyperLogLog.
pub fn merge(bytes: &[u8], into: &mut Registers) -> Result<(), Error> {
    let body = bytes.get(HEADER_LEN..).unwrap_or_default();
    match encoding(bytes).ok_or(Error::CorruptHll)? {
        Encoding::Dense => {
            into.iter_mut()
                .zip(dense::iter(body))
                .for_each(|(most, value)| *most = value.max(*most));
            Ok(())
        }
        Encoding::Sparse => {
            let mut left = into.as_mut_slice();
            for run in sparse::runs(body) {
                let (here, rest) = left.split_at_mut_checked(run.len).ok_or(Error::CorruptHll)?;
                here.iter_mut().for_each(|most| *most = run.value.max(*most));
                left = rest;
            }
            if left.is_empty() { Ok(()) } else { Err(Error::CorruptHll) }
        }
    }
}

/// Estimates the number of different elements.
pub fn count(bytes: &[u8]) -> Result<u64, Error> {
    let body = bytes.get(HEADER_LEN..).unwrap_or_default();
    let mut histogram = Histogram::default();
    match encoding(bytes).ok_or(Error::CorruptHll)? {
        Encoding::Dense => dense::iter(body).for_each(|value| histogram.add(value, 1)),
        Encoding::Sparse => {
            let mut len = 0;
            for run in sparse::runs(body) {
                histogram.add(run.value, run.len);
                len += run.len;
            }
            if len != REGISTERS {
                return Err(Error::CorruptHll);
            }
        }
    }
    Ok(histogram.estimate())
}

#[cfg(test)]
mod tests;
