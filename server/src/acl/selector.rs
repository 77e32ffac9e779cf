//! A selector: a set of commands with the keys and channels that they may name.

use std::collections::BTreeMap;

use bitflags::bitflags;
use ringstone_engine::cmd::KeyFlags;
use ringstone_engine::glob;

use super::NewChannels;
use super::commands::{Category, CommandSet};
use super::rules::RuleError;
use crate::table::{Entry, Table};

bitflags! {
    /// What may be done with keys.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Access: u8 {
        /// Their values may be read.
        const READ = 1;
        /// They may be changed.
        const WRITE = 2;
    }
}

impl Access {
    /// What a command needs that does this to a key. Asking whether a key is there, or how long it is, needs neither.
    pub fn needed(flags: KeyFlags) -> Access {
        let mut access = Access::empty();
        access.set(Access::READ, flags.contains(KeyFlags::ACCESS));
        let changes = KeyFlags::INSERT | KeyFlags::DELETE | KeyFlags::UPDATE;
        access.set(Access::WRITE, flags.intersects(changes));
        access
    }
}

/// Keys that a selector allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPattern {
    /// What may be done with them.
    pub access: Access,
    /// A glob pattern.
    pub pattern: Vec<u8>,
}

impl KeyPattern {
    /// As a rule: `~pattern`, `%R~pattern`, `%W~pattern`.
    pub fn rule(&self) -> Vec<u8> {
        let sign: &[u8] = if self.access == Access::READ {
            b"%R~"
        } else if self.access == Access::WRITE {
            b"%W~"
        } else {
            b"~"
        };
        [sign, &self.pattern].concat()
    }
}

/// A set of permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    pub(super) commands: CommandSet,
    /// Words that a command which is not allowed may have as its first argument, by the command's number.
    pub(super) first_args: BTreeMap<u16, Vec<Vec<u8>>>,
    pub(super) all_keys: bool,
    pub(super) keys: Vec<KeyPattern>,
    pub(super) all_channels: bool,
    pub(super) channels: Vec<Vec<u8>>,
}

impl Selector {
    /// A selector that allows nothing, save for channels as the configuration has it.
    pub(super) fn new(channels: NewChannels) -> Selector {
        Selector {
            commands: CommandSet::NONE,
            first_args: BTreeMap::new(),
            all_keys: false,
            keys: Vec::new(),
            all_channels: channels == NewChannels::All,
            channels: Vec::new(),
        }
    }

    /// True when it allows everything.
    pub(super) fn allows_everything(&self) -> bool {
        self.commands == CommandSet::ALL && self.all_keys && self.all_channels
    }

    /// Takes a rule.
    pub(super) fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        if is("allkeys") || rule == b"~*" {
            self.set_all_keys(true);
        } else if is("resetkeys") {
            self.set_all_keys(false);
        } else if is("allchannels") || rule == b"&*" {
            self.set_all_channels(true);
        } else if is("resetchannels") {
            self.set_all_channels(false);
        } else if is("allcommands") || is("+@all") {
            self.set_all_commands(CommandSet::ALL);
        } else if is("nocommands") || is("-@all") {
            self.set_all_commands(CommandSet::NONE);
        } else {
            match rule {
                [b'~', pattern @ ..] => self.allow_keys(Access::all(), pattern)?,
                [b'%', rest @ ..] => {
                    let (access, pattern) = split_access(rest)?;
                    self.allow_keys(access, pattern)?;
                }
                [b'&', pattern @ ..] => self.allow_channels(pattern)?,
                [sign @ (b'+' | b'-'), b'@', name @ ..] => {
                    let category = Category::find(name).ok_or(RuleError::UnknownCommand)?;
                    self.change(&category.reach, *sign == b'+');
                }
                [b'+', name @ ..] => self.allow_command(name)?,
                [b'-', name @ ..] => self.change(&CommandSet::of(command(name)?), false),
                _ => return Err(RuleError::Syntax),
            }
        }
        Ok(())
    }

    fn set_all_keys(&mut self, all: bool) {
        self.all_keys = all;
        self.keys.clear();
    }

    fn set_all_channels(&mut self, all: bool) {
        self.all_channels = all;
        self.channels.clear();
    }

    fn set_all_commands(&mut self, commands: CommandSet) {
        self.commands = commands;
        self.first_args.clear();
    }

    fn allow_keys(&mut self, access: Access, pattern: &[u8]) -> Result<(), RuleError> {
        if self.all_keys {
            return Err(RuleError::PatternAfterAllKeys);
        }
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        match self.keys.iter_mut().find(|known| known.pattern == pattern) {
            Some(known) => known.access |= access,
            None => self.keys.push(KeyPattern { access, pattern: pattern.to_vec() }),
        }
        Ok(())
    }

    fn allow_channels(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        if self.all_channels {
            return Err(RuleError::PatternAfterAllChannels);
        }
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        if !self.channels.iter().any(|known| known == pattern) {
            self.channels.push(pattern.to_vec());
        }
        Ok(())
    }

    /// `+command`, `+container|sub`, or `+command|word` for a command without subcommands.
    fn allow_command(&mut self, name: &[u8]) -> Result<(), RuleError> {
        let Some(bar) = name.iter().rposition(|byte| *byte == b'|') else {
            self.change(&CommandSet::of(command(name)?), true);
            return Ok(());
        };
        let (outer, word) = name.split_at(bar);
        let word = word.get(1..).unwrap_or_default();
        let entry = command(outer)?;
        if outer.contains(&b'|') {
            return Err(RuleError::WordOfSubcommand);
        }
        if word.is_empty() || has_spaces(word) {
            return Err(RuleError::Syntax);
        }
        if !entry.subs.is_empty() {
            self.change(&CommandSet::of(command(name)?), true);
            return Ok(());
        }
        // Where all words are allowed, and taking that back forgets the words, they say nothing.
        if self.commands.contains(entry) {
            return Ok(());
        }
        let words = self.first_args.entry(entry.id).or_default();
        if !words.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            words.push(word.to_vec());
        }
        Ok(())
    }

    /// Allows or denies commands; what was said about their first arguments is forgotten.
    fn change(&mut self, commands: &CommandSet, allow: bool) {
        self.commands.change(commands, allow);
        self.first_args.retain(|id, _| !commands.has_id(*id));
    }

    /// True when the command may run, whatever its keys. `word` is what its first argument is, after a subcommand.
    pub(super) fn allows_command(&self, entry: &Entry, word: Option<&[u8]>) -> bool {
        self.commands.contains(entry)
            || self.first_args.get(&entry.id).is_some_and(|words| {
                word.is_some_and(|word| words.iter().any(|w| w.eq_ignore_ascii_case(word)))
            })
    }

    /// True when a command may do this to a key.
    pub(super) fn allows_key(&self, key: &[u8], needed: Access) -> bool {
        let fits = |known: &KeyPattern| {
            known.access.contains(needed) && glob::matches(&known.pattern, key)
        };
        self.all_keys || self.keys.iter().any(fits)
    }

    /// True when a command may do this to any key at all.
    pub(super) fn allows_every_key(&self, needed: Access) -> bool {
        let fits = |known: &KeyPattern| known.access.contains(needed) && known.pattern == b"*";
        self.all_keys || self.keys.iter().any(fits)
    }

    /// True when the channel may be used. A pattern of channels must be allowed literally.
    pub(super) fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.all_channels || any_allows(self.channels.iter(), channel, is_pattern)
    }
}

/// True when one of the allowed patterns covers the channel, or is that pattern.
pub(super) fn any_allows<'a>(
    mut allowed: impl Iterator<Item = &'a Vec<u8>>,
    channel: &[u8],
    is_pattern: bool,
) -> bool {
    allowed.any(|known| if is_pattern { known == channel } else { glob::matches(known, channel) })
}

fn command(name: &[u8]) -> Result<&'static Entry, RuleError> {
    Table::get().find_full(name).ok_or(RuleError::UnknownCommand)
}

/// The access before a `~` and the pattern behind it.
fn split_access(rest: &[u8]) -> Result<(Access, &[u8]), RuleError> {
    let mut access = Access::empty();
    let mut at = rest;
    while let Some((letter, after)) = at.split_first() {
        at = after;
        match letter {
            b'r' | b'R' if !access.contains(Access::READ) => access |= Access::READ,
            b'w' | b'W' if !access.contains(Access::WRITE) => access |= Access::WRITE,
            b'~' => break,
            _ => return Err(RuleError::Syntax),
        }
    }
    if access.is_empty() { Err(RuleError::Syntax) } else { Ok((access, at)) }
}

/// Names and patterns have neither white space nor zero bytes, so that rules can be written down and read back.
pub(super) fn has_spaces(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b' ' | 0 | 9..=13))
}
