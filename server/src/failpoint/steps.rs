//! The steps: every place where what is on the disk changes its meaning.

macro_rules! steps {
    ($($step:ident $name:literal $what:literal,)*) => {
        /// A step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Step {
            $(#[doc = $what] $step,)*
        }

        /// All of them, in the order of their numbers.
        pub const STEPS: &[Step] = &[$(Step::$step,)*];

        impl Step {
            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Step::$step => $name,)* }
            }

            /// What is about to happen.
            pub fn what(self) -> &'static str {
                match self { $(Step::$step => $what,)* }
            }

            /// The step with this name.
            pub fn named(name: &str) -> Option<Step> {
                STEPS.iter().copied().find(|step| step.name() == name)
            }
        }
    };
}

steps! {
    ManifestRead "manifest-read" "MANIFEST is read",
    ManifestWrite "manifest-write" "MANIFEST.new is written",
    ManifestSync "manifest-sync" "MANIFEST.new is made durable",
    ManifestRename "manifest-rename" "MANIFEST.new takes MANIFEST's place",
    DirSync "dir-sync" "names in a directory are made durable",
    SegmentCreate "segment-create" "a new segment's file is made",
    SegmentRecycle "segment-recycle" "a retired segment's file is taken for a new one",
    SegmentAllocate "segment-allocate" "space is reserved for a segment",
    SegmentWrite "segment-write" "a segment in preparation gets zeros, or its header",
    SegmentSync "segment-sync" "a segment in preparation is made durable",
    SegmentRename "segment-rename" "a segment gets its final name",
    SegmentRead "segment-read" "a segment is read at the start",
    SegmentRemove "segment-remove" "a retired segment is removed",
    StageCreate "stage-create" "a stage file is made",
    StageWrite "stage-write" "a stage file gets zeros, or at the start its header again",
    StageSync "stage-sync" "a stage file is made durable",
    StageMap "stage-map" "a stage file is mapped",
    StageAdopt "stage-adopt" "a stage file becomes a segment at the start",
    LogOpen "log-open" "a prepared segment is opened to be written",
    LogSubmit "log-submit" "a group of frames is handed to the kernel",
    LogWritten "log-written" "a group of frames is durable, and its replies may leave",
    RecoveryScanned "recovery-scanned" "all segments were read, nothing is changed yet",
    TailWrite "tail-write" "frames of the tail are written again at the start",
    TailSync "tail-sync" "the tail is made durable at the start",
    RemoveUnfinished "remove-unfinished" "a file that was never finished is removed at the start",
    AsideDir "aside-dir" "a directory is made for files that do not belong",
    AsideMove "aside-move" "a file that does not belong is moved",
    RecoveryBase "recovery-base" "the log is recovered, its base is about to be loaded",
    RecoveryReplay "recovery-replay" "the base is loaded, frames are about to be applied",
    RecoveryDone "recovery-done" "all is loaded, nothing is served yet",
    FirstBaseWrite "first-base-write" "the first base, of data from elsewhere, is written",
    BaseCut "base-cut" "the base's file is there, the cut is about to be taken",
    BaseBlock "base-block" "a block of the base is written",
    BaseTail "base-tail" "the base's last bytes are written",
    BaseSync "base-sync" "a base is made durable",
    BaseRename "base-rename" "a base gets its name",
    BaseNamed "base-named" "MANIFEST names the new base, the old one is about to be removed",
    BaseRetire "base-retire" "segments that the base covers are about to be retired",
    DumpCut "dump-cut" "dump.rdb's file is there, the cut is about to be taken",
    DumpBlock "dump-block" "a block of dump.rdb is written",
    DumpTail "dump-tail" "its last bytes are written",
    DumpSync "dump-sync" "it is made durable",
    DumpRename "dump-rename" "it takes the place of the old one",
    DumpSupersede "dump-supersede" "MANIFEST of a log that is off is about to say that dump.rdb is newer",
    SwitchPended "switch-pended" "the log begins: MANIFEST names its pending epoch",
    SwitchStopped "switch-stopped" "the log ends: no shard logs any more",
    EpochClose "epoch-close" "all that was logged is durable, MANIFEST is about to close the epoch",
}
