//! Reading past the page cache, beside somebody who writes the same files directly.
//!
//! What stands in the page cache makes such a writer's requests slow: the kernel must throw it out first, which it does not do
//! within the call that submits them.
//!
//! Invariant: never used on a shard's thread, which must not block. Files are opened for reading only.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::aligned::AlignedBuf;
use super::{BLOCK_BYTES, Disk, StdDisk};

/// The real disk, for reading; see the module. All else is as [`StdDisk`] does it.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirectReads;

impl Disk for DirectReads {
    type File = File;

    async fn open(&self, path: &Path) -> io::Result<File> {
        let open =
            |more| rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | more, Mode::empty());
        let opened = match open(OFlags::DIRECT) {
            // The file system has no such thing.
            Err(rustix::io::Errno::INVAL) => open(OFlags::empty()),
            opened => opened,
        };
        Ok(File::from(opened?))
    }
    async fn read_at(&self, file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let block = BLOCK_BYTES as u64;
        let start = offset / block * block;
        let skip = usize::try_from(offset - start).unwrap_or(0);
        let len = (skip + buf.len()).next_multiple_of(BLOCK_BYTES);
        let mut whole = AlignedBuf::with_capacity(len);
        whole.pad(len);
        let read = loop {
            match file.read_at(whole.as_mut_slice(), start) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        let found = whole.as_slice().get(skip..read).unwrap_or_default();
        let len = found.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), found.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }
    async fn create(&self, path: &Path) -> io::Result<File> {
        StdDisk.create(path).await
    }
    async fn write_at(&self, file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
        StdDisk.write_at(file, buf, offset).await
    }
    async fn len(&self, file: &File) -> io::Result<u64> {
        StdDisk.len(file).await
    }
    async fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        StdDisk.set_len(file, len).await
    }
    async fn sync_data(&self, file: &File) -> io::Result<()> {
        StdDisk.sync_data(file).await
    }
    async fn sync_all(&self, file: &File) -> io::Result<()> {
        StdDisk.sync_all(file).await
    }
    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        StdDisk.rename(from, to).await
    }
    async fn remove(&self, path: &Path) -> io::Result<()> {
        StdDisk.remove(path).await
    }
    async fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        StdDisk.list(dir).await
    }
    async fn create_dir(&self, dir: &Path) -> io::Result<()> {
        StdDisk.create_dir(dir).await
    }
    async fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        StdDisk.sync_dir(dir).await
    }
    async fn exists(&self, path: &Path) -> io::Result<bool> {
        StdDisk.exists(path).await
    }
}
