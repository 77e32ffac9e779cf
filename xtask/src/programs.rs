//! `cargo xtask programs`: installs the client libraries whose programs are run over Ringstone and redis-server.
//!
//! Invariant: versions are those of the pins; nothing is installed beside `target/programs`, but interpreters with apt-get.

use std::fs;
use std::process::Command;

use ringstone_tests::programs::{Language, redis_py as redis_py_tests};

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
    check(pip().arg("check"))?;
    redis_py(pip())
}

/// The tests of redis-py are in its source distribution only.
fn redis_py(mut pip: Command) -> Result<(), String> {
    let pins = fs::read_to_string(Language::Python.pins()).map_err(|e| e.to_string())?;
    let pin = pins.lines().find(|line| line.starts_with("redis=="));
    let pin = pin.ok_or("redis is not pinned")?;
    let to = redis_py_tests();
    fs::create_dir_all(&to).map_err(|e| e.to_string())?;
    let from_source = ["download", "--no-deps", "--no-build-isolation", "--no-binary=redis"];
    check(pip.args(from_source).arg("--dest").arg(&to).arg(pin))?;
    let archive = to.join(format!("{}.tar.gz", pin.replace("==", "-")));
    let parts = ["--strip-components=1", "--wildcards", "*/tests", "*/pyproject.toml"];
    check(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(to).args(parts))
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
