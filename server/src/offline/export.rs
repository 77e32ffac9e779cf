//! `ringstone export`: a state for other programs, as an RDB file or as an append-only directory of Redis 7.

use std::path::{Path, PathBuf};

use clap::Args;

use super::place::{Hold, Server};
use super::{Failure, Outcome, Output, Verdict, state, times};

/// What to write.
#[derive(Args)]
pub(crate) struct Options {
    /// A server's directory, a log's directory, or a file: RDB, or an append-only file of Redis
    from: PathBuf,
    #[command(flatten)]
    to: To,
    /// Only the effects up to this GSN
    #[arg(long, value_name = "GSN", conflicts_with = "to_time")]
    to_gsn: Option<u64>,
    /// Only the effects up to this time: 2026-11-24T17:00:00Z, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    to_time: Option<u64>,
    /// The newest version of RDB data to write: 10 for Redis 7.0, 12 for Redis 8.0
    #[arg(long, value_name = "VERSION", default_value_t = 10, value_parser = clap::value_parser!(u32).range(10..=12))]
    rdb_version_max: u32,
    /// Replace what is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    server: Server,
}

/// Where to.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct To {
    /// Write an RDB file
    #[arg(long, value_name = "FILE")]
    rdb: Option<PathBuf>,
    /// Write an append-only directory, to be named by `appenddirname` of redis-server 7
    #[arg(long, value_name = "DIR")]
    redis_aof: Option<PathBuf>,
}

/// Loads, and writes.
pub(crate) fn run(options: &Options, out: &mut Output) -> Outcome {
    let target = match (&options.to.rdb, &options.to.redis_aof) {
        (Some(path), _) | (None, Some(path)) => path,
        (None, None) => return Err("say --rdb FILE or --redis-aof DIR".to_owned()),
    };
    if target.exists() && !options.force && !is_empty_dir(target) {
        return Err(format!("{} is there already: --force replaces it", target.display()));
    }
    let (mut boot, _hold) = if options.from.is_dir() && !is_of_redis(&options.from) {
        let config = options.server.config(&options.from)?;
        let hold = Hold::shared(&config.dir)?;
        let last = match options.to_time {
            Some(ms) => super::instant::last_gsn(&config, ms)?,
            None => options.to_gsn.unwrap_or(u64::MAX),
        };
        (state::of_directory(&config, last)?, Some(hold))
    } else {
        if options.to_gsn.is_some() || options.to_time.is_some() {
            return Err("only a log has points in time".to_owned());
        }
        (state::of_file(&options.server.plain()?, &options.from)?, None)
    };
    let keys = state::keys(&boot.keyspaces);
    match &options.to.redis_aof {
        None => state::write_rdb(target, &mut boot, options.rdb_version_max, false)?,
        Some(dir) => redis_directory(dir, &mut boot, options.rdb_version_max)?,
    }
    out.line(format_args!("{keys} keys written to {}", target.display()))?;
    Ok(Verdict::Sound)
}

fn is_empty_dir(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// A directory that has a manifest of Redis's, and nothing of Ringstone's.
pub(super) fn is_of_redis(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    let is_manifest = |name: &Path| name.extension().is_some_and(|end| end == "manifest");
    !super::place::is_log(dir)
        && entries.flatten().any(|entry| is_manifest(Path::new(&entry.file_name())))
}

/// A base and an increment without commands, named by a manifest, which is written last: as Redis 7 has them.
fn redis_directory(
    dir: &Path,
    boot: &mut crate::boot::Boot,
    rdb_version_max: u32,
) -> Result<(), Failure> {
    const BASE: &str = "appendonly.aof.1.base.rdb";
    const INCREMENT: &str = "appendonly.aof.1.incr.aof";
    const MANIFEST: &str = "appendonly.aof.manifest";
    let fail = |error: std::io::Error| format!("{}: {error}", dir.display());
    std::fs::create_dir_all(dir).map_err(fail)?;
    state::write_rdb(&dir.join(BASE), boot, rdb_version_max, true)?;
    std::fs::File::create(dir.join(INCREMENT)).and_then(|f| f.sync_all()).map_err(fail)?;
    let text = format!("file {BASE} seq 1 type b\nfile {INCREMENT} seq 1 type i\n");
    crate::config::rewrite::replace(&dir.join(MANIFEST), text.as_bytes()).map_err(fail)
}
