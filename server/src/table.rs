//! All commands by name: those of the engine and those of the server, made once from their rows.

mod name;

use std::sync::OnceLock;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ringstone_engine::Args;
use ringstone_engine::cmd::{self, Begin, Find, Spec};
use ringstone_engine::effect::Opcode;

use crate::cmd::HostCommand;
use name::PackedName;

/// What runs a command.
#[derive(Clone, Copy)]
pub enum Run {
    /// The engine: it acts on keys.
    Data(cmd::Run),
    /// The server: it acts on the connection or the process.
    Host(crate::cmd::Run),
}

/// A command as the server sees it.
pub struct Entry {
    /// Its row.
    pub spec: &'static Spec,
    /// Its code.
    pub run: Run,
    /// Where its only key is, if it has exactly one and always at the same place.
    pub one_key: Option<usize>,
    /// Subcommands, by lower-case name.
    pub subs: Vec<(&'static str, Entry)>,
    /// Its number among all commands and subcommands, sorted by name; of use within this process only.
    pub id: u16,
}

impl Entry {
    fn data(command: &'static cmd::Command) -> Entry {
        let subs = command.subs.iter().map(|sub| (sub_name(&sub.spec), Entry::data(sub))).collect();
        Entry {
            spec: &command.spec,
            run: Run::Data(command.run),
            one_key: one_key(&command.spec),
            subs,
            id: 0,
        }
    }

    fn host(command: &'static HostCommand) -> Entry {
        let subs = command.subs.iter().map(|sub| (sub_name(&sub.spec), Entry::host(sub))).collect();
        Entry { spec: &command.spec, run: Run::Host(command.run), one_key: None, subs, id: 0 }
    }

    /// The subcommand that `args[1]` names.
    pub fn sub(&self, args: Args<'_>) -> Option<&Entry> {
        self.sub_named(args.get(1)?)
    }

    /// The subcommand of this name, in any case.
    pub fn sub_named(&self, name: &[u8]) -> Option<&Entry> {
        self.subs
            .iter()
            .find(|(sub, _)| name.eq_ignore_ascii_case(sub.as_bytes()))
            .map(|(_, entry)| entry)
    }
}

fn sub_name(spec: &'static Spec) -> &'static str {
    spec.name.split_once('|').map_or(spec.name, |(_, sub)| sub)
}

fn one_key(spec: &Spec) -> Option<usize> {
    match spec.keys {
        [key] => match (key.begin, key.find) {
            (Begin::Index(at), Find::Range(0, 1, 0)) => usize::try_from(at).ok(),
            _ => None,
        },
        _ => None,
    }
}

fn number(by_name: &mut HashMap<PackedName, Entry, RandomState>) {
    let mut tops: Vec<&mut Entry> = by_name.values_mut().collect();
    tops.sort_unstable_by_key(|entry| entry.spec.name);
    let mut next = 0;
    let mut take = || {
        next += 1;
        next - 1
    };
    for top in tops {
        top.id = take();
        top.subs.iter_mut().for_each(|(_, sub)| sub.id = take());
    }
}

/// The table.
pub struct Table {
    by_name: HashMap<PackedName, Entry, RandomState>,
    by_opcode: HashMap<Opcode, &'static cmd::Command, RandomState>,
}

impl Table {
    /// The process's table.
    pub fn get() -> &'static Table {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| {
            let data = cmd::all().map(Entry::data);
            let host = crate::cmd::all().map(Entry::host);
            let mut by_opcode = HashMap::default();
            for command in cmd::all().flat_map(|c| std::iter::once(c).chain(c.subs.iter().copied()))
            {
                if command.spec.opcode != 0 {
                    by_opcode.insert(command.spec.opcode, command);
                }
            }
            let named = |entry: Entry| {
                PackedName::new(entry.spec.name.as_bytes()).map(|name| (name, entry))
            };
            let mut by_name: HashMap<PackedName, Entry, RandomState> =
                data.filter_map(named).collect();
            for (name, entry) in host.filter_map(named) {
                match by_name.get_mut(&name) {
                    // A container of the engine, some of whose subcommands are the server's.
                    Some(known) => known.subs.extend(entry.subs),
                    None => drop(by_name.insert(name, entry)),
                }
            }
            number(&mut by_name);
            Table { by_name, by_opcode }
        })
    }

    /// The command of this name, in any case.
    pub fn find(&self, name: &[u8]) -> Option<&Entry> {
        self.by_name.get(&PackedName::new(name)?)
    }

    /// The command of this full name, `command` or `container|sub`, in any case.
    pub fn find_full(&self, name: &[u8]) -> Option<&Entry> {
        let mut parts = name.splitn(2, |byte| *byte == b'|');
        let top = self.find(parts.next()?)?;
        match parts.next() {
            None => Some(top),
            Some(sub) => top.sub_named(sub),
        }
    }

    /// The command that a logged opcode stands for.
    pub fn by_opcode(&self, opcode: Opcode) -> Option<&'static cmd::Command> {
        self.by_opcode.get(&opcode).copied()
    }

    /// All commands, sorted by name.
    pub fn sorted(&self) -> Vec<&Entry> {
        let mut all: Vec<_> = self.by_name.values().collect();
        all.sort_unstable_by_key(|entry| entry.spec.name);
        all
    }

    /// All commands and subcommands, in the order of their ids.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.sorted()
            .into_iter()
            .flat_map(|top| std::iter::once(top).chain(top.subs.iter().map(|(_, sub)| sub)))
    }

    /// Number of commands.
    pub fn command_count(&self) -> usize {
        self.by_name.len()
    }
}
