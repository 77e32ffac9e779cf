//! Directories: a server's, a log's, or one of Redis.

use std::path::Path;

use ringstone_engine::effect::Records;
use ringstone_persist::disk::block_on;
use ringstone_persist::disk::overlay::Overlay;
use ringstone_persist::log::{FrameKind, Location, RecoveryError, Warning};

use super::report::{Level, Report};
use super::{Options, file};
use crate::boot::{append_only_file, check_record};
use crate::config::Config;
use crate::offline::log::OpenLog;
use crate::offline::place::{Hold, is_log};
use crate::offline::{Failure, Verdict, export, log, state};

/// Looks at a directory.
pub(super) fn look(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let path = &options.path;
    if export::is_of_redis(path) {
        report.kind("append-only directory of Redis");
        file::foreign(&options.server.plain()?, path, Level::Refused, report);
        return Ok(());
    }
    let config = options.server.config(path)?;
    let _hold = Hold::shared(&config.dir)?;
    let dir = config.log_dir();
    let dump = config.dir.join(&config.dbfilename);
    let has_dump = !config.dbfilename.as_os_str().is_empty() && dump.exists();
    let mut reads_dump = !config.appendonly;
    if config.appendonly && is_log(&dir) {
        report.kind("directory with a log");
        reads_dump = look_at_log(&config, &dir, report);
    } else if config.appendonly
        && let Some(path) = append_only_file(&config)
    {
        report.kind("directory with an append-only file of Redis");
        file::foreign(&config, &path, Level::Refused, report);
    } else {
        report.kind(if has_dump { "directory with a snapshot" } else { "directory without data" });
        reads_dump = true;
    }
    if has_dump {
        // What a start does not read does not stop it.
        let level = if reads_dump { Level::Refused } else { Level::Warning };
        report.fact("snapshot read at a start", reads_dump);
        file::rdb(&config, &dump, level, report);
    }
    if let Some(path) = crate::users_file::path(&config) {
        file::users(&config, &path, report);
    }
    if options.load
        && report.verdict() != Verdict::Refused
        && let Err(why) = state::of_directory(&config, u64::MAX)
    {
        report.find(Level::Refused, &config.dir, None, why);
    }
    Ok(())
}

/// Looks at a log; true when a start reads the snapshot instead.
fn look_at_log(config: &Config, dir: &Path, report: &mut Report) -> bool {
    let opened = match log::open(config, false) {
        Ok(Some(opened)) => opened,
        Ok(None) => return true,
        Err(error) => {
            let location = location(&error);
            let path = location.map_or(dir.to_owned(), |at| dir.join(at.segment.file_name()));
            report.find(Level::Refused, &path, location.map(|at| at.offset), &error);
            match log::open(config, true) {
                Ok(Some(forced)) => {
                    report.fact("gsn with --force-truncate", forced.recovered.gsn);
                    let lines = forced.recovered.warnings.iter().map(Warning::to_string);
                    lines.for_each(|line| report.forced(line));
                    report.forced(format!("the log ends with GSN {}", forced.recovered.gsn));
                    look_at_content(config, &forced, report);
                }
                Ok(None) => {}
                Err(error) => report.forced(format!("refused as well: {error}")),
            }
            return false;
        }
    };
    let recovered = &opened.recovered;
    report.fact("log", recovered.manifest.log.to_string());
    report.fact("gsn", recovered.gsn);
    report.fact("known to have been durable", recovered.known_gsn);
    report.fact("frames", recovered.frames_len());
    report.fact("next epoch", recovered.epoch);
    for warning in &recovered.warnings {
        let is_harmless = matches!(warning, Warning::MovedAside { .. });
        let level = if is_harmless { Level::Note } else { Level::Warning };
        report.find(level, dir, None, warning);
    }
    let dump = config.dir.join(&config.dbfilename);
    if recovered.manifest.is_superseded && dump.exists() {
        report.find(
            Level::Note,
            dir,
            None,
            "a snapshot was saved while the log was off: a start takes that",
        );
        return true;
    }
    if recovered.base().is_none() && recovered.gsn == 0 {
        if let Some(path) = append_only_file(config) {
            file::foreign(config, &path, Level::Refused, report);
            return false;
        }
        return true;
    }
    look_at_content(config, &opened, report);
    false
}

/// The base, and what the frames say.
fn look_at_content(config: &Config, opened: &OpenLog, report: &mut Report) {
    let recovered = &opened.recovered;
    if let Some((path, cut)) = recovered.base() {
        report.fact("base holds everything up to gsn", cut);
        file::rdb(config, &path, Level::Refused, report);
    }
    let mut frames = recovered.replay::<Overlay>();
    let mut effects = 0u64;
    loop {
        let frame = match block_on(frames.next(&opened.disk)) {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(error) => {
                report.find(Level::Refused, &config.log_dir(), None, error);
                break;
            }
        };
        if frame.kind == FrameKind::Cut {
            continue;
        }
        let mut records = Records::new(frame.records);
        while let Some(record) = records.next_raw() {
            let checked = record
                .map_err(|error| error.to_string())
                .and_then(|record| check_record(&record, config.databases as usize));
            effects += 1;
            if let Err(why) = checked {
                let path = config.log_dir().join(frame.segment.file_name());
                let what = format!("GSN {}: {why}", frame.gsn);
                report.find(Level::Refused, &path, Some(frame.offset), what);
                return;
            }
        }
    }
    report.fact("effects", effects);
}

/// Where the damage is that a refusal is about.
fn location(error: &RecoveryError) -> Option<Location> {
    match error {
        RecoveryError::OldManifest { location, .. } => Some(*location),
        RecoveryError::Conflict { second, .. } => Some(*second),
        RecoveryError::Missing(missing) => missing.suspects.first().copied().or(missing.witness),
        RecoveryError::Segment { segment, .. } | RecoveryError::Cut(segment) => {
            Some(Location { segment: *segment, offset: 0 })
        }
        RecoveryError::Io { .. }
        | RecoveryError::Manifest(_)
        | RecoveryError::ManifestMissing(_)
        | RecoveryError::BaseMissing(_)
        | RecoveryError::Crypt(_)
        | RecoveryError::OtherBase(_)
        | RecoveryError::NotSealed { .. } => None,
    }
}
