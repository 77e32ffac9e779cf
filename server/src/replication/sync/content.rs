//! A snapshot for replicas: a file without a name, whose content they are sent in clear.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ringstone_persist::crypt::{Keyring, Purpose, SealedFile, is_sealed};
use ringstone_persist::disk::BLOCK_BYTES;
use ringstone_persist::disk::map::MappedFile;

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 256 << 10;

/// The content.
pub(super) enum Content {
    /// Of a file in clear, with its length.
    Clear(File, u64),
    /// Of a sealed one. Only the helper thread reads it, so that a page fault stalls no shard.
    Sealed(SealedFile),
}

impl Content {
    /// Opens a file and takes its name away.
    pub(super) fn open_and_unlink(path: &Path, keyring: &Keyring) -> Result<Content, String> {
        let opened = Content::open(path, keyring);
        drop(std::fs::remove_file(path));
        opened.map_err(|e| format!("{}: {e}", path.display()))
    }

    fn open(path: &Path, keyring: &Keyring) -> io::Result<Content> {
        let file = File::open(path)?;
        let mut head = [0; BLOCK_BYTES];
        let head_len = file.read_at(&mut head, 0)?;
        if !is_sealed(head.get(..head_len).unwrap_or_default()) {
            let len = file.metadata()?.len();
            return Ok(Content::Clear(file, len));
        }
        // Mapping brings all of it in, which one in clear, read piece by piece, does not need.
        let map = MappedFile::open(path)?;
        let sealed = SealedFile::open(path, map, keyring, Purpose::Snapshot);
        sealed.map(Content::Sealed).map_err(io::Error::other)
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        match self {
            Content::Clear(_, len) => *len,
            Content::Sealed(file) => file.len(),
        }
    }

    /// What stands from an offset on at which a piece before has ended.
    pub(super) fn piece_at(&self, at: u64) -> io::Result<Vec<u8>> {
        match self {
            Content::Clear(file, len) => {
                let rest = usize::try_from(len.saturating_sub(at)).unwrap_or(usize::MAX);
                let mut bytes = vec![0; rest.min(PIECE_BYTES)];
                file.read_exact_at(&mut bytes, at).map(|()| bytes)
            }
            Content::Sealed(file) => {
                let unit = file.unit_at(at).map_err(io::Error::other)?;
                let unit = unit.filter(|(offset, _)| *offset == at);
                unit.map(|(_, bytes)| bytes).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
        }
    }
}
