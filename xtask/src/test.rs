//! `cargo xtask test`: what CI runs.
//!
//! Invariant: everything but `redis-server` and its tools comes from this repository and the crates it names.

use clap::Args;
use ringstone_tests::programs::REQUIRED;
use ringstone_tests::server::{Binary, target_dir};

use crate::step::{Steps, cargo, check, install, works};

/// Programs of Debian packages that the suites compare with.
const PROGRAMS: &[(&str, &str)] = &[
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
    ("redis-benchmark", "redis-tools"),
    ("redis-check-rdb", "redis-tools"),
];

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// How long the crash loop runs in each fsync mode
    #[arg(long, default_value_t = 8)]
    crash_seconds: u64,
    /// Show the steps only
    #[arg(long)]
    list: bool,
}

/// Runs all steps.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut steps = Steps::default();
    for (name, step) in steps_of() {
        if options.list {
            println!("{name}");
        } else {
            steps.run(name, || step(options))?;
        }
    }
    if !options.list {
        println!("{}\nAll steps passed.", steps.table());
    }
    Ok(())
}

type Step = fn(&Options) -> Result<(), String>;

fn steps_of() -> [(&'static str, Step); 9] {
    [
        ("programs to compare with", |_| install(PROGRAMS)),
        ("client libraries", |_| crate::programs::run()),
        ("formatting", |_| check(&mut cargo(&["fmt", "--all", "--check"]))),
        ("lints", |_| {
            check(&mut cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ]))
        }),
        ("build", |_| check(&mut cargo(&["build", "--workspace", "--all-targets", "--quiet"]))),
        ("import rules", |_| {
            check(&mut cargo(&[
                "test",
                "--package",
                "ringstone-tests",
                "--test",
                "tidy",
                "--quiet",
            ]))
        }),
        ("tests", |_| tests()),
        ("documentation tests", |_| {
            check(&mut cargo(&["test", "--workspace", "--doc", "--quiet"]))
        }),
        ("crash loop", crash_loop),
    ]
}

fn tests() -> Result<(), String> {
    let server = target_dir().join("debug/ringstone-server");
    let mut command = if works("cargo", &["nextest", "--version"]) {
        cargo(&["nextest", "run", "--workspace", "--no-tests=fail"])
    } else {
        println!(
            "cargo-nextest is missing: running the tests with cargo test, without its timeouts"
        );
        cargo(&["test", "--workspace", "--lib", "--bins", "--tests"])
    };
    check(command.env("RINGSTONE_BIN", server).env(REQUIRED, "python node"))
}

fn crash_loop(options: &Options) -> Result<(), String> {
    let server = Binary { path: target_dir().join("debug/ringstone-server") };
    for (seed, fsync) in (1..).zip(["always", "everysec", "no"]) {
        crate::crash::run(&crate::crash::Options::short(
            &server,
            fsync,
            options.crash_seconds,
            seed,
        ))?;
    }
    Ok(())
}
