//! The allocator, and how much it holds.

use tikv_jemalloc_ctl::{epoch, stats};

#[cfg(not(fuzzing))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the allocator says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Bytes in use by the program.
    pub allocated: usize,
    /// Bytes in pages in use.
    pub active: usize,
    /// Bytes of physical memory.
    pub resident: usize,
}

/// What the allocator says now; takes some microseconds.
pub fn usage() -> Usage {
    // The counters are cached until the epoch moves on.
    let _ = epoch::advance();
    Usage {
        allocated: stats::allocated::read().unwrap_or(0),
        active: stats::active::read().unwrap_or(0),
        resident: stats::resident::read().unwrap_or(0),
    }
}

/// Bytes in use by the program.
pub fn used_bytes() -> usize {
    usage().allocated
}

/// Physical memory of the process, in bytes, as the kernel counts it.
pub fn rss_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}
