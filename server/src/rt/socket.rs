//! Listening sockets and socket options. Options are set on the listener: accepted sockets inherit them.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// Options of a TCP listener.
#[derive(Clone, Copy, Debug)]
pub struct ListenOptions {
    /// Length of the queue of connections that wait to be accepted.
    pub backlog: i32,
    /// Seconds of silence before the kernel probes a peer; 0 = never.
    pub keepalive_s: u32,
}

/// Listens on `address`. Every shard opens one of its own (SO_REUSEPORT), and the kernel spreads connections over them.
pub fn listen_tcp(address: SocketAddr, options: ListenOptions) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { libc::AF_INET6 } else { libc::AF_INET };
    let fd = socket(family)?;
    set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    set_option(&fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    if address.is_ipv6() {
        set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    }
    set_keepalive(fd.as_raw_fd(), options.keepalive_s)?;
    let (storage, len) = to_sockaddr(address);
    // SAFETY: `storage` holds a socket address of `len` bytes.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const storage).cast(), len) })?;
    // SAFETY: listen takes no pointer.
    check(unsafe { libc::listen(fd.as_raw_fd(), options.backlog) })?;
    Ok(fd)
}

/// Listens on a unix socket at `path`, replacing a stale one, with the given permissions (0 = as umask says).
pub fn listen_unix(path: &Path, permissions: u32, backlog: i32) -> io::Result<OwnedFd> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    if permissions != 0 {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(permissions))?;
    }
    let fd = OwnedFd::from(listener);
    // SAFETY: listen takes no pointer; a second call only sets the backlog.
    check(unsafe { libc::listen(fd.as_raw_fd(), backlog) })?;
    Ok(fd)
}

/// Makes the kernel probe a silent peer after `seconds` (0 = never), as Redis's tcp-keepalive does.
pub fn set_keepalive(fd: RawFd, seconds: u32) -> io::Result<()> {
    set_raw(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, i32::from(seconds > 0))?;
    if seconds > 0 {
        let idle = i32::try_from(seconds).unwrap_or(i32::MAX);
        set_raw(fd, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, idle)?;
        set_raw(fd, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, (idle / 3).max(1))?;
        set_raw(fd, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 3)?;
    }
    Ok(())
}

/// The two ends of a connection as `ip:port` (peer, local); a unix socket has none.
pub fn names(fd: RawFd) -> (Option<SocketAddr>, Option<SocketAddr>) {
    let name =
        |call: unsafe extern "C" fn(i32, *mut libc::sockaddr, *mut libc::socklen_t) -> i32| {
            // SAFETY: all-zero is a valid sockaddr_storage, and the call writes at most its size.
            unsafe {
                let mut storage: libc::sockaddr_storage = std::mem::zeroed();
                let mut len = socklen::<libc::sockaddr_storage>();
                (call(fd, (&raw mut storage).cast(), &raw mut len) == 0)
                    .then(|| from_sockaddr(&storage))
                    .flatten()
            }
        };
    (name(libc::getpeername), name(libc::getsockname))
}

/// Ends both directions of a connection; its pending requests complete.
pub fn shutdown(fd: RawFd) {
    // SAFETY: shutdown takes no pointer.
    unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
}

/// Closes a descriptor that the shard took from an accept completion.
pub fn close(fd: RawFd) {
    // SAFETY: the caller owns `fd` and forgets it now.
    unsafe { libc::close(fd) };
}

fn socket(family: i32) -> io::Result<OwnedFd> {
    // SAFETY: socket takes no pointer; a non-negative result is a descriptor that nobody else owns.
    unsafe {
        let fd = check(libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

fn set_option(fd: &OwnedFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    set_raw(fd.as_raw_fd(), level, name, value)
}

fn set_raw(fd: RawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let len = socklen::<i32>();
    // SAFETY: `value` is a readable i32 of `len` bytes.
    check(unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), len) }).map(drop)
}

/// The size of a socket structure; all are small.
#[expect(clippy::cast_possible_truncation, reason = "at most sizeof(sockaddr_storage), 128")]
const fn socklen<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

#[expect(clippy::cast_possible_truncation, reason = "an address family is a small constant")]
const fn family(family: i32) -> libc::sa_family_t {
    family as libc::sa_family_t
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn to_sockaddr(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all-zero is a valid sockaddr_storage; both concrete forms fit into it and share its alignment.
    unsafe {
        let mut storage: libc::sockaddr_storage = std::mem::zeroed();
        let len = match address {
            SocketAddr::V4(v4) => {
                let sin = &mut *(&raw mut storage).cast::<libc::sockaddr_in>();
                sin.sin_family = family(libc::AF_INET);
                sin.sin_port = v4.port().to_be();
                sin.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                socklen::<libc::sockaddr_in>()
            }
            SocketAddr::V6(v6) => {
                let sin = &mut *(&raw mut storage).cast::<libc::sockaddr_in6>();
                sin.sin6_family = family(libc::AF_INET6);
                sin.sin6_port = v6.port().to_be();
                sin.sin6_addr.s6_addr = v6.ip().octets();
                sin.sin6_scope_id = v6.scope_id();
                socklen::<libc::sockaddr_in6>()
            }
        };
        (storage, len)
    }
}

fn from_sockaddr(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage holds a sockaddr_in.
            let sin = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
            Some((sin.sin_addr.s_addr.to_ne_bytes(), u16::from_be(sin.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that the storage holds a sockaddr_in6.
            let sin = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
            Some((sin.sin6_addr.s6_addr, u16::from_be(sin.sin6_port)).into())
        }
        _ => None,
    }
}
