//! What becomes of the references of consumer groups to entries that are removed, as XDELEX, XACKDEL and trimming ask for it.
//!
//! Invariant: what is recorded are commands that Redis 7.0 has: XACK of what was forgotten, and then the removal.

use std::collections::BTreeMap;

use super::{xack, xdel};
use crate::args::Args;
use crate::error::Error;
use crate::keyspace::{Classes, Db};
use crate::num::parse_i64;
use crate::types::Stream;
use crate::types::stream::StreamId;

/// `KEEPREF | DELREF | ACKED`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum References {
    /// They stay.
    #[default]
    Keep,
    /// They go as well.
    Delete,
    /// An entry that a group still needs stays itself.
    Acked,
}

impl References {
    /// Reads the word at `at`, if it is one of these.
    pub(super) fn read(args: Args<'_>, at: usize) -> Option<References> {
        const WORDS: [(&str, References); 3] = [
            ("KEEPREF", References::Keep),
            ("DELREF", References::Delete),
            ("ACKED", References::Acked),
        ];
        WORDS.iter().find(|(word, _)| args.is(at, word)).map(|(_, references)| *references)
    }
}

/// Reads `[KEEPREF | DELREF | ACKED] IDS numids id [id ...]` from argument `at` on; the ids are not read yet.
pub(super) fn read_ids(args: Args<'_>, mut at: usize) -> Result<(References, Vec<&[u8]>), Error> {
    let (mut references, mut ids) = (None, None);
    while at < args.len() {
        if let Some(read) = References::read(args, at).filter(|_| references.is_none()) {
            references = Some(read);
            at += 1;
        } else if args.is(at, "IDS") && at + 1 < args.len() && ids.is_none() {
            let count = parse_i64(args.at(at + 1)).and_then(|count| usize::try_from(count).ok());
            let count = count
                .filter(|count| *count > 0)
                .ok_or(Error::text("ERR Number of IDs must be a positive integer"))?;
            if count > args.len() - at - 2 {
                return Err(Error::text(
                    "ERR The `numids` parameter must match the number of arguments",
                ));
            }
            ids = Some(args.iter_from(at + 2).take(count).collect());
            at += 2 + count;
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok((references.unwrap_or_default(), ids.ok_or(Error::Syntax)?))
}

/// How it ended for one id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    /// There is no such entry.
    Absent,
    /// It is gone.
    Gone,
    /// A group still needs it.
    Needed,
}

impl Removed {
    /// As the client is told.
    pub(super) fn code(self) -> i64 {
        match self {
            Removed::Absent => -1,
            Removed::Gone => 1,
            Removed::Needed => 2,
        }
    }
}

/// What was removed from a stream, to be recorded.
#[derive(Debug, Default)]
pub(super) struct Removal {
    /// Acknowledged, by group.
    forgotten: BTreeMap<Box<[u8]>, Vec<StreamId>>,
    entries: Vec<StreamId>,
}

impl Removal {
    /// Acknowledges an entry in one group; false when it was not pending there.
    pub(super) fn acknowledge(&mut self, stream: &mut Stream, group: &[u8], id: StreamId) -> bool {
        let known = stream.group_mut(group).is_some_and(|group| group.acknowledge(id));
        if known {
            self.forgotten.entry(group.into()).or_default().push(id);
        }
        known
    }

    /// Removes an entry.
    pub(super) fn remove(
        &mut self,
        stream: &mut Stream,
        id: StreamId,
        references: References,
    ) -> Removed {
        match references {
            References::Keep => {}
            References::Delete => self.forget(stream, id),
            References::Acked if stream.get(id).is_some() && stream.is_needed(id) => {
                return Removed::Needed;
            }
            References::Acked => {}
        }
        if !stream.remove(id) {
            return Removed::Absent;
        }
        self.entries.push(id);
        Removed::Gone
    }

    /// Acknowledges an entry in all groups.
    pub(super) fn forget(&mut self, stream: &mut Stream, id: StreamId) {
        let names: Vec<Box<[u8]>> = stream
            .groups()
            .iter()
            .filter(|(_, group)| group.pending().contains_key(&id))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.acknowledge(stream, &name, id);
        }
    }

    /// Records it, and tells of removed entries as of `event`.
    pub(super) fn record(&self, db: &mut Db<'_>, key: &[u8], event: &'static str) {
        for (group, ids) in &self.forgotten {
            record_ids(db, xack::XACK.spec.opcode, &[key, group], ids);
        }
        if !self.entries.is_empty() {
            record_ids(db, xdel::XDEL.spec.opcode, &[key], &self.entries);
            db.notify(Classes::STREAM, event, key);
        }
    }
}

/// A record holds no more ids than this.
const IDS_A_RECORD: usize = 1024;

fn record_ids(db: &mut Db<'_>, opcode: crate::effect::Opcode, head: &[&[u8]], ids: &[StreamId]) {
    for some in ids.chunks(IDS_A_RECORD) {
        let texts: Vec<String> = some.iter().map(ToString::to_string).collect();
        let args: Vec<&[u8]> =
            head.iter().copied().chain(texts.iter().map(|text| text.as_bytes())).collect();
        db.effect(opcode, &args);
    }
}
