//! Whole files as memory: for loading, without a copy and with as many readers at once as there are threads; and for the
//! log's stages, whose bytes are to outlive the process.
//!
//! Invariant: what is mapped for reading is so only while starting up or importing: a page fault would stall a shard.
//! Invariant: what is mapped for writing has its place on the disk before, so that no page fault can need space.
#![allow(unsafe_code, reason = "mapping a file is unsafe by nature; it happens here only")]

use std::fs::File;
use std::io;
use std::path::Path;

/// A file's bytes.
#[derive(Debug)]
pub struct MappedFile(Bytes);

#[derive(Debug)]
enum Bytes {
    Mapped(memmap2::Mmap),
    /// What was read, or made, by other means.
    Owned(Vec<u8>),
}

impl MappedFile {
    /// Maps the file at `path`; an empty file is an empty slice.
    pub fn open(path: &Path) -> io::Result<MappedFile> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(MappedFile(Bytes::Owned(Vec::new())));
        }
        // SAFETY: the mapping is private to this value and only read. Files that are loaded are complete and never
        // written in place (they are replaced by rename), which whoever runs a server on this directory keeps to;
        // a file cut by somebody else meanwhile ends the process with SIGBUS, before it serves anyone.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        // Advice only: a kernel that does not know it loads as correctly.
        let _ = map.advise(memmap2::Advice::Sequential);
        fetch(&file, &map)?;
        Ok(MappedFile(Bytes::Mapped(map)))
    }

    /// Bytes that are in memory already, as if a file held them.
    pub fn from_bytes(bytes: Vec<u8>) -> MappedFile {
        MappedFile(Bytes::Owned(bytes))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Mapped(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }
}

/// How much is fetched at once.
const FETCH_BYTES: usize = 16 << 20;
/// In which steps what cannot be read is looked for.
const LOOK_BYTES: usize = 4096;

/// Brings all pages in, so that what the disk cannot read is an error with its place and not a SIGBUS later.
fn fetch(file: &File, map: &memmap2::Mmap) -> io::Result<()> {
    for from in (0..map.len()).step_by(FETCH_BYTES) {
        let len = FETCH_BYTES.min(map.len() - from);
        // Where the kernel does not know how, or lacks memory, pages come as they are used.
        if map.advise_range(memmap2::Advice::PopulateRead, from, len).is_err() {
            look(file, from as u64, len)?;
        }
    }
    Ok(())
}

/// Reads a stretch to find out where it cannot be read, if so.
fn look(file: &File, from: u64, len: usize) -> io::Result<()> {
    let mut page = [0; LOOK_BYTES];
    for at in (from..from + len as u64).step_by(LOOK_BYTES) {
        std::os::unix::fs::FileExt::read_at(file, &mut page, at)
            .map_err(|error| io::Error::new(error.kind(), format!("at offset {at}: {error}")))?;
    }
    Ok(())
}

/// A file's bytes, to be changed: each change is in the page cache at once.
#[derive(Debug)]
pub struct MappedMut(memmap2::MmapMut);

/// File systems that write a page where it lies, so that a fault of a page with a place on the disk cannot fail for want of
/// space: ext2 to ext4, XFS, tmpfs, and the layers of containers above them.
const IN_PLACE: &[i64] = &[0xef53, 0x5846_5342, 0x0102_1994, 0x794c_7630];

impl MappedMut {
    /// Maps a file whose bytes were all written before and are durable. Refused on file systems that are not known to write in
    /// place.
    pub fn new(file: &File) -> io::Result<MappedMut> {
        #[expect(clippy::useless_conversion, reason = "the type differs between architectures")]
        let kind = i64::from(rustix::fs::fstatfs(file)?.f_type);
        if !IN_PLACE.contains(&kind) {
            let text = format!("a file system of kind {kind:#x} may need space for each write");
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        // SAFETY: the file is the log's own stage, which this process has just made and nobody else writes or cuts; whoever
        // runs a server on this directory keeps to that, as for every file of the log.
        let map = unsafe { memmap2::MmapMut::map_mut(file)? };
        // Brings the pages in and keeps them there. Where the limit does not allow it they may have to be read again.
        let _ = map.lock();
        Ok(MappedMut(map))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
