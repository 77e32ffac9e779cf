//! Names of objects, which say what is in them.
//!
//! ```text
//!   <uuid>/epoch-<number>-<first gsn>-<shards>-<ms>
//!   <uuid>/base-<cut gsn>-<epoch>-<ms>
//!   <uuid>/frames-<first gsn>-<last gsn>-<epoch>-<first ms>-<last ms>
//! ```
//!
//! GSNs have 20 digits, so that names sort as their GSNs do. Times are in milliseconds since 1970 and never fall from one GSN to
//! the next: the time of a GSN is the highest wall clock of all frames up to it.

use crate::log::LogId;

/// An epoch: frames of earlier ones count below its first GSN only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochName {
    /// Its number.
    pub number: u32,
    /// Its first GSN.
    pub first_gsn: u64,
    /// Shards of the run that wrote it.
    pub shards: u32,
    /// When that was noted.
    pub time_ms: u64,
}

/// A base: all that there was at its cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseName {
    /// The GSN up to which it holds everything.
    pub cut_gsn: u64,
    /// The epoch in which it was cut.
    pub epoch: u32,
    /// The time of that GSN.
    pub time_ms: u64,
}

/// Frames without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramesName {
    /// The first GSN.
    pub first_gsn: u64,
    /// The last one.
    pub last_gsn: u64,
    /// The epoch of all.
    pub epoch: u32,
    /// The time of the first.
    pub first_ms: u64,
    /// The time of the last.
    pub last_ms: u64,
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectName {
    /// An epoch.
    Epoch(EpochName),
    /// A base.
    Base(BaseName),
    /// Frames.
    Frames(FramesName),
}

impl ObjectName {
    /// Its whole name.
    pub fn to_text(self, log: &LogId) -> String {
        match self {
            ObjectName::Epoch(EpochName { number, first_gsn, shards, time_ms }) => {
                format!("{log}/epoch-{number}-{first_gsn:020}-{shards}-{time_ms}")
            }
            ObjectName::Base(BaseName { cut_gsn, epoch, time_ms }) => {
                format!("{log}/base-{cut_gsn:020}-{epoch}-{time_ms}")
            }
            ObjectName::Frames(FramesName { first_gsn, last_gsn, epoch, first_ms, last_ms }) => {
                format!("{log}/frames-{first_gsn:020}-{last_gsn:020}-{epoch}-{first_ms}-{last_ms}")
            }
        }
    }

    /// Reads a name: the log, and what the object is; only what [`ObjectName::to_text`] gives.
    pub fn parse(text: &str) -> Option<(LogId, ObjectName)> {
        let (uuid, name) = text.split_once('/')?;
        let log = LogId::from_hex(uuid)?;
        let mut words = name.split('-');
        let kind = words.next()?;
        let numbers: Vec<u64> = words.map(str::parse).collect::<Result<_, _>>().ok()?;
        let small = |number: u64| u32::try_from(number).ok();
        let found = match (kind, numbers.as_slice()) {
            ("epoch", [number, first_gsn, shards, time_ms]) => ObjectName::Epoch(EpochName {
                number: small(*number)?,
                first_gsn: *first_gsn,
                shards: small(*shards)?,
                time_ms: *time_ms,
            }),
            ("base", [cut_gsn, epoch, time_ms]) => ObjectName::Base(BaseName {
                cut_gsn: *cut_gsn,
                epoch: small(*epoch)?,
                time_ms: *time_ms,
            }),
            ("frames", [first_gsn, last_gsn, epoch, first_ms, last_ms])
                if first_gsn <= last_gsn =>
            {
                ObjectName::Frames(FramesName {
                    first_gsn: *first_gsn,
                    last_gsn: *last_gsn,
                    epoch: small(*epoch)?,
                    first_ms: *first_ms,
                    last_ms: *last_ms,
                })
            }
            _ => return None,
        };
        (found.to_text(&log) == text).then_some((log, found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_pinned_and_read_back_and_nothing_else_is_one() {
        let log = LogId::new([0xab; 16]);
        let uuid = "abababababababababababababababab";
        let all = [
            (
                ObjectName::Epoch(EpochName { number: 3, first_gsn: 7, shards: 2, time_ms: 99 }),
                "epoch-3-00000000000000000007-2-99",
            ),
            (
                ObjectName::Base(BaseName { cut_gsn: 120, epoch: 3, time_ms: 5 }),
                "base-00000000000000000120-3-5",
            ),
            (
                ObjectName::Frames(FramesName {
                    first_gsn: 1,
                    last_gsn: 20,
                    epoch: 4,
                    first_ms: 8,
                    last_ms: 9,
                }),
                "frames-00000000000000000001-00000000000000000020-4-8-9",
            ),
        ];
        for (name, text) in all {
            let text = format!("{uuid}/{text}");
            assert_eq!(name.to_text(&log), text);
            assert_eq!(ObjectName::parse(&text), Some((log, name)));
        }
        for text in [
            "base-1-3-5",
            &format!("{uuid}/base-120-3-5"),
            &format!("{uuid}/base-00000000000000000120-3-5.new"),
            &format!("{uuid}/frames-00000000000000000021-00000000000000000020-4-8-9"),
            &format!("{uuid}/other"),
        ] {
            assert_eq!(ObjectName::parse(text), None, "{text}");
        }
    }
}
