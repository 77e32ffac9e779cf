//! A directory that is another one, but for the calls that [`Faults`] lets fail or wait.
//!
//! ```text
//!   server ─> at (FUSE) ─> faults ─> backing (a plain directory)
//! ```
//!
//! What is written goes through at once (the kernel keeps no dirty pages of it), so that an error reaches the call that caused
//! it: that of a write the write, that of an fsync the fsync.
//!
//! Invariant: a number stands for one file as long as the directory is mounted, also when its name is used again.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use rustix::fs::FallocateFlags;

use super::faults::{Call, Faults};
use super::guard::{Fuse, Run};

/// The kernel asks again each time.
const TTL: Duration = Duration::ZERO;
/// Calls under way at a time; one that waits does not hold up the others.
const THREADS: usize = 4;

/// A mounted directory with faults.
pub struct FaultyDir {
    fuse: Fuse,
}

impl FaultyDir {
    /// Mounts `backing` at `at`, a directory below that of the run.
    pub fn mount(run: &Run, backing: &Path, at: &Path, faults: Faults) -> io::Result<FaultyDir> {
        let filesystem = FaultyFs {
            faults,
            names: Mutex::new(Names::new(backing)),
            files: Mutex::default(),
            handle: AtomicU64::new(1),
        };
        Ok(FaultyDir { fuse: run.fuse_at(filesystem, at, THREADS)? })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.fuse.path()
    }
}

/// Which path a number stands for.
struct Names {
    paths: HashMap<u64, PathBuf>,
    numbers: HashMap<PathBuf, u64>,
    last: u64,
}

impl Names {
    fn new(root: &Path) -> Names {
        let number = u64::from(INodeNo::ROOT);
        let paths = HashMap::from([(number, root.to_owned())]);
        Names { paths, numbers: HashMap::from([(root.to_owned(), number)]), last: number }
    }

    fn number(&mut self, path: &Path) -> INodeNo {
        let number = self.numbers.get(path).copied().unwrap_or_else(|| {
            self.last += 1;
            self.paths.insert(self.last, path.to_owned());
            self.numbers.insert(path.to_owned(), self.last);
            self.last
        });
        INodeNo(number)
    }

    fn remove(&mut self, path: &Path) {
        self.numbers.remove(path);
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        self.remove(to);
        let below: Vec<PathBuf> =
            self.numbers.keys().filter(|path| path.starts_with(from)).cloned().collect();
        for old in below {
            let Some(number) = self.numbers.remove(&old) else { continue };
            let rest = old.strip_prefix(from).unwrap_or(Path::new(""));
            let new = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            self.paths.insert(number, new.clone());
            self.numbers.insert(new, number);
        }
    }
}

struct FaultyFs {
    faults: Faults,
    names: Mutex<Names>,
    files: Mutex<HashMap<u64, Arc<File>>>,
    handle: AtomicU64,
}

impl FaultyFs {
    fn path(&self, ino: INodeNo) -> io::Result<PathBuf> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let path = names.paths.get(&u64::from(ino)).cloned();
        path.ok_or_else(|| rustix::io::Errno::NOENT.into())
    }

    fn child(&self, parent: INodeNo, name: &OsStr) -> io::Result<PathBuf> {
        Ok(self.path(parent)?.join(name))
    }

    fn entry(&self, path: &Path) -> io::Result<FileAttr> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(attr(self.names(|names| names.number(path)), &metadata))
    }

    fn names<T>(&self, use_names: impl FnOnce(&mut Names) -> T) -> T {
        use_names(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn file(&self, handle: FileHandle) -> io::Result<Arc<File>> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.get(&u64::from(handle)).cloned().ok_or_else(|| rustix::io::Errno::BADF.into())
    }

    fn keep(&self, file: File) -> FileHandle {
        let handle = self.handle.fetch_add(1, Ordering::SeqCst);
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(handle, Arc::new(file));
        FileHandle(handle)
    }

    /// The file that a call is about, after what the faults have to say.
    fn meet(&self, call: Call, ino: INodeNo, handle: FileHandle) -> io::Result<Arc<File>> {
        self.faults.meet(call, &self.path(ino)?)?;
        self.file(handle)
    }

    fn open_file(&self, ino: INodeNo, flags: OpenFlags) -> io::Result<FileHandle> {
        let path = self.path(ino)?;
        self.faults.meet(Call::Open, &path)?;
        let mut options = OpenOptions::new();
        match flags.acc_mode() {
            OpenAccMode::O_RDONLY => options.read(true),
            // The kernel reads a page of which a part is written.
            OpenAccMode::O_WRONLY | OpenAccMode::O_RDWR => options.read(true).write(true),
        };
        Ok(self.keep(options.open(path)?))
    }

    fn create_file(
        &self,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
    ) -> io::Result<(FileAttr, FileHandle)> {
        let path = self.child(parent, name)?;
        self.faults.meet(Call::Open, &path)?;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path)?;
        file.set_permissions(fs::Permissions::from_mode(mode & 0o7777))?;
        Ok((self.entry(&path)?, self.keep(file)))
    }

    fn set(
        &self,
        ino: INodeNo,
        mode: Option<u32>,
        size: Option<u64>,
        handle: Option<FileHandle>,
    ) -> io::Result<FileAttr> {
        let path = self.path(ino)?;
        if let Some(size) = size {
            self.faults.meet(Call::Write, &path)?;
            match handle {
                Some(handle) => self.file(handle)?.set_len(size)?,
                None => OpenOptions::new().write(true).open(&path)?.set_len(size)?,
            }
        }
        if let Some(mode) = mode {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o7777))?;
        }
        self.attr(ino, handle)
    }

    fn attr(&self, ino: INodeNo, handle: Option<FileHandle>) -> io::Result<FileAttr> {
        let metadata = match handle {
            Some(handle) => self.file(handle)?.metadata()?,
            None => fs::symlink_metadata(self.path(ino)?)?,
        };
        Ok(attr(ino, &metadata))
    }

    fn move_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.faults.meet(Call::Rename, to)?;
        fs::rename(from, to)?;
        self.names(|names| names.rename(from, to));
        Ok(())
    }

    fn list(&self, ino: INodeNo, offset: u64, reply: &mut ReplyDirectory) -> io::Result<()> {
        let dir = self.path(ino)?;
        let mut entries = vec![(ino, FileType::Directory, ".".into())];
        entries.push((INodeNo::ROOT, FileType::Directory, "..".into()));
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let kind = FileType::from_std(entry.file_type()?).unwrap_or(FileType::RegularFile);
            let number = self.names(|names| names.number(&entry.path()));
            entries.push((number, kind, entry.file_name()));
        }
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        for (at, (ino, kind, name)) in (1..).zip(entries).skip(skipped) {
            if reply.add(ino, at, kind, &name) {
                break;
            }
        }
        Ok(())
    }
}

fn attr(ino: INodeNo, metadata: &Metadata) -> FileAttr {
    let time = |at: io::Result<SystemTime>| at.unwrap_or(UNIX_EPOCH);
    FileAttr {
        ino,
        size: metadata.len(),
        blocks: metadata.blocks(),
        atime: time(metadata.accessed()),
        mtime: time(metadata.modified()),
        ctime: time(metadata.modified()),
        crtime: UNIX_EPOCH,
        kind: FileType::from_std(metadata.file_type()).unwrap_or(FileType::RegularFile),
        perm: u16::try_from(metadata.mode() & 0o7777).unwrap_or(0o600),
        nlink: u32::try_from(metadata.nlink()).unwrap_or(1),
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

/// Answers a call that has nothing to tell.
fn answer(reply: ReplyEmpty, result: io::Result<()>) {
    match result {
        Ok(()) => reply.ok(),
        Err(e) => reply.error(e.into()),
    }
}

fn answer_entry(reply: ReplyEntry, result: io::Result<FileAttr>) {
    match result {
        Ok(attr) => reply.entry(&TTL, &attr, Generation(0)),
        Err(e) => reply.error(e.into()),
    }
}

fn answer_attr(reply: ReplyAttr, result: io::Result<FileAttr>) {
    match result {
        Ok(attr) => reply.attr(&TTL, &attr),
        Err(e) => reply.error(e.into()),
    }
}

impl Filesystem for FaultyFs {
    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        answer_entry(reply, self.child(parent, name).and_then(|path| self.entry(&path)));
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, fh: Option<FileHandle>, reply: ReplyAttr) {
        answer_attr(reply, self.attr(ino, fh));
    }

    fn setattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        answer_attr(reply, self.set(ino, mode, size, fh));
    }

    fn mkdir(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let made = self.child(parent, name).and_then(|path| {
            fs::create_dir(&path)?;
            self.entry(&path)
        });
        answer_entry(reply, made);
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.child(parent, name).and_then(|path| {
            fs::remove_file(&path)?;
            self.names(|names| names.remove(&path));
            Ok(())
        });
        answer(reply, removed);
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.child(parent, name).and_then(|path| {
            fs::remove_dir(&path)?;
            self.names(|names| names.remove(&path));
            Ok(())
        });
        answer(reply, removed);
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            reply.error(Errno::EINVAL);
            return;
        }
        let paths = self.child(parent, name).and_then(|f| Ok((f, self.child(newparent, newname)?)));
        answer(reply, paths.and_then(|(from, to)| self.move_file(&from, &to)));
    }

    fn open(&self, _req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.open_file(ino, flags) {
            Ok(handle) => reply.opened(handle, FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES),
            Err(e) => reply.error(e.into()),
        }
    }

    fn create(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let flags = FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES;
        match self.create_file(parent, name, mode) {
            Ok((attr, handle)) => reply.created(&TTL, &attr, Generation(0), handle, flags),
            Err(e) => reply.error(e.into()),
        }
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let read = self.meet(Call::Read, ino, fh).and_then(|file| {
            let mut len = 0;
            while len < bytes.len() {
                match file.read_at(&mut bytes[len..], offset + len as u64)? {
                    0 => break,
                    more => len += more,
                }
            }
            Ok(len)
        });
        match read {
            Ok(len) => reply.data(&bytes[..len]),
            Err(e) => reply.error(e.into()),
        }
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let file = self.meet(Call::Write, ino, fh);
        match file.and_then(|file| file.write_all_at(data, offset)) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(0)),
            Err(e) => reply.error(e.into()),
        }
    }

    fn flush(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn release(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).remove(&u64::from(fh));
        reply.ok();
    }

    fn fsync(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        datasync: bool,
        reply: ReplyEmpty,
    ) {
        let sync = |file: Arc<File>| if datasync { file.sync_data() } else { file.sync_all() };
        answer(reply, self.meet(Call::Sync, ino, fh).and_then(sync));
    }

    fn readdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        match self.list(ino, offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(e) => reply.error(e.into()),
        }
    }

    fn fsyncdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let synced = self.path(ino).and_then(|path| {
            self.faults.meet(Call::Sync, &path)?;
            File::open(path)?.sync_all()
        });
        answer(reply, synced);
    }

    fn statfs(&self, _req: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let stat = self.path(ino).and_then(|path| Ok(rustix::fs::statvfs(path)?));
        match stat {
            Ok(s) => reply
                .statfs(s.f_blocks, s.f_bfree, s.f_bavail, s.f_files, s.f_ffree, 4096, 255, 4096),
            Err(e) => reply.error(e.into()),
        }
    }

    fn fallocate(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let flags = FallocateFlags::from_bits_retain(mode.cast_unsigned());
        let allocate = |file: Arc<File>| Ok(rustix::fs::fallocate(&*file, flags, offset, length)?);
        answer(reply, self.meet(Call::Write, ino, fh).and_then(allocate));
    }
}
