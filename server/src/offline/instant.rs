//! From a point in time to a GSN.
//!
//! Invariant: the state at a time is the one before the first frame, in the order of GSNs, that was made later. Clocks of shards may
//! differ by a little, GSNs do not: so the state is one that has been.

use ringstone_persist::disk::block_on;
use ringstone_persist::disk::overlay::Overlay;

use super::log::OpenLog;
use super::{Failure, log};
use crate::config::Config;

/// The last GSN of a directory's log at `ms` since 1970.
pub(super) fn last_gsn(config: &Config, ms: u64) -> Result<u64, Failure> {
    let dir = config.log_dir();
    let opened =
        log::open(config, false).map_err(|e| format!("the log in {}: {e}", dir.display()))?;
    let opened = opened.ok_or_else(|| format!("{} has no log", dir.display()))?;
    of_log(&opened, ms)
}

/// The same for a log that is open.
pub(super) fn of_log(opened: &OpenLog, ms: u64) -> Result<u64, Failure> {
    let recovered = &opened.recovered;
    let mut frames = recovered.replay::<Overlay>();
    let mut is_first = true;
    while let Some(frame) = block_on(frames.next(&opened.disk)).map_err(|e| e.to_string())? {
        if frame.wall_ms > ms {
            let cut = recovered.base().map_or(0, |(_, cut)| cut);
            // Before the first frame behind a base lies an unknown stretch of time.
            if is_first && cut > 0 {
                return Err(format!(
                    "the base of the log holds everything up to GSN {cut}, and the first frame behind it was made at {}, after \
                     that time; an archive of the log may reach further back (docs/tools.md)",
                    super::times::format(frame.wall_ms)
                ));
            }
            return Ok(frame.gsn - 1);
        }
        is_first = false;
    }
    Ok(recovered.gsn)
}
