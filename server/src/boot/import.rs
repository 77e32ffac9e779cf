//! Data that Redis left in the directory, taken over at the first start.
//!
//! ```text
//!   dir/appendonlydir/X.manifest   or   dir/X   or   dir/dump.rdb        X = appendfilename
//!        RDB data  ──> Owners::load_prefix          (all shards' threads decode)
//!        commands  ──> Owners::command              (in the order of the file, keys on several shards included)
//! ```
//!
//! Invariant: Redis's files are read only, so that Redis can be started again from them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringstone_engine::cmd::{self, Command};
use ringstone_engine::{ArgBuf, Args};
use ringstone_persist::crypt::Keyring;
use ringstone_persist::import::{Import, ImportOptions, Imported};
use ringstone_persist::rdb::{Expired, RdbFile};

use super::apply::Origin;
use super::{Boot, Owners};
use crate::config::Config;

/// Redis's default of `appenddirname`.
const REDIS_DIR: &str = "appendonlydir";

/// Loads `dump.rdb` if there is one; true when there was.
pub(super) fn load_dump(
    config: &Config,
    keyring: &Keyring,
    owners: &mut Owners,
    boot: &mut Boot,
) -> Result<bool, String> {
    let path = config.dir.join(&config.dbfilename);
    if config.dbfilename.as_os_str().is_empty() || !path.exists() {
        return Ok(false);
    }
    let file = RdbFile::open_with(&path, keyring).map_err(|e| e.to_string())?;
    let summary = owners.load(&file, Expired::DropBefore(crate::rt::clock::unix_ms()))?;
    tracing::info!(
        "{} loaded: {} keys, {} had expired",
        path.display(),
        summary.keys,
        summary.expired
    );
    boot.functions = summary.functions;
    boot.loaded = (summary.keys, summary.expired);
    Ok(true)
}

/// Takes over what Redis left: its append-only files, else `dump.rdb`; true when there was something.
pub(super) fn import(
    config: &Config,
    keyring: &Keyring,
    owners: &mut Owners,
    boot: &mut Boot,
) -> Result<bool, String> {
    let Some(path) = append_only_file(config) else {
        return load_dump(config, keyring, owners, boot);
    };
    let dump = config.dir.join(&config.dbfilename);
    if !config.dbfilename.as_os_str().is_empty() && dump.exists() {
        tracing::warn!(
            "{} and {} are both there: the append-only file is taken, as Redis does with 'appendonly yes'. If the snapshot is \
             what you want, move the append-only file away and start anew",
            path.display(),
            dump.display()
        );
    }
    import_log(&path, config, owners, boot)?;
    Ok(true)
}

/// What the names of Redis's append-only files begin with.
pub(crate) fn foreign_prefix(config: &Config) -> String {
    format!("{}.", config.appendfilename.display())
}

/// Where Redis's append-only file is: the manifest of one in several parts, or a single file.
pub(crate) fn append_only_file(config: &Config) -> Option<PathBuf> {
    let manifest = format!("{}manifest", foreign_prefix(config));
    let parts = [Path::new(REDIS_DIR), &config.appenddirname];
    let manifests = parts.map(|dir| config.dir.join(dir).join(&manifest));
    let single = config.dir.join(&config.appendfilename);
    manifests.into_iter().chain([single]).find(|path| path.is_file())
}

pub(super) fn import_log(
    path: &Path,
    config: &Config,
    owners: &mut Owners,
    boot: &mut Boot,
) -> Result<(), String> {
    let now_ms = crate::rt::clock::unix_ms();
    let import = Import::open(path).map_err(|e| e.to_string())?;
    let mut start = 0;
    if let Some(file) = import.rdb().map_err(|e| e.to_string())? {
        let summary = owners.load_prefix(&file, import.expired(&file, now_ms))?;
        start = summary.end_offset;
        boot.functions = summary.functions;
        boot.loaded = (summary.keys, summary.expired);
    }
    let options = ImportOptions {
        limits: owners.options().limits,
        threads: owners.options().threads,
        now_ms,
        load_truncated: config.aof_load_truncated,
    };
    let parts: Vec<Arc<Path>> =
        import.parts().iter().map(|path| Arc::from(path.as_path())).collect();
    let mut commands = Commands { by_name: by_name(), owners, functions: &mut boot.functions };
    let mut refusal = None;
    let result = import.run_commands(start, &options, &mut |imported| {
        let Imported::Command { db, args, part, offset } = imported else { return Ok(()) };
        let Some(path) = parts.get(part) else { return Ok(()) };
        let origin = Origin::File(path.clone(), offset, now_ms);
        commands.take(db, args, origin).map_err(|why| {
            refusal = Some(why);
            String::new()
        })
    });
    if let Some(why) = refusal {
        return Err(why);
    }
    let summary = result.map_err(|e| e.to_string())?;
    owners.settle()?;
    if let Some(torn) = summary.torn_tail {
        tracing::warn!(
            "{}: the last {} bytes, from byte {} on, are no whole command and were left out (aof-load-truncated)",
            torn.path.display(),
            torn.len,
            torn.offset
        );
    }
    tracing::info!(
        "{} taken over: {} keys of RDB data, then {} commands",
        path.display(),
        boot.loaded.0,
        summary.commands
    );
    Ok(())
}

/// The engine's commands by lower-case name.
fn by_name() -> HashMap<&'static [u8], &'static Command> {
    cmd::all().map(|command| (command.spec.name.as_bytes(), command)).collect()
}

/// Takes the commands of an append-only file.
struct Commands<'a> {
    by_name: HashMap<&'static [u8], &'static Command>,
    owners: &'a mut Owners,
    functions: &'a mut Vec<Vec<u8>>,
}

impl Commands<'_> {
    fn take(&mut self, db: u32, args: ArgBuf, origin: Origin) -> Result<(), String> {
        let words = args.as_args();
        if words.is(0, "FUNCTION") {
            return function(self.functions, words).map_err(|why| origin.explain(&why));
        }
        // Redis 6 logged what it cached. Without EVALSHA, which is refused, it means nothing.
        if words.is(0, "SCRIPT") {
            return Ok(());
        }
        let command = self.find(words).ok_or_else(|| origin.explain(&unknown(words)))?;
        if self.owners.shards() > 1
            && command.spec.derived_keys.is_some_and(|keys| (keys.wanted)(words))
        {
            return Err(origin.explain(&format!(
                "{} with patterns reads keys of all shards. Start once with '--shards 1' to import; any number of shards can \
                 take over from there",
                command.spec.name
            )));
        }
        self.owners.command(db as usize, command, args, origin)
    }

    fn find(&self, words: Args<'_>) -> Option<&'static Command> {
        let command = *self.by_name.get(words.at(0).to_ascii_lowercase().as_slice())?;
        if command.subs.is_empty() {
            return Some(command);
        }
        let named = |sub: &&&Command| {
            sub.spec.name.split_once('|').is_some_and(|(_, name)| words.is(1, name))
        };
        command.subs.iter().find(named).copied()
    }
}

fn unknown(words: Args<'_>) -> String {
    format!(
        "Ringstone has no command '{}'. If it is of a script or a module: have Redis write its data once without it, with \
         BGREWRITEAOF or SAVE, and import that",
        String::from_utf8_lossy(words.at(0).get(..64).unwrap_or(words.at(0)))
    )
}

/// Keeps account of the function libraries.
fn function(libraries: &mut Vec<Vec<u8>>, words: Args<'_>) -> Result<(), String> {
    let last = words.at(words.len().saturating_sub(1));
    if words.is(1, "LOAD") && words.len() > 2 {
        let name = library_name(last).ok_or("FUNCTION LOAD of a library without a name")?;
        if words.is(2, "REPLACE") && words.len() > 3 {
            libraries.retain(|code| library_name(code) != Some(name));
        }
        libraries.push(last.to_vec());
    } else if words.is(1, "DELETE") && words.len() == 3 {
        libraries.retain(|code| library_name(code) != Some(last));
    } else if words.is(1, "FLUSH") {
        libraries.clear();
    } else {
        return Err(format!(
            "FUNCTION {} cannot be imported: have Redis write its data anew, with BGREWRITEAOF",
            String::from_utf8_lossy(words.at(1).get(..64).unwrap_or(words.at(1)))
        ));
    }
    Ok(())
}

/// The name that a library's first line gives: `#!lua name=NAME`.
fn library_name(code: &[u8]) -> Option<&[u8]> {
    let line = code.split(|byte| *byte == b'\n').next()?;
    line.split(u8::is_ascii_whitespace).find_map(|word| word.strip_prefix(b"name="))
}

#[cfg(test)]
mod tests;
