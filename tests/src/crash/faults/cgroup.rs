//! A memory limit around the server, at which the kernel kills it.
//!
//! Invariant: the limit holds nobody but the server, so that nothing else of the machine can be killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Launch, Round, Server};
use crate::resp::Conn;

/// The limit.
pub(super) const LIMIT_BYTES: u64 = 224 << 20;
/// How long the kernel may take.
const WAIT: Duration = Duration::from_secs(20);
/// What one key of the load that grows takes.
const VALUE_BYTES: u64 = 1 << 20;

/// A control group.
#[derive(Debug)]
pub struct MemoryLimit {
    dir: PathBuf,
}

impl MemoryLimit {
    /// A group of its own; the error says why there can be none.
    pub fn new(bytes: u64) -> Result<MemoryLimit, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "ringstone-crash-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|e| e.to_string())?;
        let of = |controller: &str| {
            own.lines().find_map(|line| {
                let mut parts = line.splitn(3, ':').skip(1);
                let names = parts.next()?;
                let path = parts.next()?;
                names.split(',').any(|n| n == controller).then(|| path.trim_start_matches('/'))
            })
        };
        let (parent, files): (PathBuf, &[(&str, String)]) =
            match (of("memory"), Path::new("/sys/fs/cgroup/memory").is_dir()) {
                (Some(own), true) => (
                    Path::new("/sys/fs/cgroup/memory").join(own),
                    &[("memory.limit_in_bytes", bytes.to_string())],
                ),
                _ => (
                    Path::new("/sys/fs/cgroup").join(of("").unwrap_or_default()),
                    &[("memory.max", bytes.to_string()), ("memory.swap.max", "0".to_owned())],
                ),
            };
        // Within a container the own group's name is the host's.
        let parent = if parent.is_dir() {
            parent
        } else {
            parent.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("/")).to_owned()
        };
        let dir = parent.join(name);
        fs::create_dir(&dir).map_err(|e| format!("no control group: {}: {e}", dir.display()))?;
        let limit = MemoryLimit { dir };
        for (name, value) in files {
            let path = limit.dir.join(name);
            let written = if path.exists() { fs::write(&path, value) } else { Ok(()) };
            written.map_err(|e| format!("no memory limit: {}: {e}", path.display()))?;
        }
        let is_limited = files.iter().any(|(name, _)| limit.dir.join(name).exists());
        is_limited.then_some(limit).ok_or_else(|| "no memory controller".to_owned())
    }

    /// The launch within the group.
    pub(super) fn around(&self, launch: Launch) -> Launch {
        let enter = format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", self.dir.display());
        launch.under(&["/bin/sh", "-c", &enter])
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        // The kernel may count the process that was killed for a moment longer.
        let deadline = Instant::now() + Duration::from_secs(2);
        while fs::remove_dir(&self.dir).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Has the server grow until it is killed.
pub(super) fn bring(server: &mut Server, round: &Round) {
    let Ok(mut conn) = Conn::connect(round.port) else { return };
    let until = Instant::now() + WAIT;
    for n in 0..2 * LIMIT_BYTES / VALUE_BYTES {
        let (key, last) = (format!("grow:{n}"), (VALUE_BYTES - 1).to_string());
        if conn.call(&["SETRANGE", &key, &last, "x"]).is_err() || Instant::now() > until {
            break;
        }
    }
    while !server.has_ended() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Removes what grew, after a restart.
pub(in crate::crash) fn shrink(conn: &mut Conn) -> std::io::Result<()> {
    let mut words = vec!["DEL".to_owned()];
    words.extend((0..2 * LIMIT_BYTES / VALUE_BYTES).map(|n| format!("grow:{n}")));
    conn.call(&words).map(|_| ())
}
