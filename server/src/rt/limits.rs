//! Resource limits of the process, and whether it may use io_uring.
#![allow(unsafe_code, reason = "system calls; every block says why it is sound")]

use std::io;

/// A limited resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Open file descriptors.
    OpenFiles,
    /// Locked memory, which registered ring buffers count as.
    LockedMemory,
}

/// A limit; [`u64::MAX`] = none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What holds now.
    pub soft: u64,
    /// Up to where the process may raise it.
    pub hard: u64,
}

impl Resource {
    fn number(self) -> libc::__rlimit_resource_t {
        match self {
            Resource::OpenFiles => libc::RLIMIT_NOFILE,
            Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
        }
    }

    /// The limit now.
    ///
    /// # Errors
    /// As `getrlimit(2)`.
    pub fn limit(self) -> io::Result<Limit> {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is a valid rlimit that the call fills.
        let done = unsafe { libc::getrlimit(self.number(), &raw mut limit) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Limit { soft: limit.rlim_cur, hard: limit.rlim_max })
    }

    /// Sets the limit. Raising `hard` takes privileges.
    ///
    /// # Errors
    /// As `setrlimit(2)`.
    pub fn set_limit(self, limit: Limit) -> io::Result<()> {
        let limit = libc::rlimit { rlim_cur: limit.soft, rlim_max: limit.hard };
        // SAFETY: `limit` is a valid rlimit that the call only reads.
        let done = unsafe { libc::setrlimit(self.number(), &raw const limit) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// Why a ring could not be set up.
#[derive(Debug)]
pub enum RingError {
    /// EPERM, EACCES.
    Forbidden,
    /// ENOSYS.
    Missing,
    /// ENOMEM.
    NoMemory,
    /// EMFILE, ENFILE.
    NoFiles,
    /// EINVAL: a flag that the kernel does not know.
    UnknownFlag,
    /// Anything else.
    Other(io::Error),
}

/// Sets up and drops a ring with the flags that the server needs.
///
/// # Errors
/// Why that failed.
pub fn probe_ring() -> Result<(), RingError> {
    let built: io::Result<io_uring::IoUring> =
        io_uring::IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(8);
    let Err(error) = built else { return Ok(()) };
    Err(match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => RingError::Forbidden,
        Some(libc::ENOSYS) => RingError::Missing,
        Some(libc::ENOMEM) => RingError::NoMemory,
        Some(libc::EMFILE | libc::ENFILE) => RingError::NoFiles,
        Some(libc::EINVAL) => RingError::UnknownFlag,
        _ => RingError::Other(error),
    })
}
