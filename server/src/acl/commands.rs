//! Sets of commands: a bit for each command and subcommand of the table, and the categories as such sets.

use std::sync::OnceLock;

use ringstone_engine::cmd::CATEGORIES;

use crate::table::{Entry, Table};

const WORDS: usize = 16;
/// A bit that no command has: set by `+@all` only, it says that commands to come are allowed as well.
const FUTURE: usize = WORDS * 64 - 1;

/// A set of commands and subcommands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandSet([u64; WORDS]);

impl CommandSet {
    /// No command.
    pub const NONE: CommandSet = CommandSet([0; WORDS]);
    /// All commands, those to come included.
    pub const ALL: CommandSet = CommandSet([u64::MAX; WORDS]);

    /// The command with its subcommands.
    pub fn of(entry: &Entry) -> CommandSet {
        let mut set = CommandSet::NONE;
        set.set(usize::from(entry.id));
        entry.subs.iter().for_each(|(_, sub)| set.set(usize::from(sub.id)));
        set
    }

    fn set(&mut self, bit: usize) {
        if let Some(word) = self.0.get_mut(bit / 64) {
            *word |= 1 << (bit % 64);
        }
    }

    pub(super) fn has_id(&self, id: u16) -> bool {
        self.has(usize::from(id))
    }

    fn has(&self, bit: usize) -> bool {
        self.0.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// True when the command itself is in it.
    pub fn contains(&self, entry: &Entry) -> bool {
        self.has(usize::from(entry.id))
    }

    /// True when commands to come are in it.
    pub fn has_future(&self) -> bool {
        self.has(FUTURE)
    }

    /// Adds or takes out all of `other`.
    pub fn change(&mut self, other: &CommandSet, add: bool) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word = if add { *word | other } else { *word & !other };
        }
    }

    /// How many commands of `other` are in it, and how many are not.
    pub fn count(&self, other: &CommandSet) -> (u32, u32) {
        let pairs = self.0.iter().zip(other.0);
        pairs.fold((0, 0), |(inside, outside), (word, other)| {
            (inside + (word & other).count_ones(), outside + (!word & other).count_ones())
        })
    }
}

/// A category.
pub(super) struct Category {
    /// Its name, without the `@`.
    pub(super) name: &'static str,
    /// Commands and subcommands that are in it.
    pub(super) members: CommandSet,
    /// What a rule about it changes: its members, and the subcommands of those.
    pub(super) reach: CommandSet,
}

impl Category {
    /// All categories, in Redis's order.
    pub(super) fn all() -> &'static [Category] {
        static ALL: OnceLock<Vec<Category>> = OnceLock::new();
        ALL.get_or_init(|| CATEGORIES.iter().map(|name| Category::of(name)).collect())
    }

    fn of(marked: &'static str) -> Category {
        let (mut members, mut reach) = (CommandSet::NONE, CommandSet::NONE);
        for entry in everything() {
            if entry.spec.acl_categories().contains(&marked) {
                members.set(usize::from(entry.id));
                reach.change(&CommandSet::of(entry), true);
            }
        }
        Category { name: marked.trim_start_matches('@'), members, reach }
    }

    /// The category of this name, in any case.
    pub(super) fn find(name: &[u8]) -> Option<&'static Category> {
        Category::all().iter().find(|known| name.eq_ignore_ascii_case(known.name.as_bytes()))
    }
}

/// All commands with their subcommands, in the order of their names.
fn everything() -> impl Iterator<Item = &'static Entry> {
    let with_subs =
        |top: &'static Entry| std::iter::once(top).chain(top.subs.iter().map(|(_, sub)| sub));
    Table::get().sorted().into_iter().flat_map(with_subs)
}

/// Names of the commands and subcommands in a category, in order; `None` when there is no such category.
pub fn in_category(name: &[u8]) -> Option<Vec<&'static str>> {
    let category = Category::find(name)?;
    let members = everything().filter(|entry| category.members.contains(entry));
    Some(members.map(|entry| entry.spec.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_bit_of_its_own() {
        let ids: Vec<u16> = everything().map(|entry| entry.id).collect();
        assert!(ids.iter().copied().eq(0..u16::try_from(ids.len()).unwrap()));
        assert!(ids.len() < FUTURE, "there is room for {FUTURE} commands");
    }
}
