//! Doubles as text: the shortest digits that read back as the same number, laid out as Redis 7.2 and later do
//! (integers without a point, `1e+20`, `1.5e-7`).

/// Longest text of a double.
const TEXT_MAX: usize = 32;

/// A double's text on the stack.
#[derive(Clone, Copy)]
pub struct DoubleText {
    bytes: [u8; TEXT_MAX],
    len: usize,
}

impl DoubleText {
    fn new() -> Self {
        DoubleText { bytes: [0; TEXT_MAX], len: 0 }
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn put(&mut self, text: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.len..self.len + text.len()) {
            room.copy_from_slice(text);
            self.len += text.len();
        }
    }

    fn zeros(&mut self, count: usize) {
        (0..count.min(TEXT_MAX)).for_each(|_| self.put(b"0"));
    }
}

/// The text of any double; infinities are `inf` and `-inf`, all NaNs `nan`.
pub fn double_text(value: f64) -> DoubleText {
    let mut out = DoubleText::new();
    if value.is_nan() {
        out.put(b"nan");
    } else if value.is_infinite() {
        out.put(if value > 0.0 { b"inf" } else { b"-inf" });
    } else if let Some(integer) = exact_integer(value) {
        out.put(itoa::Buffer::new().format(integer).as_bytes());
    } else {
        if value.is_sign_negative() {
            out.put(b"-");
        }
        match Decimal::of(value.abs()) {
            Some(decimal) => decimal.lay_out(&mut out),
            None => out.put(b"0"),
        }
    }
    out
}

/// Integers of up to 52 bits, minus zero apart, which print as such.
fn exact_integer(value: f64) -> Option<i64> {
    const LIMIT: f64 = (1i64 << 52) as f64;
    if !(-LIMIT..=LIMIT).contains(&value) || (value == 0.0 && value.is_sign_negative()) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked above")]
    let integer = value as i64;
    (integer as f64 == value).then_some(integer)
}

/// `digits * 10^exponent`, the digits without zeros at either end.
struct Decimal {
    digits: [u8; 17],
    len: usize,
    exponent: i32,
}

impl Decimal {
    /// A positive finite number's shortest digits; `None` for zero.
    fn of(value: f64) -> Option<Self> {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value).as_bytes();
        let (mantissa, exponent) = match text.iter().position(|b| *b == b'e') {
            Some(e) => (text.get(..e)?, parse_exponent(text.get(e + 1..)?)),
            None => (text, 0),
        };
        let mut decimal = Decimal { digits: [b'0'; 17], len: 0, exponent };
        let mut after_point = false;
        // Zeros are held back until a digit follows them, which drops those at the end.
        let mut zeros = 0;
        for byte in mantissa {
            match byte {
                b'.' => after_point = true,
                b'0' => {
                    zeros += usize::from(decimal.len > 0);
                    decimal.exponent -= i32::from(after_point);
                }
                digit => {
                    decimal.len += zeros;
                    zeros = 0;
                    *decimal.digits.get_mut(decimal.len)? = *digit;
                    decimal.len += 1;
                    decimal.exponent -= i32::from(after_point);
                }
            }
        }
        decimal.exponent += i32::try_from(zeros).ok()?;
        (decimal.len > 0).then_some(decimal)
    }

    fn lay_out(&self, out: &mut DoubleText) {
        let digits = self.digits.get(..self.len).unwrap_or_default();
        let len = i32::try_from(self.len).unwrap_or(0);
        let scientific = self.exponent + len - 1;
        if self.exponent >= 0 && scientific.abs() < len + 7 {
            out.put(digits);
            out.zeros(usize::try_from(self.exponent).unwrap_or(0));
        } else if self.exponent < 0 && (self.exponent > -7 || scientific.abs() < 4) {
            let point = len + self.exponent;
            if point <= 0 {
                out.put(b"0.");
                out.zeros(point.unsigned_abs() as usize);
                out.put(digits);
            } else {
                let (whole, part) = digits.split_at(point.unsigned_abs() as usize);
                out.put(whole);
                out.put(b".");
                out.put(part);
            }
        } else {
            let (first, rest) = digits.split_at(1);
            out.put(first);
            if !rest.is_empty() {
                out.put(b".");
                out.put(rest);
            }
            out.put(if scientific < 0 { b"e-" } else { b"e+" });
            out.put(itoa::Buffer::new().format(scientific.unsigned_abs()).as_bytes());
        }
    }
}

/// `20`, `+20`, `-7`.
fn parse_exponent(text: &[u8]) -> i32 {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let value = digits.iter().fold(0, |n, d| n * 10 + i32::from(d.wrapping_sub(b'0')));
    if negative { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::double_text;
    use proptest::prelude::*;

    fn text(value: f64) -> String {
        String::from_utf8(double_text(value).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn is_laid_out_as_redis_does() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-3.0, "-3"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (3.25e-4, "0.000325"),
            (3.25e-5, "3.25e-5"),
            (1.5e-5, "0.000015"),
            (1.5e-6, "1.5e-6"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (4503599627370496.0, "4503599627370496"),
            (9007199254740993.0, "9007199254740992"),
            (1e17, "1e+17"),
            (1e20, "1e+20"),
            (1.25e22, "1.25e+22"),
            (17179869184e10, "1.7179869184e+20"),
            (1234567890123e7, "12345678901230000000"),
            (1e100, "1e+100"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (1234.5678, "1234.5678"),
            (123456789.125, "123456789.125"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5000) })]

        #[test]
        fn reads_back_as_the_same_number(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(text(value).parse::<f64>().unwrap().to_bits(), bits);
        }

        #[test]
        fn human_decimals_come_out_as_typed(units in -99_999_999i64..99_999_999, scale in 0u32..7) {
            let value = units as f64 / 10f64.powi(scale as i32);
            prop_assert_eq!(text(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
            prop_assert!(!text(value).contains('e'));
        }
    }
}
