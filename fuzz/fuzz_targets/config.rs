//! Any text: the parser never panics, and what it takes is written as lines that load as the same configuration.
#![no_main]

use config::file::load_text;
use config::{PARAMS, When};
use libfuzzer_sys::fuzz_target;

// The folder alone, without the server's many dependencies.
#[allow(dead_code, unused_imports, reason = "the target uses a part of it")]
#[path = "../../server/src/config/mod.rs"]
mod config;

fuzz_target!(|text: &[u8]| {
    // No other files: what they hold would not be the fuzzer's.
    if text.to_ascii_lowercase().windows(7).any(|w| w == b"include") {
        return;
    }
    let (config, warnings) = match load_text("fuzz", text) {
        Ok(loaded) => loaded,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    warnings.iter().for_each(|warning| assert!(!warning.to_string().is_empty()));
    let mut again = Vec::new();
    for param in PARAMS.iter().filter(|param| param.when != When::CommandLine) {
        for line in param.lines(&config) {
            again.extend_from_slice(&[param.name.as_bytes(), b" ", &line, b"\n"].concat());
        }
    }
    let (read, _) = load_text("again", &again).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(read, config);
});
