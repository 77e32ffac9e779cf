//! Users from text: the ACL file, and `user` lines of the configuration.
//!
//! ```text
//!   user <name> <rule> <rule> ...          one a line; no comments, as the file is rewritten by ACL SAVE
//! ```
//!
//! Invariant: with one line wrong none counts, and every wrong line is told of with its number.

use super::rules::{RuleError, join_selectors};
use super::selector::has_spaces;
use super::users::Users;
use super::{NewChannels, User};

/// Reads an ACL file's text; `path` is what messages call it. The error is one line that tells all that is wrong.
pub fn from_file(path: &str, text: &[u8], channels: NewChannels) -> Result<Users, String> {
    let mut users = Users::new(None);
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut errors = String::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if !line.is_empty() {
            let place = Place { path, line: index + 1 };
            if let Err(error) = file_line(&place, line, &mut users, &mut seen, channels) {
                errors.push_str(&error);
            }
        }
    }
    if errors.is_empty() {
        return Ok(users);
    }
    errors.push_str(
        "WARNING: ACL errors detected, no change to the previously active ACL rules was performed",
    );
    Err(errors)
}

struct Place<'a> {
    path: &'a str,
    line: usize,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}", self.path, self.line)
    }
}

fn file_line(
    place: &Place<'_>,
    line: &[u8],
    users: &mut Users,
    seen: &mut Vec<Vec<u8>>,
    channels: NewChannels,
) -> Result<(), String> {
    let mut words = line.split(|byte| *byte == b' ');
    let (keyword, name) = (words.next(), words.next());
    let (Some(b"user"), Some(name)) = (keyword, name) else {
        return Err(format!("{place} should start with user keyword followed by the username. "));
    };
    if has_spaces(name) {
        return Err(format!("{place}: username '{}' contains invalid characters. ", text(name)));
    }
    if seen.iter().any(|known| known == name) {
        let line = place.line;
        return Err(format!("WARNING: Duplicate user '{}' found on line {line}. ", text(name)));
    }
    seen.push(name.to_vec());
    let rules = join_selectors(words)
        .map_err(|_| format!("{place}: Unmatched parenthesis in selector definition. "))?;
    let mut user = fresh(users, name, channels);
    let mut errors = String::new();
    let mut told = false;
    for rule in rules {
        match user.apply(rule.trim_ascii(), channels) {
            Ok(()) => {}
            // Only here is it sure that the rule is no secret.
            Err(error @ RuleError::UnknownCommand) => {
                let rule = text(&rule);
                errors
                    .push_str(&format!("{place}: Error in applying operation '{rule}': {error}. "));
            }
            Err(error) if !told => {
                told = true;
                errors.push_str(&format!("{place}: {error}. "));
            }
            Err(_) => {}
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    users.insert(user);
    Ok(())
}

/// A user without permissions. The default user stays the one it is, so that its connections do.
fn fresh(users: &mut Users, name: &[u8], channels: NewChannels) -> User {
    match users.get(name) {
        Some(known) => User::new(name.to_vec(), known.incarnation, channels),
        None => users.new_user(name, channels),
    }
}

/// A `user` line of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredUser<'a> {
    /// Where it stands.
    pub place: String,
    /// Its words after `user`.
    pub words: &'a [Vec<u8>],
}

/// Users of the configuration, and what the operator should know of them.
#[derive(Debug)]
pub struct FromConfig {
    /// The users.
    pub users: Users,
    /// Names of those that cannot log in.
    pub disabled: Vec<String>,
}

/// Users from the configuration; `password` is `requirepass`.
pub fn from_config(
    lines: &[ConfiguredUser<'_>],
    password: Option<&[u8]>,
    channels: NewChannels,
) -> Result<FromConfig, String> {
    let mut users = Users::new(password);
    let mut disabled = Vec::new();
    let mut seen: Vec<&[u8]> = Vec::new();
    for line in lines {
        let place = &line.place;
        let Some((name, rules)) = line.words.split_first() else {
            return Err(format!("{place}: 'user' must be followed by the user's name"));
        };
        let told = text(name);
        let wrong = |what: &str, why: &str| {
            Err(format!("{place}: Error in user declaration '{what}': {why}"))
        };
        if seen.contains(&&**name) {
            return wrong(
                &told,
                "Duplicate user found. A user can only be defined once in config files",
            );
        }
        seen.push(name);
        if has_spaces(name) {
            return wrong(&told, "Spaces not allowed in ACL usernames");
        }
        let mut user = fresh(&mut users, name, channels);
        if seen.last() == Some(&&b"default"[..]) {
            // As Redis, which resets the default user and makes any other.
            let _fits = user.apply(b"reset", channels);
        }
        let rules = match join_selectors(rules.iter().map(Vec::as_slice)) {
            Ok(rules) => rules,
            Err(open) => return wrong(&text(open), "Unmatched parenthesis in acl selector"),
        };
        for rule in rules {
            if let Err(error) = user.apply(&rule, channels) {
                let secret = rule.first().is_some_and(|first| b"<>#!".contains(first));
                let rule = if secret { "(hidden)".to_owned() } else { text(&rule) };
                return wrong(&rule, &error.to_string());
            }
        }
        if !user.is_enabled() {
            disabled.push(told);
        }
        users.insert(user);
    }
    Ok(FromConfig { users, disabled })
}

/// For a message, which ends where a string of C would.
pub(super) fn text(bytes: &[u8]) -> String {
    ringstone_engine::error::word(bytes)
}
