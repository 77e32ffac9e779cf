//! Doubles as text.

use crate::raw::strtod;

/// A double as Redis's `string2d` reads it: no space before or after, no NaN, no overflow to infinity, no underflow to
/// zero; `inf`, `infinity` and hexadecimal floats are numbers.
pub fn parse_f64(bytes: &[u8]) -> Option<f64> {
    let plain = bytes.iter().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'-' | b'+'));
    if plain && bytes.len() < 300 {
        // Neither overflow nor underflow is possible here, and both parsers round correctly.
        return std::str::from_utf8(bytes).ok()?.parse().ok();
    }
    strtod(bytes)
}

/// Room for the text of any double.
#[derive(Clone, Debug)]
pub struct DoubleBuffer {
    text: [u8; 40],
    len: usize,
}

impl Default for DoubleBuffer {
    fn default() -> Self {
        DoubleBuffer { text: [0; 40], len: 0 }
    }
}

impl DoubleBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        DoubleBuffer::default()
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(room) = self.text.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
            self.len = end;
        }
    }

    fn zeros(&mut self, count: usize) {
        self.put(b"0000000000000000000000000".get(..count).unwrap_or_default());
    }

    fn bytes(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }
}

/// The shortest text that reads back as `value`, laid out as Redis 7.2 and Valkey do (`d2string` over `fpconv_dtoa`):
/// integers below 2^52 without a point, `inf`, `-inf`, `nan`, `-0`, exponents as `1e+25` and `1.5e-9`.
pub fn format_f64(value: f64, buf: &mut DoubleBuffer) -> &[u8] {
    buf.len = 0;
    if value.is_nan() {
        buf.put(b"nan");
    } else if value.is_infinite() {
        buf.put(if value < 0.0 { b"-inf" } else { b"inf" });
    } else if value == 0.0 {
        buf.put(if value.is_sign_negative() { b"-0" } else { b"0" });
    } else if let Some(int) = as_small_int(value) {
        buf.put(itoa::Buffer::new().format(int).as_bytes());
    } else {
        lay_out(value, buf);
    }
    buf.bytes()
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn as_small_int(value: f64) -> Option<i64> {
    const LIMIT: f64 = (1u64 << 52) as f64;
    (value > -LIMIT && value < LIMIT && value.fract() == 0.0).then_some(value as i64)
}

/// Writes a finite double that is not zero. `exponent` counts from the last digit: value = digits * 10^exponent.
fn lay_out(value: f64, buf: &mut DoubleBuffer) {
    let mut shortest = zmij::Buffer::new();
    let (digits, digit_count, exponent) = significant_digits(shortest.format_finite(value.abs()));
    let digits = digits.get(..digit_count).unwrap_or_default();
    let count = i32::try_from(digit_count).unwrap_or(0);
    let magnitude = exponent + count - 1;
    if value < 0.0 {
        buf.put(b"-");
    }
    if exponent >= 0 && magnitude.abs() < count + 7 {
        buf.put(digits);
        buf.zeros(usize::try_from(exponent).unwrap_or(0));
    } else if exponent < 0 && (exponent > -7 || magnitude.abs() < 4) {
        match usize::try_from(exponent + count) {
            Ok(whole) if whole > 0 => {
                let (whole, fraction) = digits.split_at(whole.min(digit_count));
                buf.put(whole);
                buf.put(b".");
                buf.put(fraction);
            }
            _ => {
                buf.put(b"0.");
                buf.zeros(usize::try_from(-(exponent + count)).unwrap_or(0));
                buf.put(digits);
            }
        }
    } else {
        let (first, rest) = digits.split_at(1.min(digit_count));
        buf.put(first);
        if !rest.is_empty() {
            buf.put(b".");
            buf.put(rest);
        }
        buf.put(if magnitude < 0 { b"e-" } else { b"e+" });
        buf.put(itoa::Buffer::new().format(magnitude.unsigned_abs()).as_bytes());
    }
}

/// The significant digits in `text` (any layout: `123.45`, `1.5e-7`), without zeros at either end, how many they are, and
/// the power of ten of the last one.
fn significant_digits(text: &str) -> ([u8; 24], usize, i32) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let mut exponent: i32 = exponent.parse().unwrap_or(0);
    let (mut digits, mut count) = ([0u8; 24], 0);
    let mut after_point = false;
    let mut zeros = 0;
    for byte in mantissa.bytes() {
        match byte {
            b'.' => after_point = true,
            b'0' if count == 0 => exponent -= i32::from(after_point),
            b'0' => {
                zeros += 1;
                exponent -= i32::from(after_point);
            }
            digit => {
                // Zeros inside of the number count once a digit follows them.
                for digit in std::iter::repeat_n(b'0', zeros).chain([digit]) {
                    if let Some(slot) = digits.get_mut(count) {
                        *slot = digit;
                        count += 1;
                    }
                }
                zeros = 0;
                exponent -= i32::from(after_point);
            }
        }
    }
    (digits, count, exponent + i32::try_from(zeros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: f64) -> String {
        let mut buf = DoubleBuffer::new();
        String::from_utf8(format_f64(value, &mut buf).to_vec()).unwrap()
    }

    #[test]
    fn doubles_are_laid_out_as_fpconv_does() {
        let cases: &[(f64, &str)] = &[
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-17.5, "-17.5"),
            (0.1, "0.1"),
            (2.5066282746310002, "2.5066282746310002"),
            (1e15, "1000000000000000"),
            (1e20, "1e+20"),
            (1.5e20, "1.5e+20"),
            (1e16, "1e+16"),
            (4503599627370496.0, "4503599627370496"),
            (12345678901234567.0, "12345678901234568"),
            (0.00001, "0.00001"),
            (0.000001, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-9, "1.5e-9"),
            (0.0012345678901, "0.0012345678901"),
            (1e300, "1e+300"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (-2.5e-10, "-2.5e-10"),
            (1234567.891, "1234567.891"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(*value), *expected);
        }
    }

    #[test]
    fn texts_are_read_as_strtod_reads_them() {
        let good: &[(&str, f64)] = &[
            ("1", 1.0),
            ("+5", 5.0),
            ("5.", 5.0),
            (".5", 0.5),
            ("-1.5e3", -1500.0),
            ("0x10", 16.0),
            ("0x.8p1", 1.0),
            ("inf", f64::INFINITY),
            ("-iNf", f64::NEG_INFINITY),
            ("+infinity", f64::INFINITY),
            ("1e-310", 1e-310),
        ];
        for (text, expected) in good {
            assert_eq!(parse_f64(text.as_bytes()), Some(*expected), "{text}");
        }
        let bad =
            ["", " 1", "1 ", "1\0", ".", "1e", "0x", "nan", "1e400", "1e-400", "--1", "1.2.3"];
        for text in bad {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_double_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            prop_assert_eq!(parse_f64(text(value).as_bytes()).map(f64::to_bits), Some(bits));
        }

        #[test]
        fn every_human_decimal_reads_back(whole in -1_000_000i64..1_000_000, cents in 0u32..10_000) {
            let value: f64 = format!("{whole}.{cents:04}").parse().unwrap();
            prop_assert_eq!(parse_f64(text(value).as_bytes()), Some(value));
        }
    }
}
