//! Real programs over client libraries, in Python and for Node.js: where the libraries lie, and a run that is bounded.
//!
//! Invariant: a program that was run, and what it started, is gone when [`run`] returns.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::server::{Home, target_dir, workspace};

/// Set to a list of languages that must be there; a program in another one is left out when its libraries are missing.
pub const REQUIRED: &str = "RINGSTONE_PROGRAMS";

/// What a program is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Python 3, libraries in an environment of their own.
    Python,
    /// JavaScript for Node.js.
    Node,
}

impl Language {
    /// Both.
    pub const ALL: [Language; 2] = [Language::Python, Language::Node];

    /// The name of its directory, where sources and where libraries are.
    pub fn name(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::Node => "node",
        }
    }

    /// Where its programs are.
    pub fn sources(self) -> PathBuf {
        workspace().join("tests/programs").join(self.name())
    }

    /// Where `cargo xtask programs` puts its libraries.
    pub fn libraries(self) -> PathBuf {
        target_dir().join("programs").join(self.name())
    }

    /// The file that pins its libraries, all that they need included.
    pub fn pins(self) -> PathBuf {
        self.sources().join(match self {
            Language::Python => "requirements.txt",
            Language::Node => "package-lock.json",
        })
    }

    /// The copy of the pins that says what is installed.
    pub fn stamp(self) -> PathBuf {
        self.libraries().join("installed")
    }

    /// True when the libraries are there, as pinned.
    pub fn is_installed(self) -> bool {
        let pins = fs::read(self.pins()).expect("the pins are there");
        fs::read(self.stamp()).is_ok_and(|installed| installed == pins)
    }

    /// Its interpreter, with the libraries; none, and told, when they are missing and need not be there.
    pub fn interpreter(self) -> Option<Command> {
        let name = self.name();
        if !self.is_installed() {
            let required = std::env::var(REQUIRED).unwrap_or_default();
            assert!(!required.contains(name), "the libraries for {name} are missing");
            eprintln!("left out: the libraries for {name} are missing (`cargo xtask programs`)");
            return None;
        }
        Some(match self {
            Language::Python => {
                let mut command = Command::new(self.libraries().join("bin/python"));
                command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONPATH", self.sources());
                command
            }
            Language::Node => {
                let mut command = Command::new("node");
                command.env("NODE_PATH", self.libraries().join("node_modules"));
                command
            }
        })
    }
}

/// Where the source distribution of redis-py is, for its tests.
pub fn redis_py() -> PathBuf {
    Language::Python.libraries().join("redis-py")
}

/// What a program printed, when it ended well and in time; otherwise why not, with the end of what it said.
pub fn run(mut command: Command, home: &Home, limit: Duration) -> Result<String, String> {
    let (out, err) = (home.file("out"), home.file("err"));
    let open = |path: &Path| File::create(path).expect("a file for what a program prints");
    command.stdin(Stdio::null()).stdout(open(&out)).stderr(open(&err)).process_group(0);
    let mut child = command.current_dir(home.data()).spawn().map_err(|e| e.to_string())?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) => break Some(status),
            None if Instant::now() > deadline => break None,
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    // Fails when all are gone already.
    let _ = kill_process_group(group, Signal::KILL);
    let read =
        |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let why = match status {
        Some(status) if status.success() => return Ok(read(&out)),
        Some(status) => format!("ended with {status}"),
        None => {
            let _ = child.wait();
            format!("did not end within {limit:?}")
        }
    };
    Err(format!("{why}\n{}\n{}", end(&read(&out)), end(&read(&err))))
}

/// The last lines of a text.
fn end(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
