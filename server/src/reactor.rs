//! The task that drives a shard: pass after pass while there is work, asleep when there is none.

use crate::rt::exec::{Parking, yield_if_needed};
use crate::shard::ShardRef;

/// Passes that find nothing before the shard goes to sleep.
const IDLE_PASSES: u32 = 3;

/// Runs until the process stops.
pub async fn run(shard: ShardRef, parking: Parking) {
    let mut idle = 0;
    loop {
        let worked = {
            let mut this = shard.borrow_mut();
            let worked = this.pass();
            if this.has_stopped() {
                return;
            }
            worked
        };
        idle = if worked { 0 } else { idle + 1 };
        if idle > IDLE_PASSES && shard.borrow_mut().park() {
            parking.wait().await;
            shard.borrow_mut().unpark();
            idle = 0;
        } else if idle > IDLE_PASSES {
            // Something is about to happen on another core.
            std::hint::spin_loop();
        }
        yield_if_needed().await;
    }
}
