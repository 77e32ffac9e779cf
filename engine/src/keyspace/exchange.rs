//! Entries on loan: a transaction over several shards takes entries out, works on them in a keyspace of its own on another thread,
//! and brings them back.

use super::Keyspace;
use crate::raw::Entry;

impl Keyspace {
    /// Takes an entry out, expired or not, without effect or statistics; it keeps its expiry and access bits. A snapshot must not
    /// begin while it is out (both are transactions, so they do not overlap).
    pub fn checkout(&mut self, db: usize, key: &[u8]) -> Option<Entry> {
        let hash = self.hasher.hash(key);
        let place = self.dbs.get(db)?.table.locate(hash, key)?;
        self.secure(db, place);
        self.dbs.get_mut(db)?.table.remove(place)
    }
    /// Stores an entry, again without effect or statistics. One that is there under its key is replaced.
    pub fn checkin(&mut self, db: usize, entry: Entry) {
        if db >= self.databases {
            return;
        }
        if db >= self.dbs.len() {
            self.dbs.resize_with(db + 1, Default::default);
        }
        let hash = self.hasher.hash(entry.key());
        let Some(database) = self.dbs.get_mut(db) else { return };
        match database.table.locate(hash, entry.key()) {
            Some(place) => self.replace(db, place, entry),
            None => {
                let place = database.table.insert(&self.hasher, hash, entry);
                database.note_fields(&self.hasher, place);
            }
        }
    }
    /// Empties a keyspace of all entries, each with its database: what a transaction brings back.
    pub fn drain(&mut self, each: &mut dyn FnMut(usize, Entry)) {
        for (index, database) in self.dbs.iter_mut().enumerate() {
            let next = database.table.successor();
            let mut drain = std::mem::replace(&mut database.table, next).into_drain();
            while let Some(entry) = drain.pop() {
                each(index, entry);
            }
        }
    }
}
