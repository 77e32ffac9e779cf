//! C's `long double`, in which INCRBYFLOAT adds: 80 bits on x86-64, 128 on AArch64.
//!
//! Invariant: a [`LongDouble`] is made by the C shim only, so that its bytes are always a valid `long double` that is no NaN.

#![allow(unsafe_code, reason = "calls into the C shim that build.rs compiles")]

use std::ffi::{c_char, c_int, c_longlong, c_void};

/// A `long double`; never NaN.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct LongDouble([u8; 16]);

/// Room for the text of every finite value, in bytes.
const TEXT_LEN_MAX: usize = 5 * 1024;

unsafe extern "C" {
    fn ringstone_long_double_parse(text: *const c_char, len: usize, out: *mut c_void) -> c_int;
    fn ringstone_long_double_from_i64(value: c_longlong, out: *mut c_void);
    fn ringstone_long_double_add(a: *const c_void, b: *const c_void, out: *mut c_void);
    fn ringstone_long_double_ceil_times(
        value: *const c_void,
        factor: c_longlong,
        out: *mut c_longlong,
    ) -> c_int;
    fn ringstone_long_double_is_finite(value: *const c_void) -> c_int;
    fn ringstone_long_double_format(value: *const c_void, out: *mut c_char, cap: usize) -> usize;
    fn ringstone_double_parse(text: *const c_char, len: usize, out: *mut f64) -> c_int;
}

impl LongDouble {
    const ZEROED: LongDouble = LongDouble([0; 16]);

    /// A number as Redis's `string2ld` reads it: no space before or after, no NaN, no overflow or underflow to zero;
    /// `inf` and hexadecimal floats are numbers.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        let mut out = LongDouble::ZEROED;
        // SAFETY: the shim reads `len` bytes of `text`, and writes at most 16 bytes to `out`, which has 16.
        let ok = unsafe {
            ringstone_long_double_parse(text.as_ptr().cast(), text.len(), (&raw mut out).cast())
        };
        (ok == 1).then_some(out)
    }

    /// An integer, exactly.
    pub fn from_i64(value: i64) -> LongDouble {
        let mut out = LongDouble::ZEROED;
        // SAFETY: the shim writes at most 16 bytes to `out`, which has 16.
        unsafe { ringstone_long_double_from_i64(value, (&raw mut out).cast()) }
        out
    }

    /// The sum, or nothing when it is NaN or infinite.
    pub fn checked_add(self, other: LongDouble) -> Option<LongDouble> {
        let mut out = LongDouble::ZEROED;
        // SAFETY: both operands are blocks of 16 valid bytes, and so is `out`, which the shim writes.
        unsafe {
            ringstone_long_double_add(
                (&raw const self).cast(),
                (&raw const other).cast(),
                (&raw mut out).cast(),
            );
        }
        // SAFETY: `out` is a block of 16 valid bytes, which the shim reads.
        let finite = unsafe { ringstone_long_double_is_finite((&raw const out).cast()) };
        (finite == 1).then_some(out)
    }

    /// The product with `factor`, rounded up; nothing when it does not fit.
    pub fn ceil_times(self, factor: i64) -> Option<i64> {
        let mut out = 0;
        // SAFETY: the shim reads the 16 bytes of `self`, and writes one integer to `out`.
        let fits = unsafe {
            ringstone_long_double_ceil_times((&raw const self).cast(), factor, &raw mut out)
        };
        (fits == 1).then_some(out)
    }

    /// The text that INCRBYFLOAT shows: 17 decimals, trailing zeros cut, never an exponent.
    pub fn format(self) -> String {
        let mut text = vec![0u8; TEXT_LEN_MAX];
        // SAFETY: the shim reads the 16 bytes of `self`, and writes at most `text.len()` bytes.
        let len = unsafe {
            ringstone_long_double_format(
                (&raw const self).cast(),
                text.as_mut_ptr().cast(),
                text.len(),
            )
        };
        text.truncate(len);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// A double as C's `strtod` reads it, under the conditions of [`LongDouble::parse`].
pub(crate) fn strtod(text: &[u8]) -> Option<f64> {
    let mut out = 0.0;
    // SAFETY: the shim reads `len` bytes of `text` and writes one double to `out`.
    let ok = unsafe { ringstone_double_parse(text.as_ptr().cast(), text.len(), &raw mut out) };
    (ok == 1).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> Option<String> {
        let (a, b) = (LongDouble::parse(a.as_bytes())?, LongDouble::parse(b.as_bytes())?);
        a.checked_add(b).map(LongDouble::format)
    }

    #[test]
    fn sums_look_as_redis_shows_them() {
        assert_eq!(sum("10.50", "0.1").as_deref(), Some("10.6"));
        assert_eq!(sum("5.0e3", "2.0e2").as_deref(), Some("5200"));
        assert_eq!(sum("3", "1.000000000000000005").as_deref(), Some("4.00000000000000001"));
        assert_eq!(sum("-0.1", "0.1").as_deref(), Some("0"));
        assert_eq!(sum("0x10", "1").as_deref(), Some("17"));
        assert_eq!(sum("1e300", "1").map(|s| s.len()), Some(301));
    }

    #[test]
    fn sums_that_are_no_number_are_none() {
        assert_eq!(sum("inf", "1"), None);
        assert_eq!(sum("inf", "-inf"), None);
        assert_eq!(sum("1.1e4932", "1.1e4932"), None);
    }

    #[test]
    fn products_are_rounded_up_and_checked() {
        let times = |text: &str| LongDouble::parse(text.as_bytes())?.ceil_times(1000);
        assert_eq!(times("0.07"), Some(70));
        assert_eq!(times("-0.0001"), Some(0));
        assert_eq!(times("1e-400"), Some(1));
        assert_eq!(times("9223372036854775"), Some(9_223_372_036_854_775_000));
        assert_eq!(times("9223372036854776"), None);
        assert_eq!(times("-inf"), None);
    }

    #[test]
    fn texts_that_are_no_number_are_refused() {
        for text in ["", " 1", "1 ", "1\0", "\0", "nan", "1e5000", "1e-5000", "1x", "."] {
            assert!(LongDouble::parse(text.as_bytes()).is_none(), "{text:?}");
            assert!(strtod(text.as_bytes()).is_none(), "{text:?}");
        }
        assert!(LongDouble::parse(&[b'1'; 6000]).is_none());
    }

    #[test]
    fn integers_are_exact() {
        assert_eq!(LongDouble::from_i64(i64::MAX).format(), i64::MAX.to_string());
        assert_eq!(LongDouble::from_i64(i64::MIN).format(), i64::MIN.to_string());
    }
}
