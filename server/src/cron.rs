//! What a shard does every now and then: expiry, slow frees, timeouts, save points.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::conn::ConnId;
use crate::rt::exec::{sleep, yield_now};
use crate::shard::{Shard, ShardRef};
use crate::snapshot::Target;

/// Seconds before a failed snapshot is tried again by itself.
const RETRY_S: i64 = 5;
/// Keys that one slice of the expiry cycle looks at, per unit of active-expire-effort.
const EXPIRE_KEYS: usize = 200;
/// Slices of the expiry cycle in one go; more work is left for the next tick.
const EXPIRE_SLICES: usize = 25;
/// How much one slice counts in the average of stale keys.
const STALE_WEIGHT: f64 = 0.05;
/// How often the largest output of a connection is forgotten, in seconds.
const PEAK_S: i64 = 5;
/// Elements that one slice of slow freeing frees.
const FREE_ELEMENTS: usize = 2000;

/// Runs until the process stops.
pub async fn run(shard: ShardRef) {
    let mut ticks = 0u64;
    loop {
        let hz = u64::from(shard.borrow().config.hz.clamp(1, 500));
        sleep(Duration::from_millis(1000 / hz)).await;
        if shard.borrow().has_stopped() {
            return;
        }
        shard.borrow_mut().tick();
        if shard.borrow().is_cron_paused {
            continue;
        }
        if ticks.is_multiple_of(hz) {
            shard.borrow_mut().each_second();
        }
        ticks += 1;
        expire(&shard).await;
        free(&shard).await;
    }
}

async fn expire(shard: &ShardRef) {
    for _ in 0..EXPIRE_SLICES {
        let more = {
            let mut this = shard.borrow_mut();
            if this.keyspace.is_paused()
                || !this.tx.locks.is_free()
                || this.commit.check_writable(false, &this.shared.saving).is_err()
            {
                return;
            }
            let effort = this.config.active_expire_effort as usize;
            let now_ms = crate::rt::clock::unix_ms();
            let began = this.measure.now();
            let report = this.keyspace.expire_cycle(now_ms, EXPIRE_KEYS * effort);
            this.stats.expire_ns += this.note_event("expire-cycle", began);
            this.note_stale(report.examined, report.expired);
            this.observe();
            if !this.keyspace.effects.is_empty() {
                this.wake();
            }
            report.expired * 4 > EXPIRE_KEYS * effort
        };
        if !more {
            return;
        }
        yield_now().await;
    }
    shard.borrow_mut().stats.expire_stops += 1;
}

async fn free(shard: &ShardRef) {
    while shard.borrow_mut().keyspace.free_some(FREE_ELEMENTS) {
        yield_now().await;
    }
}

impl Shard {
    /// The share of keys that were there although their time was up, as a running average.
    fn note_stale(&mut self, examined: usize, expired: usize) {
        if examined > 0 {
            let now = expired as f64 / examined as f64;
            self.stale_share = now * STALE_WEIGHT + self.stale_share * (1.0 - STALE_WEIGHT);
        }
    }

    fn tick(&mut self) {
        self.now_ms = crate::rt::clock::unix_ms();
        let stats = &self.stats;
        let counters = [stats.commands, stats.input_bytes, stats.output_bytes];
        self.measure.rates.sample(self.now_ms, counters);
        self.keyspace.set_clock(self.now_ms);
        let now = u64::try_from(self.now_ms).unwrap_or(0);
        let mut wakes = false;
        if let Some(writer) = self.commit.writer() {
            writer.tick(now);
            wakes = !writer.is_idle();
        }
        // What failed is to be tried again, though nobody asks this shard for anything.
        wakes |= self.commit.is_unwell();
        if !self.slow_readers.is_empty() {
            self.check_slow_readers();
        }
        if self.pause.is_over(self.now_ms) {
            wakes |= self.resume_paused();
        }
        // A timer of the executor may come late; this one does not rely on it.
        wakes |= self.blocked.home.is_due(self.now_ms);
        if wakes || !self.tx.stalled.is_empty() {
            self.wake();
        }
    }

    fn each_second(&mut self) {
        self.measure.calibrate();
        if self.index == 0 {
            self.shared.memory_peak(crate::memory::used_bytes());
        }
        self.close_idle_clients();
        let (wall_ms, synced) =
            (u64::try_from(self.now_ms).unwrap_or(0), self.shared.watermarks.synced());
        let next_gsn = self.shared.watermarks.next_gsn();
        let marked = self
            .commit
            .writer()
            .is_some_and(|writer| writer.mark_if_idle(wall_ms, synced, next_gsn));
        if marked {
            // Nothing else may come for long: without a pass the mark would not get to the disk.
            self.wake();
        }
        if self.config.maxmemory > 0 {
            self.measure_memory();
        }
        if self.index == 0 {
            self.look_after_replicas();
            self.check_archive_backlog();
            self.save_if_due();
        }
    }

    fn close_idle_clients(&mut self) {
        let (now_ms, timeout_ms) = (self.now_ms, i64::from(self.config.timeout) * 1000);
        let mut late: Vec<ConnId> = Vec::new();
        let forgets_peaks = now_ms / 1000 % PEAK_S == 0;
        for conn in self.conns.iter_mut() {
            if forgets_peaks {
                conn.output_peak = conn.output_bytes();
            }
            if now_ms - conn.last_ms > 2000 && conn.is_shrinkable() {
                conn.shrink();
            }
            conn.shrink_input();
            if timeout_ms > 0
                && !conn.blocked
                && !conn.is_subscriber()
                && !conn.is_replica()
                && now_ms - conn.last_ms > timeout_ms
            {
                late.push(conn.id);
            }
        }
        for id in late {
            self.close_id(id);
        }
        if self.client_room.limits() {
            self.count_all_clients();
        }
    }

    /// Save points, and the rewrite of a log that has grown.
    fn save_if_due(&mut self) {
        let saving = &self.shared.saving;
        if saving.is_busy() {
            return;
        }
        let now_s = self.now_ms / 1000;
        let changes = u64::try_from(saving.changes.load(Ordering::Relaxed)).unwrap_or(0);
        let age_s = u64::try_from(now_s - saving.last_save_s.load(Ordering::Relaxed)).unwrap_or(0);
        let tried_lately = saving.last_failed.load(Ordering::Relaxed)
            && now_s - saving.last_try_s.load(Ordering::Relaxed) <= RETRY_S;
        let due = self
            .config
            .save
            .iter()
            .find(|point| changes >= point.changes.max(1) && age_s > point.seconds);
        if let Some(point) = due
            && !tried_lately
        {
            tracing::info!("{changes} changes in {} seconds: saving", point.seconds);
            self.spawn_save(Target::Dump);
            return;
        }
        let base = saving.base_bytes.load(Ordering::Relaxed);
        let log = saving.log_bytes.load(Ordering::Relaxed);
        let percentage = u64::from(self.config.auto_aof_rewrite_percentage);
        let grown = log.saturating_mul(100) >= base.max(1).saturating_mul(percentage);
        if self.commit.has_log()
            && percentage > 0
            && base + log > self.config.auto_aof_rewrite_min_size
            && grown
            && self.now_ms >= saving.rewrite_rests_until_ms.load(Ordering::Relaxed)
        {
            tracing::info!(
                "the log has grown to {log} bytes beyond its base of {base} bytes: rewriting it"
            );
            self.spawn_save(Target::Base);
        }
    }

    /// True when the process ends and this shard has nothing left to do.
    pub fn has_stopped(&self) -> bool {
        self.shared.stopping.load(Ordering::Acquire)
    }
}
