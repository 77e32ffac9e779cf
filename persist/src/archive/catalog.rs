//! Which instants an archive holds, from its objects' names alone, and which objects a restore of one takes.
//!
//! ```text
//!   names ──> by log ──> fences of epochs ──> frames that count, as spans of GSNs ──┬─> Instants (from a base, without a gap)
//!                                             bases that count ─────────────────────┘        └─ Target ─> Plan
//! ```
//!
//! Invariant: pure; nothing is read but names.

use std::collections::BTreeMap;

use super::error::ArchiveError;
use super::names::{BaseName, EpochName, FramesName, ObjectName};
use super::store::{Store, Stored};
use crate::log::LogId;

/// All logs in an archive.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// By log.
    pub logs: Vec<History>,
    /// Objects that are none of an archive.
    pub strangers: Vec<String>,
}

/// What an archive holds of one log.
#[derive(Clone, Debug)]
pub struct History {
    /// The log.
    pub log: LogId,
    /// Its epochs, by number.
    pub epochs: BTreeMap<u32, EpochName>,
    /// Bases by cut, with their length in bytes.
    pub bases: Vec<(BaseName, u64)>,
    /// Frames by first GSN, with their length in bytes.
    pub frames: Vec<(FramesName, u64)>,
}

/// Instants that can be restored: every GSN from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instants {
    /// The cut of the base that they begin with; 0: an empty log, without a base.
    pub first_gsn: u64,
    /// Its time, in milliseconds since 1970.
    pub first_ms: u64,
    /// The last GSN.
    pub last_gsn: u64,
    /// Its time.
    pub last_ms: u64,
}

/// Which instant is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The last one that is there.
    Latest,
    /// The state after this GSN.
    Gsn(u64),
    /// The state after the last GSN up to which no frame has a later wall clock, in milliseconds since 1970.
    Time(u64),
}

/// What a restore reads.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The log.
    pub log: LogId,
    /// The base to begin with, if not with nothing.
    pub base: Option<BaseName>,
    /// Objects with the frames behind it, and which of each count.
    pub pieces: Vec<Piece>,
    /// The last GSN that may be wanted.
    pub last_gsn: u64,
    /// Frames from the first one with a later wall clock on do not count.
    pub until_ms: Option<u64>,
}

/// An object of frames, or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The object.
    pub name: FramesName,
    /// The first GSN that counts.
    pub first_gsn: u64,
    /// The last one.
    pub last_gsn: u64,
}

impl Catalog {
    /// Reads the names of all objects.
    pub fn load(store: &dyn Store) -> Result<Self, ArchiveError> {
        let listed = store.list().map_err(|error| ArchiveError::io("list the archive", error))?;
        let mut catalog = Catalog::default();
        for Stored { name, bytes } in listed {
            match ObjectName::parse(&name) {
                Some((log, object)) => catalog.of(log).add(object, bytes),
                None => catalog.strangers.push(name),
            }
        }
        for history in &mut catalog.logs {
            history.bases.sort_unstable_by_key(|(base, _)| (base.cut_gsn, base.epoch));
            history.frames.sort_unstable_by_key(|(frames, _)| (frames.first_gsn, frames.epoch));
        }
        Ok(catalog)
    }

    fn of(&mut self, log: LogId) -> &mut History {
        let at = self.logs.iter().position(|history| history.log == log).unwrap_or_else(|| {
            self.logs.push(History::new(log));
            self.logs.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found, or pushed just now")]
        &mut self.logs[at]
    }

    /// What there is of one log; nothing at first.
    pub fn history(&self, log: LogId) -> History {
        let found = self.logs.iter().find(|history| history.log == log);
        found.cloned().unwrap_or_else(|| History::new(log))
    }
}

impl History {
    pub(super) fn new(log: LogId) -> Self {
        History { log, epochs: BTreeMap::new(), bases: Vec::new(), frames: Vec::new() }
    }

    pub(super) fn add(&mut self, object: ObjectName, bytes: u64) {
        match object {
            ObjectName::Epoch(epoch) => {
                self.epochs.insert(epoch.number, epoch);
            }
            ObjectName::Base(base) => self.bases.push((base, bytes)),
            ObjectName::Frames(frames) => self.frames.push((frames, bytes)),
        }
    }

    /// Bytes of all objects.
    pub fn bytes(&self) -> u64 {
        let bases = self.bases.iter().map(|(_, bytes)| bytes);
        bases.chain(self.frames.iter().map(|(_, bytes)| bytes)).sum()
    }

    /// Frames of `epoch` count below this GSN: where the next epoch begins, as it was noted, or as its first frames say.
    pub(super) fn fence(&self, epoch: u32) -> u64 {
        let noted = self.epochs.range(epoch.saturating_add(1)..).map(|(_, e)| e.first_gsn);
        let seen = self.frames.iter().filter(|(f, _)| f.epoch > epoch).map(|(f, _)| f.first_gsn);
        noted.chain(seen).min().unwrap_or(u64::MAX)
    }

    /// The frames that count, in order.
    pub fn spans(&self) -> Vec<Piece> {
        let mut fences: BTreeMap<u32, u64> = BTreeMap::new();
        let mut out: Vec<Piece> = Vec::new();
        for (name, _) in &self.frames {
            let fence = *fences.entry(name.epoch).or_insert_with(|| self.fence(name.epoch));
            let last_gsn = name.last_gsn.min(fence.saturating_sub(1));
            // What stands in two objects of an epoch is the same in both.
            let first_gsn = out.last().map_or(0, |before| before.last_gsn + 1).max(name.first_gsn);
            if first_gsn <= last_gsn {
                out.push(Piece { name: *name, first_gsn, last_gsn });
            }
        }
        out
    }

    /// The bases that count, by cut.
    pub fn valid_bases(&self) -> Vec<BaseName> {
        let valid = |base: &&(BaseName, u64)| base.0.cut_gsn < self.fence(base.0.epoch);
        self.bases.iter().filter(valid).map(|(base, _)| *base).collect()
    }

    /// The last GSN without a gap behind `gsn`, and its time; `gsn` itself where nothing follows.
    fn reach(spans: &[Piece], gsn: u64, time_ms: u64) -> (u64, u64) {
        let (from, mut gsn, mut time_ms) = (gsn, gsn, time_ms);
        for span in spans.iter().filter(|span| span.last_gsn > from) {
            if span.first_gsn > gsn + 1 {
                break;
            }
            (gsn, time_ms) = (span.last_gsn, span.name.last_ms);
        }
        (gsn, time_ms)
    }

    /// All instants, in order. Between two of the list there are some that are lost, or at which there was no log.
    pub fn instants(&self) -> Vec<Instants> {
        let spans = self.spans();
        let nothing = spans.first().filter(|span| span.first_gsn == 1);
        let starts = nothing.map(|span| (0, span.name.first_ms)).into_iter();
        let bases = self.valid_bases().into_iter().map(|base| (base.cut_gsn, base.time_ms));
        let mut out: Vec<Instants> = Vec::new();
        for (first_gsn, first_ms) in starts.chain(bases) {
            if out.last().is_some_and(|before| first_gsn <= before.last_gsn) {
                continue;
            }
            let (last_gsn, last_ms) = Self::reach(&spans, first_gsn, first_ms);
            out.push(Instants { first_gsn, first_ms, last_gsn, last_ms: last_ms.max(first_ms) });
        }
        out
    }

    /// What to read for `target`; `avoid` are bases that are damaged.
    pub fn plan(&self, target: Target, avoid: &[BaseName]) -> Result<Plan, ArchiveError> {
        let instants = self.instants();
        let no = |what: String| {
            let what = format!("{what}; {}", Self::describe(&instants));
            Err(ArchiveError::NotThere(what))
        };
        let spans = self.spans();
        let (last_gsn, until_ms) = match target {
            Target::Latest => match instants.last() {
                Some(last) => (last.last_gsn, None),
                None => return no("there is nothing to restore".to_owned()),
            },
            Target::Gsn(gsn) => (gsn, None),
            Target::Time(time_ms) => match Self::last_before(&instants, &spans, time_ms) {
                Some(gsn) => (gsn, Some(time_ms)),
                None => return no(format!("the state at {time_ms} ms is not in the archive")),
            },
        };
        if !instants.iter().any(|i| (i.first_gsn..=i.last_gsn).contains(&last_gsn)) {
            return no(format!("the state after GSN {last_gsn} is not in the archive"));
        }
        let reaches = |gsn, ms| Self::reach(&spans, gsn, ms).0 >= last_gsn;
        let usable = |base: &BaseName| {
            base.cut_gsn <= last_gsn
                && until_ms.is_none_or(|until| {
                    base.time_ms <= until || base.cut_gsn < self.exact(&spans, until)
                })
                && !avoid.contains(base)
                && reaches(base.cut_gsn, 0)
        };
        let base = self.valid_bases().into_iter().rev().find(usable);
        if base.is_none()
            && !(spans.first().is_some_and(|span| span.first_gsn == 1) && reaches(0, 0))
        {
            return no(format!("no base that is whole leads to GSN {last_gsn}"));
        }
        let from = base.map_or(0, |base| base.cut_gsn) + 1;
        let pieces =
            spans.iter().filter(|span| span.last_gsn >= from && span.first_gsn <= last_gsn);
        let pieces = pieces.map(|span| Piece {
            first_gsn: span.first_gsn.max(from),
            last_gsn: span.last_gsn.min(last_gsn),
            ..*span
        });
        Ok(Plan { log: self.log, base, pieces: pieces.collect(), last_gsn, until_ms })
    }

    /// A GSN up to which all certainly is before `time_ms`: where the object that is cut in two begins.
    fn exact(&self, spans: &[Piece], time_ms: u64) -> u64 {
        let later = spans.iter().find(|span| span.name.last_ms > time_ms);
        later.map_or(u64::MAX, |span| span.first_gsn)
    }

    /// An upper bound of the last GSN at `time_ms`, if what the archive holds tells that state.
    fn last_before(instants: &[Instants], spans: &[Piece], time_ms: u64) -> Option<u64> {
        let within = instants.iter().find(|i| (i.first_ms..=i.last_ms).contains(&time_ms))?;
        let (from, mut gsn) = (within.first_gsn, within.first_gsn);
        for span in spans.iter().filter(|s| s.last_gsn > from && s.last_gsn <= within.last_gsn) {
            if span.name.first_ms > time_ms {
                break;
            }
            gsn = span.last_gsn;
        }
        Some(gsn)
    }

    /// In words, for who asked for something else.
    pub fn describe(instants: &[Instants]) -> String {
        if instants.is_empty() {
            return "no instant can be restored".to_owned();
        }
        let one = |i: &Instants| {
            format!("GSN {} to {} (ms {} to {})", i.first_gsn, i.last_gsn, i.first_ms, i.last_ms)
        };
        let all: Vec<String> = instants.iter().map(one).collect();
        format!("what can be restored: {}", all.join(", "))
    }
}
