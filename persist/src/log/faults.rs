//! Rules of the log that a simulator has broken on purpose, one at a time, to show that its checks notice.
//!
//! Invariant: without the crate's feature `faults` there is none: [`Faults`] is empty, asking costs nothing, and no server that
//! is shipped can have one.

/// A rule that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Frames count whatever their epoch.
    NoFence,
    /// Frames beyond a gap count.
    GapAccepted,
    /// Frames are replayed as they lie in the segments.
    ReplayOutOfOrder,
    /// A start accepts writes before the epoch that they belong to is durable in MANIFEST.
    EpochNotStored,
    /// Recovery does not make the tail durable before it closes the epoch.
    TailNotDurable,
    /// Recovery syncs the tail without writing it again, trusting a file whose sync had failed.
    TailNotRewritten,
    /// Recovery takes no frame from stage files.
    StagesIgnored,
    /// A stage file gets its name as a segment before what it holds is durable.
    StageAdoptedUnsynced,
    /// A stage is used again as soon as its group is on its way.
    StageFreedEarly,
    /// Frames' checksums do not depend on the segment.
    SeedWithoutSegment,
    /// A segment gets its name before its header is durable.
    SegmentNamedUnsynced,
    /// A write that ended early counts as done.
    ShortWriteAccepted,
    /// A write that failed counts as done.
    WriteErrorIgnored,
    /// What is under way to the disk counts as durable.
    DurableTooEarly,
    /// Segments are given up whatever they hold above the cut.
    RetiredTooMuch,
    /// MANIFEST says that older segments do not matter although they hold frames above the cut.
    FirstLiveTooHigh,
    /// Segments of earlier runs are used again at once.
    OldSegmentsReused,
    /// A file gets its final name before its bytes are durable.
    RenamedUnsynced,
    /// A file gets its final name although its sync failed.
    SyncErrorIgnored,
    /// The directory is not synced after a file got its final name.
    NameNotDurable,
    /// A reply leaves as soon as its batch is closed.
    ReleasedAtOnce,
    /// A read does not wait for the write that it saw.
    ReadsNotHeld,
    /// A transaction's other shards do not learn of its GSN.
    ForeignNotNoted,
}

/// The rule that is not kept, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    #[cfg(feature = "faults")]
    only: Option<Fault>,
}

impl Faults {
    /// All rules are kept.
    pub const NONE: Faults = Faults {
        #[cfg(feature = "faults")]
        only: None,
    };

    /// This one is not.
    #[cfg(feature = "faults")]
    pub fn only(fault: Option<Fault>) -> Faults {
        Faults { only: fault }
    }

    /// Whether this rule is broken.
    #[inline(always)]
    pub fn has(self, fault: Fault) -> bool {
        #[cfg(feature = "faults")]
        let has = self.only == Some(fault);
        #[cfg(not(feature = "faults"))]
        let has = {
            let _never = fault;
            false
        };
        has
    }
}

#[cfg(all(test, not(feature = "faults")))]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_carries_no_fault() {
        assert_eq!(size_of::<Faults>(), 0);
        assert!(!Faults::NONE.has(Fault::NoFence));
    }
}
