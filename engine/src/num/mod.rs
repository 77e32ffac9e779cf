//! Numbers as text, exactly as Redis reads and writes them.

mod double;

pub use crate::raw::LongDouble;
pub use double::{DoubleBuffer, format_f64, parse_f64};

/// A 64-bit integer in canonical form (no sign `+`, no leading zero or space), as Redis's `string2ll` has it.
pub fn parse_i64(bytes: &[u8]) -> Option<i64> {
    if bytes.is_empty() || bytes.len() > 20 {
        return None;
    }
    let (negative, digits) = match bytes.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, bytes),
    };
    match digits.split_first()? {
        (b'0', []) => return (!negative).then_some(0),
        (b'1'..=b'9', _) => {}
        _ => return None,
    }
    let mut value: u64 = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// The shortest canonical decimal text of `value` in `scratch`.
pub fn format_i64(value: i64, scratch: &mut itoa::Buffer) -> &[u8] {
    scratch.format(value).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::parse_i64;

    #[test]
    fn integers_are_read_in_canonical_form_only() {
        let good = ["0", "7", "-7", "9223372036854775807", "-9223372036854775808"];
        for text in good {
            assert_eq!(parse_i64(text.as_bytes()), text.parse().ok(), "{text}");
        }
        let bad = [
            "",
            "-",
            "+1",
            "-0",
            "00",
            "01",
            " 1",
            "1 ",
            "1.0",
            "1a",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "184467440737095516160",
        ];
        for text in bad {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
    }
}
