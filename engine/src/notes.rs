//! What a stream of commands for replicas has to know beside the records: which of them one command made and how a client
//! would say it, which are removals that nobody asked for, and where a unit ends.
//!
//! ```text
//!   records   DEL k1 │ INCRBY k2 1 │ SET a 1 │ SET b 2 │
//!   notes     lapse    words: INCR k2  end   words: MSET a 1 b 2  end
//! ```
//!
//! Invariant: notes stand in the order in which they were made, so that their places never fall. They are made only while
//! somebody wants them.

use crate::args::ArgBuf;

/// One note about the records of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where in the records' bytes it belongs.
    pub at: usize,
    /// What it says.
    pub what: What,
}

/// What a note says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The record that begins here removes what has lapsed: its time is up, or there is no room for it.
    Lapse,
    /// The records from `from` to here, lapses excepted, are told in these words. Without records it is told all the same.
    Words {
        /// Where the records begin.
        from: usize,
        /// Database index.
        db: u32,
        /// The command, its name among the words.
        words: ArgBuf,
    },
    /// What was done since the last such note is one unit.
    End,
}

/// The notes about one batch; none while nobody wants them.
#[derive(Debug, Default)]
pub(crate) struct Notes(Option<Vec<Note>>);

impl Notes {
    pub(crate) fn set_wanted(&mut self, wanted: bool) {
        if wanted != self.0.is_some() {
            self.0 = wanted.then(Vec::new);
        }
    }

    #[inline]
    pub(crate) fn are_wanted(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn list(&self) -> &[Note] {
        self.0.as_deref().unwrap_or_default()
    }

    #[inline]
    pub(crate) fn push(&mut self, at: usize, what: impl FnOnce() -> What) {
        if let Some(list) = &mut self.0 {
            list.push(Note { at, what: what() });
        }
    }

    pub(crate) fn end_unit(&mut self, at: usize) {
        let Some(list) = &mut self.0 else { return };
        let is_new = match list.last() {
            Some(Note { at: last, what: What::End }) => *last < at,
            Some(_) => true,
            None => at > 0,
        };
        if is_new {
            list.push(Note { at, what: What::End });
        }
    }

    /// Adds those of records that are appended behind `at`.
    pub(crate) fn append(&mut self, at: usize, other: &Notes) {
        let Some(list) = &mut self.0 else { return };
        list.extend(other.list().iter().cloned().map(|mut note| {
            note.at += at;
            if let What::Words { from, .. } = &mut note.what {
                *from += at;
            }
            note
        }));
    }

    /// Empty ones, as wanted as these.
    pub(crate) fn fresh(&self) -> Notes {
        Notes(self.0.as_ref().map(|_| Vec::new()))
    }

    pub(crate) fn clear(&mut self) {
        if let Some(list) = &mut self.0 {
            list.clear();
        }
    }
}
