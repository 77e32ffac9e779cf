//! What must be true after every recovery.
//!
//! ```text
//!   log:   settled (a state under a GSN) ─ frame ─ frame ─ frame ...        recovery ends at one of them, acknowledged ones in it
//!   bases: states under other GSNs that a new base may have begun            MANIFEST says which counts
//!   dumps: states that dump.rdb may hold                                     a start without a log finds one of them
//! ```
//!
//! Invariant: the oracle learns only from what the shards executed and acknowledged, never from what recovery says of itself.

use std::collections::{HashMap, HashSet};

use ringstone_persist::log::{FrameKind, SegmentId};

use super::model::{Changes, Model};

/// A rule that does not hold.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Violation(pub String);

/// A frame as it was pushed.
struct Pushed {
    kind: FrameKind,
    crc: u32,
    len: usize,
    changes: Changes,
    /// Of a transaction in several frames, which is a mutation: its number, and how many frames it has.
    part: Option<(u64, u8)>,
}

/// Where a frame was written.
pub struct Written {
    /// Offset of its header.
    pub offset: u64,
    /// Where it ends.
    pub end: u64,
    /// Its GSN.
    pub gsn: u64,
}

/// Whether `dump.rdb` is newer than a log that is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Superseded {
    /// MANIFEST must not say so.
    #[default]
    No,
    /// It may be on its way there.
    Perhaps,
    /// It must.
    Yes,
}

/// The memory of everything.
#[derive(Default)]
pub struct Oracle {
    /// The state at `settled_gsn`, from which the log goes on.
    settled: Model,
    settled_gsn: u64,
    /// By GSN, from `settled_gsn + 1` on.
    pushed: Vec<Option<Pushed>>,
    /// States under which a base may have begun the log anew.
    bases: HashMap<u64, Model>,
    /// States that `dump.rdb` may hold; none: there is no such file.
    dumps: Vec<Option<Model>>,
    /// As [`Superseded`] says.
    pub superseded: Superseded,
    /// Nothing is promised of what the log holds beyond `settled`: it is only beginning.
    pub is_beginning: bool,
    /// Acknowledged as durable: survives power loss.
    acknowledged_durable: u64,
    /// Acknowledged: survives `kill -9`.
    acknowledged: u64,
    /// Everything up to here was seen durable.
    synced: u64,
    /// Frames by the segment that they were handed to the kernel for.
    pub written: HashMap<SegmentId, Vec<Written>>,
    members: HashMap<SegmentId, HashSet<(u32, u64)>>,
}

fn fail<T>(text: String) -> Result<T, Violation> {
    Err(Violation(text))
}

impl Oracle {
    /// A frame is pushed.
    pub fn push(
        &mut self,
        gsn: u64,
        kind: FrameKind,
        records: &[u8],
        changes: Changes,
        part: Option<(u64, u8)>,
    ) {
        let at = (gsn - self.settled_gsn) as usize - 1;
        if self.pushed.len() <= at {
            self.pushed.resize_with(at + 1, || None);
        }
        let crc = crc32fast::hash(records);
        self.pushed[at] = Some(Pushed { kind, crc, len: records.len(), changes, part });
    }

    /// A frame is handed to the kernel; false when it was already.
    pub fn write(&mut self, segment: SegmentId, epoch: u32, written: Written) -> bool {
        let is_new = self.members.entry(segment).or_default().insert((epoch, written.gsn));
        if is_new {
            self.written.entry(segment).or_default().push(written);
        }
        is_new
    }

    /// A block that frames need is handed to the kernel.
    pub fn write_header(&mut self, segment: SegmentId, written: Written) {
        self.written.entry(segment).or_default().push(written);
    }

    /// A segment's file begins anew.
    pub fn prepare(&mut self, segment: SegmentId) {
        self.members.remove(&segment);
        self.written.remove(&segment);
    }

    /// A reply leaves that saw all up to this GSN.
    pub fn acknowledge(&mut self, gsn: u64, durable: bool) {
        if self.is_beginning {
            return;
        }
        self.acknowledged = self.acknowledged.max(gsn);
        if durable {
            self.acknowledged_durable = self.acknowledged_durable.max(gsn);
        }
    }

    /// All up to this GSN was seen durable.
    pub fn note_synced(&mut self, gsn: u64) {
        if !self.is_beginning {
            self.synced = self.synced.max(gsn);
        }
    }

    /// A base with this state may begin the log anew.
    pub fn may_begin_with(&mut self, cut_gsn: u64, model: Model) {
        self.bases.insert(cut_gsn, model);
    }

    /// `dump.rdb` may hold this from now on.
    pub fn may_dump(&mut self, model: &Model) {
        if self.dumps.is_empty() {
            self.dumps.push(None);
        }
        self.dumps.push(Some(model.clone()));
    }

    /// It holds the last of what it might.
    pub fn dumped(&mut self) {
        self.dumps = self.dumps.pop().into_iter().collect();
    }

    /// A start found this in `dump.rdb`.
    pub fn check_dump(&mut self, found: Option<&Model>) -> Result<(), Violation> {
        if self.dumps.is_empty() {
            self.dumps.push(None);
        }
        if !self.dumps.iter().any(|dump| dump.as_ref() == found) {
            let first = self.dumps.iter().flatten().next_back().cloned().unwrap_or_default();
            let difference = found.and_then(|found| found.difference(&first));
            return fail(format!(
                "dump.rdb holds what was never saved: {}",
                difference.unwrap_or_else(|| format!("{} instead", found.is_some()))
            ));
        }
        // What was found may be in the page cache only: it stays one of several until a save succeeds.
        Ok(())
    }

    /// Checks that a frame which recovery found valid was written there.
    pub fn check_frame(&self, segment: SegmentId, epoch: u32, gsn: u64) -> Result<(), Violation> {
        if self.members.get(&segment).is_some_and(|m| m.contains(&(epoch, gsn))) {
            return Ok(());
        }
        fail(format!("{segment} shows a frame of epoch {epoch}, GSN {gsn} never written to it"))
    }

    /// MANIFEST names a base with this cut: should it begin the log anew, so does the oracle's.
    pub fn take_base(&mut self, cut_gsn: u64) {
        let Some(model) = self.bases.remove(&cut_gsn) else { return };
        let passed = (cut_gsn.saturating_sub(self.settled_gsn) as usize).min(self.pushed.len());
        self.pushed.drain(..passed);
        (self.settled, self.settled_gsn) = (model, cut_gsn);
        self.bases.clear();
        self.is_beginning = false;
        self.superseded = Superseded::No;
    }

    /// Checks that what must be there is there: recovery ended at `gsn`.
    pub fn check_end(&self, gsn: u64, power: bool) -> Result<(), Violation> {
        let kept = if power { 0 } else { self.acknowledged };
        let needed = kept.max(self.acknowledged_durable).max(self.synced);
        if gsn < needed {
            let what = if power { "power loss" } else { "kill" };
            return fail(format!("after {what} the prefix ends at {gsn}, below {needed}"));
        }
        if gsn < self.settled_gsn || gsn > self.settled_gsn + self.pushed.len() as u64 {
            return fail(format!("the prefix ends at {gsn}, which was never pushed"));
        }
        Ok(())
    }

    fn at(&self, gsn: u64) -> Option<&Pushed> {
        self.pushed.get(gsn.checked_sub(self.settled_gsn + 1)? as usize)?.as_ref()
    }

    /// Checks a frame that is replayed. Those below what is settled were checked before.
    pub fn check_replayed(
        &self,
        gsn: u64,
        kind: FrameKind,
        records: &[u8],
    ) -> Result<(), Violation> {
        let same = |p: &Pushed| {
            p.kind == kind && p.len == records.len() && p.crc == crc32fast::hash(records)
        };
        if gsn <= self.settled_gsn || self.at(gsn).is_some_and(same) {
            return Ok(());
        }
        fail(format!("the frame of GSN {gsn} is not the one that was pushed"))
    }

    /// The state after a GSN, as the live keyspaces had it.
    pub fn state_at(&self, gsn: u64) -> Model {
        let mut model = self.settled.clone();
        for frame in (self.settled_gsn + 1..=gsn).filter_map(|gsn| self.at(gsn)) {
            model.apply(&frame.changes);
        }
        model
    }

    /// Checks the oracle's own picture: at a cut the live keyspaces are what the frames up to there make.
    pub fn check_live(&self, gsn: u64, live: &Model) -> Result<(), Violation> {
        match live.difference(&self.state_at(gsn)) {
            Some(difference) => fail(format!("live at the cut under GSN {gsn} {difference}")),
            None => Ok(()),
        }
    }

    /// Checks that recovery found what was there after `gsn`, transactions whole.
    pub fn check_state(&self, gsn: u64, found: &Model) -> Result<(), Violation> {
        if let Some(difference) = found.difference(&self.state_at(gsn)) {
            return fail(format!("at GSN {gsn} {difference}"));
        }
        let mut parts: HashMap<u64, (u8, u8)> = HashMap::new();
        let frames = (self.settled_gsn + 1..=gsn).filter_map(|gsn| self.at(gsn));
        for (number, all) in frames.filter_map(|frame| frame.part) {
            parts.entry(number).or_insert((all, 0)).1 += 1;
        }
        match parts.iter().find(|(_, (all, found))| all != found) {
            Some((number, (all, found))) => {
                fail(format!("transaction {number}: {found} of {all} parts recovered"))
            }
            None => Ok(()),
        }
    }

    /// The recovered prefix is the past from now on.
    pub fn settle(&mut self, gsn: u64) {
        self.settled = self.state_at(gsn);
        self.settled_gsn = gsn;
        self.pushed.clear();
        // MANIFEST names none of them, durably, and a rewrite may come to the same number.
        self.bases.clear();
        self.is_beginning = false;
        self.acknowledged = self.acknowledged.min(gsn);
        self.acknowledged_durable = self.acknowledged_durable.min(gsn);
        // Recovery made everything that it found durable.
        self.synced = gsn;
    }

    /// The last GSN that was settled.
    pub fn settled_gsn(&self) -> u64 {
        self.settled_gsn
    }

    /// The state that the last start found.
    pub fn settled(&self) -> &Model {
        &self.settled
    }
}
