//! INFO persistence.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use ringstone_persist::crypt::KeyId;

use super::About;
use crate::rt::clock;
use crate::shared::Shared;

pub(super) fn persistence(out: &mut String, about: &About<'_>) {
    let About { all, shared, .. } = about;
    let saving = &shared.saving;
    let now_s = clock::unix_ms() / 1000;
    let get = |value: &std::sync::atomic::AtomicI64| value.load(Ordering::Relaxed);
    let status = |failed: &std::sync::atomic::AtomicBool| {
        if failed.load(Ordering::Relaxed) { "err" } else { "ok" }
    };
    let (is_saving, is_rewriting) =
        (saving.saving.load(Ordering::Relaxed), saving.rewriting.load(Ordering::Relaxed));
    let current = |busy: bool| if busy { now_s - get(&saving.began_ms) / 1000 } else { -1 };
    let keys: usize = all.keys();
    let busy = is_saving || is_rewriting;
    line!(out, "# Persistence");
    line!(out, "loading:0");
    line!(out, "async_loading:0");
    line!(out, "current_cow_peak:0");
    line!(out, "current_cow_size:0");
    line!(out, "current_cow_size_age:0");
    let done = if busy { all.snapshot_entries } else { 0 };
    line!(
        out,
        "current_fork_perc:{:.2}",
        if busy { done as f64 * 100.0 / keys.max(1) as f64 } else { 0.0 }
    );
    line!(out, "current_save_keys_processed:{done}");
    line!(out, "current_save_keys_total:{}", if busy { keys } else { 0 });
    line!(out, "rdb_changes_since_last_save:{}", get(&saving.changes).max(0));
    line!(out, "rdb_bgsave_in_progress:{}", u8::from(is_saving));
    line!(out, "rdb_last_save_time:{}", get(&saving.last_save_s));
    line!(out, "rdb_last_bgsave_status:{}", status(&saving.last_failed));
    line!(out, "rdb_last_bgsave_time_sec:{}", get(&saving.last_seconds));
    line!(out, "rdb_current_bgsave_time_sec:{}", current(is_saving));
    line!(out, "rdb_saves:{}", saving.saves.load(Ordering::Relaxed));
    line!(out, "rdb_last_cow_size:0");
    line!(out, "rdb_last_load_keys_expired:{}", saving.loaded_expired.load(Ordering::Relaxed));
    line!(out, "rdb_last_load_keys_loaded:{}", saving.loaded.load(Ordering::Relaxed));
    line!(out, "aof_enabled:{}", u8::from(all.logs));
    line!(out, "aof_rewrite_in_progress:{}", u8::from(is_rewriting));
    line!(
        out,
        "aof_rewrite_scheduled:{}",
        u8::from(saving.rewrite_scheduled.load(Ordering::Relaxed))
    );
    line!(out, "aof_last_rewrite_time_sec:{}", get(&saving.last_rewrite_seconds));
    line!(out, "aof_current_rewrite_time_sec:{}", current(is_rewriting));
    line!(out, "aof_last_bgrewrite_status:{}", status(&saving.last_rewrite_failed));
    line!(out, "aof_rewrites:{}", saving.rewrites.load(Ordering::Relaxed));
    line!(
        out,
        "aof_rewrites_consecutive_failures:{}",
        u8::from(saving.last_rewrite_failed.load(Ordering::Relaxed))
    );
    line!(out, "aof_last_write_status:{}", if all.unhealthy { "err" } else { "ok" });
    line!(out, "aof_last_cow_size:0");
    encryption(out, about);
    line!(out, "module_fork_in_progress:0");
    line!(out, "module_fork_last_cow_size:0");
    if all.logs {
        let (base, log) =
            (saving.base_bytes.load(Ordering::Relaxed), saving.log_bytes.load(Ordering::Relaxed));
        line!(out, "aof_current_size:{}", base + log);
        line!(out, "aof_base_size:{base}");
        line!(out, "aof_pending_rewrite:0");
        line!(out, "aof_buffer_length:{}", all.log_pending_bytes);
        line!(out, "aof_pending_bio_fsync:0");
        line!(out, "aof_delayed_fsync:0");
        line!(out, "log_gsn:{}", shared.watermarks.next_gsn().saturating_sub(1));
        line!(out, "log_durable_gsn:{}", shared.watermarks.synced());
        let state = if saving.why_unwell().is_some() { "refusing-writes" } else { "ok" };
        line!(out, "log_state:{state}");
        line!(out, "log_last_error:{}", all.log_error.as_deref().unwrap_or(""));
        archive(out, shared);
    }
}

/// Which master keys are known, and which of them some file needs.
fn encryption(out: &mut String, about: &About<'_>) {
    let (keyring, files) = (about.shared.encryption.keyring(), about.shared.encryption.files());
    let list = |ids: &[KeyId]| ids.iter().map(KeyId::to_string).collect::<Vec<_>>().join(",");
    line!(out, "encryption_at_rest:{}", u8::from(keyring.seals()));
    let active = keyring.active().filter(|_| keyring.seals());
    line!(out, "encryption_key:{}", active.map(|id| id.to_string()).unwrap_or_default());
    line!(out, "encryption_keys_known:{}", list(&keyring.ids()));
    line!(out, "encryption_keys_in_use:{}", list(&files.master_keys()));
    line!(out, "encryption_files_in_clear:{}", u8::from(files.has_clear()));
}

fn archive(out: &mut String, shared: &Shared) {
    let archive = &shared.archive;
    line!(out, "log_archive_enabled:{}", u8::from(archive.is_on()));
    if !archive.is_on() {
        return;
    }
    let status = archive.status();
    let state = match (&status.error, archive.has_let_go()) {
        (_, true) => "losing",
        (Some(_), false) => "failing",
        (None, false) => "ok",
    };
    line!(out, "log_archive_state:{state}");
    line!(out, "log_archive_last_gsn:{}", status.gsn);
    line!(out, "log_archive_last_time_ms:{}", status.time_ms);
    line!(out, "log_archive_backlog_bytes:{}", archive.backlog_bytes(shared));
    line!(out, "log_archive_objects:{}", status.objects);
    line!(out, "log_archive_bytes:{}", status.bytes);
    line!(out, "log_archive_losses:{}", status.losses);
    line!(out, "log_archive_last_error:{}", status.error.as_deref().unwrap_or(""));
}
