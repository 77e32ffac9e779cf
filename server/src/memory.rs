//! The allocator, and how much it holds.

use tikv_jemalloc_ctl::thread::{ThreadLocal, allocatedp, deallocatedp};
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
    let allocated = stats::allocated::read().unwrap_or(0);
    Usage {
        allocated: allocated.saturating_sub(crate::rt::allocator::cached_bytes()),
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

/// What the thread that asked for it first has allocated and freed, counted by the allocator.
#[derive(Default)]
pub struct ThreadUsage(std::cell::OnceCell<Option<[ThreadLocal<u64>; 2]>>);

impl ThreadUsage {
    /// Bytes allocated less bytes freed; below zero where other threads allocated what this one freed.
    pub fn bytes(&self) -> i64 {
        let read = || Some([allocatedp::read().ok()?, deallocatedp::read().ok()?]);
        let Some([allocated, freed]) = self.0.get_or_init(read) else { return 0 };
        allocated.get().wrapping_sub(freed.get()).cast_signed()
    }
}

impl std::fmt::Debug for ThreadUsage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ThreadUsage({})", self.bytes())
    }
}

/// jemalloc's own report.
pub fn report() -> String {
    let mut out = Vec::new();
    // It writes into memory, which cannot fail.
    let _ = tikv_jemalloc_ctl::stats_print::stats_print(&mut out, Default::default());
    String::from_utf8_lossy(&out).into_owned()
}
