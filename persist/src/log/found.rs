//! Which of the frames that recovery read count: those of their epochs above the cut, in order, without a gap.
//!
//! Invariant: pure; what is on the disk is not touched here.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest::Manifest;
use super::replay::Place;
use super::report::{GaveUp, Location, Missing, RecoveryError, Warning};
use super::scan::{FrameEntry, SegmentScan};
use super::{Fault, SegmentId};

/// Steps 3 and 4.
pub(super) struct Found {
    /// G.
    pub(super) gsn: u64,
    /// Where the frames up to there are, in order.
    pub(super) places: Vec<Place>,
    /// The highest `durable_gsn` of all frames that count, and where it stands.
    pub(super) durable_gsn: u64,
    witness: Option<Location>,
    /// Frames beyond G, and the first of them.
    dropped: usize,
    dropped_first: Option<Location>,
}

impl Found {
    pub(super) fn collect(
        manifest: &Manifest,
        scans: &[SegmentScan],
    ) -> Result<Self, RecoveryError> {
        let faults = manifest.log.faults;
        let no_fence = faults.has(Fault::NoFence);
        let cut = manifest.cut_gsn();
        let mut all: Vec<(&FrameEntry, SegmentId, Place)> = Vec::new();
        for (at, scan) in scans.iter().enumerate() {
            let counts =
                |f: &&FrameEntry| f.gsn > cut && (no_fence || manifest.admits(f.epoch, f.gsn));
            let frames = scan.frames.iter().filter(counts);
            all.extend(frames.map(|f| {
                (f, scan.id, Place { segment: at, offset: f.offset, sealed_for: f.sealed_for })
            }));
        }
        all.sort_unstable_by_key(|(frame, id, _)| (frame.gsn, *id));
        let location = |(frame, segment, _): &(&FrameEntry, SegmentId, Place)| Location {
            segment: *segment,
            offset: frame.offset,
        };
        for pair in all.windows(2) {
            let [a, b] = pair else { continue };
            // A failed write may have reached the disk nevertheless: then the frame stands there and in the fresh segment.
            let same = a.0.payload_crc == b.0.payload_crc
                && a.0.payload_len == b.0.payload_len
                && a.0.epoch == b.0.epoch
                && a.1.shard == b.1.shard;
            if a.0.gsn == b.0.gsn && !same {
                let (first, second) = (location(a), location(b));
                return Err(RecoveryError::Conflict { gsn: a.0.gsn, first, second });
            }
        }
        all.dedup_by_key(|(frame, _, _)| frame.gsn);
        let witness = witness(manifest, scans, no_fence);
        let run = all.iter().zip(cut + 1..).take_while(|((f, _, _), gsn)| f.gsn == *gsn).count();
        let (gsn, run) = match all.last() {
            Some((last, _, _)) if faults.has(Fault::GapAccepted) => (last.gsn, all.len()),
            _ => (cut + run as u64, run),
        };
        let mut places: Vec<Place> = all.iter().take(run).map(|(_, _, place)| *place).collect();
        if faults.has(Fault::ReplayOutOfOrder) {
            places.sort_by_key(|place| (place.segment, place.offset));
        }
        Ok(Found {
            gsn,
            places,
            durable_gsn: witness.map_or(0, |(durable_gsn, _)| durable_gsn),
            witness: witness.map(|(_, location)| location),
            dropped: all.len() - run,
            dropped_first: all.get(run).map(location),
        })
    }

    /// What is known to have been durable and is not there.
    pub(super) fn missing(&self, manifest: &Manifest, scans: &[SegmentScan]) -> Option<Missing> {
        let closed = closed_through(manifest);
        let durable_gsn = self.durable_gsn.max(closed);
        if durable_gsn <= self.gsn {
            return None;
        }
        let witness = self.witness.filter(|_| self.durable_gsn >= closed);
        let mut suspects = Vec::new();
        for scan in scans {
            suspects.extend(scan.holes.iter().map(|at| Location { segment: scan.id, offset: *at }));
            if scan.tail_bytes {
                suspects.push(Location { segment: scan.id, offset: scan.end });
            }
        }
        Some(Missing { gsn: self.gsn + 1, durable_gsn, witness, suspects })
    }

    /// What stands beyond G and counts no longer once the log ends there, by shard; `manifest` as it was before.
    pub(super) fn given_up(&self, manifest: &Manifest, scans: &[SegmentScan]) -> Vec<GaveUp> {
        let last_epoch = manifest.last_epoch();
        let mut shards: BTreeMap<u32, GaveUp> = BTreeMap::new();
        // A frame may stand twice, in a stage and in its segment.
        let mut met = BTreeSet::new();
        for scan in scans {
            let counted = |f: &&FrameEntry| {
                f.gsn > self.gsn && (manifest.admits(f.epoch, f.gsn) || f.epoch > last_epoch)
            };
            for frame in scan.frames.iter().filter(counted) {
                if !met.insert((frame.gsn, frame.epoch)) {
                    continue;
                }
                let shard = scan.id.shard;
                let all = shards.entry(shard).or_insert(GaveUp {
                    shard,
                    frames: 0,
                    bytes: 0,
                    gsns: (u64::MAX, 0),
                    wall_ms: (u64::MAX, 0),
                });
                all.frames += 1;
                all.bytes += frame.end() - frame.offset;
                all.gsns = (all.gsns.0.min(frame.gsn), all.gsns.1.max(frame.gsn));
                all.wall_ms = (all.wall_ms.0.min(frame.wall_ms), all.wall_ms.1.max(frame.wall_ms));
            }
        }
        shards.into_values().collect()
    }

    pub(super) fn warn(&self, scans: &[SegmentScan], warnings: &mut Vec<Warning>) {
        if let Some(first) = self.dropped_first {
            let gsn = self.gsn + 1;
            warnings.push(Warning::TailDropped { frames: self.dropped, gsn, first });
        }
        for scan in scans {
            let location = |offset: u64| Location { segment: scan.id, offset };
            warnings.extend(scan.holes.iter().map(|at| Warning::Hole(location(*at))));
            if scan.tail_bytes {
                warnings.push(Warning::TailBytes(location(scan.end)));
            }
        }
    }
}

/// The frame that says the most about what was durable: one that counts, or a mark of an epoch that does.
fn witness(manifest: &Manifest, scans: &[SegmentScan], no_fence: bool) -> Option<(u64, Location)> {
    let counts = |f: &FrameEntry| match f.gsn {
        0 => manifest.admits(f.epoch, f.durable_gsn),
        gsn => no_fence || manifest.admits(f.epoch, gsn),
    };
    let frames = scans.iter().flat_map(|scan| scan.frames.iter().map(move |f| (f, scan.id)));
    let witness = frames.filter(|(f, _)| counts(f)).max_by_key(|(f, _)| f.durable_gsn)?;
    let (FrameEntry { durable_gsn, offset, .. }, segment) = witness;
    Some((*durable_gsn, Location { segment, offset: *offset }))
}

/// The end of the last closed epoch: an earlier start found everything up to there, and made it durable.
pub(super) fn closed_through(manifest: &Manifest) -> u64 {
    manifest.epochs.iter().filter_map(|epoch| epoch.last_gsn).max().unwrap_or(0)
}
