//! A disk in memory that forgets what was not synced.
//!
//! ```text
//!   file:  cache (what reads see)  ── sync ──>  durable          a crash keeps, sector by sector, the durable bytes or
//!          dirty sectors, with every version since the last sync  any version since; the length likewise
//!   names: live                    ── sync_dir ──> durable       a crash keeps a prefix of the changes since
//! ```
//!
//! A failed sync drops what it could not write from the dirty sectors while the cache still shows it, as Linux does: the
//! next sync succeeds and lies.
//!
//! Invariant: what was synced with success survives every crash.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::io;
use std::path::Path;
use std::rc::Rc;

use super::rng::Rng;

/// What the disk loses at once.
pub const SECTOR_BYTES: usize = 512;

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// `kill -9`: the page cache stays.
    Kill,
    /// Power loss: only what was durable stays for certain.
    Power,
}

/// How often what fails, in basis points an operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chances {
    /// A sync fails.
    pub sync: u64,
    /// There is no space for a new file or more bytes.
    pub space: u64,
    /// A write or a read ends early.
    pub short: u64,
    /// A read fails.
    pub read: u64,
    /// A write fails, or a rename.
    pub write: u64,
}

/// How often what failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Failures {
    /// Syncs.
    pub syncs: u64,
    /// Operations for which there was no space.
    pub space: u64,
    /// Writes and reads that ended early.
    pub short: u64,
    /// Reads and writes.
    pub io: u64,
}

/// The disk; clones share it.
#[derive(Clone)]
pub struct Disk {
    inner: Rc<RefCell<Inner>>,
}

#[derive(Clone)]
struct Inner {
    rng: Rng,
    chances: Chances,
    failures: Failures,
    /// Operations until the machine stops; none: it does not.
    budget: Option<u64>,
    stopped: bool,
    /// `sync_dir` does nothing: a mutation.
    forget_dirs: bool,
    /// Operations are printed.
    is_traced: bool,
    next_inode: u64,
    inodes: HashMap<u64, Inode>,
    dirs: BTreeSet<String>,
    live: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    changes: Vec<Change>,
}

#[derive(Clone, Default)]
struct Inode {
    cache: Vec<u8>,
    durable: Vec<u8>,
    /// A bit a sector that differs.
    dirty: Vec<u64>,
    /// What such sectors held between the durable version and the cache's.
    versions: Vec<(usize, Vec<u8>)>,
    /// A sync failed, so that the cache may show what the disk does not hold.
    has_lied: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Link(String, u64),
    Rename(String, String),
    Unlink(String),
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl Change {
    fn touches(&self, dir: &str) -> bool {
        match self {
            Change::Link(path, _) | Change::Unlink(path) => parent(path) == dir,
            Change::Rename(from, to) => parent(from) == dir || parent(to) == dir,
        }
    }

    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Change::Link(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Change::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Change::Unlink(path) => {
                names.remove(path);
            }
        }
    }
}

impl Inode {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if bytes.is_empty() {
            return;
        }
        self.dirty.resize(self.dirty.len().max(end.div_ceil(SECTOR_BYTES * 64)), 0);
        for sector in offset / SECTOR_BYTES..=(end - 1) / SECTOR_BYTES {
            let (word, bit) = (sector / 64, 1 << (sector % 64));
            if self.dirty[word] & bit == 0 {
                self.dirty[word] |= bit;
            } else {
                self.versions.push((sector, sector_of(&self.cache, sector).to_vec()));
            }
        }
        if end > self.cache.len() {
            self.cache.resize(end, 0);
        }
        self.cache[offset..end].copy_from_slice(bytes);
    }

    /// The dirty sectors, which are dirty no more.
    fn take_dirty(&mut self) -> Vec<usize> {
        let mut sectors = Vec::new();
        for (at, word) in self.dirty.iter_mut().enumerate() {
            while *word != 0 {
                sectors.push(at * 64 + word.trailing_zeros() as usize);
                *word &= *word - 1;
            }
        }
        sectors
    }

    fn make_durable(&mut self, sector: usize) {
        put_sector(&mut self.durable, sector, sector_of(&self.cache, sector));
    }

    fn sync(&mut self) {
        for sector in self.take_dirty() {
            self.make_durable(sector);
        }
        self.versions.clear();
        self.durable.resize(self.cache.len(), 0);
    }

    /// Some sectors reach the disk, the others never will, and nothing is dirty any more.
    fn fail_sync(&mut self, rng: &mut Rng) {
        self.has_lied = true;
        let keep = rng.below(101);
        for sector in self.take_dirty() {
            if rng.percent(keep) {
                self.make_durable(sector);
            }
        }
        self.versions.clear();
        // The length is metadata, which the journal keeps.
        self.durable.resize(self.cache.len(), 0);
    }

    fn lose_power(&mut self, rng: &mut Rng) {
        let sectors = self.take_dirty();
        let differs = !sectors.is_empty() || self.cache.len() != self.durable.len();
        if differs {
            let keep = [0, 30, 50, 90, 100][rng.index(5)];
            let len = if rng.percent(50) { self.cache.len() } else { self.durable.len() };
            let versions = std::mem::take(&mut self.versions);
            for sector in sectors {
                if !rng.percent(keep) {
                    continue;
                }
                // Half of the time the newest version, else any in between.
                let mut older = versions.iter().filter(|(at, _)| *at == sector);
                let n = older.clone().count();
                let bytes = match n {
                    1.. if rng.percent(50) => older.nth(rng.index(n)).map(|(_, bytes)| &bytes[..]),
                    _ => None,
                };
                let bytes = bytes.unwrap_or(sector_of(&self.cache, sector));
                put_sector(&mut self.durable, sector, bytes);
            }
            self.durable.resize(len, 0);
        }
        if differs || std::mem::take(&mut self.has_lied) {
            self.cache.clone_from(&self.durable);
        }
    }
}

fn sector_of(bytes: &[u8], sector: usize) -> &[u8] {
    let from = (sector * SECTOR_BYTES).min(bytes.len());
    let to = (from + SECTOR_BYTES).min(bytes.len());
    &bytes[from..to]
}

fn put_sector(bytes: &mut Vec<u8>, sector: usize, new: &[u8]) {
    let from = sector * SECTOR_BYTES;
    if bytes.len() < from + new.len() {
        bytes.resize(from + new.len(), 0);
    }
    bytes[from..from + new.len()].copy_from_slice(new);
}

impl Inner {
    fn op(&mut self) -> io::Result<()> {
        if let Some(budget) = &mut self.budget {
            if *budget == 0 {
                self.stopped = true;
            }
            *budget = budget.saturating_sub(1);
        }
        if self.stopped { Err(io::Error::other("the machine stopped")) } else { Ok(()) }
    }

    fn fails(&mut self, basis_points: u64, count: fn(&mut Failures) -> &mut u64) -> bool {
        let fails = basis_points > 0 && self.rng.basis_points(basis_points);
        if fails {
            *count(&mut self.failures) += 1;
        }
        fails
    }

    fn trace(&self, what: fmt::Arguments<'_>) {
        if self.is_traced {
            println!("disk: {what}");
        }
    }

    fn change(&mut self, change: Change) {
        self.trace(format_args!("{change:?}"));
        change.apply(&mut self.live);
        self.changes.push(change);
    }

    fn inode(&mut self, inode: u64) -> &mut Inode {
        self.inodes.entry(inode).or_default()
    }
}

impl Disk {
    /// An empty disk.
    pub fn new(seed: u64, forget_dirs: bool) -> Self {
        let inner = Inner {
            rng: Rng::new(seed ^ 0xd15c),
            chances: Chances::default(),
            failures: Failures::default(),
            budget: None,
            stopped: false,
            forget_dirs,
            is_traced: false,
            next_inode: 1,
            inodes: HashMap::new(),
            dirs: BTreeSet::new(),
            live: BTreeMap::new(),
            durable: BTreeMap::new(),
            changes: Vec::new(),
        };
        Disk { inner: Rc::new(RefCell::new(inner)) }
    }

    /// A copy that goes its own way.
    pub fn fork(&self) -> Self {
        Disk { inner: Rc::new(RefCell::new(self.inner.borrow().clone())) }
    }

    /// Changes a file's bytes behind everybody's back, in cache and on the disk.
    pub fn damage(&self, path: &Path, change: impl Fn(&mut Vec<u8>)) {
        let inner = &mut *self.inner.borrow_mut();
        let Some(inode) = inner.live.get(&text(path)).copied() else { return };
        let inode = inner.inode(inode);
        change(&mut inode.cache);
        change(&mut inode.durable);
    }

    /// How often things fail from now on.
    pub fn set_chances(&self, chances: Chances) {
        self.inner.borrow_mut().chances = chances;
    }

    /// Stops the machine after so many operations more.
    pub fn stop_after(&self, operations: Option<u64>) {
        self.inner.borrow_mut().budget = operations;
    }

    /// Whether the machine stopped.
    pub fn is_stopped(&self) -> bool {
        self.inner.borrow().stopped
    }

    /// What failed since the last time.
    pub fn take_failures(&self) -> Failures {
        std::mem::take(&mut self.inner.borrow_mut().failures)
    }

    /// Prints operations from now on.
    pub fn trace(&self) {
        self.inner.borrow_mut().is_traced = true;
    }

    /// Ends the run.
    pub fn crash(&self, crash: Crash) {
        let inner = &mut *self.inner.borrow_mut();
        inner.trace(format_args!("crash: {crash:?}, {} names not durable", inner.changes.len()));
        (inner.budget, inner.stopped, inner.chances) = (None, false, Chances::default());
        if crash == Crash::Power {
            let changes = std::mem::take(&mut inner.changes);
            let kept = inner.rng.index(changes.len() + 1);
            changes[..kept].iter().for_each(|change| change.apply(&mut inner.durable));
            inner.live = inner.durable.clone();
            // In the order of names, so that the seed decides.
            for inode in inner.durable.values() {
                if let Some(inode) = inner.inodes.get_mut(inode) {
                    inode.lose_power(&mut inner.rng);
                }
            }
        }
        let linked = inner.changes.iter().filter_map(|change| match change {
            Change::Link(_, inode) => Some(inode),
            Change::Rename(..) | Change::Unlink(_) => None,
        });
        let used = inner.live.values().chain(inner.durable.values()).chain(linked);
        let used: HashSet<u64> = used.copied().collect();
        inner.inodes.retain(|inode, _| used.contains(inode));
    }

    /// A direct, synchronous write as the kernel does it; `kept`: which sectors reach the disk.
    pub fn write_direct(
        &self,
        path: &Path,
        offset: u64,
        bytes: &[u8],
        mut kept: impl FnMut() -> bool,
    ) {
        let inner = &mut *self.inner.borrow_mut();
        let Some(inode) = inner.live.get(&text(path)).copied() else { return };
        let inode = inner.inode(inode);
        let offset = offset as usize;
        for (i, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
            if kept() {
                let at = offset + i * SECTOR_BYTES;
                put_sector(&mut inode.cache, at / SECTOR_BYTES, sector);
                put_sector(&mut inode.durable, at / SECTOR_BYTES, sector);
            }
        }
    }

    /// What a process has changed in a file that is mapped, given the file's beginning as it is now; how many sectors that were.
    pub fn change_mapped(&self, path: &Path, bytes: &[u8]) -> u64 {
        let inner = &mut *self.inner.borrow_mut();
        let Some(inode) = inner.live.get(&text(path)).copied() else { return 0 };
        let inode = inner.inode(inode);
        let mut changed = 0;
        for (sector, new) in bytes.chunks(SECTOR_BYTES).enumerate() {
            let at = sector * SECTOR_BYTES;
            if inode.cache.get(at..at + new.len()) != Some(new) {
                inode.write(at, new);
                changed += 1;
            }
        }
        changed
    }

    /// A file's length in bytes.
    pub fn len_of(&self, path: &Path) -> Option<u64> {
        let inner = self.inner.borrow();
        inner.inodes.get(inner.live.get(&text(path))?).map(|inode| inode.cache.len() as u64)
    }

    /// A file's bytes, as reads see them.
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let inner = self.inner.borrow();
        inner.inodes.get(inner.live.get(&text(path))?).map(|inode| inode.cache.clone())
    }
}

impl ringstone_persist::disk::Disk for Disk {
    type File = u64;

    async fn open(&self, path: &Path) -> io::Result<u64> {
        let inner = &mut *self.inner.borrow_mut();
        inner.op()?;
        inner.live.get(&text(path)).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    async fn create(&self, path: &Path) -> io::Result<u64> {
        let inner = &mut *self.inner.borrow_mut();
        inner.op()?;
        if inner.fails(inner.chances.space, |f| &mut f.space) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = inner.next_inode;
        inner.next_inode += 1;
        inner.inodes.insert(inode, Inode::default());
        inner.change(Change::Link(text(path), inode));
        Ok(inode)
    }
    async fn read_at(&self, file: &u64, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let inner = &mut *self.inner.borrow_mut();
        inner.op()?;
        if inner.fails(inner.chances.read, |f| &mut f.io) {
            return Err(io::Error::other("EIO"));
        }
        let short = inner.fails(inner.chances.short, |f| &mut f.short);
        let cut = inner.rng.next() as usize;
        let cache = &inner.inode(*file).cache;
        let from = (offset as usize).min(cache.len());
        let mut len = buf.len().min(cache.len() - from);
        if short && len > 1 {
            len = 1 + cut % (len - 1);
        }
        buf[..len].copy_from_slice(&cache[from..from + len]);
        Ok(len)
    }
    async fn write_at(&self, file: &u64, buf: &[u8], offset: u64) -> io::Result<usize> {
        let inner = &mut *self.inner.borrow_mut();
        inner.op()?;
        if inner.fails(inner.chances.write, |f| &mut f.io) {
            return Err(io::Error::other("EIO"));
        }
        let grows = offset as usize + buf.len() > inner.inode(*file).cache.len();
        if grows && inner.fails(inner.chances.space, |f| &mut f.space) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut len = buf.len();
        if len > 1 && inner.fails(inner.chances.short, |f| &mut f.short) {
            len = 1 + inner.rng.index(len - 1);
        }
        inner.trace(format_args!("write {len} at {offset} of inode {file}"));
        inner.inode(*file).write(offset as usize, &buf[..len]);
        Ok(len)
    }
    async fn len(&self, file: &u64) -> io::Result<u64> {
        let inner = &mut *self.inner.borrow_mut();
        inner.op()?;
        Ok(inner.inode(*file).cache.len() as u64)
    }
    async fn set_len(&self, file: &u64, len: u64) -> io::Result<()> {
        let inner = &mut *self.inner.borrow_mut();
        inner.op()?;
        let inode = inner.inode(*file);
        inode.cache.resize(len as usize, 0);
        for sector in inode.take_dirty() {
            if sector * SECTOR_BYTES < len as usize {
                inode.dirty[sector / 64] |= 1 << (sector % 64);
            }
        }
        inode.versions.retain(|(sector, _)| sector * SECTOR_BYTES < len as usize);
        Ok(())
    }
    async fn sync_data(&self, file: &u64) -> io::Result<()> {
        let inner = &mut *self.inner.borrow_mut();
        inner.op()?;
        if inner.fails(inner.chances.sync, |f| &mut f.syncs) {
            inner.trace(format_args!("sync of inode {file} fails"));
            let mut rng = inner.rng.clone();
            inner.inode(*file).fail_sync(&mut rng);
            inner.rng = rng;
            return Err(io::Error::other("EIO"));
        }
        inner.trace(format_args!("sync of inode {file}"));
        inner.inode(*file).sync();
        Ok(())
    }
    async fn sync_all(&self, file: &u64) -> io::Result<()> {
        self.sync_data(file).await
    }
    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let inner = &mut *self.inner.borrow_mut();
        inner.op()?;
        if !inner.live.contains_key(&text(from)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if inner.fails(inner.chances.write, |f| &mut f.io) {
            return Err(io::Error::other("EIO"));
        }
        inner.change(Change::Rename(text(from), text(to)));
        Ok(())
    }
    async fn remove(&self, path: &Path) -> io::Result<()> {
        let inner = &mut *self.inner.borrow_mut();
        inner.op()?;
        if !inner.live.contains_key(&text(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        inner.change(Change::Unlink(text(path)));
        Ok(())
    }
    async fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let inner = &mut *self.inner.borrow_mut();
        inner.op()?;
        let dir = text(dir);
        let names = inner.live.keys().chain(&inner.dirs).filter(|path| parent(path) == dir);
        Ok(names.filter_map(|path| path.rsplit_once('/')).map(|(_, n)| n.to_owned()).collect())
    }
    async fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let inner = &mut *self.inner.borrow_mut();
        inner.op()?;
        inner.dirs.insert(text(dir));
        Ok(())
    }
    async fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let inner = &mut *self.inner.borrow_mut();
        inner.op()?;
        if inner.forget_dirs {
            return Ok(());
        }
        let dir = text(dir);
        inner.trace(format_args!("sync of {dir}"));
        for change in std::mem::take(&mut inner.changes) {
            if change.touches(&dir) {
                change.apply(&mut inner.durable);
            } else {
                inner.changes.push(change);
            }
        }
        Ok(())
    }
    async fn exists(&self, path: &Path) -> io::Result<bool> {
        let inner = &mut *self.inner.borrow_mut();
        inner.op()?;
        let path = text(path);
        Ok(inner.live.contains_key(&path) || inner.dirs.contains(&path))
    }
}
