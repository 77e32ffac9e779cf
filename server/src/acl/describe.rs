//! Users and selectors as rules again: what ACL LIST, ACL GETUSER, ACL SAVE and CONFIG REWRITE show.
//!
//! The commands of a selector are described by as few rules as Redis finds: from all or from nothing, the category that fits
//! best first, as long as one fits more than it misses; then single commands. Redis lists those in the order of a hash table;
//! here they are in the order of their names.

use super::commands::{Category, CommandSet};
use super::selector::{KeyPattern, Selector};
use super::user::User;
use crate::table::{Entry, Table};

impl User {
    /// Its rules in one line, without its name.
    pub fn describe(&self) -> Vec<u8> {
        let mut words: Vec<Vec<u8>> =
            self.flags().into_iter().map(|flag| flag.as_bytes().to_vec()).collect();
        words.extend(self.password_hashes().map(|hash| format!("#{hash}").into_bytes()));
        words.push(self.root.describe());
        words.extend(self.selectors.iter().map(|s| [b"(", &*s.describe(), b")"].concat()));
        words.join(&b' ')
    }

    /// Its line in a file: `user name rules`.
    pub fn line(&self) -> Vec<u8> {
        [b"user", &*self.name, &*self.describe()].join(&b' ')
    }
}

impl Selector {
    /// All of its rules.
    pub fn describe(&self) -> Vec<u8> {
        let mut words = self.key_rules();
        if !self.all_channels {
            words.push(b"resetchannels".to_vec());
        }
        words.extend(self.channel_rules());
        words.push(self.describe_commands());
        words.join(&b' ')
    }

    /// Its rules about keys.
    pub fn key_rules(&self) -> Vec<Vec<u8>> {
        if self.all_keys {
            return vec![b"~*".to_vec()];
        }
        // `~*` beside other patterns could not be read back.
        let rule = |known: &KeyPattern| match known.rule() {
            rule if rule == b"~*" && self.keys.len() > 1 => b"%RW~*".to_vec(),
            rule => rule,
        };
        self.keys.iter().map(rule).collect()
    }

    /// Its rules about channels.
    pub fn channel_rules(&self) -> Vec<Vec<u8>> {
        if self.all_channels {
            return vec![b"&*".to_vec()];
        }
        self.channels.iter().map(|pattern| [b"&", &**pattern].concat()).collect()
    }

    /// Its rules about commands.
    pub fn describe_commands(&self) -> Vec<u8> {
        let additive = !self.commands.has_future();
        let mut rules = Rules {
            words: vec![if additive { "-@all" } else { "+@all" }.into()],
            reached: if additive { CommandSet::NONE } else { CommandSet::ALL },
        };
        rules.add_categories(self, additive);
        for top in Table::get().sorted() {
            rules.add_command(self, top);
            top.subs.iter().for_each(|(_, sub)| rules.add_command(self, sub));
            rules.add_first_args(self, top);
        }
        rules.words.join(&b' ')
    }
}

/// Rules found so far and the commands that they allow.
struct Rules {
    words: Vec<Vec<u8>>,
    reached: CommandSet,
}

impl Rules {
    fn add_categories(&mut self, selector: &Selector, additive: bool) {
        let mut left = selector.commands;
        let mut unused: Vec<&Category> = Category::all().iter().collect();
        loop {
            let mut best: Option<(u32, u32, usize)> = None;
            for (at, category) in unused.iter().enumerate() {
                let (allowed, denied) = left.count(&category.members);
                let (same, differing) =
                    if additive { (allowed, denied) } else { (denied, allowed) };
                let better = best.is_none_or(|(least, most, _)| {
                    differing < least || (differing == least && same > most)
                });
                if same > differing && better {
                    best = Some((differing, same, at));
                }
            }
            let Some((.., at)) = best else { return };
            let category = unused.remove(at);
            let sign = if additive { '+' } else { '-' };
            self.words.push(format!("{sign}@{}", category.name).into_bytes());
            self.reached.change(&category.reach, additive);
            left.change(&category.reach, !additive);
        }
    }

    fn add_command(&mut self, selector: &Selector, entry: &Entry) {
        let allowed = selector.commands.contains(entry);
        if allowed != self.reached.contains(entry) {
            let sign = if allowed { '+' } else { '-' };
            self.words.push(format!("{sign}{}", entry.spec.name).into_bytes());
            self.reached.change(&CommandSet::of(entry), allowed);
        }
    }

    fn add_first_args(&mut self, selector: &Selector, entry: &Entry) {
        if selector.commands.contains(entry) {
            return;
        }
        for word in selector.first_args.get(&entry.id).into_iter().flatten() {
            let name = entry.spec.name.as_bytes();
            self.words.push([b"+", name, b"|", word].concat());
        }
    }
}
