//! Where an archive's objects are kept: a directory here, something over the network behind the same door.
//!
//! Invariant: an object is there as a whole and durably once `commit` has returned, and not at all before; it is never changed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name: parts separated by `/`.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// An object being written; given up when it is dropped.
pub trait Put: Write {
    /// Makes it durable under its name.
    fn commit(self: Box<Self>) -> io::Result<()>;
}

/// Keeps objects by name.
pub trait Store {
    /// All objects.
    fn list(&self) -> io::Result<Vec<Stored>>;
    /// Begins an object. One of this name is replaced when it is committed.
    fn put(&self, name: &str) -> io::Result<Box<dyn Put>>;
    /// An object's bytes.
    fn get(&self, name: &str) -> io::Result<Box<dyn Read>>;
    /// Removes an object; fine when it is gone.
    fn remove(&self, name: &str) -> io::Result<()>;
}

/// Ends the name of a file that is being written.
const UNFINISHED: &str = ".new";

/// A directory with one level of directories in it.
#[derive(Clone, Debug)]
pub struct DirStore {
    root: PathBuf,
}

impl DirStore {
    /// The store in this directory, which need not be there before the first object.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        DirStore { root: root.into() }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Removes what was never finished in `part`, a part of names. Only for who writes there alone.
    pub fn sweep(&self, part: &str) -> io::Result<()> {
        for (name, _) in entries(&self.root.join(part))? {
            if name.ends_with(UNFINISHED) {
                fs::remove_file(self.root.join(part).join(name))?;
            }
        }
        Ok(())
    }
}

/// Names and lengths of the files in a directory, none where it is missing; directories have no length.
fn entries(dir: &Path) -> io::Result<Vec<(String, Option<u64>)>> {
    let listed = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut out = Vec::new();
    for entry in listed {
        let entry = entry?;
        let meta = match entry.metadata() {
            // Renamed or removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            meta => meta?,
        };
        let bytes = (!meta.is_dir()).then_some(meta.len());
        out.push((entry.file_name().to_string_lossy().into_owned(), bytes));
    }
    out.sort_unstable();
    Ok(out)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

impl Store for DirStore {
    fn list(&self) -> io::Result<Vec<Stored>> {
        let mut out = Vec::new();
        for (part, bytes) in entries(&self.root)? {
            if bytes.is_some() {
                continue;
            }
            for (name, bytes) in entries(&self.root.join(&part))? {
                if let Some(bytes) = bytes.filter(|_| !name.ends_with(UNFINISHED)) {
                    out.push(Stored { name: format!("{part}/{name}"), bytes });
                }
            }
        }
        Ok(out)
    }

    fn put(&self, name: &str) -> io::Result<Box<dyn Put>> {
        let target = self.root.join(name);
        let dir = target.parent().unwrap_or(&self.root).to_owned();
        if !dir.try_exists()? {
            fs::create_dir_all(&dir)?;
            sync_dir(&self.root)?;
            if let Some(parent) = self.root.parent() {
                sync_dir(parent)?;
            }
        }
        let temporary = self.root.join(format!("{name}{UNFINISHED}"));
        let file = BufWriter::with_capacity(128 << 10, File::create(&temporary)?);
        Ok(Box::new(DirPut { file, temporary, target, dir }))
    }

    fn get(&self, name: &str) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(File::open(self.root.join(name))?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.root.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

struct DirPut {
    file: BufWriter<File>,
    temporary: PathBuf,
    target: PathBuf,
    dir: PathBuf,
}

impl Write for DirPut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Put for DirPut {
    fn commit(mut self: Box<Self>) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.temporary, &self.target)?;
        sync_dir(&self.dir)
    }
}

impl Drop for DirPut {
    fn drop(&mut self) {
        // Gone already when it was committed; what stays is swept up at the next start.
        let _ = fs::remove_file(&self.temporary);
    }
}
