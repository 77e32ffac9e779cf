//! Bytes as hexadecimal digits, in names and in texts on disk.

use std::fmt::Write as _;

/// Two digits a byte, in lower case.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The bytes that exactly twice as many digits stand for.
pub(crate) fn from_hex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    fill_from_hex(hex, &mut bytes).then_some(bytes)
}

/// The same into bytes that are there, which a secret should not be copied out of; false when it is not that.
pub(crate) fn fill_from_hex(hex: &str, out: &mut [u8]) -> bool {
    let digits = hex.as_bytes();
    if digits.len() != out.len() * 2 {
        return false;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
    out.iter_mut().zip(digits.chunks_exact(2)).all(|(byte, pair)| {
        let [high, low] = pair else { return false };
        let (Some(high), Some(low)) = (value(*high), value(*low)) else { return false };
        *byte = high << 4 | low;
        true
    })
}
