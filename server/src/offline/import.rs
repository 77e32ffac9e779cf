//! `ringstone import`: data of Redis or Valkey as a directory that a server starts from.

use std::path::{Path, PathBuf};

use clap::Args;
use ringstone_peer::SlotMap;
use ringstone_persist::disk::{StdDisk, block_on};

use super::place::{Server, is_log};
use super::{Failure, Outcome, Output, Verdict, export, state};
use crate::boot::{append_only_file, lock_dir, open_log, write_first};
use crate::config::Config;

/// What to take over, and where to.
#[derive(Args)]
pub(crate) struct Options {
    /// An RDB file, an append-only file or directory of Redis, or a directory of redis-server with one of these
    from: PathBuf,
    /// The server's directory to be; it must hold no data yet
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Write a snapshot only, for a server with `appendonly no`; a log with a base otherwise
    #[arg(long)]
    snapshot: bool,
    #[command(flatten)]
    server: Server,
}

/// Loads, and writes.
pub(crate) fn run(options: &Options, out: &mut Output) -> Outcome {
    let mut config = options.server.plain()?;
    config.dir =
        std::path::absolute(&options.dir).map_err(|e| format!("{}: {e}", options.dir.display()))?;
    let from = find(&config, &options.from)?;
    let dump = config.dir.join(&config.dbfilename);
    let log = config.log_dir();
    for (taken, path) in [(dump.exists(), &dump), (is_log(&log), &log)] {
        if taken {
            return Err(format!(
                "{} is there already: import into an empty directory",
                path.display()
            ));
        }
    }
    let keyring = crate::encryption::keyring(&config)?;
    let _lock = lock_dir(&config.dir)?;
    let mut boot = state::of_file(&config, &from)?;
    let keys = state::keys(&boot.keyspaces);
    if options.snapshot {
        state::write_rdb(&dump, &mut boot, 12, false)?;
    } else {
        let mut recovered =
            open_log(&config, &keyring, (SlotMap::new(1), crate::start::random()?), false)?;
        write_first(&log, &keyring, &mut boot, &mut recovered)?;
        // As after a clean shutdown: the next start knows what must be there.
        recovered.manifest.close_epoch(recovered.gsn);
        block_on(recovered.manifest.store(&StdDisk, &log))
            .map_err(|e| format!("{}: {e}", log.display()))?;
    }
    out.line(format_args!(
        "{keys} keys and {} function libraries taken over from {} into {}",
        boot.functions.len(),
        from.display(),
        config.dir.display()
    ))?;
    Ok(Verdict::Sound)
}

/// The file, or directory with a manifest, that holds the data.
fn find(config: &Config, from: &Path) -> Result<PathBuf, Failure> {
    if !from.is_dir() || export::is_of_redis(from) {
        return Ok(from.to_owned());
    }
    if is_log(from) || is_log(&from.join(&config.appenddirname)) {
        return Err(format!(
            "{} is Ringstone's already: start a server over it, or a copy of it",
            from.display()
        ));
    }
    let there = Config { dir: from.to_owned(), ..config.clone() };
    let dump = from.join(&config.dbfilename);
    append_only_file(&there).or_else(|| dump.is_file().then_some(dump)).ok_or_else(|| {
        format!(
            "{}: neither an append-only file nor {}; name the file itself",
            from.display(),
            config.dbfilename.display()
        )
    })
}
