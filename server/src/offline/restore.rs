//! `ringstone restore`: a data directory as of any instant that an archive holds (`log-archive-dir`).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::{ArgGroup, Args};
use ringstone_persist::archive::{
    Catalog, DirStore, History, Instants, RestoreOptions, SealedStore, Target, restore,
};
use ringstone_persist::disk::{StdDisk, block_on};
use serde_json::json;

use super::output::Progress;
use super::place::Server;
use super::{Failure, Outcome, Output, Verdict, times};

/// Which instant, from where, to where.
#[derive(Args)]
#[command(group(ArgGroup::new("what").required(true).args(["list", "latest", "to_time", "to_gsn"])))]
pub(crate) struct Options {
    /// The archive: what log-archive-dir was
    #[arg(long, value_name = "ARCHIVE")]
    from: PathBuf,
    /// Only say which instants there are
    #[arg(long)]
    list: bool,
    /// The last instant that there is
    #[arg(long)]
    latest: bool,
    /// The state at this time: after the last write up to which all were made by then. 2026-11-24T17:00:00Z, or seconds since
    /// 1970
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    to_time: Option<u64>,
    /// The state after this GSN
    #[arg(long, value_name = "GSN")]
    to_gsn: Option<u64>,
    /// The server's directory to make; it must not hold a log
    #[arg(long, value_name = "DIR", required_unless_present = "list")]
    dir: Option<PathBuf>,
    /// Which log, where the archive has several
    #[arg(long, value_name = "UUID")]
    log: Option<String>,
    /// What was found or done as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Restores, or lists.
pub(crate) fn run(options: &Options, out: &mut Output) -> Outcome {
    let keyring = super::log::keyring(&options.server.plain()?).map_err(|e| e.to_string())?;
    let store = SealedStore::new(DirStore::new(&options.from), keyring);
    if !options.from.is_dir() {
        return Err(format!("{} is not a directory", options.from.display()));
    }
    let mut catalog = Catalog::load(&store).map_err(|e| e.to_string())?;
    if let Some(uuid) = &options.log {
        catalog.logs.retain(|history| history.log.to_string() == *uuid);
    }
    if catalog.logs.is_empty() {
        return Err(format!("there is no archive of such a log in {}", options.from.display()));
    }
    if options.list {
        return list(&catalog, options, out);
    }
    let target = match (options.to_time, options.to_gsn) {
        (Some(time_ms), _) => Target::Time(time_ms),
        (_, Some(gsn)) => Target::Gsn(gsn),
        (None, None) => Target::Latest,
    };
    let history = choose(&catalog, target)?;
    // Before anything is made.
    history.plan(target, &[]).map_err(|e| e.to_string())?;
    let Some(dir) = &options.dir else { return Err("--dir is missing".to_owned()) };
    let _lock = crate::boot::lock_dir(dir)?;
    let log_dir = options.server.config(dir)?.log_dir();
    let (done, total) = (Arc::new(AtomicU64::new(0)), history.bytes());
    let shown = done.clone();
    let bar = Progress::bytes("restoring", total, move || shown.load(Ordering::Relaxed));
    let to = RestoreOptions { dir: log_dir, new_uuid: crate::start::random()?, target };
    let mut progress = |at: u64, of: u64| {
        // The bar's length was a guess: all of the archive.
        let share = u128::from(at) * u128::from(total) / u128::from(of.max(1));
        done.store(u64::try_from(share).unwrap_or(total), Ordering::Relaxed);
    };
    let restored = block_on(restore(&StdDisk, &store, history, &to, &mut progress));
    drop(bar);
    let restored = restored.map_err(|e| e.to_string())?;
    for avoided in &restored.avoided {
        tracing::warn!("{avoided}: an earlier base was taken instead");
    }
    if options.json {
        let (gsn, time_ms) = (restored.gsn, restored.time_ms);
        let (base, frames) = (restored.base_gsn, restored.frames);
        let all = json!({ "gsn": gsn, "time_ms": time_ms, "base_gsn": base, "frames": frames,
            "dir": dir.display().to_string(), "avoided": restored.avoided });
        out.line(all)?;
    } else {
        out.line(format_args!(
            "restored the state after GSN {} (last write {}): base at GSN {}, {} frames behind it",
            restored.gsn,
            times::format(restored.time_ms),
            restored.base_gsn,
            restored.frames
        ))?;
        out.line(format_args!("start it with: ringstone-server --dir {}", dir.display()))?;
    }
    Ok(Verdict::Sound)
}

/// The log that has the instant; the one that goes on longest for the latest.
fn choose(catalog: &Catalog, target: Target) -> Result<&History, Failure> {
    let end = |history: &&History| history.instants().last().map_or(0, |i| i.last_ms);
    if target == Target::Latest {
        let newest = catalog.logs.iter().max_by_key(end);
        return newest.ok_or_else(|| "there is nothing to restore".to_owned());
    }
    let has = |history: &&History| history.plan(target, &[]).is_ok();
    let all: Vec<&History> = catalog.logs.iter().filter(has).collect();
    match (all.as_slice(), catalog.logs.as_slice()) {
        ([one], _) => Ok(*one),
        ([], [one]) => Ok(one),
        ([], _) => {
            Err("no log in the archive has that instant; see ringstone restore --list".to_owned())
        }
        (several, _) => {
            let names: Vec<String> = several.iter().map(|h| h.log.to_string()).collect();
            Err(format!(
                "several logs have that instant; say which with --log: {}",
                names.join(", ")
            ))
        }
    }
}

fn list(catalog: &Catalog, options: &Options, out: &mut Output) -> Outcome {
    for history in &catalog.logs {
        let instants = history.instants();
        if options.json {
            let one = |i: &Instants| {
                json!({ "first_gsn": i.first_gsn, "first_ms": i.first_ms,
                    "last_gsn": i.last_gsn, "last_ms": i.last_ms })
            };
            let instants: Vec<_> = instants.iter().map(one).collect();
            out.line(json!({ "log": history.log.to_string(), "bytes": history.bytes(),
                "bases": history.valid_bases().len(), "objects": history.frames.len(),
                "instants": instants }))?;
            continue;
        }
        out.line(format_args!(
            "log {}: {} bases, {} files of frames, {} bytes",
            history.log,
            history.valid_bases().len(),
            history.frames.len(),
            history.bytes()
        ))?;
        if instants.is_empty() {
            out.line("  no instant can be restored")?;
        }
        for Instants { first_gsn, first_ms, last_gsn, last_ms } in &instants {
            let (from, to) = (times::format(*first_ms), times::format(*last_ms));
            out.line(format_args!("  {from} to {to}, GSN {first_gsn} to {last_gsn}"))?;
        }
    }
    for name in &catalog.strangers {
        tracing::warn!("{name} is no file of an archive");
    }
    Ok(Verdict::Sound)
}
