//! Registers of 6 bits. A value's lower bits stand in the higher bits of a byte, the rest in the next byte's lower ones.

use super::HEADER_LEN;

/// The largest value of a register.
pub const VALUE_MAX: u8 = 63;

/// A register of a dense HyperLogLog, its header included.
pub fn get(bytes: &[u8], index: usize) -> u8 {
    let (at, shift) = place(index);
    let byte = |at| u16::from(bytes.get(at).copied().unwrap_or(0));
    let pair = byte(at) | byte(at + 1) << 8;
    u8::try_from(pair >> shift & 63).unwrap_or(VALUE_MAX)
}

/// Sets a register.
pub fn set(bytes: &mut [u8], index: usize, value: u8) {
    let (at, shift) = place(index);
    let mask = (u16::from(VALUE_MAX) << shift).to_le_bytes();
    let value = (u16::from(value & VALUE_MAX) << shift).to_le_bytes();
    for (byte, (mask, value)) in bytes.iter_mut().skip(at).zip(mask.into_iter().zip(value)) {
        *byte = *byte & !mask | value;
    }
}

/// Makes a register at least `value`; true when it was less.
pub fn raise(bytes: &mut [u8], index: usize, value: u8) -> bool {
    let less = get(bytes, index) < value;
    if less {
        set(bytes, index, value);
    }
    less
}

/// All registers of a dense HyperLogLog's body.
pub fn iter(body: &[u8]) -> impl Iterator<Item = u8> {
    body.as_chunks::<3>()
        .0
        .iter()
        .flat_map(|[a, b, c]| [a & 63, a >> 6 | b << 2 & 63, b >> 4 | c << 4 & 63, c >> 2])
}

fn place(index: usize) -> (usize, u32) {
    let bit = index * 6;
    (HEADER_LEN + bit / 8, u32::try_from(bit % 8).unwrap_or(0))
}

/// Overwrites a part of `bytes`, where there is room.
pub(super) fn copy_to(bytes: &mut [u8], at: usize, part: &[u8]) {
    if let Some(target) = bytes.get_mut(at..at + part.len()) {
        target.copy_from_slice(part);
    }
}
