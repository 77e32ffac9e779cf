//! How much of the processors and of the disk a thread gets while others want them.

/// Has the calling thread stand back behind the shards: about a tenth of a core that is busy otherwise, all of an idle one;
/// its disk requests come last among equals. Where the kernel does not allow it, all is as before.
pub fn stand_back() {
    const NICE: i32 = 10;
    const IOPRIO_WHO_PROCESS: libc::c_long = 1;
    /// Best effort, the lowest of its eight levels.
    const IOPRIO: libc::c_long = 2 << 13 | 7;
    // SAFETY: both calls take numbers only; with 0 they are about the calling thread.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
        libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0 as libc::c_long, IOPRIO);
    }
}
