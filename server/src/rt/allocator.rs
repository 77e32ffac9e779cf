//! What jemalloc does on demand.

/// Number of "all arenas" in jemalloc's names (`MALLCTL_ARENAS_ALL`).
const PURGE_ALL: &[u8] = b"arena.4096.purge\0";

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
