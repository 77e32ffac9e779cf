//! Redis's own test suite, from Debian's source package, kept under `target/conformance`.
//!
//! Debian's lists of source packages are fetched into a directory of our own, so that the machine's package sources stay as
//! they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ringstone_tests::server::{Binary, target_dir};

use crate::step::{check, install};

/// The version that Ringstone is compared with.
const TREE: &str = "redis-7.0.15";
/// The archive as its authors made it.
const ARCHIVE: &str = "redis_7.0.15.orig.tar.gz";
/// Where Debian 12 has it.
const SOURCES: &str = "\
deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main
deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security bookworm-security main
";
/// What running it needs.
const PROGRAMS: &[(&str, &str)] =
    &[("tclsh", "tcl"), ("redis-server", "redis-server"), ("redis-cli", "redis-tools")];

/// Where all of this command's files are.
pub(super) fn directory() -> PathBuf {
    target_dir().join("conformance")
}

/// The unpacked tree; fetched when it is not there yet.
pub(super) fn tree() -> Result<PathBuf, String> {
    install(PROGRAMS)?;
    let dir = directory();
    let tree = dir.join(TREE);
    if !tree.join("tests/test_helper.tcl").is_file() {
        fetch(&dir)?;
        check(Command::new("tar").arg("-xzf").arg(dir.join(ARCHIVE)).arg("-C").arg(&dir))?;
        link_tools(&tree)?;
    }
    Ok(tree)
}

fn fetch(dir: &Path) -> Result<(), String> {
    if dir.join(ARCHIVE).is_file() {
        return Ok(());
    }
    println!("fetching Debian's source package of redis into {}", dir.display());
    let lists = dir.join("apt/lists");
    let sources = dir.join("apt/sources.list");
    fs::create_dir_all(lists.join("partial")).map_err(|e| format!("{}: {e}", lists.display()))?;
    fs::write(&sources, SOURCES).map_err(|e| format!("{}: {e}", sources.display()))?;
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.arg("-qq").args(words).current_dir(dir);
        command.arg("-o").arg(format!("Dir::Etc::SourceList={}", sources.display()));
        command.arg("-o").arg("Dir::Etc::SourceParts=-");
        command.arg("-o").arg(format!("Dir::State::Lists={}", lists.display()));
        check(&mut command)
    };
    apt(&["update"])?;
    apt(&["source", "--download-only", "redis"])?;
    if dir.join(ARCHIVE).is_file() {
        Ok(())
    } else {
        Err(format!("Debian's source package of redis has no {ARCHIVE}"))
    }
}

/// The suite calls its tools by their paths in a built tree.
fn link_tools(tree: &Path) -> Result<(), String> {
    let bin = Binary::redis().path;
    for tool in ["redis-cli", "redis-benchmark", "redis-check-rdb", "redis-check-aof"] {
        let link = tree.join("src").join(tool);
        std::os::unix::fs::symlink(bin.with_file_name(tool), &link)
            .map_err(|e| format!("{}: {e}", link.display()))?;
    }
    Ok(())
}
