//! Rules of users as `ACL SETUSER` takes them, and what can be wrong with them.
//!
//! ```text
//!   on off nopass resetpass reset clearselectors [skip-]sanitize-payload      about the user
//!   >password <password #hash !hash
//!   ( rule rule ... )                                                         one more selector
//!   anything else                                                             a rule of the root selector
//! ```

use ringstone_proto::resp::split_args;

use super::NewChannels;
use super::password::PasswordHash;
use super::selector::Selector;
use super::user::{Sanitize, User};

/// What is wrong with a rule. The texts are Redis's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not a rule.
    #[error("Syntax error")]
    Syntax,
    /// No such command or category.
    #[error("Unknown command or category name in ACL")]
    UnknownCommand,
    /// A key pattern beside all keys.
    #[error(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try \
         'resetkeys' to start with an empty list of patterns"
    )]
    PatternAfterAllKeys,
    /// A channel pattern beside all channels.
    #[error(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try \
         'resetchannels' to start with an empty list of channels"
    )]
    PatternAfterAllChannels,
    /// A password to be removed is not there.
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
    /// Not a SHA-256 in hexadecimal.
    #[error(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
    )]
    BadHash,
    /// `+container|sub|word`.
    #[error("Allowing first-arg of a subcommand is not supported")]
    WordOfSubcommand,
}

/// Why the rules of a user were not taken. `Display` is what the client gets, without the code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetUserError {
    /// A selector that does not end.
    #[error("Unmatched parenthesis in acl selector starting at '{0}'.")]
    Unmatched(String),
    /// A rule that is wrong.
    #[error("Error in ACL SETUSER modifier '{0}': {1}")]
    Rule(String, RuleError),
    /// A name that could not be written down.
    #[error("Usernames can't contain spaces or null characters")]
    BadName,
}

/// Puts selectors together that lie over several arguments: `( +get`, `~a )`. The error is the argument that opens one
/// without an end.
pub(super) fn join_selectors<'a>(
    rules: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Vec<u8>>, &'a [u8]> {
    let mut joined = Vec::new();
    let mut open: Option<(&[u8], Vec<u8>)> = None;
    for rule in rules {
        let ends = rule.last() == Some(&b')');
        if rule.first() == Some(&b'(') && !ends {
            open = Some((rule, rule.to_vec()));
        } else if let Some((_, selector)) = &mut open {
            selector.push(b' ');
            selector.extend_from_slice(rule);
            if ends {
                joined.extend(open.take().map(|(_, selector)| selector));
            }
        } else {
            joined.push(rule.to_vec());
        }
    }
    match open {
        Some((start, _)) => Err(start),
        None => Ok(joined),
    }
}

impl User {
    /// Takes a rule; a selector is one rule.
    pub(super) fn apply(&mut self, rule: &[u8], channels: NewChannels) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        if is("on") {
            self.enabled = true;
        } else if is("off") {
            self.enabled = false;
        } else if is("skip-sanitize-payload") {
            self.sanitize = Sanitize::Skip;
        } else if is("sanitize-payload") {
            self.sanitize = Sanitize::Check;
        } else if is("nopass") {
            self.set_no_password(true);
        } else if is("resetpass") {
            self.set_no_password(false);
        } else if is("clearselectors") {
            self.selectors.clear();
        } else if is("reset") {
            let name = std::mem::take(&mut self.name);
            *self =
                User { sanitize: Sanitize::Check, ..User::new(name, self.incarnation, channels) };
        } else {
            match rule {
                [] => {}
                [b'>', password @ ..] => self.add_password(PasswordHash::of(password)),
                [b'<', password @ ..] => self.remove_password(PasswordHash::of(password))?,
                [b'#', hash @ ..] => self.add_password(read_hash(hash)?),
                [b'!', hash @ ..] => self.remove_password(read_hash(hash)?)?,
                [b'(', inner @ .., b')'] => self.selectors.push(selector(inner, channels)?),
                rule => self.root.apply(rule)?,
            }
        }
        Ok(())
    }

    fn set_no_password(&mut self, none_needed: bool) {
        self.no_password = none_needed;
        self.passwords.clear();
    }

    fn add_password(&mut self, hash: PasswordHash) {
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
        self.no_password = false;
    }

    fn remove_password(&mut self, hash: PasswordHash) -> Result<(), RuleError> {
        let before = self.passwords.len();
        self.passwords.retain(|known| *known != hash);
        if self.passwords.len() == before { Err(RuleError::NoSuchPassword) } else { Ok(()) }
    }
}

fn read_hash(text: &[u8]) -> Result<PasswordHash, RuleError> {
    PasswordHash::from_hex(text).ok_or(RuleError::BadHash)
}

/// The selector between two parentheses. Redis makes one without any rules when a quote does not close; here that is an error.
fn selector(inner: &[u8], channels: NewChannels) -> Result<Selector, RuleError> {
    let mut selector = Selector::new(channels);
    for rule in split_args(inner).map_err(|_| RuleError::Syntax)? {
        selector.apply(&rule)?;
    }
    Ok(selector)
}
