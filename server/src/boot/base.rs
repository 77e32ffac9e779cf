//! The first base of a log that begins with data from elsewhere.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use ringstone_engine::Keyspace;
use ringstone_engine::serial::{RdbWriter, SnapshotWriter};
use ringstone_persist::crypt::{FileSealer, Keyring, Unit};
use ringstone_persist::disk::block_on;
use ringstone_persist::install::install;
use ringstone_persist::log::{Base, Faults, Recovered};
use ringstone_persist::rdb::write::{BlockWriter, Header, tail};

use super::Boot;
use crate::failpoint::{DISK, Step, reach};

const STEP_BYTES: usize = 1 << 20;

/// Writes all keyspaces as the log's base and names it in MANIFEST, durably; whatever the log held is given up then. The base
/// has a GSN of its own, and so a name that no other base has.
pub(crate) fn write_first(
    dir: &Path,
    keyring: &Keyring,
    boot: &mut Boot,
    recovered: &mut Recovered,
) -> Result<(), String> {
    // One number is left out where there was a log: nothing of it leads to this base.
    let cut_gsn = recovered.next_gsn() + u64::from(recovered.gsn > 0);
    let file_name = format!("base-{cut_gsn}.rdb");
    let path = dir.join(&file_name);
    let fail = |e: std::io::Error| format!("{}: {e}", path.display());
    let temporary = dir.join("base.rdb.new");
    let sealer = crate::snapshot::sealer_for(keyring, &path)?;
    let base_id = write_whole(&temporary, sealer, &mut boot.keyspaces, &boot.functions, true)?;
    block_on(install(&DISK, &temporary, &path, Faults::NONE)).map_err(fail)?;
    let replaced = recovered.base();
    recovered.start_anew(Base { file_name, cut_gsn });
    recovered.manifest.seals.base_id = base_id;
    block_on(recovered.manifest.store(&DISK, dir)).map_err(fail)?;
    boot.log_bytes = (super::file_len(&path), 0);
    if let Some((old, _)) = replaced
        && let Err(e) = std::fs::remove_file(&old)
    {
        tracing::warn!("{} could not be removed: {e}", old.display());
    }
    Ok(())
}

/// Writes all keyspaces as one RDB file, sealed where it is to be; whoever installs it syncs it. Gives a sealed file's random
/// name.
pub(crate) fn write_whole(
    path: &Path,
    sealer: Option<FileSealer>,
    keyspaces: &mut [Keyspace],
    functions: &[Vec<u8>],
    is_aof_base: bool,
) -> Result<Option<[u8; 16]>, String> {
    let fail = |e: std::io::Error| format!("{}: {e}", path.display());
    let file = std::fs::File::create(path).map_err(fail)?;
    let mut file = Content { file, sealer, units: Vec::new(), at: 0 };
    let created_s = u64::try_from(crate::rt::clock::unix_ms() / 1000).unwrap_or(0);
    let header = Header {
        created_s,
        is_aof_base,
        has_newer_types: keyspaces.iter().any(Keyspace::has_field_times),
        functions,
        ..Header::default()
    }
    .encode();
    reach(Step::FirstBaseWrite).map_err(fail)?;
    file.append(header.bytes.clone()).map_err(fail)?;
    let offsets = AtomicU64::new(header.bytes.len() as u64);
    let mut blocks = Vec::new();
    for (shard, keyspace) in keyspaces.iter_mut().enumerate() {
        let mut part = BlockWriter::new(u32::try_from(shard).unwrap_or(u32::MAX), &offsets);
        let mut writer = SnapshotWriter::new(RdbWriter::default());
        keyspace.snapshot_begin();
        loop {
            let done = keyspace.snapshot_step(&mut writer, STEP_BYTES);
            if writer.entries() > 0 {
                let (mut block, entries) = writer.take_block();
                part.seal(&mut block, entries);
                file.append(block).map_err(fail)?;
            }
            if done {
                break;
            }
        }
        blocks.extend(part.into_entries());
    }
    let (_, bytes) = tail(&header, blocks).map_err(|e| e.to_string())?;
    file.append(bytes).map_err(fail)?;
    file.finish().map_err(fail)
}

/// The base's content as it is appended, sealed where it is to be.
struct Content {
    file: std::fs::File,
    sealer: Option<FileSealer>,
    units: Vec<Unit>,
    at: u64,
}

impl Content {
    fn append(&mut self, mut bytes: Vec<u8>) -> std::io::Result<()> {
        if let Some(sealer) = &self.sealer {
            if self.at == 0 {
                self.file.write_all(sealer.header())?;
            }
            self.units.push(sealer.seal(self.at, &mut bytes).map_err(std::io::Error::other)?);
        }
        self.at += bytes.len() as u64;
        self.file.write_all(&bytes)
    }

    /// Completes a sealed file; its random name.
    fn finish(mut self) -> std::io::Result<Option<[u8; 16]>> {
        let Some(sealer) = self.sealer else { return Ok(None) };
        let (offset, foot) = sealer.foot(self.units).map_err(std::io::Error::other)?;
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(&foot)?;
        Ok(Some(sealer.id()))
    }
}
