//! What jemalloc does on demand.

/// Number of "all arenas" in jemalloc's names (`MALLCTL_ARENAS_ALL`).
const PURGE_ALL: &[u8] = b"arena.4096.purge\0";
/// Bytes that threads keep to be used again, of all arenas: those at hand, and those that were freed just now.
const CACHED: [&[u8]; 2] =
    [b"stats.arenas.4096.tcache_bytes\0", b"stats.arenas.4096.tcache_stashed_bytes\0"];

/// Bytes that threads keep for themselves to be used again, which jemalloc counts as allocated; as of the last epoch.
pub fn cached_bytes() -> usize {
    CACHED.iter().map(|name| read_size(name)).sum()
}

/// Reads one of jemalloc's numbers; 0 when there is none of this name.
fn read_size(name: &[u8]) -> usize {
    debug_assert!(name.ends_with(&[0]));
    let (mut value, mut len) = (0_usize, size_of::<usize>());
    // SAFETY: the name ends with a zero byte; the value is a size_t, for which there is room, as `len` says.
    let result = unsafe {
        tikv_jemalloc_sys::mallctl(
            name.as_ptr().cast(),
            (&raw mut value).cast(),
            &raw mut len,
            std::ptr::null_mut(),
            0,
        )
    };
    if result == 0 { value } else { 0 }
}

/// Gives unused pages of all arenas back to the system; false when jemalloc refuses.
pub fn purge() -> bool {
    // SAFETY: the name is a control without value and ends with a zero byte, as mallctl wants it.
    let result = unsafe {
        tikv_jemalloc_sys::mallctl(
            PURGE_ALL.as_ptr().cast(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            0,
        )
    };
    result == 0
}
