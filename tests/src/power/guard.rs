//! What a run holds of the machine: a directory, FUSE and kernel mounts, loop devices. Dropping a guard gives it back, in a
//! panic too; what a killed run left is found by name and taken down by the next.
//!
//! ```text
//!   target/power/run-XXXXXX/lock          held as long as the run lives
//!                          /fuse-0/disk   an image; /dev/loopN stands on it
//!                          /home-XXXXXX/data   the mounted file system
//! ```
//!
//! Invariant: nothing outside of `target/power` is ever unmounted, detached or removed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use fuser::{BackgroundSession, Config, Filesystem, MountOption};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use super::disk::{Content, DiskFs, NAME};
use super::image::Image;
use crate::server::target_dir;

/// Tries to unmount what is still in use: io_uring lets go of files some time after its process has ended.
const TRIES: u32 = 3000;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// True when somebody pressed ctrl-c: stop, and give back what is held.
pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Why power loss cannot be tried on this machine, if it cannot.
pub fn unavailable(programs: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("mounting needs root".into());
    }
    for device in ["/dev/fuse", "/dev/loop-control"] {
        if !Path::new(device).exists() {
            return Some(format!("there is no {device}"));
        }
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there =
        |program: &&&str| !std::env::split_paths(&path).any(|d| d.join(program).is_file());
    programs.iter().find(is_there).map(|program| format!("{program} is not installed"))
}

/// A run's directory.
#[derive(Debug)]
pub struct Run {
    dir: TempDir,
    _lock: File,
    mounts: AtomicUsize,
}

impl Run {
    /// A new one, after what earlier runs left behind is gone.
    pub fn begin() -> io::Result<Run> {
        // Fails when another run of this process did it before.
        let _ = ctrlc::try_set_handler(|| {
            if INTERRUPTED.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        });
        let parent = target_dir().join("power");
        fs::create_dir_all(&parent)?;
        sweep(&parent)?;
        let dir = tempfile::Builder::new().prefix("run-").tempdir_in(&parent)?;
        // Under its name only once it is held: another run may be sweeping.
        let (new, held) = (dir.path().join("lock.new"), dir.path().join("lock"));
        let mut lock = File::create(&new)?;
        lock.lock()?;
        write!(lock, "{}", std::process::id())?;
        fs::rename(new, held)?;
        Ok(Run { dir, _lock: lock, mounts: AtomicUsize::new(0) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Mounts a FUSE file system on a new directory.
    pub(super) fn fuse(&self, filesystem: impl Filesystem) -> io::Result<Fuse> {
        let number = self.mounts.fetch_add(1, Ordering::SeqCst);
        let at = self.path().join(format!("fuse-{number}"));
        fs::create_dir(&at)?;
        // A flush that overtakes writes is seen only when one thread takes both.
        self.fuse_at(filesystem, &at, 1)
    }

    /// Mounts a FUSE file system on a directory below the run's.
    pub(super) fn fuse_at(
        &self,
        filesystem: impl Filesystem,
        at: &Path,
        threads: usize,
    ) -> io::Result<Fuse> {
        if !at.starts_with(self.path()) {
            return Err(io::Error::other(format!("{} is not below the run's", at.display())));
        }
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("ringstone-power".into())];
        config.n_threads = Some(threads);
        let session = fuser::spawn_mount(filesystem, at, &config)?;
        Ok(Fuse { session: Some(session), at: at.to_owned() })
    }

    /// A disk with that content, as a block device.
    pub fn device(&self, image: Image) -> io::Result<Device> {
        let content = Content::new(image);
        let fuse = self.fuse(DiskFs::new(content.clone()))?;
        let file = fuse.at.join(NAME).display().to_string();
        let path = output("losetup", &["--find", "--show", "--direct-io=on", &file])?;
        Ok(Device { path: PathBuf::from(path.trim()), content, _fuse: fuse })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // All guards are gone by now, unless one of them was leaked by a panic.
        let _ = take_down(self.path());
    }
}

/// A mounted FUSE file system.
pub(super) struct Fuse {
    session: Option<BackgroundSession>,
    at: PathBuf,
}

impl Fuse {
    pub(super) fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        // A process that is just ending may still hold a file.
        let gone = (0..TRIES).any(|_| {
            let left = unmount(&self.at, UnmountFlags::empty());
            left.is_ok() || left == Err(rustix::io::Errno::INVAL) || {
                thread::sleep(BETWEEN_TRIES);
                false
            }
        });
        if !gone {
            let _ = unmount(&self.at, UnmountFlags::DETACH);
        }
        if let Some(session) = self.session.take().filter(|_| gone) {
            let _ = session.join();
        }
    }
}

/// A block device over an image in memory.
pub struct Device {
    path: PathBuf,
    /// The image.
    pub content: Content,
    _fuse: Fuse,
}

impl Device {
    /// Mounts what is on it, once nothing that was mounted from it before is in use any more: the kernel would show the former
    /// content again.
    pub fn mount(&self, filesystem: &str, at: &Path) -> io::Result<Mounted> {
        let exclusive = OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC;
        let is_free = (0..TRIES).any(|_| {
            let opened = rustix::fs::open(&self.path, exclusive, Mode::empty());
            opened.is_ok() || {
                thread::sleep(BETWEEN_TRIES);
                false
            }
        });
        if !is_free {
            return Err(io::Error::other(format!("{} is still in use", self.path.display())));
        }
        // Several copies of one image are mounted at a time, which XFS refuses otherwise.
        let options = (filesystem == "xfs").then_some(c"nouuid");
        mount(&self.path, at, filesystem, MountFlags::NOATIME, options)?;
        Ok(Mounted { at: at.to_owned() })
    }

    /// True when the file system that is mounted from it has found itself broken.
    pub fn is_broken(&self, at: &Path) -> bool {
        let name = self.path.file_name().unwrap_or_default();
        let errors = Path::new("/sys/fs/ext4").join(name).join("errors_count");
        let errors = fs::read_to_string(errors).unwrap_or_default();
        fs::read_dir(at).is_err() || errors.trim().parse().is_ok_and(|count: u64| count > 0)
    }

    /// Writes a file system onto it.
    pub fn make(&self, filesystem: &str) -> io::Result<()> {
        let path = self.path.display().to_string();
        let lazy = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
        match filesystem {
            "xfs" => output("mkfs.xfs", &["-q", "-f", "-K", &path]),
            _ => output("mkfs.ext4", &["-q", "-F", "-b", "4096", "-m", "0", "-E", lazy, &path]),
        }
        .map(drop)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = output("losetup", &["--detach", &self.path.display().to_string()]);
    }
}

/// A mounted file system.
#[derive(Debug)]
pub struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// Unmounts it.
    pub fn unmount(self) {
        drop(self);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        for _ in 0..TRIES {
            if unmount(&self.at, UnmountFlags::empty()) != Err(rustix::io::Errno::BUSY) {
                return;
            }
            thread::sleep(BETWEEN_TRIES);
        }
        let _ = unmount(&self.at, UnmountFlags::DETACH);
    }
}

/// Takes down what runs left that are no longer there.
fn sweep(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)?.flatten() {
        let path = entry.path();
        let is_run = entry.file_name().to_string_lossy().starts_with("run-");
        let Ok(lock) = File::open(path.join("lock")) else { continue };
        if is_run && is_killed(&path) {
            abort(&path);
            // The threads that hung let go of the lock.
            let is_free = || {
                lock.try_lock().is_ok() || {
                    thread::sleep(BETWEEN_TRIES);
                    false
                }
            };
            let _ = (0..TRIES).any(|_| is_free());
        }
        if is_run && lock.try_lock().is_ok() {
            println!("power: cleaning up behind an earlier run, {}", path.display());
            take_down(&path)?;
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

/// True when the process of a run was killed, and one of its threads still waits for a disk that nobody serves any more.
fn is_killed(run: &Path) -> bool {
    let pid = fs::read_to_string(run.join("lock")).unwrap_or_default();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name in brackets.
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
}

/// Ends the FUSE connections of a run, so that whoever waits for one gets an error.
fn abort(run: &Path) {
    let connections = Path::new("/sys/fs/fuse/connections");
    let is_empty = || fs::read_dir(connections).map_or(true, |mut dir| dir.next().is_none());
    let mounted =
        is_empty() && mount("none", connections, "fusectl", MountFlags::empty(), None).is_ok();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for line in mounts.lines().filter(|line| line.contains(" - fuse ")) {
        let mut words = line.split(' ').skip(2);
        let (device, at) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
        if let Some((_, number)) = device.split_once(':').filter(|_| Path::new(at).starts_with(run))
        {
            // It may be gone by itself.
            let _ = fs::write(connections.join(number).join("abort"), "1");
        }
    }
    if mounted {
        let _ = unmount(connections, UnmountFlags::DETACH);
    }
}

/// Unmounts and detaches all that lies below a run's directory.
fn take_down(run: &Path) -> io::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let mut below: Vec<&str> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|at| Path::new(at).starts_with(run))
        .collect();
    // What was mounted last first; the file systems on the disks before the disks.
    below.sort_by_key(|at| at.contains("/fuse-"));
    let (disks, others): (Vec<&str>, Vec<&str>) =
        below.iter().partition(|at| at.contains("/fuse-"));
    for at in others.iter().rev() {
        unmount(*at, UnmountFlags::DETACH)?;
    }
    for device in fs::read_dir("/sys/block")?.flatten() {
        let backing = device.path().join("loop/backing_file");
        let file = fs::read_to_string(backing).unwrap_or_default();
        if Path::new(file.trim()).starts_with(run) {
            let path = Path::new("/dev").join(device.file_name());
            let _ = output("losetup", &["--detach", &path.display().to_string()]);
        }
    }
    for at in disks.iter().rev() {
        unmount(*at, UnmountFlags::DETACH)?;
    }
    Ok(())
}

/// Runs a program; what it printed, or an error with its complaint.
fn output(program: &str, args: &[&str]) -> io::Result<String> {
    let output = Command::new(program).args(args).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(io::Error::other(format!("{program} {}: {}", args.join(" "), text(&output.stderr))))
}

/// True when the kernel cannot mount it.
pub(super) fn lacks_filesystem(name: &str) -> bool {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    // A module is loaded at the first mount; modinfo knows those that are there.
    let is_module = || output("modinfo", &[name]).is_ok();
    !known.lines().any(|line| line.split_whitespace().last() == Some(name)) && !is_module()
}
