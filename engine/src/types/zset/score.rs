//! Scores as text.

use crate::num;

/// A score from text, as Redis's `strtod` reads it; none for NaN.
pub(super) fn parse_score(text: &[u8]) -> Option<f64> {
    num::parse_f64(text).filter(|score| !score.is_nan())
}

/// A score as a small set stores it: an integer where it is one, else its shortest digits.
pub(super) fn format_score(score: f64) -> String {
    num::format_f64(score)
}

/// A score as `printf("%.17g")` has it, which digests are made of.
pub(super) fn format_score_17(score: f64) -> String {
    if score.is_nan() {
        return "nan".to_owned();
    }
    if score.is_infinite() {
        return if score > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let text = format!("{score:.16e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..17).contains(&exponent) {
        let decimals = usize::try_from(16 - exponent).unwrap_or(0);
        return trim_zeros(&format!("{score:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim_zeros(digits), exponent.unsigned_abs())
}

fn trim_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::format_score_17;

    #[test]
    fn seventeen_digits_as_printf_writes_them() {
        for (score, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (0.1, "0.10000000000000001"),
            (1e17, "1e+17"),
            (1e16, "10000000000000000"),
            (1.5e-7, "1.4999999999999999e-07"),
            (0.0001, "0.0001"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(format_score_17(score), text);
        }
    }
}
