//! A state as keyspaces in memory, from wherever it stands, and as an RDB file.

use std::path::Path;

use ringstone_engine::Keyspace;
use ringstone_peer::SlotMap;
use ringstone_persist::disk::overlay::Overlay;
use ringstone_persist::disk::{StdDisk, block_on};
use ringstone_persist::install::install;
use ringstone_persist::log::Faults;

use super::output::Progress;
use super::{Failure, log};
use crate::boot::{Boot, Source, look, write_whole};
use crate::config::Config;

/// Loads what a server with this configuration would have in memory, of a log up to GSN `last`.
pub(super) fn of_directory(config: &Config, last: u64) -> Result<Boot, Failure> {
    let opened = match config.appendonly {
        true => log::open(config, false)
            .map_err(|e| format!("the log in {}: {e}", config.log_dir().display()))?,
        false => None,
    };
    let _progress = Progress::unknown("loading");
    match &opened {
        Some(log) => {
            let gsn = log.recovered.gsn;
            if last < u64::MAX && last > gsn {
                return Err(format!("the log ends with GSN {gsn}, before {last}"));
            }
            if let Some((_, cut)) = log.recovered.base().filter(|(_, cut)| last < *cut) {
                return Err(too_early(last, cut));
            }
            load(config, &Source::Log(&*log.disk, &log.recovered), last)
        }
        None if last < u64::MAX => Err(format!("{} has no log", config.dir.display())),
        None => load::<Overlay>(config, &Source::Directory, last),
    }
}

/// Why a state is out of reach that the base has left behind.
pub(super) fn too_early(wanted: u64, cut: u64) -> Failure {
    format!(
        "the log begins with a base that holds everything up to GSN {cut}, so GSN {wanted} cannot be told from it any more; an \
         archive of the log may reach further back (docs/tools.md)"
    )
}

/// Loads an RDB file, or an append-only file or directory of Redis.
pub(super) fn of_file(config: &Config, path: &Path) -> Result<Boot, Failure> {
    let _progress = Progress::unknown("loading");
    load::<Overlay>(config, &Source::File(path), u64::MAX)
}

fn load<D: ringstone_persist::disk::Disk>(
    config: &Config,
    source: &Source<'_, D>,
    last: u64,
) -> Result<Boot, Failure> {
    // Commands of Redis may name keys of several shards in ways that only one shard can serve.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let shards = if matches!(source, Source::Log(..)) { threads } else { 1 };
    let keyring = log::keyring(config).map_err(|e| e.to_string())?;
    look(config, &keyring, SlotMap::new(shards), crate::start::random()?, source, last)
}

/// Keys in all databases.
pub(super) fn keys(keyspaces: &[Keyspace]) -> usize {
    keyspaces.iter().map(Keyspace::len).sum()
}

/// Writes a state as an RDB file under its name, durably. Hashes whose fields expire need version 12.
pub(super) fn write_rdb(
    path: &Path,
    boot: &mut Boot,
    version_max: u32,
    is_aof_base: bool,
) -> Result<(), Failure> {
    if version_max < 12
        && let Some((db, key)) = boot.keyspaces.iter().find_map(Keyspace::any_with_field_times)
    {
        return Err(format!(
            "the hash {} in database {db} has fields that expire, which takes an RDB file of version 12 (Redis 8.0): allow it \
             with --rdb-version-max 12",
            key.escape_ascii()
        ));
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = Path::new(&temporary);
    let _progress = Progress::unknown("writing");
    let written = write_whole(temporary, None, &mut boot.keyspaces, &boot.functions, is_aof_base);
    let installed = written.and_then(|_| {
        block_on(install(&StdDisk, temporary, path, Faults::NONE))
            .map_err(|e| format!("{}: {e}", path.display()))
    });
    installed.inspect_err(|_| {
        // The reason is told; what is left of the file is of no use.
        let _ = std::fs::remove_file(temporary);
    })
}
