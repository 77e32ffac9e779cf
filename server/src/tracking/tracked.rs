//! Which clients have read which keys of a shard.

use std::rc::Rc;

use smallvec::SmallVec;

use super::Client;
use crate::map::Map;

/// The readers of a key.
pub(super) type Readers = SmallVec<[Client; 1]>;

struct Noted {
    /// Its place in `names`.
    at: usize,
    readers: Readers,
}

/// The table: by key, and a list of the keys from which any one can be picked.
#[derive(Default)]
pub(super) struct Tracked {
    keys: Map<Rc<[u8]>, Noted>,
    names: Vec<Rc<[u8]>>,
    items: usize,
}

impl Tracked {
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Number of readers of all keys.
    pub(super) fn items(&self) -> usize {
        self.items
    }

    /// Notes a reader; true when the key is new.
    pub(super) fn add(&mut self, key: &[u8], client: Client) -> bool {
        let before = self.names.len();
        let noted = match self.keys.get_mut(key) {
            Some(noted) => noted,
            None => {
                let name: Rc<[u8]> = key.into();
                self.names.push(name.clone());
                let noted = Noted { at: self.names.len() - 1, readers: Readers::new() };
                self.keys.entry(name).or_insert(noted)
            }
        };
        if !noted.readers.contains(&client) {
            noted.readers.push(client);
            self.items += 1;
        }
        self.names.len() > before
    }

    /// Forgets a key; its readers.
    pub(super) fn take(&mut self, key: &[u8]) -> Option<Readers> {
        let noted = self.keys.remove(key)?;
        self.items -= noted.readers.len();
        self.names.swap_remove(noted.at);
        if let Some(moved) = self.names.get(noted.at)
            && let Some(moved) = self.keys.get_mut(moved)
        {
            moved.at = noted.at;
        }
        Some(noted.readers)
    }

    /// Forgets some key; its name and readers.
    pub(super) fn take_any(&mut self, random: u64) -> Option<(Rc<[u8]>, Readers)> {
        let at = random % u64::try_from(self.names.len()).ok().filter(|len| *len > 0)?;
        let name = self.names.get(usize::try_from(at).ok()?)?.clone();
        let readers = self.take(&name)?;
        Some((name, readers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::ConnId;

    fn client(id: u64) -> Client {
        Client { shard: 0, conn: ConnId { slot: 0, generation: 0 }, id }
    }

    #[test]
    fn readers_are_noted_once_and_forgotten_with_their_key() {
        let mut tracked = Tracked::default();
        for (key, id) in [("a", 1), ("b", 1), ("a", 2), ("a", 1), ("c", 3)] {
            tracked.add(key.as_bytes(), client(id));
        }
        assert_eq!((tracked.len(), tracked.items()), (3, 4));
        let readers = tracked.take(b"a").unwrap();
        assert_eq!(readers.iter().map(|c| c.id).collect::<Vec<_>>(), [1, 2]);
        assert!(tracked.take(b"a").is_none());
        assert_eq!((tracked.len(), tracked.items()), (2, 2));
        // The last key has moved to the first place: it is still found.
        assert_eq!(tracked.take(b"c").unwrap().len(), 1);
        assert_eq!(&*tracked.take_any(12345).unwrap().0, b"b");
        assert!(tracked.take_any(0).is_none() && tracked.is_empty());
    }
}
