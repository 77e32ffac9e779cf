//! `cargo xtask programs`: installs the client libraries whose programs are run over Ringstone and redis-server.
//!
//! Invariant: versions are those of the pins; nothing is installed beside `target/programs`, but interpreters with apt-get.

use std::fs;
use std::process::Command;

use ringstone_tests::programs::Language;

use crate::step::{check, install, install_packages, works};

/// Interpreters and their Debian packages.
const INTERPRETERS: &[(&str, &str)] = &[("python3", "python3"), ("node", "nodejs"), ("npm", "npm")];

/// Installs what is missing.
pub(crate) fn run() -> Result<(), String> {
    install(INTERPRETERS)?;
    if !works("python3", &["-c", "import ensurepip, venv"]) {
        install_packages(&["python3-venv"])?;
    }
    for language in Language::ALL {
        let name = language.name();
        if language.is_installed() {
            println!("libraries for {name}: all there");
            continue;
        }
        println!("libraries for {name}: installing, as in {}", language.pins().display());
        let to = language.libraries();
        if to.exists() {
            fs::remove_dir_all(&to).map_err(|e| e.to_string())?;
        }
        fs::create_dir_all(&to).map_err(|e| e.to_string())?;
        match language {
            Language::Python => python()?,
            Language::Node => node()?,
        }
        fs::copy(language.pins(), language.stamp()).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn python() -> Result<(), String> {
    let to = Language::Python.libraries();
    check(Command::new("python3").args(["-m", "venv"]).arg(&to))?;
    let pip = || {
        let mut command = Command::new(to.join("bin/python"));
        command.args(["-m", "pip", "--quiet", "--disable-pip-version-check"]);
        command
    };
    check(
        pip()
            .args(["install", "--no-deps", "--no-compile", "--requirement"])
            .arg(Language::Python.pins()),
    )?;
    check(pip().arg("check"))
}

fn node() -> Result<(), String> {
    let to = Language::Node.libraries();
    for file in ["package.json", "package-lock.json"] {
        let from = Language::Node.sources().join(file);
        fs::copy(from, to.join(file)).map_err(|e| e.to_string())?;
    }
    let quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    check(Command::new("npm").arg("ci").args(quiet).current_dir(to))
}
