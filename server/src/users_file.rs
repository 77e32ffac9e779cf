//! Where users are kept: the ACL file, or `user` lines of the configuration file.

use std::io::{self, Read};
use std::path::PathBuf;

use crate::acl::{ConfiguredUser, Users, from_config, from_file};
use crate::config::rewrite::{UsersInForce, replace};
use crate::config::{Config, UserLine};

/// The longest ACL file that is read.
const FILE_MAX_BYTES: u64 = 64 << 20;

/// The ACL file, if there is to be one.
pub fn path(config: &Config) -> Option<PathBuf> {
    let is_set = !config.aclfile.as_os_str().is_empty();
    is_set.then(|| config.dir.join(&config.aclfile))
}

/// The users to start with.
///
/// # Errors
/// What is wrong, with file and line.
pub fn at_start(config: &Config, lines: &[UserLine]) -> Result<Users, String> {
    if let (Some(path), Some(line)) = (path(config), lines.first()) {
        return Err(format!(
            "{}: users are defined here and in the file {} that 'aclfile' names: put them all in one of the two places",
            line.place,
            path.display()
        ));
    }
    if let Some(path) = path(config) {
        return read(config, path);
    }
    let made = from_lines(config, lines)?;
    for name in &made.disabled {
        tracing::warn!(
            "The user '{name}' is disabled (there is no 'on' modifier in the user description). Make sure this is not a \
             configuration error."
        );
    }
    Ok(made.users)
}

fn from_lines(config: &Config, lines: &[UserLine]) -> Result<crate::acl::FromConfig, String> {
    let lines: Vec<ConfiguredUser<'_>> = lines
        .iter()
        .map(|line| ConfiguredUser { place: line.place.to_string(), words: &line.words })
        .collect();
    from_config(&lines, config.requirepass.get(), config.acl_pubsub_default)
}

/// Reads the users of an ACL file.
///
/// # Errors
/// All that is wrong, in one line.
pub fn read(config: &Config, path: PathBuf) -> Result<Users, String> {
    let open = std::fs::File::open(&path);
    let cannot = |e: io::Error| {
        let reason = e.to_string();
        let reason = reason.split(" (os error").next().unwrap_or_default();
        format!("Error loading ACLs, opening file '{}': {reason}", config.aclfile.display())
    };
    let mut text = Vec::new();
    open.and_then(|file| file.take(FILE_MAX_BYTES + 1).read_to_end(&mut text)).map_err(cannot)?;
    if text.len() as u64 > FILE_MAX_BYTES {
        return Err(cannot(io::Error::other(format!("longer than {FILE_MAX_BYTES} bytes"))));
    }
    from_file(&config.aclfile.to_string_lossy(), &text, config.acl_pubsub_default)
}

/// Replaces the ACL file by one with these users, as a whole or not at all.
///
/// # Errors
/// The system's answer.
pub fn write(path: &std::path::Path, users: &Users) -> io::Result<()> {
    let mut text = users.lines().join(&b'\n');
    text.push(b'\n');
    replace(path, &text)
}

/// The users that CONFIG REWRITE is to write down: none where an ACL file has them, or where `requirepass` says it all.
pub fn in_force(config: &Config, users: &Users) -> UsersInForce {
    let config = config.clone();
    let lines = users.lines();
    let elsewhere = path(&config).is_some();
    let needless = elsewhere || users.is_plain(config.requirepass.get());
    let wanted = users.clone();
    UsersInForce {
        lines: if needless { Vec::new() } else { lines },
        are: Box::new(move |found| {
            if elsewhere {
                return found.is_empty();
            }
            from_lines(&config, found).is_ok_and(|made| made.users.mean_the_same_as(&wanted))
        }),
    }
}
