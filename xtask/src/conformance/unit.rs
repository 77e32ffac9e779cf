//! One unit of the suite: a fresh server, the driver as a process, what it tells.
//!
//! Invariant: neither a server that hangs nor a test that does can hold a run up for longer than the limits below.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ringstone_tests::server::{Home, Launch, Server};

/// How long nothing may be told before the server is started anew, which ends every read of the driver.
const SILENCE: Duration = Duration::from_secs(120);
/// How long a unit may take.
const UNIT: Duration = Duration::from_secs(600);

/// How one test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Test {
    /// Its name; names repeat within a unit.
    pub(super) name: String,
    /// Why it failed; none when it passed.
    pub(super) failure: Option<String>,
}

/// How one unit went.
#[derive(Clone, Debug, Default)]
pub(super) struct Unit {
    /// Its tests that ran, in order.
    pub(super) tests: Vec<Test>,
    /// Steps outside of tests that failed, with the error.
    pub(super) setup: Vec<String>,
    /// Where it broke off, if it did.
    pub(super) aborted: Option<String>,
    /// How often its server had to be started anew.
    pub(super) restarts: usize,
    /// Seconds it took.
    pub(super) seconds: u64,
}

impl Unit {
    /// How many tests passed.
    pub(super) fn passed(&self) -> usize {
        self.tests.iter().filter(|t| t.failure.is_none()).count()
    }
}

/// Runs the unit of this name in the suite at `tree`.
pub(super) fn run(tree: &Path, name: &str, launch: &Launch) -> Result<Unit, String> {
    let began = Instant::now();
    let home = Home::new();
    let server = launch.try_start(&home).map_err(|e| e.to_string())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    let output = fs::File::create(home.file("driver.out")).map_err(|e| e.to_string())?;
    let errors = output.try_clone().map_err(|e| e.to_string())?;
    let mut driver = Driver(
        Command::new("tclsh")
            .arg(driver_file()?)
            .arg(tree)
            .args([name, &server.port().to_string(), &address.port().to_string()])
            .arg(if DEDICATED.contains(&name) { "1" } else { "0" })
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|e| format!("tclsh: {e}"))?,
    );
    let stream = accept(&listener, &mut driver)?;
    let mut run =
        Run { launch, home: &home, server: Some(server), unit: Unit::default(), running: None };
    run.unit.aborted = run.follow(stream, began).err();
    if run.unit.aborted.is_some() {
        let said = fs::read_to_string(home.file("driver.out")).unwrap_or_default();
        let tail: Vec<&str> = said.lines().rev().take(3).collect();
        if let (Some(why), false) = (&mut run.unit.aborted, tail.is_empty()) {
            why.push_str(&format!(" ({})", tail.into_iter().rev().collect::<Vec<_>>().join(" / ")));
        }
    }
    run.unit.seconds = began.elapsed().as_secs();
    Ok(run.unit)
}

/// Units that the suite runs on servers of its own only, although most of their blocks need nothing of them.
const DEDICATED: &[&str] = &[
    "unit/acl",
    "unit/acl-v2",
    "unit/auth",
    "unit/info",
    "unit/limits",
    "unit/obuf-limits",
    "unit/pubsubshard",
];

struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        // Fails only when it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn driver_file() -> Result<PathBuf, String> {
    let path = super::source::directory().join("driver.tcl");
    fs::write(&path, include_str!("driver.tcl")).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(path)
}

fn accept(listener: &TcpListener, driver: &mut Driver) -> Result<TcpStream, String> {
    listener.set_nonblocking(true).map_err(|e| e.to_string())?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).map_err(|e| e.to_string())?;
                return Ok(stream);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e.to_string()),
        }
        if let Ok(Some(status)) = driver.0.try_wait() {
            return Err(format!("the driver ended at its start: {status}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err("the driver does not start".to_owned())
}

struct Run<'a> {
    launch: &'a Launch,
    home: &'a Home,
    server: Option<Server>,
    unit: Unit,
    /// The test that runs.
    running: Option<String>,
}

impl Run<'_> {
    /// Takes what the driver tells until the unit is done.
    fn follow(&mut self, stream: TcpStream, began: Instant) -> Result<(), String> {
        stream.set_read_timeout(Some(SILENCE)).map_err(|e| e.to_string())?;
        let mut answers = stream.try_clone().map_err(|e| e.to_string())?;
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            if began.elapsed() > UNIT {
                return Err(format!("took longer than {} s{}", UNIT.as_secs(), self.in_test()));
            }
            match lines.read_until(b'\n', &mut line) {
                Ok(0) => return Err(format!("the driver ended{}", self.in_test())),
                Ok(_) => {
                    let text = String::from_utf8_lossy(&line).into_owned();
                    line.clear();
                    if self.told(text.trim_end_matches('\n'), &mut answers)? {
                        return Ok(());
                    }
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    self.restart()?;
                }
                Err(e) => return Err(e.to_string()),
            }
        }
    }

    /// One line; true when the unit is done.
    fn told(&mut self, line: &str, answers: &mut TcpStream) -> Result<bool, String> {
        let mut fields = line.split('\t').map(unescape);
        let kind = fields.next().unwrap_or_default();
        let name = fields.next().unwrap_or_default();
        let detail = fields.next().unwrap_or_default();
        match kind.as_str() {
            "testing" => self.running = Some(name),
            "ok" | "err" => {
                let failure = (kind == "err").then_some(detail);
                self.unit.tests.push(Test { name, failure });
                self.running = None;
            }
            "setup" => self.unit.setup.push(format!("{name} => {detail}")),
            "restart" => {
                self.restart()?;
                answers.write_all(b"restarted\n").map_err(|e| e.to_string())?;
            }
            "gone" => return Err("no server that answers, however often started".to_owned()),
            "done" => return Ok(true),
            _ => {}
        }
        Ok(false)
    }

    fn restart(&mut self) -> Result<(), String> {
        self.unit.restarts += 1;
        let Some(old) = self.server.take() else { return Err("no server".to_owned()) };
        let new = self.launch.restart(self.home, old).map_err(|e| e.to_string())?;
        self.server = Some(new);
        Ok(())
    }

    fn in_test(&self) -> String {
        self.running.as_ref().map_or_else(String::new, |t| format!(", in `{t}`"))
    }
}

/// Undoes the driver's backslash escapes.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}
