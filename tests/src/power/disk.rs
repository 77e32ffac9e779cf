//! A file system with one file, `disk`: an image in memory whose writes and flushes are recorded.
//!
//! ```text
//!   server ─> ext4 or XFS ─> /dev/loopN (direct) ─> FUSE ─> image, recording
//! ```
//!
//! A write is answered by a second thread, so that several are under way at once and a flush can overtake them.
//!
//! Invariant: an event is in the recording before the kernel hears of it.

use std::ffi::OsStr;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyWrite, Request, WriteFlags,
};

use super::image::Image;
use super::record::{Begun, Recording};
use crate::crash::Random;

/// The file's name.
pub(super) const NAME: &str = "disk";
const INODE: INodeNo = INodeNo(2);
/// Nothing changes behind the kernel's back but the content, which it does not cache.
const TTL: Duration = Duration::from_secs(3600);

/// What the file holds, and what happened to it.
#[derive(Clone, Debug)]
pub struct Content {
    state: Arc<Mutex<State>>,
    position: Arc<AtomicU64>,
}

#[derive(Debug)]
struct State {
    image: Image,
    recording: Option<Recording>,
    drops_flushes: bool,
}

impl Content {
    pub(super) fn new(image: Image) -> Content {
        let state = State { image, recording: None, drops_flushes: false };
        Content { state: Arc::new(Mutex::new(state)), position: Arc::new(AtomicU64::new(0)) }
    }

    /// Puts another disk in; only while nothing is mounted from it.
    pub fn insert(&self, image: Image) {
        self.lock().image = image;
    }

    /// What is on it now.
    pub fn image(&self) -> Image {
        self.lock().image.clone()
    }

    /// Begins to record. A recorder that drops flushes is a disk that lies.
    pub fn record(&self, began: Instant, drops_flushes: bool) {
        let mut state = self.lock();
        state.drops_flushes = drops_flushes;
        state.recording = Some(Recording::new(state.image.clone(), began));
        self.position.store(0, Ordering::SeqCst);
    }

    /// Ends the recording.
    pub fn recorded(&self) -> Option<Recording> {
        self.lock().recording.take()
    }

    /// Events so far. What was acknowledged before the call needs no later one.
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, begin: impl FnOnce(&mut State) -> Option<Begun>) -> Option<Begun> {
        let mut state = self.lock();
        let begun = begin(&mut state);
        self.publish(&state);
        begun
    }

    fn done(&self, begun: Begun) {
        let mut state = self.lock();
        if let Some(recording) = &mut state.recording {
            recording.done(begun);
        }
        self.publish(&state);
    }

    fn publish(&self, state: &State) {
        if let Some(recording) = &state.recording {
            self.position.store(recording.position(), Ordering::SeqCst);
        }
    }
}

enum Answer {
    Write(ReplyWrite, u32),
    Flush(ReplyEmpty),
}

/// The file system.
pub(super) struct DiskFs {
    content: Content,
    len_bytes: u64,
    answers: Sender<(Answer, Begun)>,
}

impl DiskFs {
    pub(super) fn new(content: Content) -> DiskFs {
        let (answers, queue) = channel();
        let answering = content.clone();
        // Ends when the file system, and with it the sender, is dropped.
        thread::spawn(move || answer(&answering, &queue));
        let len_bytes = content.lock().image.len_bytes();
        DiskFs { content, len_bytes, answers }
    }

    fn attr(&self, ino: INodeNo) -> FileAttr {
        let is_disk = ino == INODE;
        FileAttr {
            ino,
            size: if is_disk { self.len_bytes } else { 0 },
            blocks: if is_disk { self.len_bytes / 512 } else { 0 },
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_disk { FileType::RegularFile } else { FileType::Directory },
            perm: if is_disk { 0o600 } else { 0o700 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

/// Answers what is there, in any order.
fn answer(content: &Content, queue: &Receiver<(Answer, Begun)>) {
    let mut random = Random::new(1);
    while let Ok(first) = queue.recv() {
        let mut ready = vec![first];
        ready.extend(queue.try_iter());
        while !ready.is_empty() {
            let at = usize::try_from(random.below(ready.len() as u64)).unwrap_or(0);
            let (answer, begun) = ready.swap_remove(at);
            content.done(begun);
            match answer {
                Answer::Write(reply, len) => reply.written(len),
                Answer::Flush(reply) => reply.ok(),
            }
        }
    }
}

impl Filesystem for DiskFs {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // An older kernel does without; then writes come one at a time.
        let _ = config.add_capabilities(InitFlags::FUSE_ASYNC_DIO);
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if parent == INodeNo::ROOT && name == NAME {
            reply.entry(&TTL, &self.attr(INODE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attr(ino));
    }

    fn open(&self, _req: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let flags = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES;
        reply.opened(FileHandle(0), flags);
    }

    fn read(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        self.content.lock().image.read(offset, &mut bytes);
        reply.data(&bytes);
    }

    fn write(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let len = u32::try_from(data.len()).unwrap_or(0);
        let begun = self.content.begin(|state| {
            state.image.write(offset, data);
            state.recording.as_mut().map(|recording| recording.write(offset, data))
        });
        match begun {
            Some(begun) => drop(self.answers.send((Answer::Write(reply, len), begun))),
            None => reply.written(len),
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
        // close(), which promises nothing.
        reply.ok();
    }

    fn fsync(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let begun = self.content.begin(|state| {
            let drops = state.drops_flushes;
            state.recording.as_mut().filter(|_| !drops).map(Recording::flush)
        });
        match begun {
            Some(begun) => drop(self.answers.send((Answer::Flush(reply), begun))),
            None => reply.ok(),
        }
    }
}
