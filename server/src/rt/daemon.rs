//! Going on in the background.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Ends the process that was called with success, and goes on in a new one that has no terminal and its standard streams closed.
///
/// To be called while the process has one thread only.
pub fn go_on_in_background() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    // SAFETY: fork takes no pointer; there is only this thread, so that nothing it shares with others can be left locked.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        // SAFETY: ends the process at once, without touching what the child goes on with.
        _ => unsafe { libc::_exit(0) },
    }
    // SAFETY: setsid takes no pointer; a fresh child leads no group, so that it cannot fail.
    unsafe { libc::setsid() };
    for stream in 0..=2 {
        // SAFETY: both are numbers of descriptors; whoever uses a standard stream does so by its number.
        if unsafe { libc::dup2(null.as_raw_fd(), stream) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
