//! The log: one file sequence a shard, ordered across shards by the global sequence number (GSN).
//!
//! ```text
//!   Watermarks::take_gsn ──> LogWriter::push ──> group ──> WriteRequest ──> write_done ──> Watermarks::publish
//!                                                  └─ everysec, no: in a stage file's memory, from which a kill is survived
//!   MANIFEST ──┐
//!   segments ──┴─> recover ──> Recovered: base and its cut, then frames cut+1..=G in GSN order
//! ```
//!
//! The bytes are drawn in `docs/formats.md`; the reasons stand in `docs/decisions/`.
//!
//! Invariant: GSNs are dense. What is recovered is exactly the effects of GSN 1..=G for one G, and no acknowledged one is
//! above G.

mod atomic;
pub mod batches;
pub mod faults;
mod found;
pub mod frame;
pub mod group;
pub mod manifest;
pub mod recovery;
pub mod replay;
pub mod report;
pub mod scan;
pub mod seal;
pub mod segment;
pub mod stage;
pub mod watermark;
pub mod writer;

pub use batches::{BatchId, Batches};
pub use faults::{Fault, Faults};
pub use frame::{FrameHeader, FrameKind};
use manifest::MANIFEST_NAME;
pub use manifest::{Base, Epoch, Manifest, ManifestError};
pub use recovery::{RecoverOptions, Recovered, RecoveryError, RecoveryPlan, Warning, recover};
pub use replay::{Frame, Replay};
pub use report::{GaveUp, Location, Missing};
pub use scan::{SegmentScan, scan_segment};
pub use seal::{FrameCipher, FrameOpener, Seals};
pub use segment::{Preparation, SegmentId, SegmentKind, prepare_segment};
pub use stage::{StagePreparation, prepare_stage, stage_file_name};
pub use watermark::Watermarks;
pub use writer::{Health, LogWriter, PushError, WriteRequest, WriterOptions};

use crate::hex::{from_hex, to_hex};

/// When the log is synced, `appendfsync` in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// Before any reply leaves; direct I/O.
    Always,
    /// About once a second, and whenever a stage is full.
    EverySec,
    /// When a stage is full, and after half a minute.
    No,
}

impl SyncMode {
    /// How segments are written in this mode.
    pub fn segment_kind(self) -> SegmentKind {
        match self {
            SyncMode::Always => SegmentKind::Direct,
            SyncMode::EverySec | SyncMode::No => SegmentKind::Grouped,
        }
    }
}

/// Names one log for ever, drawn at random when it is created. Not shown to clients: a client that knew it could store
/// bytes that look like a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogId {
    /// The random bytes.
    pub uuid: [u8; 16],
    /// Rules that the simulator has broken.
    pub faults: Faults,
}

impl LogId {
    /// The log with these random bytes.
    pub fn new(uuid: [u8; 16]) -> Self {
        LogId { uuid, faults: Faults::NONE }
    }

    /// The log with the random bytes that these digits stand for.
    pub fn from_hex(hex: &str) -> Option<Self> {
        from_hex(hex).map(LogId::new)
    }
}

impl std::fmt::Display for LogId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&to_hex(&self.uuid))
    }
}
