//! The disk as persist sees it, so that production and the simulator run the same sequences.
//!
//! Invariant: what a caller needs after a crash it must have synced: `sync_data` for a file's bytes and length, `sync_dir`
//! for names that were created, renamed or removed. Nothing else survives for certain.

pub mod aligned;
mod direct_reads;
pub mod map;
pub mod overlay;
mod std_disk;

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aligned::AlignedBuf;
pub use direct_reads::DirectReads;
pub use std_disk::StdDisk;

/// Size in bytes of the blocks in which direct I/O reads and writes.
pub const BLOCK_BYTES: usize = 4096;

/// Files and directories. Paths are whole paths, as `std::fs` takes them.
#[expect(async_fn_in_trait, reason = "used through generics only, never across threads")]
pub trait Disk {
    /// An open file, closed when dropped.
    type File;

    /// Opens a file that is there, to read and write it.
    async fn open(&self, path: &Path) -> io::Result<Self::File>;
    /// Creates a file, or empties the one that is there.
    async fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Reads at most `buf.len()` bytes; 0 at the end of the file.
    async fn read_at(&self, file: &Self::File, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at most `buf.len()` bytes, extending the file where needed.
    async fn write_at(&self, file: &Self::File, buf: &[u8], offset: u64) -> io::Result<usize>;
    /// The file's length in bytes.
    async fn len(&self, file: &Self::File) -> io::Result<u64>;
    /// Cuts or extends (with zeros) the file.
    async fn set_len(&self, file: &Self::File, len: u64) -> io::Result<()>;
    /// Makes the bytes and the length durable.
    async fn sync_data(&self, file: &Self::File) -> io::Result<()>;
    /// The same with all metadata.
    async fn sync_all(&self, file: &Self::File) -> io::Result<()>;
    /// Renames a file, replacing the target.
    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    async fn remove(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, sorted.
    async fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Creates a directory; fine when it is there.
    async fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    async fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Whether there is such a file or directory.
    async fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Extends the file to `len` bytes with its space reserved where the disk can do that.
    async fn allocate(&self, file: &Self::File, len: u64) -> io::Result<()> {
        self.set_len(file, len).await
    }

    /// The bytes of a file whose length is `len`, all written and durable, as an empty buffer: what is put into it is in the
    /// file as a write would be. The default has a buffer of its own, whose bytes the disk must fetch for itself.
    async fn map(&self, _file: &Self::File, len: usize) -> io::Result<AlignedBuf> {
        Ok(AlignedBuf::with_capacity(len))
    }

    /// Writes all of `buf`, however often the disk writes short.
    async fn write_all_at(
        &self,
        file: &Self::File,
        mut buf: &[u8],
        mut offset: u64,
    ) -> io::Result<()> {
        while !buf.is_empty() {
            let n = self.write_at(file, buf, offset).await?;
            let rest = buf.get(n..).filter(|_| n > 0).ok_or(io::ErrorKind::WriteZero)?;
            (buf, offset) = (rest, offset + n as u64);
        }
        Ok(())
    }

    /// Fills `buf` as far as the file reaches; returns how many bytes were read.
    async fn read_full_at(
        &self,
        file: &Self::File,
        buf: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read_at(file, rest, offset + filled as u64).await? {
                0 => break,
                n => filled += n,
            }
        }
        Ok(filled)
    }
}

/// Runs a future that never waits for anything outside, such as one over [`StdDisk`]. A future that does wait is polled
/// again and again, with a yield of the thread in between.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::yield_now(),
        }
    }
}
