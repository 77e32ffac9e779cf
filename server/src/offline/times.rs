//! Points in time as operators write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 of `2026-11-24T17:00:00Z`, `2026-11-24 17:00:00.250` (UTC) or seconds since 1970.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let since = match text.parse::<f64>() {
        // To the nearest: most fractions lie a little below what was written.
        Ok(seconds) => Duration::try_from_secs_f64(seconds + 0.0005).ok(),
        Err(_) => humantime::parse_rfc3339_weak(text)
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok()),
    };
    since.and_then(|since| u64::try_from(since.as_millis()).ok()).ok_or_else(|| {
        "not a time: write 2026-11-24T17:00:00Z, '2026-11-24 17:00:00.250' (UTC), or seconds since 1970"
            .to_owned()
    })
}

/// The time in the first of these forms, to the millisecond.
pub(crate) fn format(unix_ms: u64) -> String {
    // Above it are only times of damaged clocks, which no calendar shows.
    const YEAR_9999_MS: u64 = 253_402_300_799_999;
    if unix_ms > YEAR_9999_MS {
        return format!("{unix_ms} ms since 1970");
    }
    let time: SystemTime = UNIX_EPOCH + Duration::from_millis(unix_ms);
    humantime::format_rfc3339_millis(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_was_printed_reads_back() {
        for ms in [0, 1_700_000_000_123, 253_402_300_799_999] {
            assert_eq!(parse(&format(ms)), Ok(ms));
        }
        assert_eq!(parse("1700000000.25"), Ok(1_700_000_000_250));
        for ms in 0..1000 {
            assert_eq!(parse(&format!("1795547731.{ms:03}")), Ok(1_795_547_731_000 + ms));
        }
        assert_eq!(parse("2023-11-14 22:13:20"), Ok(1_700_000_000_000));
        for wrong in ["yesterday", "-1", "1e300", "", "2023-13-01T00:00:00Z"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(format(u64::MAX), "18446744073709551615 ms since 1970");
    }
}
