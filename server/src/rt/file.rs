//! Files of a shard: log segments, snapshot blocks, and the helper thread for calls that may block.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;

use glommio::io::{DmaFile, OpenOptions as DmaOpenOptions};

/// An open segment of the log.
pub struct LogFile(File);

impl LogFile {
    /// Opens a prepared segment past the page cache, each write durable when it is done; where the file system cannot do the
    /// first, only that.
    pub fn open(path: &Path) -> io::Result<LogFile> {
        let open = |flags| {
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_DSYNC | flags).open(path)
        };
        match open(libc::O_DIRECT) {
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => open(0),
            opened => opened,
        }
        .map(LogFile)
    }
    /// The descriptor, for ring requests.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A file that several shards write blocks of, past the page cache.
pub struct BlockFile(DmaFile);

impl BlockFile {
    /// Opens (and creates, if `create`) the file for writing.
    pub async fn open(path: &Path, create: bool) -> io::Result<BlockFile> {
        let file =
            DmaOpenOptions::new().write(true).create(create).truncate(create).dma_open(path).await;
        file.map(BlockFile).map_err(to_io)
    }
    /// Writes a block whose offset and length are multiples of 4096.
    pub async fn write_at(&self, offset: u64, block: &[u8]) -> io::Result<()> {
        self.write_changed(offset, block, |_| Ok(())).await
    }
    /// The same, and has `change` change the copy that is written.
    pub async fn write_changed(
        &self,
        offset: u64,
        block: &[u8],
        change: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = self.0.alloc_dma_buffer(block.len());
        let place =
            buffer.as_bytes_mut().get_mut(..block.len()).ok_or(io::ErrorKind::InvalidInput)?;
        place.copy_from_slice(block);
        change(place)?;
        let written = self.0.write_at(buffer, offset).await.map_err(to_io)?;
        if written == block.len() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::WriteZero, "short write"))
        }
    }
    /// Closes the file.
    pub async fn close(self) -> io::Result<()> {
        self.0.close().await.map_err(to_io)
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else there is becomes text")]
fn to_io<T>(error: glommio::GlommioError<T>) -> io::Error {
    match error {
        glommio::GlommioError::IoError(e) => e,
        glommio::GlommioError::EnhancedIoError { source, .. } => source,
        other => io::Error::other(other.to_string()),
    }
}

/// A thread that runs calls which may block, in order.
pub struct Helper {
    jobs: mpsc::Sender<Box<dyn FnOnce() + Send>>,
}

impl Helper {
    /// Starts it.
    pub fn start(name: &str) -> io::Result<Helper> {
        let (jobs, queue) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || queue.into_iter().for_each(|job| job()))?;
        Ok(Helper { jobs })
    }
    /// Queues a call.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        if self.jobs.send(Box::new(job)).is_err() {
            tracing::error!("the helper thread is gone");
        }
    }
}

impl Clone for Helper {
    fn clone(&self) -> Self {
        Helper { jobs: self.jobs.clone() }
    }
}
