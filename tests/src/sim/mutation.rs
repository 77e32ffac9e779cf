//! Rules broken on purpose, one at a time, to show that the oracle notices.
//!
//! Most are [`Fault`]s of persist's own code. The others are rules of whoever drives it, and so of the simulator's shards.

use ringstone_persist::log::Fault;

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Persist breaks it.
    Persist(Fault),
    /// Replies leave when the shard's own frames are safe, whatever other shards miss.
    AckLocal,
    /// A transaction is one frame a participant.
    TxSplit,
    /// A transaction's participants do not close their batch first.
    TxNoClose,
    /// A transaction's keys go home before it has its GSN.
    TxKeysHomeEarly,
    /// A cut's participants do not close their batch first.
    CutNoClose,
    /// Segments are used again before the MANIFEST that no longer needs them is durable.
    RetireBeforeManifest,
    /// The old base is removed before the MANIFEST that names the new one is durable.
    BaseRemovedEarly,
    /// CONFIG SET appendonly yes answers before MANIFEST names the base.
    OkBeforeBase,
    /// What a snapshot has still to save of a value is not saved when the value changes.
    PreImageLost,
    /// Directories are never made durable.
    NoDirSync,
}

impl Mutation {
    /// All of them.
    pub const ALL: &[(&str, Mutation)] = &[
        ("no_fence", Mutation::Persist(Fault::NoFence)),
        ("gap_accepted", Mutation::Persist(Fault::GapAccepted)),
        ("replay_out_of_order", Mutation::Persist(Fault::ReplayOutOfOrder)),
        ("epoch_not_stored", Mutation::Persist(Fault::EpochNotStored)),
        ("tail_not_durable", Mutation::Persist(Fault::TailNotDurable)),
        ("tail_not_rewritten", Mutation::Persist(Fault::TailNotRewritten)),
        ("stages_ignored", Mutation::Persist(Fault::StagesIgnored)),
        ("stage_adopted_unsynced", Mutation::Persist(Fault::StageAdoptedUnsynced)),
        ("stage_freed_early", Mutation::Persist(Fault::StageFreedEarly)),
        ("seed_without_segment", Mutation::Persist(Fault::SeedWithoutSegment)),
        ("segment_named_unsynced", Mutation::Persist(Fault::SegmentNamedUnsynced)),
        ("short_write_accepted", Mutation::Persist(Fault::ShortWriteAccepted)),
        ("write_error_ignored", Mutation::Persist(Fault::WriteErrorIgnored)),
        ("durable_too_early", Mutation::Persist(Fault::DurableTooEarly)),
        ("retired_too_much", Mutation::Persist(Fault::RetiredTooMuch)),
        ("first_live_too_high", Mutation::Persist(Fault::FirstLiveTooHigh)),
        ("old_segments_reused", Mutation::Persist(Fault::OldSegmentsReused)),
        ("renamed_unsynced", Mutation::Persist(Fault::RenamedUnsynced)),
        ("sync_error_ignored", Mutation::Persist(Fault::SyncErrorIgnored)),
        ("name_not_durable", Mutation::Persist(Fault::NameNotDurable)),
        ("released_at_once", Mutation::Persist(Fault::ReleasedAtOnce)),
        ("reads_not_held", Mutation::Persist(Fault::ReadsNotHeld)),
        ("foreign_not_noted", Mutation::Persist(Fault::ForeignNotNoted)),
        ("ack_local", Mutation::AckLocal),
        ("tx_split", Mutation::TxSplit),
        ("tx_no_close", Mutation::TxNoClose),
        ("tx_keys_home_early", Mutation::TxKeysHomeEarly),
        ("cut_no_close", Mutation::CutNoClose),
        ("retire_before_manifest", Mutation::RetireBeforeManifest),
        ("base_removed_early", Mutation::BaseRemovedEarly),
        ("ok_before_base", Mutation::OkBeforeBase),
        ("pre_image_lost", Mutation::PreImageLost),
        ("no_dir_sync", Mutation::NoDirSync),
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        Mutation::ALL.iter().find(|(_, mutation)| *mutation == self).map_or("?", |(name, _)| name)
    }

    /// The mutation of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Mutation::ALL.iter().find(|(known, _)| *known == name).map(|(_, mutation)| *mutation)
    }

    /// The fault of persist's that it is.
    pub fn fault(self) -> Option<Fault> {
        match self {
            Mutation::Persist(fault) => Some(fault),
            _ => None,
        }
    }
}
