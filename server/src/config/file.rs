//! Loading: file, standard input and command line to one [`Config`].
//!
//! ```text
//! line    = blank | "#" comment | "include" pattern | "user" name rule* | name word*       words quoted as in inline commands
//! order   = file, standard input, command line; the last setting of a parameter counts, lists of save points grow
//! ```
//!
//! Invariant: depth and number of included files and the size of each are bounded.

use super::cli::CommandLine;
use super::error::{ConfigError, Place, Warning, nearest_name};
use super::kind::BadValue;
use super::params::{Config, Param, When};
use super::store::ConfigStore;
use super::unsupported;
use ringstone_proto::resp::split_args;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const FILE_MAX_BYTES: u64 = 4 << 20;
const INCLUDE_MAX_DEPTH: usize = 16;
const INCLUDE_MAX_FILES: usize = 1000;

/// A configuration and what the operator should hear about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub store: ConfigStore,
    /// Users, in the order of their lines; the server knows what their rules mean.
    pub users: Vec<UserLine>,
    /// Settings without effect.
    pub warnings: Vec<Warning>,
}

/// A `user` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLine {
    /// Where it stands.
    pub place: Box<Place>,
    /// Its words after `user`: a name and rules.
    pub words: Vec<Vec<u8>>,
}

/// Loads what the command line asks for.
///
/// # Errors
/// The first setting that is wrong, with its place.
pub fn load(line: &CommandLine, stdin: &mut dyn Read) -> Result<Loaded, ConfigError> {
    let mut loader = Loader::default();
    let mut file = None;
    if let Some(path) = &line.file {
        loader.file(path, None, 0)?;
        // CONFIG REWRITE must find it whatever becomes of the working directory.
        file = Some(std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    }
    if line.stdin {
        let text = read_bounded(stdin).map_err(|reason| ConfigError::Unreadable {
            path: "standard input".to_owned(),
            from: None,
            reason,
        })?;
        loader.text("standard input", &text, 0)?;
    }
    for words in &line.settings {
        let place = place("command line", 0, words, &words.join(&b' '));
        loader.setting(place, words, true, 0)?;
    }
    let store = ConfigStore::new(loader.config, file);
    Ok(Loaded { store, users: loader.users, warnings: loader.warnings })
}

/// Loads the settings of a text alone, for tests, the fuzzer and CONFIG REWRITE.
///
/// # Errors
/// As [`load`].
pub fn load_text(source: &str, text: &[u8]) -> Result<(Config, Vec<Warning>), ConfigError> {
    let mut loader = Loader::default();
    loader.text(source, text, 0)?;
    Ok((loader.config, loader.warnings))
}

/// The `user` lines of a text and of the files that it includes.
///
/// # Errors
/// As [`load`].
pub(super) fn load_users(source: &str, text: &[u8]) -> Result<Vec<UserLine>, ConfigError> {
    let mut loader = Loader::default();
    loader.text(source, text, 0)?;
    Ok(loader.users)
}

#[derive(Default)]
struct Loader {
    config: Config,
    users: Vec<UserLine>,
    warnings: Vec<Warning>,
    /// Parameters set so far.
    seen: Vec<&'static str>,
    files: usize,
}

impl Loader {
    fn file(&mut self, path: &Path, from: Option<&Place>, depth: usize) -> Result<(), ConfigError> {
        let unreadable = |reason: String| ConfigError::Unreadable {
            path: path.display().to_string(),
            from: from.cloned().map(Box::new),
            reason,
        };
        self.files += 1;
        if depth > INCLUDE_MAX_DEPTH {
            return Err(unreadable(format!("more than {INCLUDE_MAX_DEPTH} levels of include")));
        }
        if self.files > INCLUDE_MAX_FILES {
            return Err(unreadable(format!("more than {INCLUDE_MAX_FILES} included files")));
        }
        let text = fs::File::open(path)
            .map_err(|e| e.to_string())
            .and_then(|mut file| read_bounded(&mut file))
            .map_err(unreadable)?;
        self.text(&path.display().to_string(), &text, depth)
    }

    fn text(&mut self, source: &str, text: &[u8], depth: usize) -> Result<(), ConfigError> {
        for (index, line) in text.split(|b| *b == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let Ok(words) = split_args(line) else {
                let reason = "unbalanced quotes".to_owned();
                let place = place(source, index + 1, &[], line);
                return Err(ConfigError::Syntax { place, reason });
            };
            let place = place(source, index + 1, &words, line);
            self.setting(place, &words, false, depth)?;
        }
        Ok(())
    }

    fn setting(
        &mut self,
        place: Box<Place>,
        words: &[Vec<u8>],
        from_command_line: bool,
        depth: usize,
    ) -> Result<(), ConfigError> {
        let Some((name, values)) = words.split_first() else { return Ok(()) };
        if name.eq_ignore_ascii_case(b"include") {
            return self.include(&place, values, depth);
        }
        if name.eq_ignore_ascii_case(b"user") {
            self.users.push(UserLine { place, words: values.to_vec() });
            return Ok(());
        }
        let text = String::from_utf8_lossy(name).into_owned();
        if let Some(param) = Param::find(name) {
            if param.when == When::CommandLine && !from_command_line {
                let reason = format!("'{text}' can be given on the command line only");
                return Err(ConfigError::Syntax { place, reason });
            }
            return self.param(place, text, param, values);
        }
        if let Some(entry) = unsupported::find(name) {
            let fits = entry
                .fits
                .is_some_and(|fits| values.join(&b' ').eq_ignore_ascii_case(fits.as_bytes()));
            if entry.refused && !fits {
                return Err(ConfigError::Refused { place, name: text, reason: entry.reason });
            }
            if !fits {
                self.warnings.push(Warning { place, name: text, reason: entry.reason });
            }
            return Ok(());
        }
        if from_command_line && text.starts_with('-') {
            let reason = format!("unexpected argument '{text}'; see --help");
            return Err(ConfigError::Syntax { place, reason });
        }
        let nearest = nearest_name(&text);
        Err(ConfigError::Unknown { place, name: text, nearest })
    }

    fn param(
        &mut self,
        place: Box<Place>,
        name: String,
        param: &'static Param,
        values: &[Vec<u8>],
    ) -> Result<(), ConfigError> {
        let append = self.seen.contains(&param.name);
        let result = match values {
            [] => Err(BadValue::new("wrong number of arguments")),
            // One quoted word may hold a whole list: `save "3600 1 300 100"`.
            [one] if param.kind.is_list() && !one.is_empty() => split_args(one)
                .map_err(|_| BadValue::new("unbalanced quotes"))
                .and_then(|words| param.set(&mut self.config, &words, append)),
            values => param.set(&mut self.config, values, append),
        };
        if !append {
            self.seen.push(param.name);
        }
        result.map_err(|bad| ConfigError::BadValue {
            place,
            name,
            reason: bad.0,
            allowed: param.kind.describe(),
        })
    }

    fn include(
        &mut self,
        place: &Place,
        values: &[Vec<u8>],
        depth: usize,
    ) -> Result<(), ConfigError> {
        let syntax =
            |reason: String| ConfigError::Syntax { place: Box::new(place.clone()), reason };
        let [pattern] = values else {
            return Err(syntax("include takes one file or pattern".to_owned()));
        };
        if !pattern.iter().any(|b| b"*?[".contains(b)) {
            let path = PathBuf::from(std::ffi::OsStr::from_bytes(pattern));
            return self.file(&path, Some(place), depth + 1);
        }
        let pattern = std::str::from_utf8(pattern)
            .map_err(|_| syntax("an include pattern must be UTF-8".to_owned()))?;
        let paths = glob::glob(pattern).map_err(|e| syntax(format!("bad include pattern: {e}")))?;
        // A pattern that matches nothing is no error, so that an empty conf.d is none.
        for path in paths {
            let path = path.map_err(|e| ConfigError::Unreadable {
                path: e.path().display().to_string(),
                from: Some(Box::new(place.clone())),
                reason: e.error().to_string(),
            })?;
            self.file(&path, Some(place), depth + 1)?;
        }
        Ok(())
    }
}

fn read_bounded(from: &mut dyn Read) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    from.take(FILE_MAX_BYTES + 1).read_to_end(&mut text).map_err(|e| e.to_string())?;
    if text.len() as u64 > FILE_MAX_BYTES {
        return Err(format!("longer than {FILE_MAX_BYTES} bytes"));
    }
    Ok(text)
}

/// A setting's place; the words after a secret's name are not shown.
fn place(source: &str, line: usize, words: &[Vec<u8>], text: &[u8]) -> Box<Place> {
    let is_secret = words.first().and_then(|name| Param::find(name)).is_some_and(Param::is_secret)
        || words
            .first()
            .is_some_and(|name| name.eq_ignore_ascii_case(b"user") || name.ends_with(b"auth"));
    let text = match words.first() {
        Some(name) if is_secret => format!("{} (hidden)", String::from_utf8_lossy(name)),
        _ => String::from_utf8_lossy(text.get(..200).unwrap_or(text)).into_owned(),
    };
    Box::new(Place { source: source.to_owned(), line, text })
}

#[cfg(test)]
mod tests;
