//! May a user run a command?

use ringstone_engine::Args;
use ringstone_engine::cmd::{Flags, KeyFlags};
use smallvec::SmallVec;

use super::channels;
use super::selector::{Access, Selector, any_allows};
use super::user::User;
use crate::keys::keys_with_flags;
use crate::table::Entry;

/// Why something was denied. In the order in which Redis prefers to tell of them when selectors disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The command.
    Command,
    /// A key.
    Key,
    /// A channel.
    Channel,
}

/// A command that a user may not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denied {
    /// Why.
    pub reason: Reason,
    /// The argument that is the key or the channel; 0 for the command.
    pub argument: usize,
}

impl Denied {
    /// What the client gets, code first.
    pub fn error(self, entry: &Entry) -> ringstone_engine::Error {
        use ringstone_engine::Error;
        match self.reason {
            Reason::Command => Error::owned(format!(
                "NOPERM this user has no permissions to run the '{}' command",
                entry.spec.name
            )),
            Reason::Key => Error::text(
                "NOPERM this user has no permissions to access one of the keys used as arguments",
            ),
            Reason::Channel => Error::text(
                "NOPERM this user has no permissions to access one of the channels used as arguments",
            ),
        }
    }

    /// What EXEC answers for a queued command that was allowed when it was queued, code first.
    pub fn error_in_exec(self) -> ringstone_engine::Error {
        let reason = match self.reason {
            Reason::Command => "no permission to execute the command or subcommand",
            Reason::Key => "no permission to touch the specified keys",
            Reason::Channel => "no permission to access one of the channels used as arguments",
        };
        ringstone_engine::Error::owned(format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is \
             no longer allowed for the following reason: {reason}"
        ))
    }

    /// What a script's call gets, code first.
    pub fn error_in_script(self) -> ringstone_engine::Error {
        let reason = match self.reason {
            Reason::Command => "can't run this command or subcommand",
            Reason::Key => {
                "can't access at least one of the keys mentioned in the command arguments"
            }
            Reason::Channel => "can't publish to the channel mentioned in the command",
        };
        ringstone_engine::Error::owned(format!("ERR The user executing the script {reason}"))
    }
}

/// Keys of a command with what it needs to do with them, found when first asked for.
type Keys = SmallVec<[(usize, Access); 4]>;

impl User {
    /// Whether it may run the command with these arguments. Costs one branch for a user that may do everything.
    #[inline]
    pub fn may(&self, entry: &Entry, args: Args<'_>) -> Result<(), Denied> {
        if self.unrestricted { Ok(()) } else { self.check(entry, args) }
    }

    fn check(&self, entry: &Entry, args: Args<'_>) -> Result<(), Denied> {
        let mut keys = None;
        let mut worst = Denied { reason: Reason::Command, argument: 0 };
        for selector in self.all_selectors() {
            match selector.check(entry, args, &mut keys) {
                Ok(()) => return Ok(()),
                Err(denied) => worst = worst.max(denied),
            }
        }
        Err(worst)
    }

    /// Whether it may run the command, and read any key there is besides: what SORT needs for BY and GET.
    pub fn may_read_every_key(&self, entry: &Entry, args: Args<'_>) -> bool {
        let mut keys = None;
        self.unrestricted
            || self.all_selectors().any(|selector| {
                selector.check(entry, args, &mut keys).is_ok()
                    && selector.allows_every_key(Access::READ)
            })
    }

    /// Whether it may stay subscribed after its rules were changed from those of `before`: nothing is looked at when
    /// no channel was taken away.
    pub fn keeps_subscribers_of(&self, before: &User) -> bool {
        if self.all_selectors().any(|selector| selector.all_channels) {
            return true;
        }
        let mut had = before.all_selectors();
        had.all(|selector| {
            !selector.all_channels && selector.channels.iter().all(|c| self.names_channel(c))
        })
    }

    fn names_channel(&self, pattern: &[u8]) -> bool {
        self.all_selectors().any(|selector| selector.channels.iter().any(|known| known == pattern))
    }

    /// Whether one of its selectors allows the channel, or just that pattern of channels.
    pub fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.all_selectors().any(|selector| {
            selector.all_channels || any_allows(selector.channels.iter(), channel, is_pattern)
        })
    }
}

impl Selector {
    fn check(&self, entry: &Entry, args: Args<'_>, keys: &mut Option<Keys>) -> Result<(), Denied> {
        if !entry.spec.flags.contains(Flags::NO_AUTH) && !self.allows_command(entry, args.get(1)) {
            return Err(Denied { reason: Reason::Command, argument: 0 });
        }
        if !self.all_keys && (!entry.spec.keys.is_empty() || entry.spec.more_keys.is_some()) {
            let keys = keys.get_or_insert_with(|| find_keys(entry, args));
            let denied = keys.iter().find(|(at, needed)| !self.allows_key(args.at(*at), *needed));
            if let Some((at, _)) = denied {
                return Err(Denied { reason: Reason::Key, argument: *at });
            }
        }
        if !self.all_channels
            && let Some((mut positions, are_patterns)) = channels::of(entry, args)
            && let Some(at) = positions.find(|at| !self.allows_channel(args.at(*at), are_patterns))
        {
            return Err(Denied { reason: Reason::Channel, argument: at });
        }
        Ok(())
    }
}

/// Arguments that give no keys (a count that does not fit) have none here either: the command itself refuses them.
fn find_keys(entry: &Entry, args: Args<'_>) -> Keys {
    let Ok(positions) = entry.spec.key_positions(args) else { return Keys::new() };
    let keys = keys_with_flags(entry.spec, args, &positions).into_iter();
    keys.filter(|(_, flags)| !flags.contains(KeyFlags::NOT_KEY))
        .map(|(at, flags)| (at, Access::needed(flags)))
        .collect()
}
