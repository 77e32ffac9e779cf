//! Wall and monotonic time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub fn unix_ms() -> i64 {
    i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX)
}

/// Microseconds since 1970.
pub fn unix_us() -> i64 {
    i64::try_from(since_epoch().as_micros()).unwrap_or(i64::MAX)
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Processor time of this process: user and system, in seconds.
pub fn cpu_seconds(children: bool) -> (f64, f64) {
    usage(if children { libc::RUSAGE_CHILDREN } else { libc::RUSAGE_SELF })
}

/// The same of the calling thread.
pub fn thread_cpu_seconds() -> (f64, f64) {
    usage(libc::RUSAGE_THREAD)
}

fn usage(who: libc::c_int) -> (f64, f64) {
    // SAFETY: all-zero is a valid rusage, and the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &raw mut usage);
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    (seconds(usage.ru_utime), seconds(usage.ru_stime))
}
