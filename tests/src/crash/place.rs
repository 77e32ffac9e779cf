//! File systems of our own for servers to work on: small ones, which can be filled.
//!
//! Invariant: what was mounted is unmounted when dropped, in a panic too; no server may work there any more by then.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::power::{Faults, FaultyDir, Run, unavailable};
use crate::server::Home;

/// A file system in a file.
#[derive(Debug)]
pub struct SmallDisk {
    dir: TempDir,
    mount: PathBuf,
    is_mounted: bool,
}

/// How much the filler grows by at once.
const FILL_BYTES: usize = 64 << 10;
/// A block of the file system.
const BLOCK_BYTES: usize = 4096;

impl SmallDisk {
    /// An ext4 of so many MiB in a file within `parent`, through a loop device; where that is not possible, a tmpfs. The error says
    /// why there is none.
    pub fn new(parent: &Path, mebibytes: u32) -> Result<SmallDisk, String> {
        fs::create_dir_all(parent).map_err(|e| format!("{}: {e}", parent.display()))?;
        let dir = tempfile::Builder::new().prefix("disk-").tempdir_in(parent);
        let dir = dir.map_err(|e| format!("{}: {e}", parent.display()))?;
        let mount = dir.path().join("mount");
        fs::create_dir(&mount).map_err(|e| e.to_string())?;
        let mut disk = SmallDisk { dir, mount, is_mounted: false };
        let looped = disk.mount_loop(mebibytes);
        let mounted = looped.or_else(|looped| {
            let size = format!("size={mebibytes}m");
            let tmpfs = run("mount", &["-t", "tmpfs", "-o", &size, "none", &disk.path_text()]);
            tmpfs.map_err(|tmpfs| format!("no small file system: {looped}; {tmpfs}"))
        });
        mounted?;
        disk.is_mounted = true;
        Ok(disk)
    }

    fn mount_loop(&self, mebibytes: u32) -> Result<(), String> {
        let image = self.dir.path().join("image");
        let file = File::create(&image).map_err(|e| e.to_string())?;
        file.set_len(u64::from(mebibytes) << 20).map_err(|e| e.to_string())?;
        let image = image.display().to_string();
        run("mkfs.ext4", &["-q", "-m", "0", "-b", "4096", "-O", "^has_journal", &image])?;
        run("mount", &["-o", "loop", &image, &self.path_text()])
    }

    fn path_text(&self) -> String {
        self.mount.display().to_string()
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    fn filler(&self) -> PathBuf {
        self.mount.join("filler")
    }

    /// Takes all space that is left.
    pub fn fill(&self) -> io::Result<()> {
        let mut file = File::options().create(true).append(true).open(self.filler())?;
        for len in [FILL_BYTES, BLOCK_BYTES] {
            let block = vec![b'f'; len];
            loop {
                match file.write_all(&block) {
                    Ok(()) => {}
                    Err(e) if e.kind() == io::ErrorKind::StorageFull => break,
                    Err(e) => return Err(e),
                }
            }
        }
        file.sync_data()
    }

    /// Gives it back.
    pub fn free(&self) -> io::Result<()> {
        match fs::remove_file(self.filler()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.is_mounted {
            // A server that was killed just now may hold it for a moment longer: then it goes when the last file is closed.
            let path = self.path_text();
            for _ in 0..50 {
                if run("umount", &[&path]).is_ok() {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            let _ = run("umount", &["-l", &path]);
        }
    }
}

/// Runs a program; its error output when it fails.
pub(super) fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).output();
    let output = output.map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {}: {}", args.join(" "), text.trim()))
}

/// A directory behind a FUSE layer whose calls can be made to fail or wait.
pub struct FaultyDisk {
    /// What they do now.
    pub faults: Faults,
    dir: FaultyDir,
    _run: Run,
    _backing: TempDir,
}

impl FaultyDisk {
    fn new(parent: &Path) -> Result<FaultyDisk, String> {
        if let Some(why) = unavailable(&[]) {
            return Err(why);
        }
        let text = |e: io::Error| format!("no FUSE layer: {e}");
        fs::create_dir_all(parent).map_err(text)?;
        let backing = tempfile::Builder::new().prefix("disk-").tempdir_in(parent).map_err(text)?;
        let run = Run::begin().map_err(text)?;
        let at = run.path().join("faulty");
        fs::create_dir_all(&at).map_err(text)?;
        let faults = Faults::new();
        let dir = FaultyDir::mount(&run, backing.path(), &at, faults.clone()).map_err(text)?;
        Ok(FaultyDisk { faults, dir, _run: run, _backing: backing })
    }
}

/// What a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ground {
    /// A directory.
    Plain,
    /// A small disk.
    Small,
    /// A directory behind a FUSE layer.
    Faulty,
}

/// Where a server works.
pub struct Place {
    dir: PathBuf,
    small: Option<SmallDisk>,
    faulty: Option<FaultyDisk>,
}

impl Place {
    /// One within `dir`; the error says why there is none.
    pub fn new(ground: Ground, dir: &Path, mebibytes: u32) -> Result<Place, String> {
        let mut place = Place { dir: dir.to_owned(), small: None, faulty: None };
        match ground {
            Ground::Plain => {}
            Ground::Small => place.small = Some(SmallDisk::new(dir, mebibytes)?),
            Ground::Faulty => place.faulty = Some(FaultyDisk::new(dir)?),
        }
        Ok(place)
    }

    /// A home for one server.
    pub fn home(&self) -> Home {
        let small = self.small.as_ref().map(SmallDisk::path);
        match small.or(self.faulty.as_ref().map(|disk| disk.dir.path())) {
            Some(root) => Home::with_data(&root.join("data")),
            None => Home::within(&self.dir),
        }
    }

    /// The small disk, if it is one.
    pub fn small_disk(&self) -> Option<&SmallDisk> {
        self.small.as_ref()
    }

    /// What calls do, where that can be chosen.
    pub fn faults(&self) -> Option<&Faults> {
        self.faulty.as_ref().map(|disk| &disk.faults)
    }

    /// Keeps what a server of `home` left, and says where.
    pub fn keep(&self, home: &mut Home) -> String {
        let (data, kept) = (home.data(), home.keep());
        if self.small.is_some() || self.faulty.is_some() {
            let from = data.display().to_string();
            // The disk goes when this place does.
            if let Err(e) = run("cp", &["-a", &from, &kept.display().to_string()]) {
                return format!("{} (without the data: {e})", kept.display());
            }
        }
        kept.display().to_string()
    }
}
