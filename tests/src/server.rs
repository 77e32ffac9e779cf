//! Starts a server on a free loopback port over a directory, and never leaves one behind.
//!
//! Invariant: a [`Server`] that is dropped, in a panic too, has no process left.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::resp::{Conn, Value};

/// Flags that only Ringstone knows, each with one value; left out when redis-server is started.
const OWN_FLAGS: &[&str] = &["--shards", "--log-segment-size"];
/// How long a start, recovery included, may take.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a server may take to go after SIGTERM or SHUTDOWN.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A server program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// Where it is.
    pub path: PathBuf,
}

impl Binary {
    /// Ringstone: `RINGSTONE_BIN`, or what `cargo build` makes in the profile of the running program.
    pub fn ringstone() -> Binary {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        let path = BUILT.get_or_init(|| match std::env::var_os("RINGSTONE_BIN") {
            Some(path) => path.into(),
            None => build_server(),
        });
        Binary { path: path.clone() }
    }

    /// The program `ringstone`, which stands beside the server.
    pub fn tool() -> PathBuf {
        Binary::ringstone().path.with_file_name("ringstone")
    }

    /// The redis-server on the PATH.
    pub fn redis() -> Binary {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found =
            std::env::split_paths(&path).map(|d| d.join("redis-server")).find(|p| p.is_file());
        Binary { path: found.expect("redis-server 7.0 is needed (Debian: redis-server)") }
    }

    /// True for redis-server, which lacks Ringstone's own flags.
    pub fn is_redis(&self) -> bool {
        self.path.file_name().is_some_and(|n| n.to_string_lossy().contains("redis"))
    }
}

fn build_server() -> PathBuf {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "ringstone-server"]).current_dir(workspace());
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    if profile == "release" {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo runs");
    assert!(status.success(), "the server does not build");
    target_dir().join(profile).join("ringstone-server")
}

/// The workspace's root.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace exists")
}

/// Where builds go.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => workspace().join(dir),
        None => workspace().join("target"),
    }
}

/// A directory for a server's data, on the disk that holds the build, gone when dropped.
#[derive(Debug)]
pub struct Home {
    dir: TempDir,
    data: PathBuf,
}

impl Home {
    /// An empty one.
    #[expect(clippy::new_without_default, reason = "it makes a directory, which no default should")]
    pub fn new() -> Home {
        Home::within(&target_dir().join("tmp"))
    }

    /// An empty one within `parent`.
    pub fn within(parent: &Path) -> Home {
        fs::create_dir_all(parent).expect("a directory for temporary data");
        let dir = tempfile::Builder::new().prefix("home-").tempdir_in(parent);
        let dir = dir.expect("a temporary directory");
        let data = dir.path().join("data");
        Home::of(dir, data)
    }

    /// An empty one whose data is in `data`, on another disk maybe, which whoever made that clears away.
    pub fn with_data(data: &Path) -> Home {
        let Home { dir, .. } = Home::new();
        Home::of(dir, data.to_owned())
    }

    fn of(dir: TempDir, data: PathBuf) -> Home {
        fs::create_dir_all(&data).expect("a data directory");
        Home { dir, data }
    }

    /// The server's `dir`.
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// What the server printed, all starts in one file.
    pub fn log(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    /// A further file beside the data.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Keeps the directory after the test, to be looked at.
    pub fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }
}

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Launch {
    binary: Binary,
    before: Vec<String>,
    args: Vec<String>,
    conf: Option<PathBuf>,
    env: Vec<(String, String)>,
    ready_timeout: Duration,
}

impl Launch {
    /// A server that keeps nothing and binds to loopback.
    pub fn new(binary: Binary) -> Launch {
        let args = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let args = args.map(str::to_owned).to_vec();
        let (before, env, conf) = (Vec::new(), Vec::new(), None);
        Launch { binary, before, args, conf, env, ready_timeout: READY_TIMEOUT }
    }

    /// Ringstone.
    pub fn ringstone() -> Launch {
        Launch::new(Binary::ringstone())
    }

    /// redis-server.
    pub fn redis() -> Launch {
        Launch::new(Binary::redis())
    }

    /// Ringstone with one and with two shards, and redis-server.
    pub fn all() -> [Launch; 3] {
        [Launch::ringstone().shards(1), Launch::ringstone().shards(2), Launch::redis()]
    }

    /// Starts it with a home of its own.
    pub fn start_alone(self) -> (Home, Server) {
        let home = Home::new();
        let server = self.start(&home);
        (home, server)
    }

    /// The program.
    pub fn binary(&self) -> &Binary {
        &self.binary
    }

    /// Sets a parameter. What only Ringstone knows is left out for redis-server.
    pub fn set(mut self, name: &str, value: impl ToString) -> Launch {
        let flag = format!("--{name}");
        if !(self.binary.is_redis() && OWN_FLAGS.contains(&flag.as_str())) {
            if let Some(at) = self.args.iter().position(|a| *a == flag) {
                self.args.drain(at..at + 2);
            }
            self.args.extend([flag, value.to_string()]);
        }
        self
    }

    /// `--shards`.
    pub fn shards(self, shards: usize) -> Launch {
        self.set("shards", shards)
    }

    /// A log with the given fsync mode.
    pub fn log(self, fsync: &str) -> Launch {
        self.set("appendonly", "yes").set("appendfsync", fsync)
    }

    /// A configuration file, named before the flags.
    pub fn conf(mut self, path: &Path) -> Launch {
        self.conf = Some(path.to_owned());
        self
    }

    /// Only the configuration file and what is set from here on.
    pub fn bare(mut self) -> Launch {
        self.args.clear();
        self
    }

    /// A program and its arguments that runs the server (`taskset -c 0`).
    pub fn under(mut self, before: &[&str]) -> Launch {
        self.before = before.iter().map(|&a| a.to_owned()).collect();
        self
    }

    /// An environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Launch {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How long the start may take.
    pub fn ready_within(mut self, timeout: Duration) -> Launch {
        self.ready_timeout = timeout;
        self
    }

    /// Starts, and waits until it answers PING.
    pub fn try_start(&self, home: &Home) -> Result<Server, StartError> {
        for _ in 0..5 {
            let mut server = self.spawn(home, Port::lease());
            match server.wait_ready(self.ready_timeout) {
                Err(e) if e.log.contains("Address already in use") => {}
                Err(e) => return Err(e),
                Ok(()) => return Ok(server),
            }
        }
        panic!("no free port")
    }

    /// The same; a failure fails the test.
    pub fn start(&self, home: &Home) -> Server {
        self.try_start(home).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Ends a server, if it still runs, and starts another on its port; waits until that answers PING.
    pub fn restart(&self, home: &Home, old: Server) -> Result<Server, StartError> {
        let port = old.port.clone();
        drop(old);
        let mut server = self.spawn(home, port);
        server.wait_ready(self.ready_timeout)?;
        Ok(server)
    }

    /// Starts without waiting.
    pub fn spawn(&self, home: &Home, port: Port) -> Server {
        let log = File::options().create(true).append(true).open(home.log()).expect("a log file");
        let log_start = log.metadata().map_or(0, |m| m.len());
        let mut words = self.before.clone();
        words.push(self.binary.path.display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(&self.conf).args(["--port", &port.number.to_string()]);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.arg("--dir").arg(home.data()).args(&self.args);
        let out = log.try_clone().expect("a second handle of the log file");
        command.stdin(Stdio::null()).stdout(out).stderr(log).current_dir(home.data());
        let child = command.spawn().unwrap_or_else(|e| panic!("{}: {e}", words[0]));
        Server { child, port, log: home.log(), log_start }
    }
}

/// A server that did not come up.
#[derive(Debug)]
pub struct StartError {
    /// Its exit status; none when it was still running after the time allowed.
    pub status: Option<ExitStatus>,
    /// What it printed in this start.
    pub log: String,
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            Some(status) => write!(f, "the server did not start ({status}):\n{}", self.log),
            None => write!(f, "the server was not ready in time:\n{}", self.log),
        }
    }
}

/// A port that no other test of this machine takes while it, or a clone of it, is held.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its number.
    pub number: u16,
    _lock: Arc<File>,
}

impl Port {
    /// A free one, below the range that outgoing connections use.
    pub fn lease() -> Port {
        let dir = std::env::temp_dir().join("ringstone-test-ports");
        fs::create_dir_all(&dir).expect("a directory for port locks");
        for attempt in 0..2000_u64 {
            let random = RandomState::new().hash_one(attempt) % 12_000;
            let number = 20_000 + u16::try_from(random).expect("below 12,000");
            let path = dir.join(number.to_string());
            let Ok(lock) = File::options().create(true).append(true).open(path) else { continue };
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Port { number, _lock: Arc::new(lock) };
            }
        }
        panic!("no free port")
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: Port,
    log: PathBuf,
    log_start: u64,
}

impl Server {
    /// Its port.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// True once the process has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// A connection; panics when there is none.
    pub fn conn(&self) -> Conn {
        Conn::connect(self.port()).expect("the server accepts a connection")
    }

    /// Waits until it answers PING with PONG.
    pub fn wait_ready(&mut self, timeout: Duration) -> Result<(), StartError> {
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(StartError { status: Some(status), log: self.log_text() });
            }
            let pong = Conn::connect(self.port()).and_then(|mut c| c.call(&["PING"]));
            if pong.is_ok_and(|v| v == Value::Simple("PONG".into()) || v.text().contains("NOAUTH"))
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(StartError { status: None, log: self.log_text() })
    }

    /// What it printed since it was started, its last 64 KiB.
    pub fn log_text(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let start = usize::try_from(self.log_start).unwrap_or(0).min(bytes.len());
        let start = start.max(bytes.len().saturating_sub(64 << 10));
        String::from_utf8_lossy(&bytes[start..]).into_owned()
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(mut self) {
        self.kill_now();
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::TERM).expect("the server takes a signal");
    }

    /// Sends any signal; false when the process is gone.
    pub fn signal(&self, signal: Signal) -> bool {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).is_ok()
    }

    /// SIGTERM, and how it ended.
    pub fn stop(mut self) -> ExitStatus {
        self.terminate();
        self.wait_exit()
    }

    /// Waits until it has gone by itself.
    pub fn wait_exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("the server can be waited for") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the server did not stop:\n{}", self.log_text());
    }

    fn kill_now(&mut self) {
        // Fails only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill_now();
    }
}
