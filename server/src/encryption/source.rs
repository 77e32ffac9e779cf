//! Master keys from a file, an environment variable or a command's output.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ringstone_persist::crypt::Keyring;
use zeroize::Zeroizing;

use crate::config::Config;

/// No text of keys is longer.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// How long a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile.
const POLL: Duration = Duration::from_millis(10);

type Text = Zeroizing<Vec<u8>>;

/// The keys that the configuration names; none where it names none and nothing is to be encrypted.
///
/// # Errors
/// What is wrong, with the parameter.
pub fn keyring(config: &Config) -> Result<Keyring, String> {
    let (file, variable) = (&config.encryption_key_file, &config.encryption_key_env);
    let mut found: Vec<(String, Result<Text, String>)> = Vec::new();
    if !file.as_os_str().is_empty() {
        let name = format!("encryption-key-file {}", file.display());
        found.push((name, of_file(file)));
    }
    if !variable.as_os_str().is_empty() {
        let name = format!("encryption-key-env {}", variable.display());
        let value = std::env::var_os(variable).map(|value| value.as_bytes().to_vec());
        let value = value.ok_or_else(|| "there is no such environment variable".to_owned());
        found.push((name, value.map(Zeroizing::new)));
    }
    if let Some(command) = config.encryption_key_command.get() {
        found.push(("encryption-key-command".to_owned(), of_command(command)));
    }
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some((name, text)), None) => {
            let text = text.map_err(|why| format!("{name}: {why}"))?;
            Keyring::parse(&text, &name, config.encryption_at_rest)
                .map_err(|why| format!("{name}: {why}"))
        }
        (Some((one, _)), Some((other, _))) => {
            Err(format!("{one} and {other} are both set: name the keys in one place"))
        }
        (None, _) if config.encryption_at_rest => {
            Err("encryption-at-rest is on, and there is no key: set encryption-key-file, encryption-key-env or \
                 encryption-key-command"
                .to_owned())
        }
        (None, _) => Ok(Keyring::default()),
    }
}

fn of_file(path: &Path) -> Result<Text, String> {
    let read = || {
        let file = std::fs::File::open(path)?;
        let mode = file.metadata()?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(
                "encryption-key-file {} can be read by others than its owner (mode {:03o}): chmod 600 it",
                path.display(),
                mode & 0o777
            );
        }
        // With its final capacity from the start, so that no copy is left behind.
        let mut text = Zeroizing::new(Vec::with_capacity(TEXT_BYTES_MAX + 1));
        file.take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    let text = read().map_err(|e| e.to_string())?;
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("it is longer than {TEXT_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// What a command prints. Its text may hold a token: it is in no message.
fn of_command(command: &[u8]) -> Result<Text, String> {
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(std::ffi::OsStr::from_bytes(command))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("/bin/sh cannot be started: {e}"))?;
    let began = Instant::now();
    // Keys fit into the pipe, so that the command ends without being read from.
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() < COMMAND_TIMEOUT => std::thread::sleep(POLL),
            Ok(None) => {
                let _gone = child.kill();
                let _reaped = child.wait();
                return Err(format!("it did not end within {} s", COMMAND_TIMEOUT.as_secs()));
            }
            Err(e) => return Err(e.to_string()),
        }
    };
    if !status.success() {
        return Err(format!("it failed: {status}"));
    }
    let mut text = Zeroizing::new(Vec::with_capacity(TEXT_BYTES_MAX + 1));
    if let Some(out) = child.stdout.take() {
        out.take(TEXT_BYTES_MAX as u64).read_to_end(&mut text).map_err(|e| e.to_string())?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn with(settings: &[(&str, &str)]) -> Result<Keyring, String> {
        let mut config = Config::default();
        for (name, value) in settings {
            let param = crate::config::Param::find(name.as_bytes()).unwrap();
            param.set_text(&mut config, value.as_bytes()).unwrap();
        }
        keyring(&config)
    }

    #[test]
    fn a_file_and_a_command_give_the_same_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, KEY).unwrap();
        let file =
            with(&[("encryption-at-rest", "yes"), ("encryption-key-file", path.to_str().unwrap())]);
        let command = with(&[("encryption-key-command", &format!("echo {KEY}"))]).unwrap();
        let file = file.unwrap();
        assert_eq!(file.ids(), command.ids());
        assert!(file.seals() && !command.seals());
        assert_eq!(with(&[]).unwrap().active(), None);
    }

    #[test]
    fn what_is_wrong_is_named_and_no_key_is_shown() {
        for (settings, expected) in [
            (vec![("encryption-at-rest", "yes")], "there is no key: set encryption-key-file"),
            (vec![("encryption-key-file", "/no/such")], "encryption-key-file /no/such: No such"),
            (vec![("encryption-key-env", "NO_SUCH")], "encryption-key-env NO_SUCH: there is no"),
            (vec![("encryption-key-command", "exit 3")], "encryption-key-command: it failed"),
            (vec![("encryption-key-command", "echo secret")], "line 1 is no key"),
            (vec![("encryption-key-env", "A"), ("encryption-key-command", "true")], "are both set"),
        ] {
            let error = with(&settings).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
