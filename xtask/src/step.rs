//! Running other programs: one step after another, each with its name and how long it took.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `cargo`, in the workspace's root.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(workspace());
    command
}

/// The workspace's root.
pub(crate) fn workspace() -> PathBuf {
    ringstone_tests::server::workspace()
}

/// True when a program runs and ends well.
pub(crate) fn works(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).current_dir(workspace()).stdout(Stdio::null()).stderr(Stdio::null());
    command.stdin(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// Runs a program; an error says which failed.
pub(crate) fn check(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}").replace('"', "");
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` failed: {status}")),
        Err(e) => Err(format!("`{shown}` does not run: {e}")),
    }
}

/// Installs the Debian packages of those programs, `(program, package)`, that are not on the PATH; says which.
pub(crate) fn install(programs: &[(&str, &str)]) -> Result<(), String> {
    let mut missing: Vec<&str> =
        programs.iter().filter(|(p, _)| !on_path(p)).map(|(_, package)| *package).collect();
    missing.dedup();
    if missing.is_empty() {
        println!("programs: all there");
        return Ok(());
    }
    install_packages(&missing)
}

/// Installs Debian packages; says which.
pub(crate) fn install_packages(packages: &[&str]) -> Result<(), String> {
    println!("missing, installing with apt-get: {}", packages.join(" "));
    check(Command::new("apt-get").args(["update", "-qq"]))?;
    check(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Steps done so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    /// Runs one step, and tells its name before and its duration at the end.
    pub(crate) fn run(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        println!("\n=== {name}");
        let began = Instant::now();
        let result = step();
        self.done.push((name, began.elapsed()));
        result.map_err(|e| format!("{}\nFAILED at step `{name}`: {e}", self.table()))
    }

    /// The steps with their durations.
    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        for (name, took) in &self.done {
            out.push_str(&format!("\n{:>7.1} s  {name}", took.as_secs_f64()));
        }
        let all: Duration = self.done.iter().map(|(_, took)| *took).sum();
        out.push_str(&format!("\n{:>7.1} s  in all", all.as_secs_f64()));
        out
    }
}
