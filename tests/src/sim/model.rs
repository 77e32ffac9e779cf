//! What keys hold, as one number each: enough to tell any two states apart.
//!
//! Invariant: learnt from live keyspaces only, while they serve commands; never from what recovery or replay made.

use std::collections::HashMap;

use ringstone_engine::cmd::Scope;
use ringstone_engine::effect::Records;
use ringstone_engine::keyspace::Mode;
use ringstone_engine::types::ValueRef;
use ringstone_engine::{Args, Keyspace};

use super::commands::by_opcode;
use super::rng::mix;
use crate::generate::pair::{DATABASES, described};

/// Database and name.
pub type Key = (u8, Vec<u8>);

/// All keys of a state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model(pub HashMap<Key, u64>);

/// What a frame makes of the state before it.
#[derive(Clone, Debug)]
pub enum Changes {
    /// These keys hold this, or are gone.
    Keys(Vec<(Key, Option<u64>)>),
    /// Everything is as here.
    All(Model),
}

/// A value and its expiry in one number.
fn number_of(value: ValueRef<'_>, expire_at_ms: Option<i64>) -> u64 {
    let seed = expire_at_ms.map_or(1, |at| at as u64 ^ 0xe);
    let number = |bytes: &[u8]| {
        let mut eight = [0; 8];
        eight[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(eight)
    };
    match value {
        // Strings need no digest that minds no order.
        ValueRef::Int(int) => mix(int.to_string().bytes().fold(seed, |n, b| mix(n ^ u64::from(b)))),
        ValueRef::Bytes(bytes) if bytes.len() < 64 => {
            mix(bytes.iter().fold(seed, |n, b| mix(n ^ u64::from(*b))))
        }
        _ => described(value).chunks(8).fold(seed, |n, bytes| mix(n ^ number(bytes))),
    }
}

impl Model {
    /// Adds all keys of a keyspace.
    pub fn add(&mut self, keyspace: &mut Keyspace) {
        for index in 0..DATABASES {
            keyspace.db(index, 0, Mode::Replay).for_each(&mut |entry| {
                let number = number_of(entry.value(), entry.expire_at_ms());
                self.0.insert((index as u8, entry.key().to_vec()), number);
            });
        }
    }

    /// What these keyspaces hold together.
    pub fn of<'a>(keyspaces: impl IntoIterator<Item = &'a mut Keyspace>) -> Model {
        let mut model = Model::default();
        keyspaces.into_iter().for_each(|keyspace| model.add(keyspace));
        model
    }

    /// The state after a frame.
    pub fn apply(&mut self, changes: &Changes) {
        match changes {
            Changes::All(model) => *self = model.clone(),
            Changes::Keys(keys) => {
                for (key, number) in keys {
                    match number {
                        Some(number) => drop(self.0.insert(key.clone(), *number)),
                        None => drop(self.0.remove(key)),
                    }
                }
            }
        }
    }

    /// What tells this state from another.
    pub fn difference(&self, other: &Model) -> Option<String> {
        if self == other {
            return None;
        }
        let differs = |key: &&Key| self.0.get(*key) != other.0.get(*key);
        let mut keys: Vec<&Key> = self.0.keys().chain(other.0.keys()).filter(differs).collect();
        keys.sort_unstable();
        keys.dedup();
        let side = |model: &Model, key| match model.0.get(key) {
            Some(number) => format!("{number:x}"),
            None => "nothing".to_owned(),
        };
        let mut text = format!("{} keys differ:", keys.len());
        for key in keys.iter().take(4) {
            let name = key.1.escape_ascii();
            text += &format!(" {}/{name}: {} not {};", key.0, side(self, key), side(other, key));
        }
        Some(text)
    }
}

/// The keys that records name; `None` when they are about the whole keyspace.
pub fn keys_of(records: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut buf, mut spans, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    let mut records = Records::new(records);
    while let Some(record) = records.next_raw() {
        let record = record.expect("a record that was just written");
        let command = by_opcode(record.opcode).expect("a row for every opcode");
        if matches!(command.spec.scope, Scope::All(_)) {
            return None;
        }
        assert!(record.read_into(command.spec.name.as_bytes(), &mut buf, &mut spans));
        let args = Args::new(&buf, &spans);
        let positions = command.spec.key_positions(args).expect("keys of a record");
        keys.extend(positions.iter().map(|at| args.at(*at).to_vec()));
    }
    keys.sort_unstable();
    keys.dedup();
    Some(keys)
}

/// What these keys hold in a live keyspace.
pub fn changes_of(keys: &[Vec<u8>], keyspace: &mut Keyspace) -> Vec<(Key, Option<u64>)> {
    let mut out = Vec::with_capacity(keys.len() * DATABASES);
    for key in keys {
        for index in 0..DATABASES {
            let mut db = keyspace.db(index, 0, Mode::Replay);
            let number = db.peek(key).map(|entry| number_of(entry.value(), entry.expire_at_ms()));
            out.push(((index as u8, key.clone()), number));
        }
    }
    out
}
