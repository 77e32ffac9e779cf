//! All users.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::NewChannels;
use super::rules::{SetUserError, join_selectors};
use super::selector::has_spaces;
use super::source::text;
use super::user::User;

/// All users by name. There is always one called `default`.
#[derive(Clone, Debug)]
pub struct Users {
    by_name: BTreeMap<Vec<u8>, Arc<User>>,
    default: Arc<User>,
    /// The next user's incarnation.
    next: u64,
}

impl Users {
    /// The default user alone; with a password it has to be given.
    pub fn new(password: Option<&[u8]>) -> Users {
        let default = Arc::new(User::new_default(0));
        let by_name = BTreeMap::from([(default.name.clone(), default.clone())]);
        let mut users = Users { by_name, default, next: 1 };
        if password.is_some() {
            users.set_default_password(password);
        }
        users
    }

    /// The user that connections begin with.
    pub fn default(&self) -> &Arc<User> {
        &self.default
    }

    /// The user of this name.
    pub fn get(&self, name: &[u8]) -> Option<&Arc<User>> {
        self.by_name.get(name)
    }

    /// All users in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<User>> {
        self.by_name.values()
    }

    /// What became of a user: itself with its rules of now, or nothing if it was deleted.
    pub fn heir(&self, user: &User) -> Option<&Arc<User>> {
        self.get(&user.name).filter(|now| now.is_same_as(user))
    }

    /// True when a connection that has not authenticated may do next to nothing.
    pub fn must_authenticate(&self) -> bool {
        !self.default.is_open()
    }

    /// The user that logs in with this password, if it may.
    pub fn log_in(&self, name: &[u8], password: &[u8]) -> Option<&Arc<User>> {
        self.get(name).filter(|user| user.takes_password(password))
    }

    /// Makes or changes a user; on an error nothing has changed.
    pub fn set<'a>(
        &mut self,
        name: &[u8],
        rules: impl IntoIterator<Item = &'a [u8]>,
        channels: NewChannels,
    ) -> Result<(), SetUserError> {
        if has_spaces(name) {
            return Err(SetUserError::BadName);
        }
        let rules = join_selectors(rules).map_err(|open| SetUserError::Unmatched(text(open)))?;
        let mut user = match self.get(name) {
            Some(known) => User::clone(known),
            None => self.new_user(name, channels),
        };
        for rule in rules {
            user.apply(&rule, channels).map_err(|e| SetUserError::Rule(text(&rule), e))?;
        }
        self.insert(user);
        Ok(())
    }

    /// A user that is not among them yet.
    pub(super) fn new_user(&mut self, name: &[u8], channels: NewChannels) -> User {
        self.next += 1;
        User::new(name.to_vec(), self.next - 1, channels)
    }

    /// Adds the user, or puts it in its earlier self's place.
    pub(super) fn insert(&mut self, user: User) {
        let user = Arc::new(user.sealed());
        if user.name == self.default.name {
            self.default = user.clone();
        }
        self.by_name.insert(user.name.clone(), user);
    }

    /// Removes a user; false when there is none. The default user stays.
    pub fn delete(&mut self, name: &[u8]) -> bool {
        name != self.default.name && self.by_name.remove(name).is_some()
    }

    /// What `requirepass` says: the default user's only password, or that it needs none.
    pub fn set_default_password(&mut self, password: Option<&[u8]>) {
        let mut user = User::clone(&self.default);
        let rule = password.map_or(b"nopass".to_vec(), |password| [b">", password].concat());
        for rule in [b"resetpass".as_slice(), &rule] {
            // Neither rule is ever refused.
            let _fits = user.apply(rule, NewChannels::None);
        }
        self.insert(user);
    }

    /// These users instead of those before. Of those, only the default user is the same one.
    pub fn replaced_by(&self, loaded: Users) -> Users {
        let mut users = Users { next: self.next, ..Users::new(None) };
        for user in loaded.iter() {
            let mut user = User::clone(user);
            if user.name == self.default.name {
                user.incarnation = self.default.incarnation;
            } else {
                user.incarnation = users.next;
                users.next += 1;
            }
            users.insert(user);
        }
        users
    }

    /// True when there is nothing but the default user, as `requirepass` alone makes it.
    pub fn is_plain(&self, password: Option<&[u8]>) -> bool {
        let plain = Users::new(password);
        self.by_name.len() == 1 && self.default.describe() == plain.default.describe()
    }

    /// True when the same users may do the same, whichever way they were made.
    pub fn mean_the_same_as(&self, other: &Users) -> bool {
        self.by_name.len() == other.by_name.len()
            && self.iter().zip(other.iter()).all(|(one, other)| one.means_the_same_as(other))
    }

    /// All users as lines of a file, without line ends.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        self.iter().map(|user| user.line()).collect()
    }
}
