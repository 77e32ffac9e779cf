//! Whole files as memory, for loading: no copy, and as many readers at once as there are threads.
//!
//! Invariant: read-only, and only while starting up or importing. Never on a serving shard: a page fault would stall it.
#![allow(unsafe_code, reason = "mapping a file is unsafe by nature; it happens here only")]

use std::fs::File;
use std::io;
use std::path::Path;

/// A file's bytes.
#[derive(Debug)]
pub struct MappedFile(Option<memmap2::Mmap>);

impl MappedFile {
    /// Maps the file at `path`; an empty file is an empty slice.
    pub fn open(path: &Path) -> io::Result<MappedFile> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(MappedFile(None));
        }
        // SAFETY: the mapping is private to this value and only read. Files that are loaded are complete and never
        // written in place (they are replaced by rename), which whoever runs a server on this directory keeps to;
        // a file cut by somebody else meanwhile ends the process with SIGBUS, before it serves anyone.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        // Advice only: a kernel that does not know it loads as correctly.
        let _ = map.advise(memmap2::Advice::Sequential);
        Ok(MappedFile(Some(map)))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
