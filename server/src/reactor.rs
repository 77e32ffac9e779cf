//! The task that drives a shard: pass after pass while there is work, asleep when there is none.
//!
//! ```text
//!   work ─────────> pass, pass, pass ...          others run when a pass made one ready, timers and files every few milliseconds
//!   a pause ──────> doze in the own ring          up to half a millisecond: traffic goes on, one system call wakes
//!   silence ──────> park through glommio          until the eventfd says that something came
//! ```

use std::time::Duration;

use crate::rt::exec::{Kick, Parking, take_wants_yield, yield_now};
use crate::shard::ShardRef;

/// Passes that find nothing before the shard sleeps.
const IDLE_PASSES: u32 = 2;
/// How often a busy reactor lets the executor look at its timers and files, in milliseconds.
const POLL_INTERVAL_MS: i64 = 4;
/// The longest doze. Timers and files of glommio wait so long at most.
const DOZE: Duration = Duration::from_micros(500);

/// Runs until the process stops.
pub async fn run(shard: ShardRef, parking: Parking, kick: Kick) {
    let mut idle = 0;
    let mut polled_ms = 0;
    loop {
        let worked = {
            let mut this = shard.borrow_mut();
            let worked = this.pass();
            if this.has_stopped() {
                return;
            }
            worked
        };
        if take_wants_yield() {
            idle = 0;
            yield_now().await;
            continue;
        }
        let now_ms = shard.borrow().now_ms;
        if now_ms - polled_ms >= POLL_INTERVAL_MS || shard.borrow().has_background_work() {
            polled_ms = now_ms;
            kick.poll_timers_and_files().await;
        }
        idle = if worked { 0 } else { idle + 1 };
        if idle > IDLE_PASSES {
            idle = 0;
            // Beside a script that gives way again and again, a sleeper is woken late or never: then it stays awake.
            if !doze(&shard) && !shard.borrow().runs_script() {
                park(&shard, &parking).await;
            }
        }
    }
}

/// Sleeps for a moment; true when there is a reason to go on with passes.
fn doze(shard: &ShardRef) -> bool {
    let mut this = shard.borrow_mut();
    if this.has_background_work() {
        return false;
    }
    if !this.is_quiet() {
        return true;
    }
    let woken = this.net.wait(DOZE);
    this.mesh.unpark();
    woken
}

async fn park(shard: &ShardRef, parking: &Parking) {
    {
        let mut this = shard.borrow_mut();
        if !this.is_quiet() {
            return;
        }
        if !this.net.arm() {
            this.mesh.unpark();
            return;
        }
        this.asleep = true;
    }
    parking.wait().await;
    let mut this = shard.borrow_mut();
    this.asleep = false;
    this.mesh.unpark();
    this.net.disarm();
}
