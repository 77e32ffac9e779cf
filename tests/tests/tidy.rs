//! The rules of the house that the compiler does not check.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ringstone_tests::server::workspace;

/// Which crates of the workspace each crate may import.
const IMPORTS: &[(&str, &[&str])] = &[
    ("ringstone-engine", &[]),
    ("ringstone-proto", &[]),
    ("ringstone-peer", &[]),
    ("ringstone-persist", &["ringstone-engine"]),
    (
        "ringstone-server",
        &[
            "ringstone-engine",
            "ringstone-persist",
            "ringstone-proto",
            "ringstone-peer",
            "ringstone-script",
        ],
    ),
    ("ringstone-script", &["ringstone-engine"]),
    (
        "ringstone-bench",
        &[
            "ringstone-engine",
            "ringstone-persist",
            "ringstone-proto",
            "ringstone-peer",
            "ringstone-server",
        ],
    ),
    (
        "ringstone-tests",
        &[
            "ringstone-engine",
            "ringstone-persist",
            "ringstone-proto",
            "ringstone-peer",
            "ringstone-server",
        ],
    ),
    ("xtask", &["ringstone-tests", "ringstone-engine", "ringstone-server"]),
];
/// Longest source file, in lines.
const LINES_MAX: usize = 600;
/// Where `unsafe` may be.
const UNSAFE: &[&str] =
    &["engine/src/raw/", "persist/src/disk/map.rs", "server/src/rt/", "server/script/src/raw.rs"];
/// Which crates only `server/src/rt` names.
const RT_ONLY: &[&str] = &["glommio", "io_uring", "libc"];

#[test]
fn crates_import_only_what_the_architecture_allows() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(workspace())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: Vec<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    let allowed: BTreeMap<&str, &[&str]> = IMPORTS.iter().copied().collect();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let allowed = allowed.get(name).unwrap_or_else(|| panic!("{name} has no import rule"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let dependency = dependency["name"].as_str().unwrap();
            assert!(
                !names.contains(&dependency) || allowed.contains(&dependency),
                "{name} must not import {dependency}"
            );
        }
    }
}

#[test]
fn files_are_short() {
    let long: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > LINES_MAX)
        .map(|(path, text)| format!("{path}: {} lines", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "over {LINES_MAX} lines: {long:#?}");
}

#[test]
fn nothing_is_left_undone() {
    // Written apart, so that this file is no finding.
    let words =
        [["todo", "!("], ["unimplemented", "!("], ["#[ign", "ore"]].map(|parts| parts.concat());
    let found = find(&|line| words.iter().any(|word| line.contains(word.as_str())), &|_| true);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn unsafe_is_where_it_may_be() {
    let found = find(
        &|line| {
            ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]
                .iter()
                .any(|w| code(line).contains(w))
        },
        &|path| {
            !UNSAFE.iter().any(|allowed| path.starts_with(allowed)) && path != "tests/tests/tidy.rs"
        },
    );
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_rt_names_the_runtime_and_the_kernel() {
    let named = |line: &str| {
        RT_ONLY.iter().any(|name| {
            let line = code(line);
            line.contains(&format!("{name}::")) || line.contains(&format!("use {name};"))
        })
    };
    let found = find(&named, &|path| {
        !path.starts_with("server/src/rt/")
            && !path.starts_with("fuzz/")
            && path != "tests/tests/tidy.rs"
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let root = workspace();
    let mut broken = Vec::new();
    for path in files(&root, "md") {
        let text = fs::read_to_string(&path).unwrap();
        for target in links(&text) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !path.parent().unwrap().join(target).exists() {
                broken.push(format!("{}: {target}", path.strip_prefix(&root).unwrap().display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Targets of `[text](target)`, code blocks left out.
fn links(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for rest in line.split("](").skip(1) {
            out.extend(rest.split_once(')').map(|(target, _)| target.to_owned()));
        }
    }
    out
}

/// The line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// Lines that `matches`, in the files that are `checked`.
fn find(matches: &dyn Fn(&str) -> bool, checked: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| checked(path)) {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| matches(line)) {
            found.push(format!("{path}:{}: {}", number + 1, line.trim()));
        }
    }
    found
}

/// All Rust sources: path from the root, text.
fn sources() -> Vec<(String, String)> {
    let root = workspace();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        (name, fs::read_to_string(&path).unwrap())
    };
    files(&root, "rs").into_iter().map(read).collect()
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let hidden = name.to_string_lossy().starts_with('.');
        if path.is_dir() && !hidden && name != "target" {
            out.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            out.push(path);
        }
    }
    out
}
