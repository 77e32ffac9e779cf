//! The server stands still for a while: as a machine that is suspended, or a container that is frozen.

use std::time::Duration;

use rustix::process::Signal;

use super::{Random, Server, signal};

/// Stops it; half the time it goes on and works for a moment, half the time it is killed as it stands.
pub(super) fn bring(server: &Server, random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        signal(server, Signal::STOP);
        std::thread::sleep(Duration::from_millis(20 + random.below(400)));
        if random.one_in(3) {
            return;
        }
        signal(server, Signal::CONT);
        std::thread::sleep(Duration::from_millis(random.below(200)));
    }
}
