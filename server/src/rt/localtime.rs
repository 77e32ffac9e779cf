//! The time of day where the server stands.
#![allow(unsafe_code, reason = "system calls; every block says why it is sound")]

/// A moment on the local calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalTime {
    /// Full year.
    pub year: i32,
    /// Month, 0 to 11.
    pub month: usize,
    /// Day of the month, from 1.
    pub day: i32,
    /// Hour.
    pub hour: i32,
    /// Minute.
    pub minute: i32,
    /// Second; 60 in a leap second.
    pub second: i32,
}

/// The local calendar's time at `unix_seconds`; 1970 when the year does not fit.
pub fn local_time(unix_seconds: i64) -> LocalTime {
    // SAFETY: all-zero is a valid tm: integers and a null pointer.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both point to valid values; the call is reentrant and keeps neither.
    let filled = unsafe { libc::localtime_r(&raw const unix_seconds, &raw mut tm) };
    if filled.is_null() {
        return LocalTime { year: 1970, day: 1, ..LocalTime::default() };
    }
    LocalTime {
        year: tm.tm_year.saturating_add(1900),
        month: usize::try_from(tm.tm_mon).unwrap_or(0),
        day: tm.tm_mday,
        hour: tm.tm_hour,
        minute: tm.tm_min,
        second: tm.tm_sec,
    }
}
