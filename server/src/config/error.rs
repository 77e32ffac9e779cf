//! What can be wrong with a configuration, said so that the reader finds the place and knows what to write instead.

use super::params::PARAMS;
use super::unsupported::UNSUPPORTED;
use std::fmt;

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A file's path, `standard input` or `command line`.
    pub source: String,
    /// Line within it, from 1; 0 where there are no lines.
    pub line: usize,
    /// The setting as written, a password's value left out.
    pub text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}", self.source),
            line => write!(out, "{}, line {line}", self.source),
        }
    }
}

/// Why the server does not start with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such parameter.
    #[error("{place}: unknown parameter '{name}'{}\n>>> {}", did_you_mean(nearest.as_deref()), place.text)]
    Unknown {
        /// Where.
        place: Box<Place>,
        /// The name.
        name: String,
        /// A known name that is close to it.
        nearest: Option<String>,
    },
    /// A value that the parameter does not take.
    #[error("{place}: bad value for '{name}': {reason} (allowed: {allowed})\n>>> {}", place.text)]
    BadValue {
        /// Where.
        place: Box<Place>,
        /// The parameter.
        name: String,
        /// What is wrong.
        reason: String,
        /// What it takes.
        allowed: String,
    },
    /// A parameter that Redis has and without which the server would be less safe than asked for.
    #[error("{place}: '{name}' is not supported: {reason}\n>>> {}", place.text)]
    Refused {
        /// Where.
        place: Box<Place>,
        /// The parameter.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A line that is no setting.
    #[error("{place}: {reason}\n>>> {}", place.text)]
    Syntax {
        /// Where.
        place: Box<Place>,
        /// What is wrong.
        reason: String,
    },
    /// A file that cannot be read.
    #[error("cannot read configuration file '{path}'{}: {reason}", included_from(from.as_deref()))]
    Unreadable {
        /// The file.
        path: String,
        /// The line that includes it.
        from: Option<Box<Place>>,
        /// The system's answer.
        reason: String,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean '{name}'?")).unwrap_or_default()
}

fn included_from(from: Option<&Place>) -> String {
    from.map(|place| format!(" (included at {place})")).unwrap_or_default()
}

/// A setting that has no effect, of which the operator must know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: '{name}' has no effect: {reason}")]
pub struct Warning {
    /// Where.
    pub place: Box<Place>,
    /// The parameter.
    pub name: String,
    /// Why not.
    pub reason: &'static str,
}

/// Why CONFIG SET failed. `Display` is the text on the wire, code first, as Redis 7.0.15 has it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// Names and values do not pair up.
    #[error("ERR syntax error")]
    Syntax,
    /// No such parameter.
    #[error("ERR Unknown option or number of arguments for CONFIG SET - '{0}'")]
    Unknown(String),
    /// A parameter, as the client wrote it or as it is called, and what is wrong.
    #[error("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")]
    Failed {
        /// The parameter.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

/// The known name nearest to one that is not known, if one is near.
pub fn nearest_name(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let known = PARAMS.iter().flat_map(|p| p.names()).chain(UNSUPPORTED.iter().map(|u| u.name));
    let limit = (name.len() / 3).clamp(1, 3);
    // Names are short; what is longer than all of them is near to none, and need not be compared.
    if name.len() > 64 {
        return None;
    }
    known
        .map(|known| (edit_distance(name.as_bytes(), known.as_bytes()), known))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known.to_owned())
}

/// Insertions, deletions and substitutions between two words (Levenshtein).
fn edit_distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            let cost = diagonal + usize::from(x != y);
            left = cost.min(above + 1).min(left + 1);
            *cell = left;
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_the_name_meant() {
        for (typed, meant) in [
            ("maxclient", Some("maxclients")),
            ("MaxClientz", Some("maxclients")),
            ("append-only", Some("appendonly")),
            ("apendfsync", Some("appendfsync")),
            ("shard", Some("shards")),
            ("maxmemroy", Some("maxmemory")),
            ("xyz", None),
            ("completely-other", None),
        ] {
            assert_eq!(nearest_name(typed).as_deref(), meant, "{typed}");
        }
        assert_eq!(edit_distance(b"kitten", b"sitting"), 3);
    }
}
