//! `ringstone truncate`: a log that ends earlier, in place or in a copy.
//!
//! ```text
//!   recovery in memory ─> N ─> copy aside ─> MANIFEST: all epochs end at N at the latest ─> recovery in earnest ─> closed at N
//! ```
//!
//! Frames above N stay where they are and never count again, since their epochs end before them. The next start opens an epoch
//! that no frame has named.
//!
//! Invariant: the new MANIFEST is the only step that changes what a start finds, and it is made by a rename.
//! Invariant: the copy is durable before that.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use ringstone_persist::disk::{StdDisk, block_on};
use ringstone_persist::log::{Manifest, RecoverOptions};

use super::output::Progress;
use super::place::{Hold, Server};
use super::{Failure, Outcome, Output, Verdict, instant, log, state, times};
use crate::boot::lock_dir;
use crate::config::Config;

/// Where the log is to end, and what becomes of the present one.
#[derive(Args)]
pub(crate) struct Options {
    /// A server's directory, or a log's
    dir: PathBuf,
    #[command(flatten)]
    to: To,
    /// Copy the log here before it is changed; beside the log otherwise
    #[arg(long, value_name = "DIR")]
    backup_dir: Option<PathBuf>,
    /// Change the log without a copy of it
    #[arg(long, conflicts_with = "backup_dir")]
    no_backup: bool,
    /// Leave the log as it is, and make a server's directory here with the shortened one
    #[arg(long, value_name = "DIR", conflicts_with_all = ["backup_dir", "no_backup"])]
    output: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

/// The new end.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct To {
    /// The last GSN that stays
    #[arg(long, value_name = "GSN")]
    to_gsn: Option<u64>,
    /// Only what was done up to this time stays: 2026-11-24T17:00:00Z, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    to_time: Option<u64>,
}

/// Copies, and cuts.
pub(crate) fn run(options: &Options, out: &mut Output) -> Outcome {
    let mut config = options.server.config(&options.dir)?;
    // Whoever looks keeps servers off; whoever changes keeps everybody off.
    let (_hold, _lock) = match options.output {
        Some(_) => (Some(Hold::shared(&config.dir)?), None),
        None => (None, Some(lock_dir(&config.dir)?)),
    };
    let (last, ends) = choose(options, &config)?;
    let dir = config.log_dir();
    if let Some(output) = &options.output {
        config.dir =
            std::path::absolute(output).map_err(|e| format!("{}: {e}", output.display()))?;
        copy(&dir, &config.log_dir())?;
    } else if !options.no_backup {
        let backup = backup_dir(options, &dir);
        copy(&dir, &backup)?;
        out.line(format_args!("the log as it was is in {}", backup.display()))?;
    }
    let dir = config.log_dir();
    cut(&config, &dir, last).map_err(|why| format!("the log in {}: {why}", dir.display()))?;
    let gsn = log::open(&config, false)
        .map_err(|e| format!("the shortened log in {}: {e}", dir.display()))?
        .map_or(0, |opened| opened.recovered.gsn);
    if gsn != last {
        return Err(format!(
            "the shortened log in {} ends with GSN {gsn}, not {last}",
            dir.display()
        ));
    }
    out.line(format_args!(
        "the log in {} ends with GSN {last}; given up: {}",
        dir.display(),
        if last < ends { format!("GSN {} to {ends}", last + 1) } else { "nothing".to_owned() }
    ))?;
    Ok(Verdict::Sound)
}

/// The last GSN that is to stay, and the one with which the log ends now.
fn choose(options: &Options, config: &Config) -> Result<(u64, u64), Failure> {
    let dir = config.log_dir();
    let cannot = |why: &dyn std::fmt::Display| format!("the log in {}: {why}", dir.display());
    let opened = log::open(config, true).map_err(|error| cannot(&error))?;
    let opened = opened.ok_or_else(|| cannot(&"there is none"))?;
    opened.recovered.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if opened.recovered.manifest.is_superseded && config.dir.join(&config.dbfilename).exists() {
        return Err(cannot(&format!(
            "a snapshot was saved while it was off, and a start takes that: move {} away first",
            config.dbfilename.display()
        )));
    }
    let ends = opened.recovered.gsn;
    let last = match (options.to.to_gsn, options.to.to_time) {
        (Some(gsn), _) => gsn,
        (None, Some(ms)) => instant::of_log(&opened, ms)?,
        (None, None) => return Err("say --to-gsn or --to-time".to_owned()),
    };
    if last > ends {
        return Err(cannot(&format!("it ends with GSN {ends}, before {last}")));
    }
    match opened.recovered.base() {
        Some((_, cut)) if last < cut => Err(state::too_early(last, cut)),
        _ => Ok((last, ends)),
    }
}

fn backup_dir(options: &Options, dir: &Path) -> PathBuf {
    options.backup_dir.clone().unwrap_or_else(|| {
        let mut name = dir.file_name().unwrap_or_default().to_owned();
        name.push(format!("-before-{}", crate::rt::clock::unix_ms()));
        dir.with_file_name(name)
    })
}

/// Copies a log's files, durably, into a directory that has none yet.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let fail = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    if fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(format!("{} is not empty: name another directory", to.display()));
    }
    fs::create_dir_all(to).map_err(|e| fail(to, e))?;
    let mut files = Vec::new();
    for entry in fs::read_dir(from).map_err(|e| fail(from, e))? {
        let entry = entry.map_err(|e| fail(from, e))?;
        let meta = entry.metadata().map_err(|e| fail(&entry.path(), e))?;
        if meta.is_file() {
            files.push((entry.file_name(), meta.len()));
        }
    }
    let done = Arc::new(AtomicU64::new(0));
    let _progress = Progress::bytes("copying", files.iter().map(|(_, len)| len).sum(), {
        let done = done.clone();
        move || done.load(Ordering::Relaxed)
    });
    for (name, len) in files {
        let target = to.join(&name);
        fs::copy(from.join(&name), &target).map_err(|e| fail(&target, e))?;
        File::open(&target).and_then(|file| file.sync_all()).map_err(|e| fail(&target, e))?;
        // Relaxed: a figure to look at.
        done.fetch_add(len, Ordering::Relaxed);
    }
    let parent = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for dir in [to, parent] {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| fail(dir, e))?;
    }
    Ok(())
}

/// Makes the log end with GSN `last`, at which it ends or goes on.
fn cut(config: &Config, dir: &Path, last: u64) -> Result<(), Failure> {
    let manifest = block_on(Manifest::load(&StdDisk, dir)).map_err(|e| e.to_string())?;
    let mut manifest = manifest.ok_or("it has no MANIFEST")?;
    let keyring = log::keyring(config).map_err(|e| e.to_string())?;
    manifest.unlock(&keyring).map_err(|e| e.to_string())?;
    manifest.close_epoch(last);
    manifest.truncate(last);
    manifest.is_superseded = false;
    block_on(manifest.store(&StdDisk, dir)).map_err(|e| e.to_string())?;
    let now_ms = u64::try_from(crate::rt::clock::unix_ms()).unwrap_or(0);
    let mut options = RecoverOptions::new(dir, manifest.shards, [0; 16], now_ms);
    options.force_truncate = true;
    options.keyring = keyring;
    options.foreign_prefix = Some(crate::boot::foreign_prefix(config));
    let mut recovered = crate::boot::recover(&StdDisk, &options, 1).map_err(|e| e.to_string())?;
    recovered.manifest.close_epoch(recovered.gsn);
    block_on(recovered.manifest.store(&StdDisk, dir)).map_err(|e| e.to_string())
}
