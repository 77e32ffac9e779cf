//! What the server needs of its host, looked at before it binds a port or opens its data.
//!
//! Every refusal says what is missing, how to check it and how to fix it.

use crate::rt::limits::{Limit, Resource, RingError, probe_ring};

/// The oldest kernel that has all that the rings use (`IORING_SETUP_DEFER_TASKRUN`).
const KERNEL_MIN: (u32, u32) = (6, 1);

/// Locked memory without which the executor does not start.
const LOCKED_MEMORY_MIN_BYTES: u64 = 512 * 1024;

/// Descriptors that are not clients: standard streams, listeners, pipes.
const FILES_RESERVED: u64 = 64;
/// Rings, event descriptors, log segments of one shard.
const FILES_PER_SHARD: u64 = 16;

/// Why the server cannot run here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}\n  check: {check}\n  fix:   {fix}")]
pub struct CheckError {
    /// What is missing.
    pub what: String,
    /// How to see it.
    pub check: String,
    /// What to do.
    pub fix: String,
}

fn refuse(what: impl Into<String>, check: &str, fix: &str) -> CheckError {
    CheckError { what: what.into(), check: check.to_owned(), fix: fix.to_owned() }
}

/// Checks kernel, io_uring and locked memory.
///
/// # Errors
/// The first thing that is missing.
pub fn check_host() -> Result<(), CheckError> {
    check_kernel(&read_trimmed("/proc/sys/kernel/osrelease"))?;
    if let Ok(limit) = Resource::LockedMemory.limit() {
        check_locked_memory(raised(Resource::LockedMemory, limit, LOCKED_MEMORY_MIN_BYTES))?;
    }
    check_ring(probe_ring(), &read_trimmed("/proc/sys/kernel/io_uring_disabled"))
}

fn read_trimmed(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The limit after the attempt to have at least `needed`.
fn raised(resource: Resource, limit: Limit, needed: u64) -> Limit {
    if limit.soft >= needed {
        return limit;
    }
    // A privileged process may go beyond the hard limit; any other one up to it.
    for hard in [limit.hard.max(needed), limit.hard] {
        let wanted = Limit { soft: needed.min(hard), hard };
        if resource.set_limit(wanted).is_ok() {
            return wanted;
        }
    }
    limit
}

fn check_kernel(release: &str) -> Result<(), CheckError> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    // What cannot be read is left to the ring's probe.
    if release.is_empty() || version >= KERNEL_MIN {
        return Ok(());
    }
    let (major, minor) = KERNEL_MIN;
    Err(refuse(
        format!("Linux {major}.{minor} or later is needed, this is {release}"),
        "uname -r",
        "run a newer kernel; in a container it is the host's",
    ))
}

fn check_locked_memory(limit: Limit) -> Result<(), CheckError> {
    if limit.soft >= LOCKED_MEMORY_MIN_BYTES {
        return Ok(());
    }
    Err(refuse(
        format!(
            "the limit of locked memory (RLIMIT_MEMLOCK) is {} KiB, needed are {} KiB",
            limit.soft / 1024,
            LOCKED_MEMORY_MIN_BYTES / 1024
        ),
        "ulimit -l",
        "systemd: LimitMEMLOCK=8M; docker: --ulimit memlock=8388608; shells: memlock in /etc/security/limits.conf",
    ))
}

/// Reads the probe's error; `disabled` is the value of `kernel.io_uring_disabled`, empty where there is none.
fn check_ring(probe: Result<(), RingError>, disabled: &str) -> Result<(), CheckError> {
    let Err(error) = probe else { return Ok(()) };
    const SECCOMP: &str = "allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile \
                           (docker: --security-opt seccomp=PROFILE.json, or =unconfined)";
    Err(match error {
        RingError::Forbidden if matches!(disabled, "1" | "2") => refuse(
            format!("io_uring is switched off by kernel.io_uring_disabled = {disabled}"),
            "sysctl kernel.io_uring_disabled",
            if disabled == "1" {
                "sysctl -w kernel.io_uring_disabled=0, or put the server's group into kernel.io_uring_group"
            } else {
                "sysctl -w kernel.io_uring_disabled=0, and the same in /etc/sysctl.d/"
            },
        ),
        RingError::Forbidden => refuse(
            "io_uring is forbidden to this process, most likely by a seccomp profile",
            "grep Seccomp: /proc/self/status within the container (2 = a filter is active)",
            SECCOMP,
        ),
        RingError::Missing => refuse(
            "this kernel has no io_uring, or a seccomp profile hides it",
            "grep IO_URING /boot/config-$(uname -r); grep Seccomp: /proc/self/status",
            SECCOMP,
        ),
        RingError::NoMemory => refuse(
            "the limit of locked memory (RLIMIT_MEMLOCK) leaves no room for a ring",
            "ulimit -l",
            "systemd: LimitMEMLOCK=64M; docker: --ulimit memlock=67108864",
        ),
        RingError::NoFiles => refuse(
            "no file descriptor is left for a ring",
            "ulimit -n; sysctl fs.file-nr",
            "systemd: LimitNOFILE=65536; docker: --ulimit nofile=65536",
        ),
        RingError::UnknownFlag => refuse(
            "this kernel's io_uring lacks IORING_SETUP_DEFER_TASKRUN",
            "uname -r (6.1 or later is needed)",
            "run a newer kernel",
        ),
        RingError::Other(error) => {
            refuse(format!("io_uring does not work: {error}"), "uname -r", "run Linux 6.1 or later")
        }
    })
}

/// How many clients the limit of open files allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRoom {
    /// As many as asked for, or fewer.
    pub clients: u32,
    /// What the operator should hear, when it is fewer.
    pub note: Option<String>,
}

/// Raises the limit of open files as far as `maxclients` needs it and the system allows.
///
/// # Errors
/// There is not even room for one client.
pub fn make_room_for_clients(maxclients: u32, shards: usize) -> Result<ClientRoom, CheckError> {
    let reserved = FILES_RESERVED.saturating_add(FILES_PER_SHARD.saturating_mul(shards as u64));
    let needed = u64::from(maxclients).saturating_add(reserved);
    match Resource::OpenFiles.limit() {
        Ok(limit) => room(raised(Resource::OpenFiles, limit, needed), maxclients, reserved),
        // As Redis: when nothing is known, assume the usual 1024.
        Err(_) => room(Limit { soft: 1024, hard: 1024 }, maxclients, reserved),
    }
}

fn room(limit: Limit, maxclients: u32, reserved: u64) -> Result<ClientRoom, CheckError> {
    let clients = limit.soft.saturating_sub(reserved);
    if clients == 0 {
        return Err(refuse(
            format!(
                "the limit of open files is {}, the server itself needs {reserved}",
                limit.soft
            ),
            "ulimit -n",
            "systemd: LimitNOFILE=65536; docker: --ulimit nofile=65536; shells: nofile in /etc/security/limits.conf",
        ));
    }
    if clients >= u64::from(maxclients) {
        return Ok(ClientRoom { clients: maxclients, note: None });
    }
    let clients = u32::try_from(clients).unwrap_or(u32::MAX);
    let note = format!(
        "maxclients {maxclients} needs {} open files, the limit is {}: maxclients has been reduced to {clients}. \
         For more raise 'ulimit -n' (systemd: LimitNOFILE=)",
        u64::from(maxclients) + reserved,
        limit.soft
    );
    Ok(ClientRoom { clients, note: Some(note) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_before_6_1_are_refused() {
        for good in ["6.1.0-18-amd64", "6.18.44-fc-v769", "7.0.0", "10.0", ""] {
            assert_eq!(check_kernel(good), Ok(()), "{good}");
        }
        for bad in ["5.15.0-91-generic", "6.0.19", "4.4"] {
            let text = check_kernel(bad).unwrap_err().to_string();
            assert!(text.contains(&format!("this is {bad}")) && text.contains("fix:"), "{text}");
        }
    }

    #[test]
    fn a_ring_that_is_refused_is_explained() {
        let explain =
            |error, disabled: &str| check_ring(Err(error), disabled).unwrap_err().to_string();
        assert_eq!(check_ring(Ok(()), "2"), Ok(()), "a privileged process may");
        assert!(explain(RingError::Forbidden, "2").contains("kernel.io_uring_disabled = 2"));
        assert!(explain(RingError::Forbidden, "1").contains("io_uring_group"));
        assert!(explain(RingError::Forbidden, "0").contains("seccomp"));
        assert!(explain(RingError::Missing, "").contains("no io_uring"));
        assert!(explain(RingError::NoMemory, "0").contains("RLIMIT_MEMLOCK"));
        assert!(explain(RingError::UnknownFlag, "0").contains("DEFER_TASKRUN"));
        assert!(
            explain(RingError::Other(std::io::Error::other("odd")), "0")
                .contains("io_uring does not work")
        );
    }

    #[test]
    fn too_little_locked_memory_is_refused() {
        let limit = |soft| Limit { soft, hard: soft };
        assert_eq!(check_locked_memory(limit(512 * 1024)), Ok(()));
        let text = check_locked_memory(limit(64 * 1024)).unwrap_err().to_string();
        assert!(
            text.contains("64 KiB") && text.contains("ulimit -l") && text.contains("LimitMEMLOCK")
        );
    }

    #[test]
    fn few_open_files_mean_few_clients_and_a_note() {
        let limit = |soft| Limit { soft, hard: soft };
        assert_eq!(room(limit(10_080), 10_000, 80), Ok(ClientRoom { clients: 10_000, note: None }));
        let less = room(limit(1024), 10_000, 80).unwrap();
        assert_eq!(less.clients, 944);
        assert!(less.note.unwrap().contains("reduced to 944"));
        assert!(room(limit(80), 1, 80).is_err());
    }

    #[test]
    fn this_host_passes_or_says_why() {
        if let Err(error) = check_host() {
            assert!(error.to_string().contains("check:"));
        }
        let room = make_room_for_clients(10, 1).unwrap();
        assert_eq!(room, ClientRoom { clients: 10, note: None });
    }
}
