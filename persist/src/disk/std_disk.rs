//! The disk through blocking `std::fs` calls in futures that are ready at once: for start-up and helper threads.
//!
//! Invariant: never used on a shard's thread, which must not block.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::Disk;
use super::aligned::AlignedBuf;
use super::map::MappedMut;

/// The real disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct StdDisk;

impl Disk for StdDisk {
    type File = File;

    async fn open(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }
    async fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
    }
    async fn read_at(&self, file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        retry(|| file.read_at(buf, offset))
    }
    async fn write_at(&self, file: &File, buf: &[u8], offset: u64) -> io::Result<usize> {
        retry(|| file.write_at(buf, offset))
    }
    async fn len(&self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }
    async fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }
    async fn allocate(&self, file: &File, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len) {
            // Some file systems cannot. Then a write may find no space, which the log can live with.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => file.set_len(len),
            done => Ok(done?),
        }
    }
    async fn sync_data(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
    async fn map(&self, file: &File, _len: usize) -> io::Result<AlignedBuf> {
        MappedMut::new(file).map(AlignedBuf::from)
    }
    async fn sync_all(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }
    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }
    async fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
    async fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }
    async fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }
    async fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
    async fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
