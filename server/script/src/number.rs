//! Numbers as C's `%.<precision>g` writes them, and as its casts and `strtod` read them.

/// `%.<precision>g`.
pub(crate) fn general(value: f64, precision: usize) -> String {
    let precision = precision.max(1);
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan" } else { "nan" }.to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    if value == value.trunc() && value.abs() < 1e15 && value.abs() < 10f64.powi(digits(precision)) {
        // The commonest case by far: a whole number that fits.
        return if value == 0.0 && value.is_sign_negative() {
            "-0".to_owned()
        } else {
            format!("{value:.0}")
        };
    }
    let scientific = format!("{value:.*e}", precision - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits(precision) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.unsigned_abs());
    }
    let decimals = usize::try_from(digits(precision) - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{value:.decimals$}")).to_owned()
}

fn digits(precision: usize) -> i32 {
    i32::try_from(precision).unwrap_or(i32::MAX)
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// C's cast of a double to a 64-bit integer on x86: what does not fit is the smallest one.
pub(crate) fn to_i64(value: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
        value as i64
    } else {
        i64::MIN
    }
}

/// The same to 32 bits, as `lua_tointeger` and an `int` do it.
pub(crate) fn to_i32(value: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "the low bits are what C keeps")]
    let low = to_i64(value) as i32;
    low
}

/// The number at the beginning of `bytes` and its length, as `strtod` finds it.
pub(crate) fn strtod(bytes: &[u8]) -> Option<(f64, usize)> {
    let signed = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let negative = bytes.first() == Some(&b'-');
    let rest = bytes.get(signed..)?;
    let sign = |value: f64| if negative { -value } else { value };
    let begins = |word: &str| {
        rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
    };
    for (word, value) in [("infinity", f64::INFINITY), ("inf", f64::INFINITY)] {
        if begins(word) {
            return Some((sign(value), signed + word.len()));
        }
    }
    if begins("nan") {
        return Some((sign(f64::NAN), signed + 3));
    }
    if begins("0x")
        && let Some((value, len)) = hexadecimal(rest.get(2..)?)
    {
        return Some((sign(value), signed + 2 + len));
    }
    let len = decimal_len(rest)?;
    let text = std::str::from_utf8(rest.get(..len)?).ok()?;
    Some((sign(text.parse().ok()?), signed + len))
}

fn decimal_len(bytes: &[u8]) -> Option<usize> {
    let run =
        |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let whole = run(0);
    let mut len = whole;
    if bytes.get(len) == Some(&b'.') {
        let decimals = run(len + 1);
        if whole + decimals == 0 {
            return None;
        }
        len += 1 + decimals;
    }
    if len == 0 {
        return None;
    }
    if matches!(bytes.get(len), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        let exponent = run(len + 1 + signed);
        if exponent > 0 {
            len += 1 + signed + exponent;
        }
    }
    Some(len)
}

/// Hexadecimal digits, a fraction and a binary exponent.
fn hexadecimal(bytes: &[u8]) -> Option<(f64, usize)> {
    let (mut value, mut len, mut any, mut scale) = (0.0, 0, false, 0i32);
    let mut fraction = false;
    while let Some(byte) = bytes.get(len) {
        match (char::from(*byte).to_digit(16), byte) {
            (Some(digit), _) => {
                value = value * 16.0 + f64::from(digit);
                scale -= if fraction { 4 } else { 0 };
                any = true;
            }
            (None, b'.') if !fraction => fraction = true,
            (None, _) => break,
        }
        len += 1;
    }
    if !any {
        return None;
    }
    if matches!(bytes.get(len), Some(b'p' | b'P')) {
        let signed = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        let digits = bytes.iter().skip(len + 1 + signed).take_while(|b| b.is_ascii_digit()).count();
        let text = bytes.get(len + 1 + signed..len + 1 + signed + digits)?;
        if let Some(exponent) = std::str::from_utf8(text).ok().and_then(|t| t.parse::<i32>().ok()) {
            let exponent = if bytes.get(len + 1) == Some(&b'-') { -exponent } else { exponent };
            scale = scale.saturating_add(exponent);
            len += 1 + signed + digits;
        }
    }
    Some((value * f64::from(scale).exp2(), len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_printf_writes_them() {
        for (value, precision, text) in [
            (1.0, 17, "1"),
            (-0.0, 17, "-0"),
            (0.1, 17, "0.10000000000000001"),
            (3.999, 17, "3.9990000000000001"),
            (1e20, 17, "1e+20"),
            (1e16, 17, "10000000000000000"),
            (1e17, 17, "1e+17"),
            (123_456_789_012_345_678.0, 17, "1.2345678901234568e+17"),
            (1e-5, 17, "1.0000000000000001e-05"),
            (0.0001, 14, "0.0001"),
            (1.0 / 3.0, 14, "0.33333333333333"),
            (123_456_789_012_345.0, 14, "1.2345678901234e+14"),
            (f64::INFINITY, 14, "inf"),
            (0.1 + 0.2, 3, "0.3"),
        ] {
            assert_eq!(general(value, precision), text, "{value}");
        }
    }

    #[test]
    fn numbers_are_read_as_strtod_reads_them() {
        assert_eq!(strtod(b"12.5e1x"), Some((125.0, 6)));
        assert_eq!(strtod(b"-0x10,"), Some((-16.0, 5)));
        assert_eq!(strtod(b"1e"), Some((1.0, 1)));
        assert_eq!(strtod(b"."), None);
        assert_eq!(strtod(b"-"), None);
        assert_eq!(strtod(b"-infinity!"), Some((f64::NEG_INFINITY, 9)));
        assert_eq!(to_i64(f64::NAN), i64::MIN);
        assert_eq!(to_i64(3.99), 3);
    }
}
