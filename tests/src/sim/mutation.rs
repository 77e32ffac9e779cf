//! Rules broken on purpose, one at a time, to show that the oracle notices.

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// `always`: a reply leaves when its own frame is durable, whatever other shards miss.
    AckLocal,
    /// `everysec`: a reply leaves when its own frame is written, whatever other shards miss.
    AckWrittenLocal,
    /// A reply leaves when its frame is only on its way.
    AckBeforeDurable,
    /// Frames count whatever their epoch.
    NoFence,
    /// Directories are never made durable.
    NoDirFsync,
    /// A recycled segment's checksums start as before.
    RecycleWithoutReseed,
    /// A transaction is one frame a participant.
    TxSplit,
    /// A transaction's participants do not close their batch first.
    TxNoClose,
    /// A transaction's participants close batches before it has its GSN.
    CloseDuringTx,
    /// A cut's participants do not close their batch first.
    CutNoClose,
    /// A cut's participants close batches before it has its GSN.
    CutNoHold,
    /// Segments are recycled before the MANIFEST that no longer needs them is durable.
    RetireBeforeManifest,
    /// Recovery does not make the tail durable before it closes the epoch.
    RecoverNoSync,
    /// Recovery syncs the tail without writing it again, trusting a file whose sync had failed.
    RecoverNoRewrite,
    /// Recovery takes no frame from stage files.
    RecoverNoStages,
    /// A stage is used again as soon as its group is on its way.
    StageFreedEarly,
}

impl Mutation {
    /// All of them.
    pub const ALL: &[Mutation] = &[
        Mutation::AckLocal,
        Mutation::AckWrittenLocal,
        Mutation::AckBeforeDurable,
        Mutation::NoFence,
        Mutation::NoDirFsync,
        Mutation::RecycleWithoutReseed,
        Mutation::TxSplit,
        Mutation::TxNoClose,
        Mutation::CloseDuringTx,
        Mutation::CutNoClose,
        Mutation::CutNoHold,
        Mutation::RetireBeforeManifest,
        Mutation::RecoverNoSync,
        Mutation::RecoverNoRewrite,
        Mutation::RecoverNoStages,
        Mutation::StageFreedEarly,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Mutation::AckLocal => "ack_local",
            Mutation::AckWrittenLocal => "ack_written_local",
            Mutation::AckBeforeDurable => "ack_before_durable",
            Mutation::NoFence => "no_fence",
            Mutation::NoDirFsync => "no_dir_fsync",
            Mutation::RecycleWithoutReseed => "recycle_without_reseed",
            Mutation::TxSplit => "tx_split",
            Mutation::TxNoClose => "tx_noclose",
            Mutation::CloseDuringTx => "close_during_tx",
            Mutation::CutNoClose => "cut_noclose",
            Mutation::CutNoHold => "cut_nohold",
            Mutation::RetireBeforeManifest => "retire_before_manifest",
            Mutation::RecoverNoSync => "recover_no_sync",
            Mutation::RecoverNoRewrite => "recover_no_rewrite",
            Mutation::RecoverNoStages => "recover_no_stages",
            Mutation::StageFreedEarly => "stage_freed_early",
        }
    }

    /// The mutation of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Mutation::ALL.iter().copied().find(|mutation| mutation.name() == name)
    }
}
