//! Keyspace events: what happened to which key, for those who want to be told (`notify-keyspace-events`).
//!
//! Commands announce events under the names that Redis gives them, in Redis's order; whoever runs the commands takes them out and
//! publishes them.
//!
//! Invariant: while a class is not wanted, announcing one of its events costs a branch and allocates nothing.

use super::{Db, Mode};

bitflags::bitflags! {
    /// Classes of events, with the numbers that Redis has for them.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Classes: u16 {
        /// `K`: publish under the key's name.
        const KEYSPACE = 1;
        /// `E`: publish under the event's name.
        const KEYEVENT = 1 << 1;
        /// `g`: events of any type of value (DEL, EXPIRE, RENAME).
        const GENERIC = 1 << 2;
        /// `$`
        const STRING = 1 << 3;
        /// `l`
        const LIST = 1 << 4;
        /// `s`
        const SET = 1 << 5;
        /// `h`
        const HASH = 1 << 6;
        /// `z`
        const ZSET = 1 << 7;
        /// `x`: a key's time was up.
        const EXPIRED = 1 << 8;
        /// `e`: a key had to go for lack of memory.
        const EVICTED = 1 << 9;
        /// `t`
        const STREAM = 1 << 10;
        /// `m`: a key that was read is not there.
        const KEY_MISS = 1 << 11;
        /// `d`: events of modules, of which there are none.
        const MODULE = 1 << 13;
        /// `n`: a key is new.
        const NEW = 1 << 14;
        /// `A`: all but misses and new keys.
        const ALL = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 13;
    }
}

/// The letters, in the order in which Redis writes them.
const LETTERS: [(u8, Classes); 15] = [
    (b'A', Classes::ALL),
    (b'g', Classes::GENERIC),
    (b'$', Classes::STRING),
    (b'l', Classes::LIST),
    (b's', Classes::SET),
    (b'h', Classes::HASH),
    (b'z', Classes::ZSET),
    (b'x', Classes::EXPIRED),
    (b'e', Classes::EVICTED),
    (b't', Classes::STREAM),
    (b'd', Classes::MODULE),
    (b'n', Classes::NEW),
    (b'K', Classes::KEYSPACE),
    (b'E', Classes::KEYEVENT),
    (b'm', Classes::KEY_MISS),
];

impl Classes {
    /// Reads letters; nothing when one of them stands for no class.
    pub fn parse(letters: &[u8]) -> Option<Classes> {
        let class = |letter: &u8| LETTERS.iter().find(|(known, _)| known == letter);
        letters
            .iter()
            .try_fold(Classes::empty(), |classes, letter| Some(classes | class(letter)?.1))
    }

    /// The letters, as CONFIG GET shows them. Beside `A`, Redis does not say `n`.
    pub fn letters(self) -> String {
        let all = self.contains(Classes::ALL);
        let shown = |class: Classes| {
            let within_all = Classes::ALL | Classes::NEW;
            self.contains(class) && !(all && class != Classes::ALL && within_all.contains(class))
        };
        LETTERS
            .iter()
            .filter(|(_, class)| shown(*class))
            .map(|(letter, _)| *letter as char)
            .collect()
    }
}

/// Something that happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key's database.
    pub db: usize,
    /// What happened.
    pub name: &'static str,
    /// The key.
    pub key: Box<[u8]>,
}

/// Events that were not taken out yet.
#[derive(Debug, Default)]
pub struct Events {
    wanted: Classes,
    happened: Vec<Event>,
}

impl Events {
    /// Which classes are wanted. Without `K` and `E` nobody would learn of them, so that none is.
    pub fn set_wanted(&mut self, classes: Classes) {
        let published = classes.intersects(Classes::KEYSPACE | Classes::KEYEVENT);
        self.wanted = if published { classes } else { Classes::empty() };
    }

    /// Which classes are wanted.
    pub fn wanted(&self) -> Classes {
        self.wanted
    }

    /// True when nothing happened since [`Events::take`].
    pub fn is_empty(&self) -> bool {
        self.happened.is_empty()
    }

    /// Takes out what happened, in its order.
    pub fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.happened)
    }

    /// Announces an event of a key of database `db`.
    #[inline]
    pub fn push(&mut self, class: Classes, name: &'static str, db: usize, key: &[u8]) {
        if self.wanted.intersects(class) {
            self.add(name, db, key);
        }
    }

    #[cold]
    fn add(&mut self, name: &'static str, db: usize, key: &[u8]) {
        self.happened.push(Event { db, name, key: key.into() });
    }
}

impl Db<'_> {
    /// Announces an event of `key`.
    #[inline]
    pub fn notify(&mut self, class: Classes, name: &'static str, key: &[u8]) {
        if self.mode != Mode::Replay {
            self.ks.events.push(class, name, self.index, key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_read_and_written_as_redis_does() {
        for (given, shown) in [
            ("", ""),
            ("KEA", "AKE"),
            ("AKEmn", "AKEm"),
            ("Kg$n", "g$nK"),
            ("g$lshzxetd", "A"),
            ("g$lshzxet", "g$lshzxet"),
            ("mKEKE", "KEm"),
        ] {
            assert_eq!(Classes::parse(given.as_bytes()).unwrap().letters(), shown, "{given}");
        }
        assert_eq!(Classes::parse(b"KEq"), None);
        assert_eq!(Classes::parse(b"ke"), None);
    }

    #[test]
    fn only_what_is_wanted_is_kept() {
        let mut events = Events::default();
        events.push(Classes::STRING, "set", 0, b"a");
        events.set_wanted(Classes::STRING);
        events.push(Classes::STRING, "set", 0, b"b");
        assert!(events.is_empty(), "nobody would hear of it");
        events.set_wanted(Classes::STRING | Classes::KEYEVENT);
        events.push(Classes::STRING, "set", 3, b"c");
        events.push(Classes::GENERIC, "del", 3, b"c");
        assert_eq!(events.take(), [Event { db: 3, name: "set", key: b"c"[..].into() }]);
        assert!(events.is_empty());
    }
}
