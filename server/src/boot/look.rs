//! What a start would load, for programs that only look: no lock, no base of its own, nothing changed.

use std::path::Path;

use ringstone_peer::SlotMap;
use ringstone_persist::crypt::Keyring;
use ringstone_persist::disk::Disk;
use ringstone_persist::log::Recovered;

use super::{Boot, Owners, Refusal, import, load_base, replay};
use crate::config::Config;

/// Where data comes from.
pub(crate) enum Source<'a, D> {
    /// A log that was recovered on this disk.
    Log(&'a D, &'a Recovered),
    /// What a server without a log, or at its first start, finds in its directory.
    Directory,
    /// An RDB file, or an append-only file or directory of Redis.
    File(&'a Path),
}

/// Loads it; of a log, the effects up to GSN `last`.
pub(crate) fn look<D: Disk>(
    config: &Config,
    keyring: &Keyring,
    slots: SlotMap,
    seed: [u8; 32],
    source: &Source<'_, D>,
    last: u64,
) -> Result<Boot, Refusal> {
    let mut owners = Owners::start(config, slots, seed)?;
    let mut boot = Boot::nothing();
    match source {
        Source::File(path) => import::import_log(path, config, &mut owners, &mut boot)?,
        Source::Directory if config.appendonly => {
            import::import(config, keyring, &mut owners, &mut boot)?;
        }
        Source::Directory => {
            import::load_dump(config, keyring, &mut owners, &mut boot)?;
        }
        Source::Log(disk, recovered) => {
            let elsewhere = if recovered.manifest.is_superseded {
                import::load_dump(config, keyring, &mut owners, &mut boot)?
            } else {
                recovered.base().is_none()
                    && recovered.gsn == 0
                    && import::import(config, keyring, &mut owners, &mut boot)?
            };
            if !elsewhere {
                if let Some((path, _)) = recovered.base() {
                    load_base(&path, keyring, &mut owners, &mut boot)?;
                }
                replay(*disk, recovered, last, &mut owners, &mut boot)?;
                boot.next_gsn = recovered.gsn.min(last) + 1;
            }
        }
    }
    boot.keyspaces = owners.finish()?;
    Ok(boot)
}
