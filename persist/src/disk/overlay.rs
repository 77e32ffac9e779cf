//! A disk whose writes stay in memory: what a start *would* do to real files, without touching them.
//!
//! ```text
//!   recovery ──> Overlay ──reads──> the files, opened for reading only
//!                   └─ bytes that differ, new names, removals: kept here, gone with the value
//! ```
//!
//! Invariant: nothing below is ever opened for writing, created, renamed or removed.
//! Invariant: bytes that are written as they stand below take no memory, so that recovery's rewriting of a tail costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{BLOCK_BYTES, Disk};

/// The disk.
#[derive(Debug, Default)]
pub struct Overlay {
    names: Mutex<Names>,
    read_bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Names {
    /// What stands at a path instead of what the file system has there; `None`: nothing.
    files: BTreeMap<PathBuf, Option<Arc<Node>>>,
    dirs: BTreeSet<PathBuf>,
}

/// A file: what is below, if anything, and what was written over it.
#[derive(Debug)]
struct Node {
    below: Option<File>,
    above: Mutex<Above>,
}

#[derive(Debug)]
struct Above {
    len: u64,
    /// How much of the file below still shows.
    below_len: u64,
    /// Blocks that differ from what is below.
    blocks: BTreeMap<u64, Box<[u8]>>,
}

/// An open file.
#[derive(Clone, Debug)]
pub struct OverlayFile(Arc<Node>);

impl Overlay {
    /// Bytes read so far, for whoever shows progress.
    pub fn read_bytes(&self) -> u64 {
        // Relaxed: a figure to look at.
        self.read_bytes.load(Ordering::Relaxed)
    }

    fn node(&self, path: &Path) -> io::Result<Arc<Node>> {
        let mut names = lock(&self.names);
        match names.files.get(path) {
            Some(Some(node)) => return Ok(node.clone()),
            Some(None) => return Err(io::ErrorKind::NotFound.into()),
            None => {}
        }
        let below = File::open(path)?;
        let len = below.metadata()?.len();
        let above = Above { len, below_len: len, blocks: BTreeMap::new() };
        let node = Arc::new(Node { below: Some(below), above: Mutex::new(above) });
        names.files.insert(path.to_owned(), Some(node.clone()));
        Ok(node)
    }
}

impl Node {
    fn empty() -> Arc<Node> {
        let above = Above { len: 0, below_len: 0, blocks: BTreeMap::new() };
        Arc::new(Node { below: None, above: Mutex::new(above) })
    }

    fn read_below(&self, above: &Above, buf: &mut [u8], offset: u64) -> io::Result<()> {
        buf.fill(0);
        let Some(file) = &self.below else { return Ok(()) };
        let visible = above.below_len.saturating_sub(offset).min(buf.len() as u64);
        let mut at = 0;
        while at < visible {
            let from = usize::try_from(at).unwrap_or(usize::MAX);
            let to = usize::try_from(visible).unwrap_or(usize::MAX);
            let Some(rest) = buf.get_mut(from..to) else { return Ok(()) };
            match file.read_at(rest, offset + at) {
                Ok(0) => return Ok(()),
                Ok(n) => at += n as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&self, above: &Above, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let len = above.len.saturating_sub(offset).min(buf.len() as u64);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let Some(buf) = buf.get_mut(..len) else { return Ok(0) };
        self.read_below(above, buf, offset)?;
        let end = offset + len as u64;
        let first = offset / BLOCK_BYTES as u64;
        for (number, block) in above.blocks.range(first..=end / BLOCK_BYTES as u64) {
            let start = number * BLOCK_BYTES as u64;
            let (from, to) = (start.max(offset), (start + block.len() as u64).min(end));
            let span = |at: u64, base: u64| usize::try_from(at - base).unwrap_or(usize::MAX);
            if from < to
                && let Some(source) = block.get(span(from, start)..span(to, start))
                && let Some(place) = buf.get_mut(span(from, offset)..span(to, offset))
            {
                place.copy_from_slice(source);
            }
        }
        Ok(len)
    }

    fn write(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut above = lock(&self.above);
        let mut at = 0;
        while at < buf.len() {
            let position = offset + at as u64;
            let (number, inside) = (position / BLOCK_BYTES as u64, position % BLOCK_BYTES as u64);
            let inside = usize::try_from(inside).unwrap_or(0);
            let len = (BLOCK_BYTES - inside).min(buf.len() - at);
            let piece = buf.get(at..at + len).unwrap_or_default();
            let mut block = vec![0; BLOCK_BYTES];
            self.read(&above, &mut block, number * BLOCK_BYTES as u64)?;
            if block.get(inside..inside + len) != Some(piece) {
                if let Some(place) = block.get_mut(inside..inside + len) {
                    place.copy_from_slice(piece);
                }
                above.blocks.insert(number, block.into_boxed_slice());
            }
            above.len = above.len.max(position + len as u64);
            at += len;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) {
        let mut above = lock(&self.above);
        if len < above.len {
            let block_bytes = BLOCK_BYTES as u64;
            above.blocks.retain(|number, _| number * block_bytes < len);
            if let Some(block) = above.blocks.get_mut(&(len / block_bytes)) {
                let inside = usize::try_from(len % block_bytes).unwrap_or(0);
                block.iter_mut().skip(inside).for_each(|byte| *byte = 0);
            }
            above.below_len = above.below_len.min(len);
        }
        above.len = len;
    }
}

impl Disk for Overlay {
    type File = OverlayFile;

    async fn open(&self, path: &Path) -> io::Result<OverlayFile> {
        self.node(path).map(OverlayFile)
    }
    async fn create(&self, path: &Path) -> io::Result<OverlayFile> {
        let node = Node::empty();
        lock(&self.names).files.insert(path.to_owned(), Some(node.clone()));
        Ok(OverlayFile(node))
    }
    async fn read_at(&self, file: &OverlayFile, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let above = lock(&file.0.above);
        let len = file.0.read(&above, buf, offset)?;
        self.read_bytes.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
    async fn write_at(&self, file: &OverlayFile, buf: &[u8], offset: u64) -> io::Result<usize> {
        file.0.write(buf, offset)?;
        Ok(buf.len())
    }
    async fn len(&self, file: &OverlayFile) -> io::Result<u64> {
        Ok(lock(&file.0.above).len)
    }
    async fn set_len(&self, file: &OverlayFile, len: u64) -> io::Result<()> {
        file.0.set_len(len);
        Ok(())
    }
    async fn sync_data(&self, _: &OverlayFile) -> io::Result<()> {
        Ok(())
    }
    async fn sync_all(&self, _: &OverlayFile) -> io::Result<()> {
        Ok(())
    }
    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if from.is_dir() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let node = self.node(from)?;
        let mut names = lock(&self.names);
        names.files.insert(from.to_owned(), None);
        names.files.insert(to.to_owned(), Some(node));
        Ok(())
    }
    async fn remove(&self, path: &Path) -> io::Result<()> {
        self.node(path)?;
        lock(&self.names).files.insert(path.to_owned(), None);
        Ok(())
    }
    async fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut found = BTreeSet::new();
        let names = lock(&self.names);
        match fs::read_dir(dir) {
            Ok(entries) => {
                for entry in entries {
                    found.insert(entry?.file_name().to_string_lossy().into_owned());
                }
            }
            Err(error) if names.dirs.contains(dir) && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        for (path, node) in names.files.iter().filter(|(path, _)| path.parent() == Some(dir)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if node.is_some() {
                found.insert(name);
            } else {
                found.remove(&name);
            }
        }
        let dirs = names.dirs.iter().filter(|path| path.parent() == Some(dir));
        found
            .extend(dirs.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())));
        Ok(found.into_iter().collect())
    }
    async fn create_dir(&self, dir: &Path) -> io::Result<()> {
        lock(&self.names).dirs.insert(dir.to_owned());
        Ok(())
    }
    async fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    async fn exists(&self, path: &Path) -> io::Result<bool> {
        let names = lock(&self.names);
        match names.files.get(path) {
            Some(node) => Ok(node.is_some()),
            None => Ok(names.dirs.contains(path) || path.try_exists()?),
        }
    }
}

/// A poisoned lock is taken as it is: each change is made with one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::block_on;

    fn read(disk: &Overlay, path: &Path) -> Vec<u8> {
        let file = block_on(disk.open(path)).unwrap();
        let len = usize::try_from(block_on(disk.len(&file)).unwrap()).unwrap();
        let mut bytes = vec![0; len + 10];
        let filled = block_on(disk.read_full_at(&file, &mut bytes, 0)).unwrap();
        bytes.truncate(filled);
        bytes
    }

    #[test]
    fn what_is_written_is_read_back_and_the_file_below_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut expected: Vec<u8> = (0..20_000u32).map(|n| n.to_le_bytes()[0]).collect();
        fs::write(&path, &expected).unwrap();
        let before = expected.clone();
        let disk = Overlay::default();
        let file = block_on(disk.open(&path)).unwrap();
        block_on(disk.write_all_at(&file, &[9; 5000], 4000)).unwrap();
        expected[4000..9000].fill(9);
        assert_eq!(read(&disk, &path), expected);
        block_on(disk.set_len(&file, 4500)).unwrap();
        block_on(disk.set_len(&file, 9000)).unwrap();
        expected.truncate(4500);
        expected.resize(9000, 0);
        assert_eq!(read(&disk, &path), expected);
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn names_change_here_only() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("a"), "1").unwrap();
        fs::write(at("b"), "2").unwrap();
        let disk = Overlay::default();
        block_on(disk.rename(&at("a"), &at("c"))).unwrap();
        block_on(disk.remove(&at("b"))).unwrap();
        block_on(disk.create_dir(&at("d"))).unwrap();
        block_on(disk.create(&at("e"))).unwrap();
        assert_eq!(block_on(disk.list(dir.path())).unwrap(), ["c", "d", "e"]);
        assert!(!block_on(disk.exists(&at("a"))).unwrap());
        assert!(block_on(disk.open(&at("b"))).is_err());
        assert_eq!(read(&disk, &at("c")), b"1");
        assert!(at("a").exists() && at("b").exists() && !at("d").exists() && !at("e").exists());
    }

    #[test]
    fn writing_what_is_there_takes_no_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, vec![7; 1 << 20]).unwrap();
        let disk = Overlay::default();
        let file = block_on(disk.open(&path)).unwrap();
        block_on(disk.write_all_at(&file, &vec![7; 1 << 20], 0)).unwrap();
        assert!(lock(&file.0.above).blocks.is_empty());
    }
}
