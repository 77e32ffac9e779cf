//! What a start tells: where something is wrong, what it did about it, and why it must not go on.

use std::fmt;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use super::SegmentId;
use super::manifest::ManifestError;
use super::segment::HeaderError;
use crate::crypt::CryptError;

/// A byte of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The segment, whose name says the shard.
    pub segment: SegmentId,
    /// The offset in bytes.
    pub offset: u64,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}, segment {}, offset {}", self.segment.shard, self.segment, self.offset)
    }
}

/// Why the server must not start with what is there.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The disk failed.
    #[error("{what}: {error}")]
    Io {
        /// Which file, and what was done.
        what: String,
        /// The error.
        error: io::Error,
    },
    /// The MANIFEST cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// There are files of a log, but no MANIFEST.
    #[error("there is {0} but no MANIFEST; restore it, or move the directory away to begin anew")]
    ManifestMissing(String),
    /// Something encrypted that cannot be opened.
    #[error(transparent)]
    Crypt(#[from] CryptError),
    /// A file that is not the sealed one that MANIFEST means.
    #[error("{0} is not the encrypted file that MANIFEST names as base snapshot; restore it")]
    OtherBase(String),
    /// A frame in clear where MANIFEST says that all are encrypted.
    #[error(
        "the frame at {location} is not encrypted, though MANIFEST says that all from GSN {from} on are: somebody else wrote \
         it; restore the file"
    )]
    NotSealed {
        /// The frame.
        location: Location,
        /// From which GSN on all are.
        from: u64,
    },
    /// The base snapshot is gone.
    #[error("MANIFEST names {0} as base snapshot, which is missing")]
    BaseMissing(String),
    /// A segment that this release cannot read.
    #[error("{segment}: {error}")]
    Segment {
        /// The segment.
        segment: SegmentId,
        /// What is wrong.
        error: HeaderError,
    },
    /// A segment that was cut off, which no crash does.
    #[error(
        "{0} is shorter than it was made; restore the file, or start with --force-truncate to go on with what is there"
    )]
    Cut(SegmentId),
    /// A frame of an epoch that MANIFEST does not know yet.
    #[error(
        "a frame of epoch {epoch} stands at {location}, but MANIFEST ends with epoch {last}, so it is an old one; \
         restore the latest, or start with --force-truncate to give up what was written since"
    )]
    OldManifest {
        /// The frame's epoch.
        epoch: u32,
        /// MANIFEST's last one.
        last: u32,
        /// The frame.
        location: Location,
    },
    /// Two different frames claim the same GSN.
    #[error("GSN {gsn} stands twice and differs: {first}; {second}")]
    Conflict {
        /// The GSN.
        gsn: u64,
        /// One frame.
        first: Location,
        /// The other.
        second: Location,
    },
    /// Data that was durable is missing.
    #[error(transparent)]
    Missing(Box<Missing>),
}

/// What is missing, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The first GSN that is missing.
    pub gsn: u64,
    /// Up to this one everything had been durable.
    pub durable_gsn: u64,
    /// The frame that says so; without one it is MANIFEST, by the end of an epoch.
    pub witness: Option<Location>,
    /// Where bytes stand that are no frame: the missing one may have been there.
    pub suspects: Vec<Location>,
}

impl std::error::Error for Missing {}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missing { gsn, durable_gsn, witness, suspects } = self;
        write!(f, "GSN {gsn} is missing, though all up to {durable_gsn} had been durable (")?;
        match witness {
            Some(location) => write!(f, "says the frame at {location})")?,
            None => write!(f, "says MANIFEST)")?,
        }
        match suspects.split_first() {
            Some((first, rest)) => {
                write!(f, "; damaged at {first}")?;
                rest.iter().try_for_each(|location| write!(f, "; {location}"))?;
            }
            None => write!(f, "; no damage is visible, so a segment may be missing")?,
        }
        write!(
            f,
            "; restore the file, or start with --force-truncate to give up everything from GSN {gsn} on"
        )
    }
}

/// Frames of one shard that a forced start gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GaveUp {
    /// The shard.
    pub shard: u32,
    /// How many.
    pub frames: u64,
    /// Their bytes, headers included.
    pub bytes: u64,
    /// The lowest and the highest GSN among them.
    pub gsns: (u64, u64),
    /// When the first and the last of them were made, in milliseconds since 1970.
    pub wall_ms: (u64, u64),
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GaveUp { shard, frames, bytes, gsns: (first, last), wall_ms: (from, to) } = self;
        write!(
            f,
            "gave up {frames} frames of shard {shard} ({bytes} bytes), GSN {first} to {last}, made from {} to {}",
            Time(*from),
            Time(*to)
        )
    }
}

/// A point in time as it is shown.
struct Time(u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Later ones come from a broken clock only; the calendar ends there.
        const YEAR_9999_MS: u64 = 253_402_300_799_999;
        let time = UNIX_EPOCH + Duration::from_millis(self.0.min(YEAR_9999_MS));
        write!(f, "{}", humantime::format_rfc3339_millis(time))
    }
}

/// What an operator should hear of a start that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Frames beyond the recovered prefix were dropped: never acknowledged as durable.
    TailDropped {
        /// How many.
        frames: usize,
        /// The first GSN that is missing.
        gsn: u64,
        /// The first of them.
        first: Location,
    },
    /// Bytes behind the last frame are no frame: an interrupted write, or what an earlier use of the file left.
    TailBytes(Location),
    /// Bytes between frames are no frame, yet nothing that is needed is missing.
    Hole(Location),
    /// A segment's first block is damaged; its frames were read nevertheless.
    Header {
        /// The segment.
        segment: SegmentId,
        /// What is wrong.
        error: HeaderError,
    },
    /// A file shorter than it was made was read on the operator's word.
    Cut(SegmentId),
    /// Frames of an epoch that MANIFEST does not know were given up on the operator's word.
    OldManifest {
        /// The last such epoch.
        epoch: u32,
        /// MANIFEST's last one.
        last: u32,
        /// A frame of it.
        location: Location,
    },
    /// Durable data was given up on the operator's word.
    Forced(Missing),
    /// What of a shard's log was given up with it.
    GaveUp(GaveUp),
    /// A file that does not belong to the log was moved.
    MovedAside {
        /// The file's name.
        name: String,
        /// The directory's name.
        to: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::TailDropped { frames, gsn, first } => {
                write!(
                    f,
                    "dropped {frames} unacknowledged frames behind missing GSN {gsn}, from {first} on"
                )
            }
            Warning::TailBytes(location) => {
                write!(f, "bytes behind the last frame are no frame: {location}")
            }
            Warning::Hole(location) => write!(f, "bytes between frames are no frame: {location}"),
            Warning::Header { segment, error } => {
                write!(f, "{segment}: {error}; its frames were read")
            }
            Warning::Cut(segment) => write!(f, "forced: {segment} is shorter than it was made"),
            Warning::OldManifest { epoch, last, location } => write!(
                f,
                "forced: MANIFEST ends with epoch {last}, frames of epoch {epoch} are given up: {location}"
            ),
            Warning::Forced(missing) => write!(f, "forced: {missing}"),
            Warning::GaveUp(what) => write!(f, "forced: {what}"),
            Warning::MovedAside { name, to } => {
                write!(f, "moved {name}, which is not of this log, to {to}")
            }
        }
    }
}
