//! Signals: blocked in every thread, and waited for by the main thread.

/// A request that the process was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
    /// SIGHUP: reopen the log file.
    Hangup,
    /// From this process itself: the shards have ended.
    Stopped,
}

/// What this process sends itself at the end.
const STOPPED: i32 = libc::SIGUSR2;

/// Has [`wait`] return [`Signal::Stopped`].
pub fn stop_waiting() {
    // SAFETY: kill and getpid take no pointers.
    unsafe { libc::kill(libc::getpid(), STOPPED) };
}

fn set() -> libc::sigset_t {
    // SAFETY: all-zero is a valid sigset_t to initialise, and the calls only write into it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, STOPPED] {
            libc::sigaddset(&raw mut set, signal);
        }
        set
    }
}

/// Blocks the signals in this thread and all that it starts from now on; ignores SIGPIPE.
pub fn block() {
    let set = set();
    // SAFETY: `set` is initialised; the old mask is not asked for. SIG_IGN is a valid disposition.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
}

/// Waits for the next one.
pub fn wait() -> Signal {
    let set = set();
    loop {
        let mut signal = 0;
        // SAFETY: both pointers are valid for the call.
        unsafe { libc::sigwait(&raw const set, &raw mut signal) };
        match signal {
            libc::SIGTERM => return Signal::Terminate,
            libc::SIGINT => return Signal::Interrupt,
            libc::SIGHUP => return Signal::Hangup,
            STOPPED => return Signal::Stopped,
            _ => {}
        }
    }
}
