//! A log opened without changing it: recovery as at a start, over a disk whose writes stay in memory.

use std::path::Path;
use std::sync::Arc;

use ringstone_persist::crypt::Keyring;
use ringstone_persist::disk::block_on;
use ringstone_persist::disk::overlay::Overlay;
use ringstone_persist::log::{
    FrameOpener, Manifest, RecoverOptions, Recovered, RecoveryError, SegmentId,
};

use super::output::Progress;
use crate::config::Config;

/// A log after a recovery that touched nothing.
#[derive(Debug)]
pub(crate) struct OpenLog {
    /// What recovery would have written is here.
    pub(crate) disk: Arc<Overlay>,
    /// Its result.
    pub(crate) recovered: Recovered,
}

/// Recovers the log in memory only; `None` where there is none. `force` as a start with `--force-truncate`.
pub(crate) fn open(config: &Config, force: bool) -> Result<Option<OpenLog>, RecoveryError> {
    let dir = config.log_dir();
    let disk = Arc::new(Overlay::default());
    if block_on(Manifest::load(&*disk, &dir))?.is_none() && !super::place::is_log(&dir) {
        return Ok(None);
    }
    let keyring = keyring(config)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // A log that is there keeps its name, so that no random one is needed.
    let mut options = RecoverOptions::new(&dir, 1, [0; 16], 0);
    options.force_truncate = force;
    options.keyring = keyring;
    options.foreign_prefix = Some(crate::boot::foreign_prefix(config));
    let progress = Progress::bytes("reading the log", segment_bytes(&dir), {
        let disk = disk.clone();
        move || disk.read_bytes()
    });
    let recovered = crate::boot::recover(&*disk, &options, threads)?;
    drop(progress);
    Ok(Some(OpenLog { disk, recovered }))
}

/// The keys that the configuration names; see docs/encryption.md. Nothing is written, so that none is needed for that.
pub(crate) fn keyring(config: &Config) -> Result<Keyring, RecoveryError> {
    let config = Config { encryption_at_rest: false, ..config.clone() };
    crate::encryption::keyring(&config).map_err(|why| RecoveryError::Io {
        what: "keys".to_owned(),
        error: std::io::Error::other(why),
    })
}

/// What opens the frames of the log in `dir` that are encrypted.
pub(crate) fn opener(config: &Config, dir: &Path) -> Result<FrameOpener, RecoveryError> {
    let disk = Overlay::default();
    let Some(mut manifest) = block_on(Manifest::load(&disk, dir))? else {
        return Ok(FrameOpener::default());
    };
    Ok(manifest.unlock(&keyring(config)?)?)
}

/// Bytes in segments and stages.
fn segment_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let counts =
        |name: &str| SegmentId::from_file_name(name).is_some() || name.starts_with("stage-");
    entries
        .flatten()
        .filter(|entry| counts(&entry.file_name().to_string_lossy()))
        .filter_map(|entry| Some(entry.metadata().ok()?.len()))
        .sum()
}
