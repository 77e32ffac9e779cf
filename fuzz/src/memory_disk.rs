//! A disk in memory, for recovery from files that never were on one.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use ringstone_persist::disk::Disk;

/// No file here grows beyond this, whatever offset it is written at.
const LEN_BYTES_MAX: u64 = 16 << 20;

/// The disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    files: RefCell<BTreeMap<PathBuf, Vec<u8>>>,
    dirs: RefCell<BTreeSet<PathBuf>>,
}

impl MemoryDisk {
    /// Changes the bytes of a file; false when there is no such file.
    pub fn edit(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.files.borrow_mut().get_mut(path).map(change).is_some()
    }

    /// A file's bytes.
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        self.files.borrow().get(path).cloned()
    }

    /// Puts a file there.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        self.files.borrow_mut().insert(path.to_owned(), bytes);
    }
}

fn checked(len: u64) -> io::Result<usize> {
    let len = usize::try_from(len.min(LEN_BYTES_MAX + 1)).unwrap_or(usize::MAX);
    if len as u64 > LEN_BYTES_MAX { Err(io::ErrorKind::StorageFull.into()) } else { Ok(len) }
}

impl Disk for MemoryDisk {
    type File = PathBuf;

    async fn open(&self, path: &Path) -> io::Result<PathBuf> {
        let there = self.files.borrow().contains_key(path);
        if there { Ok(path.to_owned()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
    async fn create(&self, path: &Path) -> io::Result<PathBuf> {
        self.put(path, Vec::new());
        Ok(path.to_owned())
    }
    async fn read_at(&self, file: &PathBuf, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let files = self.files.borrow();
        let bytes = files.get(file).ok_or(io::ErrorKind::NotFound)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let len = buf.len().min(bytes.len() - from);
        buf[..len].copy_from_slice(&bytes[from..from + len]);
        Ok(len)
    }
    async fn write_at(&self, file: &PathBuf, buf: &[u8], offset: u64) -> io::Result<usize> {
        let end = checked(offset.saturating_add(buf.len() as u64))?;
        let mut files = self.files.borrow_mut();
        let bytes = files.get_mut(file).ok_or(io::ErrorKind::NotFound)?;
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[end - buf.len()..end].copy_from_slice(buf);
        Ok(buf.len())
    }
    async fn len(&self, file: &PathBuf) -> io::Result<u64> {
        let files = self.files.borrow();
        Ok(files.get(file).ok_or(io::ErrorKind::NotFound)?.len() as u64)
    }
    async fn set_len(&self, file: &PathBuf, len: u64) -> io::Result<()> {
        let len = checked(len)?;
        self.edit(file, |bytes| bytes.resize(len, 0))
            .then_some(())
            .ok_or(io::ErrorKind::NotFound.into())
    }
    async fn sync_data(&self, _: &PathBuf) -> io::Result<()> {
        Ok(())
    }
    async fn sync_all(&self, _: &PathBuf) -> io::Result<()> {
        Ok(())
    }
    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let bytes = self.files.borrow_mut().remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.put(to, bytes);
        Ok(())
    }
    async fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.borrow_mut().remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }
    async fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let files = self.files.borrow();
        let inside = files.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }
    async fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.dirs.borrow_mut().insert(dir.to_owned());
        Ok(())
    }
    async fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    async fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.files.borrow().contains_key(path) || self.dirs.borrow().contains(path))
    }
}
