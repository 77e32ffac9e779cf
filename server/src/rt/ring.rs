//! A shard's own io_uring: accept, receive, send, log writes, fsync, and wake-ups of other shards.
//!
//! ```text
//!   pass:  push SQEs ─> enter(to_submit, 0, GETEVENTS) ─> reap CQEs ─> handle ─> push SQEs ...
//!   doze:  enter(.., 1, GETEVENTS, timeout)                       while traffic is likely to go on
//!   park:  enable eventfd ─> await a read of it through glommio ─> disable eventfd
//! ```
//!
//! Set up with `SINGLE_ISSUER | DEFER_TASKRUN`: the kernel does a completion's work only when this thread enters, which is
//! why a pass that finds nothing to submit looks at the `TASKRUN` flag before it pays for a system call.
//!
//! Invariant: one thread owns the ring from creation to drop. A buffer that an SQE points to is owned by the ring's caller
//! until the completion with the same token was reaped.

use std::cell::UnsafeCell;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering, fence};
use std::time::Duration;

use io_uring::{IoUring, cqueue, opcode, squeue, types};

/// What a completion belongs to: an 8-bit kind and 56 bits of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u64);

impl Token {
    /// A token; `id` keeps its low 56 bits.
    pub fn new(kind: u8, id: u64) -> Token {
        Token(u64::from(kind) << 56 | (id & ((1 << 56) - 1)))
    }
    /// The kind.
    pub fn kind(self) -> u8 {
        (self.0 >> 56) as u8
    }
    /// The id.
    pub fn id(self) -> u64 {
        self.0 & ((1 << 56) - 1)
    }
}

/// One completion.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    /// What it belongs to.
    pub token: Token,
    /// Bytes or descriptor; negative: an errno.
    pub result: i32,
    flags: u32,
}

impl Completion {
    /// True while a multishot request goes on.
    pub fn more(&self) -> bool {
        cqueue::more(self.flags)
    }
    /// The provided buffer that holds received bytes.
    pub fn buffer(&self) -> Option<u16> {
        cqueue::buffer_select(self.flags)
    }
    /// The result as `io::Result`.
    pub fn to_result(&self) -> io::Result<usize> {
        usize::try_from(self.result).map_err(|_| io::Error::from_raw_os_error(-self.result))
    }
}

/// Sizes of a ring.
#[derive(Clone, Copy, Debug)]
pub struct RingSizes {
    /// Submission entries.
    pub entries: u32,
    /// Receive buffers, a power of two.
    pub buffers: u16,
    /// Bytes of each.
    pub buffer_len: u32,
}

impl Default for RingSizes {
    fn default() -> Self {
        RingSizes { entries: 1024, buffers: 256, buffer_len: 16 * 1024 }
    }
}

const BUFFER_GROUP: u16 = 0;
/// Kind of the completion that a peer's wake-up leaves; never handed out.
const KIND_WAKE: u8 = 0xff;

/// The ring.
pub struct NetRing {
    ring: IoUring,
    buffers: ReceiveBuffers,
    eventfd: OwnedFd,
}

impl NetRing {
    /// A ring for the calling thread. Errors: `EPERM`/`ENOSYS` where io_uring is not allowed, `ENOMEM` where memlock is too low.
    pub fn new(sizes: RingSizes) -> io::Result<NetRing> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(sizes.entries * 8)
            .build(sizes.entries)?;
        // SAFETY: eventfd takes no pointers; a non-negative result is a descriptor that nobody else owns.
        let eventfd = unsafe {
            let fd = libc::eventfd(0, libc::EFD_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        ring.submitter().register_eventfd(eventfd.as_raw_fd())?;
        let buffers = ReceiveBuffers::new(&ring, sizes.buffers, sizes.buffer_len)?;
        let mut net = NetRing { ring, buffers, eventfd };
        net.ring.completion().disable_eventfd();
        Ok(net)
    }

    /// The ring's descriptor, which peers send wake-ups to.
    pub fn fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }

    /// The eventfd that is signalled by completions while parked, and by other threads through [`wake_eventfd`].
    pub fn eventfd(&self) -> RawFd {
        self.eventfd.as_raw_fd()
    }

    /// Submits what was pushed and reaps into `out`; false when there was nothing to do at all.
    pub fn enter(&mut self, out: &mut Vec<Completion>) -> io::Result<bool> {
        let (pending, work) = {
            let queue = self.ring.submission();
            (queue.len(), queue.taskrun() || queue.cq_overflow())
        };
        if pending > 0 || work {
            self.enter_kernel(pending)?;
        }
        let before = out.len();
        out.extend(
            self.ring
                .completion()
                .map(|c| Completion {
                    token: Token(c.user_data()),
                    result: c.result(),
                    flags: c.flags(),
                })
                .filter(|c| c.token.kind() != KIND_WAKE),
        );
        Ok(pending > 0 || work || out.len() > before)
    }

    fn enter_kernel(&mut self, to_submit: usize) -> io::Result<()> {
        const GETEVENTS: u32 = 1;
        let to_submit = u32::try_from(to_submit).unwrap_or(u32::MAX);
        // SAFETY: no signal mask is passed, so there is no pointer to keep alive.
        let entered =
            unsafe { self.ring.submitter().enter::<libc::sigset_t>(to_submit, 0, GETEVENTS, None) };
        match entered {
            Ok(_) => Ok(()),
            // Interrupted, or the completion queue is full for a moment: the next pass goes on.
            Err(e)
                if matches!(e.raw_os_error(), Some(libc::EINTR | libc::EBUSY | libc::EAGAIN)) =>
            {
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    /// Submits what was pushed and sleeps until a completion comes, at most for `timeout`; true when one came.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        let timespec = types::Timespec::from(timeout);
        let args = types::SubmitArgs::new().timespec(&timespec);
        // Interrupted or timed out: the next pass looks anyway.
        let _woken = self.ring.submitter().submit_with_args(1, &args);
        !self.ring.completion().is_empty()
    }

    /// Gets ready to sleep: completions signal the eventfd from now on. False when something is there already.
    pub fn arm(&mut self) -> bool {
        self.ring.completion().enable_eventfd();
        // The kernel adds work and then looks whether the eventfd is enabled; this enables it and then looks for work. Without
        // the fence both could miss each other.
        fence(Ordering::SeqCst);
        let queue = self.ring.submission();
        let idle = queue.is_empty() && !queue.taskrun();
        drop(queue);
        let idle = idle && self.ring.completion().is_empty();
        if !idle {
            self.disarm();
        }
        idle
    }

    /// Awake again: completions are polled, the eventfd stays silent.
    pub fn disarm(&mut self) {
        self.ring.completion().disable_eventfd();
    }

    /// Accepts on `listener` until told otherwise.
    pub fn accept_multi(&mut self, listener: RawFd, token: Token) {
        let flags = libc::SOCK_CLOEXEC;
        self.push(opcode::AcceptMulti::new(types::Fd(listener)).flags(flags).build(), token);
    }

    /// Receives on `fd` into provided buffers until told otherwise.
    pub fn recv_multi(&mut self, fd: RawFd, token: Token) {
        self.push(opcode::RecvMulti::new(types::Fd(fd), BUFFER_GROUP).build(), token);
    }

    /// Sends `bytes`; the caller keeps them alive and in place until the completion.
    pub fn send(&mut self, fd: RawFd, bytes: &[u8], token: Token) {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let entry =
            opcode::Send::new(types::Fd(fd), bytes.as_ptr(), len).flags(libc::MSG_NOSIGNAL).build();
        self.push(entry, token);
    }

    /// Writes `bytes` at `offset`; the caller keeps them alive and in place until the completion.
    pub fn write_at(&mut self, fd: RawFd, bytes: &[u8], offset: u64, token: Token) {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.push(
            opcode::Write::new(types::Fd(fd), bytes.as_ptr(), len).offset(offset).build(),
            token,
        );
    }

    /// Cancels the request that carries `target`.
    pub fn cancel(&mut self, target: Token, token: Token) {
        self.push(opcode::AsyncCancel::new(target.0).build(), token);
    }

    /// Closes a descriptor without waiting.
    pub fn close(&mut self, fd: RawFd, token: Token) {
        self.push(opcode::Close::new(types::Fd(fd)).build(), token);
    }

    /// Wakes the shard whose ring has descriptor `peer`.
    pub fn wake_peer(&mut self, peer: RawFd, token: Token) {
        let entry =
            opcode::MsgRingData::new(types::Fd(peer), 0, Token::new(KIND_WAKE, 0).0, None).build();
        self.push(entry.flags(squeue::Flags::SKIP_SUCCESS), token);
    }

    /// The bytes of a received buffer, which the kernel leaves alone until they are given back.
    pub fn received(&self, buffer: u16, len: usize) -> Received {
        let start = usize::from(buffer) * self.buffers.buffer_len as usize;
        Received {
            memory: self.buffers.memory.clone(),
            buffer,
            start,
            len: len.min(self.buffers.buffer_len as usize),
        }
    }

    /// Gives a receive buffer back to the kernel.
    pub fn give_back(&mut self, received: Received) {
        self.buffers.give_back(received.buffer);
    }

    fn push(&mut self, entry: squeue::Entry, token: Token) {
        let entry = entry.user_data(token.0);
        loop {
            // SAFETY: descriptors and buffers of the entry stay valid until its completion; the callers of send and write_at
            // own that promise (module head), the other operations carry no pointer.
            let pushed = unsafe { self.ring.submission().push(&entry) };
            if pushed.is_ok() {
                return;
            }
            // The queue is full: submit what is there. An error shows again in the next pass.
            if self.enter_kernel(self.ring.params().sq_entries() as usize).is_err() {
                std::thread::yield_now();
            }
        }
    }
}

/// Wakes the shard that owns `eventfd` from a thread that has no ring.
pub fn wake_eventfd(eventfd: RawFd) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: `one` is 8 readable bytes. A full counter (EAGAIN) means that the shard is being woken anyway.
    unsafe { libc::write(eventfd, one.as_ptr().cast(), one.len()) };
}

/// Bytes in a receive buffer. Whoever drops it without giving it back loses the buffer, not soundness.
pub struct Received {
    memory: Rc<[UnsafeCell<u8>]>,
    buffer: u16,
    start: usize,
    len: usize,
}

impl std::ops::Deref for Received {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        let cells = self.memory.get(self.start..self.start + self.len).unwrap_or_default();
        // SAFETY: the kernel writes into a buffer only while it has it; it has this one again after `give_back`, which
        // consumes `self` and so ends this borrow. Nothing else writes. UnsafeCell<u8> has the layout of u8.
        unsafe { std::slice::from_raw_parts(cells.as_ptr().cast(), cells.len()) }
    }
}

/// The provided-buffer ring: memory that the kernel picks receive buffers from.
struct ReceiveBuffers {
    entries: NonNull<types::BufRingEntry>,
    memory: Rc<[UnsafeCell<u8>]>,
    buffers: u16,
    buffer_len: u32,
    tail: u16,
}

impl ReceiveBuffers {
    fn new(ring: &IoUring, buffers: u16, buffer_len: u32) -> io::Result<ReceiveBuffers> {
        let bytes = usize::from(buffers) * size_of::<types::BufRingEntry>();
        // SAFETY: an anonymous private mapping; the result is checked below.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_ANONYMOUS | libc::MAP_PRIVATE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let entries = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: the mapping is page aligned, large enough for `buffers` entries, and lives until this struct drops, which is
        // after the ring (field order of NetRing: ring first).
        unsafe {
            ring.submitter().register_buf_ring_with_flags(base as u64, buffers, BUFFER_GROUP, 0)?
        };
        let memory =
            (0..usize::from(buffers) * buffer_len as usize).map(|_| UnsafeCell::new(0)).collect();
        let mut this = ReceiveBuffers { entries, memory, buffers, buffer_len, tail: 0 };
        (0..buffers).for_each(|buffer| this.give_back(buffer));
        Ok(this)
    }

    fn give_back(&mut self, buffer: u16) {
        let offset = usize::from(buffer) * self.buffer_len as usize;
        let address = self.memory.as_ptr() as u64 + offset as u64;
        let slot = usize::from(self.tail & (self.buffers - 1));
        // SAFETY: `slot < buffers`, so the entry lies in the mapping; the kernel reads entries only up to the tail, which is
        // published after the entry was written.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(slot);
            entry.set_addr(address);
            entry.set_len(self.buffer_len);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail is the reserved field of the first entry, valid as long as the mapping, and 2-byte aligned.
        unsafe {
            let tail = types::BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}

impl Drop for ReceiveBuffers {
    fn drop(&mut self) {
        let bytes = usize::from(self.buffers) * size_of::<types::BufRingEntry>();
        // SAFETY: the mapping was made by `new` with this size, and the ring that used it is gone.
        unsafe { libc::munmap(self.entries.as_ptr().cast(), bytes) };
    }
}
