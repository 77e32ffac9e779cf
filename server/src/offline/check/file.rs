//! Single files, told apart by what they begin with.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ringstone_persist::disk::overlay::Overlay;
use ringstone_persist::disk::{Disk, block_on};
use ringstone_persist::import::{Import, ImportOptions, Imported};
use ringstone_persist::log::segment::header_of;
use ringstone_persist::log::{Manifest, scan_segment};
use ringstone_persist::rdb::{Expired, LoadOptions, Loaded, RdbFile, Sink};

use super::Options;
use super::report::{Level, Report};
use crate::config::Config;
use crate::offline::Failure;
use crate::offline::output::Progress;
use crate::table::Table;

/// How much of a file is looked at to tell what it is.
const HEAD_BYTES: usize = 4096;

/// Looks at a file.
pub(super) fn look(options: &Options, path: &Path, report: &mut Report) -> Result<(), Failure> {
    let fail = |error: std::io::Error| format!("{}: {error}", path.display());
    let disk = Overlay::default();
    let file = block_on(disk.open(path)).map_err(fail)?;
    let len = block_on(disk.len(&file)).map_err(fail)?;
    let mut head = vec![0; HEAD_BYTES];
    let filled = block_on(disk.read_full_at(&file, &mut head, 0)).map_err(fail)?;
    head.truncate(filled);
    report.fact("bytes", len);
    let config = options.server.plain()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if head.starts_with(b"RSEG") || name.ends_with(".log") && name.starts_with('s') {
        segment(&disk, path, &head, report).map_err(fail)?;
    } else if head.starts_with(b"ringstone-log") || name == "MANIFEST" {
        report.kind("MANIFEST of a log");
        manifest(path, report);
    } else if head.starts_with(b"REDIS") || head.starts_with(b"VALKEY") {
        rdb(&config, path, Level::Refused, report);
        report.kind("RDB file");
    } else if head.starts_with(b"*") || name.ends_with(".manifest") || name.ends_with(".aof") {
        report.kind("append-only file of Redis");
        foreign(&config, path, Level::Refused, report);
    } else if head.starts_with(b"user ") || name.ends_with(".acl") {
        report.kind("ACL file");
        users(&Config { aclfile: path.to_owned(), ..config }, path, report);
    } else if name.starts_with("stage-") && head.iter().all(|byte| *byte == 0) {
        report.kind("stage that holds nothing");
    } else if name.ends_with(".rdb") {
        rdb(&config, path, Level::Refused, report);
        report.kind("RDB file");
    } else {
        report.kind("configuration file");
        let text = std::fs::read(path).map_err(fail)?;
        match crate::config::file::load_text(&path.to_string_lossy(), &text) {
            Ok((_, warnings)) => {
                for warning in warnings {
                    report.find(Level::Warning, path, None, warning);
                }
            }
            Err(error) => report.find(Level::Refused, path, None, error),
        }
    }
    Ok(())
}

fn segment(
    disk: &Overlay,
    path: &Path,
    head: &[u8],
    report: &mut Report,
) -> Result<(), std::io::Error> {
    report.kind("segment or stage of a log");
    let Some((log, id)) = header_of(head) else {
        report.find(
            Level::Warning,
            path,
            Some(0),
            "its first block is damaged; together with its MANIFEST its frames can be read: check the directory",
        );
        return Ok(());
    };
    let _progress = Progress::unknown("reading");
    let scan = block_on(scan_segment(disk, path, &log, id))?;
    report.fact("log", log.to_string());
    report.fact("shard", id.shard);
    report.fact("number", id.seq);
    report.fact("kind", scan.kind.map_or("unknown".to_owned(), |kind| format!("{kind:?}")));
    report.fact("frames", scan.frames.len());
    let gsns = || scan.frames.iter().map(|frame| frame.gsn).filter(|gsn| *gsn > 0);
    if let (Some(first), Some(last)) = (gsns().min(), gsns().max()) {
        report.fact("first gsn", first);
        report.fact("last gsn", last);
    }
    report.fact("frames end at", scan.end);
    if let Some(len) = scan.cut_from {
        report.find(
            Level::Refused,
            path,
            None,
            format!("it was made with {len} bytes and is cut off"),
        );
    }
    for hole in &scan.holes {
        report.find(Level::Warning, path, Some(*hole), "bytes between frames are no frame");
    }
    if scan.tail_bytes {
        report.find(
            Level::Warning,
            path,
            Some(scan.end),
            "bytes behind the last frame are no frame",
        );
    }
    Ok(())
}

fn manifest(path: &Path, report: &mut Report) {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return report.find(Level::Refused, path, None, error),
    };
    match Manifest::parse(&text) {
        Ok(manifest) => {
            report.fact("log", manifest.log.to_string());
            report.fact("shards", manifest.shards);
            if let Some(base) = &manifest.base {
                report.fact("base", base.file_name.clone());
                report.fact("base holds everything up to gsn", base.cut_gsn);
            }
            for epoch in &manifest.epochs {
                let last = epoch.last_gsn.map_or("open".to_owned(), |last| last.to_string());
                report.fact(
                    format!("epoch {}", epoch.number),
                    format!("{} to {last}", epoch.first_gsn),
                );
            }
        }
        Err(error) => report.find(Level::Refused, path, None, error),
    }
}

/// Counts keys, and keeps none.
struct Count<'a> {
    keys: AtomicU64,
    databases: u32,
    file: &'a RdbFile,
    refusal: Mutex<Option<String>>,
}

impl Sink for Count<'_> {
    fn batch(&self, _: usize, entries: Vec<Loaded>) -> Result<(), String> {
        // Relaxed: read when all threads have ended.
        self.keys.fetch_add(entries.len() as u64, Ordering::Relaxed);
        match entries.iter().find(|entry| entry.db >= self.databases) {
            None => Ok(()),
            Some(entry) => {
                let why = no_such_database(entry.db);
                if let Ok(mut refusal) = self.refusal.lock() {
                    *refusal = Some(format!("{}: {why}", self.file.path().display()));
                }
                Err(why)
            }
        }
    }
}

fn no_such_database(db: u32) -> String {
    format!("database {db} does not exist: raise 'databases'")
}

/// Looks at an RDB file; what is wrong with it is of this level.
pub(super) fn rdb(config: &Config, path: &Path, level: Level, report: &mut Report) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let keyring = match crate::offline::log::keyring(config) {
        Ok(keyring) => keyring,
        Err(error) => return report.find(level, path, None, error),
    };
    let file = match RdbFile::open_with(path, &keyring) {
        Ok(file) => file,
        Err(error) => return report.find(level, path, Some(error.offset), &error.fault),
    };
    let _progress = Progress::unknown("reading");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let limits = crate::limits::encoding(config, Default::default());
    let options = LoadOptions { limits, expired: Expired::Keep, threads, shards: 1 };
    let count = Count {
        keys: AtomicU64::new(0),
        databases: config.databases,
        file: &file,
        refusal: Mutex::new(None),
    };
    match file.load_parallel(&options, &|_| 0, &count) {
        Ok(summary) => {
            report.fact(format!("{name}: RDB version"), file.version());
            report.fact(format!("{name}: keys"), summary.keys);
            report.fact(format!("{name}: function libraries"), summary.functions.len());
        }
        Err(error) => report.find(level, path, Some(error.offset), &error.fault),
    }
}

/// Looks at an append-only file or directory of Redis, or at RDB data that it begins with.
pub(super) fn foreign(config: &Config, path: &Path, level: Level, report: &mut Report) {
    let _progress = Progress::unknown("reading");
    let now_ms = crate::rt::clock::unix_ms();
    let limits = crate::limits::encoding(config, Default::default());
    let options =
        ImportOptions { limits, threads: 1, now_ms, load_truncated: config.aof_load_truncated };
    let (mut keys, mut commands) = (0u64, 0u64);
    let result = Import::open(path).and_then(|import| {
        import.run(&options, &mut |imported| match imported {
            Imported::Entry(entry) if entry.db >= config.databases => {
                Err(no_such_database(entry.db))
            }
            Imported::Entry(_) => {
                keys += 1;
                Ok(())
            }
            Imported::Function(_) => Ok(()),
            Imported::Command { args, db, .. } => {
                commands += 1;
                let name = args.as_args().at(0);
                if Table::get().find(name).is_none() {
                    return Err(format!("Ringstone has no command '{}'", name.escape_ascii()));
                }
                if db >= config.databases {
                    return Err(no_such_database(db));
                }
                Ok(())
            }
        })
    });
    match result {
        Ok(summary) => {
            report.fact("keys of RDB data", keys);
            report.fact("commands", commands);
            if let Some(torn) = summary.torn_tail {
                let what = format!(
                    "the last {} bytes are no whole command and are left out (aof-load-truncated)",
                    torn.len
                );
                report.find(Level::Warning, &torn.path, Some(torn.offset), what);
            }
        }
        Err(error) => report.find(level, path, None, error),
    }
}

/// Looks at an ACL file.
pub(super) fn users(config: &Config, path: &Path, report: &mut Report) {
    if let Err(error) = crate::users_file::read(config, path.to_owned()) {
        report.find(Level::Refused, path, None, error);
    }
}
