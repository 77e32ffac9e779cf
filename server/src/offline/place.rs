//! What a subcommand was pointed at, and the configuration under which a server would read it.

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Args;
use ringstone_persist::disk::{Disk, StdDisk, block_on};
use ringstone_persist::log::SegmentId;
use ringstone_persist::log::manifest::MANIFEST_NAME;

use super::Failure;
use crate::config::{CommandLine, Config, load};

/// The configuration of the server whose data it is.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Server {
    /// The server's configuration file: for names of files and for limits
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A parameter of the server, `name=value`; beats the file
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
}

impl Server {
    /// The configuration for data in `dir`: a server's directory, or the one of its log.
    pub(crate) fn config(&self, dir: &Path) -> Result<Config, Failure> {
        let mut config = self.plain()?;
        let whole = std::path::absolute(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        match (whole.parent(), whole.file_name()) {
            (Some(parent), Some(name)) if is_log(&whole) => {
                config.dir = parent.to_owned();
                config.appenddirname = name.into();
            }
            _ => config.dir = whole,
        }
        Ok(config)
    }

    /// The configuration as it stands.
    pub(crate) fn plain(&self) -> Result<Config, Failure> {
        let setting = |text: &String| {
            let (name, value) =
                text.split_once('=').ok_or_else(|| format!("--set {text}: write name=value"))?;
            Ok(vec![name.as_bytes().to_vec(), value.as_bytes().to_vec()])
        };
        let settings = self.set.iter().map(setting).collect::<Result<Vec<_>, Failure>>()?;
        let line = CommandLine { file: self.config.clone(), stdin: false, settings };
        let loaded = load(&line, &mut std::io::empty()).map_err(|e| e.to_string())?;
        Ok(loaded.store.config().clone())
    }
}

/// Whether a directory is a log's: it has a MANIFEST, or segments that lack theirs.
pub(crate) fn is_log(dir: &Path) -> bool {
    let Ok(names) = block_on(StdDisk.list(dir)) else { return false };
    names.iter().any(|name| name == MANIFEST_NAME || SegmentId::from_file_name(name).is_some())
}

/// Keeps servers off while a subcommand reads; refuses where one is at work.
#[derive(Debug)]
pub(crate) struct Hold {
    /// The lock goes with it.
    _file: Option<File>,
}

impl Hold {
    /// On a server's directory. Nothing is created: where there is no lock file, no server was ever there.
    pub(crate) fn shared(dir: &Path) -> Result<Hold, Failure> {
        let Ok(file) = File::open(dir.join(crate::boot::LOCK_NAME)) else {
            return Ok(Hold { _file: None });
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Hold { _file: Some(file) }),
            Err(_) => {
                Err(format!("a server is using {}: stop it, or look at a copy", dir.display()))
            }
        }
    }
}
