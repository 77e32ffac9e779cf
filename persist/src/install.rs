//! A new file in the place of an old one, or of none: the one way in which snapshots, bases and MANIFEST come to be.
//!
//! ```text
//!   bytes under a temporary name ─> sync ─> rename ─> sync of the directory ─> Ok
//! ```
//!
//! Invariant: after `Ok` the new content is durable under its name. After a crash on the way, or an error, the name stands for
//! the old content or for the new one, whole.

use std::io;
use std::path::Path;

use crate::disk::Disk;
use crate::log::{Fault, Faults};

/// Gives the complete file `temporary` the name `path`, in the same directory.
pub async fn install<D: Disk>(
    disk: &D,
    temporary: &Path,
    path: &Path,
    faults: Faults,
) -> io::Result<()> {
    if !faults.has(Fault::RenamedUnsynced) {
        let file = disk.open(temporary).await?;
        let synced = disk.sync_all(&file).await;
        if !faults.has(Fault::SyncErrorIgnored) {
            synced?;
        }
    }
    disk.rename(temporary, path).await?;
    if faults.has(Fault::NameNotDurable) {
        return Ok(());
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    disk.sync_dir(dir.unwrap_or(Path::new("."))).await
}
