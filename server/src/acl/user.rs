//! A user: who it is, how it authenticates, what it may do.

use super::NewChannels;
use super::password::PasswordHash;
use super::selector::Selector;

/// Whether the user's RESTORE payloads are to be checked. Ringstone checks every payload whatever this says; it is kept for
/// what describes users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sanitize {
    /// Nothing was said.
    Unsaid,
    /// They need not be.
    Skip,
    /// They are to be.
    Check,
}

/// A user. Once among shared [`super::Users`] it does not change any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: Vec<u8>,
    /// Tells it from another user of the same name, before or after it.
    pub(super) incarnation: u64,
    pub(super) enabled: bool,
    pub(super) no_password: bool,
    pub(super) sanitize: Sanitize,
    pub(super) passwords: Vec<PasswordHash>,
    pub(super) root: Selector,
    pub(super) selectors: Vec<Selector>,
    /// A selector allows everything: nothing has to be looked at.
    pub(super) unrestricted: bool,
}

impl User {
    /// A user as `ACL SETUSER name` makes it: it may neither log in nor do anything.
    pub(super) fn new(name: Vec<u8>, incarnation: u64, channels: NewChannels) -> User {
        User {
            name,
            incarnation,
            enabled: false,
            no_password: false,
            sanitize: Sanitize::Unsaid,
            passwords: Vec::new(),
            root: Selector::new(channels),
            selectors: Vec::new(),
            unrestricted: false,
        }
    }

    /// The user `default` as it is when nothing is configured.
    pub(super) fn new_default(incarnation: u64) -> User {
        let mut user = User::new(b"default".to_vec(), incarnation, NewChannels::All);
        for rule in ["+@all", "~*", "&*", "on", "nopass"] {
            // Rules of the table of words: they are never refused.
            let _fits = user.apply(rule.as_bytes(), NewChannels::All);
        }
        user.sealed()
    }

    /// The user with what follows from its rules.
    pub(super) fn sealed(mut self) -> User {
        let unrestricted = self.all_selectors().any(Selector::allows_everything);
        self.unrestricted = unrestricted;
        self
    }

    /// Its selectors, the root selector first.
    pub fn all_selectors(&self) -> impl Iterator<Item = &Selector> {
        std::iter::once(&self.root).chain(&self.selectors)
    }

    /// Its root selector, whose rules stand outside of parentheses.
    pub fn root(&self) -> &Selector {
        &self.root
    }

    /// Its further selectors.
    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// True when it may do everything, so that nothing has to be looked at.
    #[inline]
    pub fn is_unrestricted(&self) -> bool {
        self.unrestricted
    }

    /// True when it may log in.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// True when any password will do.
    pub fn needs_no_password(&self) -> bool {
        self.no_password
    }

    /// True when connections are this user's without being asked.
    pub fn is_open(&self) -> bool {
        self.enabled && self.no_password
    }

    /// True when it may log in with this password.
    pub fn takes_password(&self, password: &[u8]) -> bool {
        self.enabled && (self.no_password || PasswordHash::of(password).is_among(&self.passwords))
    }

    /// True when `other` is this user, before or after its rules were changed.
    pub fn is_same_as(&self, other: &User) -> bool {
        self.incarnation == other.incarnation
    }

    /// True when `other` has the same name and rules. Payloads are checked as long as nothing is said.
    pub(super) fn means_the_same_as(&self, other: &User) -> bool {
        let plain = |user: &User| User {
            incarnation: 0,
            sanitize: if user.sanitize == Sanitize::Skip {
                Sanitize::Skip
            } else {
                Sanitize::Check
            },
            ..user.clone()
        };
        plain(self).line() == plain(other).line()
    }

    /// Words for its flags, in Redis's order.
    pub fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.enabled { "on" } else { "off" }];
        flags.extend(self.no_password.then_some("nopass"));
        flags.extend(match self.sanitize {
            Sanitize::Unsaid => None,
            Sanitize::Skip => Some("skip-sanitize-payload"),
            Sanitize::Check => Some("sanitize-payload"),
        });
        flags
    }

    /// Its passwords' hashes in hexadecimal.
    pub fn password_hashes(&self) -> impl ExactSizeIterator<Item = String> {
        self.passwords.iter().map(|hash| hash.to_hex())
    }
}
