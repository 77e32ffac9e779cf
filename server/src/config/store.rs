//! The configuration in force: CONFIG GET and CONFIG SET.
//!
//! Nothing here talks to the server: [`ConfigStore::set`] says what changed, the caller applies it and, if that fails,
//! gives the change back to [`ConfigStore::roll_back`].

use super::error::SetError;
use super::params::{Config, PARAMS, Param, When};
use std::path::{Path, PathBuf};

/// Holds the current values and knows the file they came from.
#[derive(Clone, Debug)]
pub struct ConfigStore {
    config: Config,
    file: Option<PathBuf>,
}

/// What a CONFIG SET changed.
#[must_use = "the server has to apply it"]
pub struct Change {
    /// Parameters whose value is another one now, each once.
    pub params: Vec<&'static Param>,
    before: Config,
}

impl Change {
    /// Whether the parameter of this name changed.
    pub fn touches(&self, name: &str) -> bool {
        self.params.iter().any(|param| param.name == name)
    }

    /// The values before the change.
    pub fn before(&self) -> &Config {
        &self.before
    }
}

impl ConfigStore {
    /// A store of these values, which came from `file` (an absolute path) as far as there was one.
    pub fn new(config: Config, file: Option<PathBuf>) -> Self {
        ConfigStore { config, file }
    }

    /// The current values.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The configuration file.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// CONFIG GET: names and values of the parameters whose name or alias matches one of the patterns. A name without
    /// a pattern's characters is found whatever its letter case, and comes back as the client wrote it. `glob` matches
    /// a pattern and a name, ignoring letter case.
    pub fn get(
        &self,
        patterns: &[&[u8]],
        glob: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut add = |name: &[u8], param: &Param| {
            if !found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                found.push((name.to_vec(), param.text(&self.config)));
            }
        };
        for pattern in patterns {
            if !pattern.iter().any(|b| b"[*?".contains(b)) {
                if let Some(param) = Param::find(pattern) {
                    add(pattern, param);
                }
                continue;
            }
            for param in PARAMS {
                for name in param.names().filter(|name| glob(pattern, name.as_bytes())) {
                    add(name.as_bytes(), param);
                }
            }
        }
        found
    }

    /// CONFIG SET: names and values in turn. All are checked before any is taken.
    ///
    /// # Errors
    /// The text for the client; nothing has changed then.
    pub fn set(&mut self, words: &[&[u8]], client_is_local: bool) -> Result<Change, SetError> {
        let (pairs, rest) = words.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(SetError::Syntax);
        }
        let settings = self.permitted(pairs, client_is_local)?;
        let mut config = self.config.clone();
        for (name, param, value) in &settings {
            param.set_text(&mut config, value).map_err(|bad| failed(name, bad.0))?;
        }
        let mut params: Vec<&'static Param> = Vec::new();
        for (_, param, _) in settings {
            let known = params.iter().any(|p| p.name == param.name);
            if !known && !param.is_same(&self.config, &config) {
                params.push(param);
            }
        }
        let before = std::mem::replace(&mut self.config, config);
        Ok(Change { params, before })
    }

    /// Takes a change back that could not be applied, and gives the error for the client. What others have set since stays.
    pub fn roll_back(&mut self, change: &Change, param: &str, reason: &str) -> SetError {
        for param in &change.params {
            // The text of a value in force is a good one.
            let _restored = param.set_text(&mut self.config, &param.text(&change.before));
        }
        failed(param, reason.to_owned())
    }

    /// Looks every name up. Aliases keep their name, and do not count as a duplicate of what they stand for, as in Redis.
    fn permitted<'a>(
        &self,
        pairs: &[[&'a [u8]; 2]],
        client_is_local: bool,
    ) -> Result<Vec<Setting<'a>>, SetError> {
        let mut settings: Vec<Setting<'a>> = Vec::new();
        for [given, value] in pairs {
            let written = ringstone_engine::error::word(given);
            let param = Param::find(given).ok_or_else(|| SetError::Unknown(written.clone()))?;
            match param.when {
                When::Boot | When::CommandLine => {
                    return Err(failed(&written, "can't set immutable config".to_owned()));
                }
                When::Protected
                    if !self.config.enable_protected_configs.allows(client_is_local) =>
                {
                    return Err(failed(&written, "can't set protected config".to_owned()));
                }
                When::Protected | When::Live => {}
            }
            let is_it = |name: &&str| given.eq_ignore_ascii_case(name.as_bytes());
            let name = param.names().find(is_it).unwrap_or(param.name);
            if settings.iter().any(|(known, ..)| *known == name) {
                return Err(failed(&written, "duplicate parameter".to_owned()));
            }
            settings.push((name, param, *value));
        }
        Ok(settings)
    }
}

/// The name or alias used, the parameter, and the value asked for.
type Setting<'a> = (&'static str, &'static Param, &'a [u8]);

fn failed(name: &str, reason: String) -> SetError {
    SetError::Failed { name: name.to_owned(), reason }
}

#[cfg(test)]
mod tests;
