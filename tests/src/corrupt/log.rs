//! The directory of a log: damaged over the real files, in memory, and recovered by persist's own code.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ringstone_persist::disk::overlay::Overlay;
use ringstone_persist::disk::{Disk, block_on};
use ringstone_persist::log::segment::SEGMENT_HEADER_BYTES;
use ringstone_persist::log::{
    RecoverOptions, Recovered, RecoveryError, RecoveryPlan, SegmentId, SegmentScan, scan_segment,
};

use super::mutation::Mutation;
use super::{Outcome, rdb};
use crate::sim::rng::Rng;

/// A file of the log with what is known of its layout.
struct Part {
    name: String,
    bytes: Vec<u8>,
    used: usize,
    fields: Vec<(usize, usize)>,
}

/// A log that is whole.
pub(super) struct Subject {
    /// What it is called in reports.
    pub(super) name: &'static str,
    dir: PathBuf,
    parts: Vec<Part>,
    /// GSN and records.
    frames: Vec<(u64, Vec<u8>)>,
    gsn: u64,
    known_gsn: u64,
    uuid: [u8; 16],
    scans: BTreeMap<SegmentId, SegmentScan>,
    base: Option<(String, u64)>,
}

/// Offsets of the fields of a frame's header, and their lengths.
const FRAME_FIELDS: [(usize, usize); 12] = [
    (0, 4),
    (4, 1),
    (5, 1),
    (6, 2),
    (8, 4),
    (12, 4),
    (16, 8),
    (24, 4),
    (28, 4),
    (32, 8),
    (40, 8),
    (48, 8),
];
/// The same for a segment's header, and for the stamp at its end.
const SEGMENT_FIELDS: [(usize, usize); 11] = [
    (0, 4),
    (4, 2),
    (6, 2),
    (8, 4),
    (12, 4),
    (16, 8),
    (24, 16),
    (40, 8),
    (4080, 8),
    (4088, 4),
    (4092, 4),
];

impl Subject {
    /// Reads what stands in `dir`, which must recover without a warning.
    pub(super) fn new(name: &'static str, dir: &Path) -> Subject {
        let disk = Overlay::default();
        let plan = block_on(RecoveryPlan::load(&disk, &options(dir))).expect("a log");
        let uuid = plan.log().uuid;
        let scans = scan_all(&disk, dir, &plan, None).expect("segments");
        let by_id = scans.iter().map(|scan| (scan.id, scan.clone())).collect();
        let recovered = block_on(plan.finish(&disk, scans)).expect("a log without damage");
        let frames = replay(&disk, &recovered).expect("frames");
        let base = recovered.base().map(|(path, _)| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, rdb::digest(&path).expect("a base"))
        });
        let mut subject = Subject {
            name,
            dir: dir.to_owned(),
            parts: Vec::new(),
            frames,
            gsn: recovered.gsn,
            known_gsn: recovered.known_gsn,
            uuid,
            scans: by_id,
            base,
        };
        for entry in fs::read_dir(dir).expect("a directory") {
            let entry = entry.expect("an entry");
            if entry.path().is_file() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let bytes = fs::read(entry.path()).expect("a file");
                subject.parts.push(layout(name, bytes));
            }
        }
        subject.parts.sort_by(|a, b| a.name.cmp(&b.name));
        subject
    }

    /// A random damage, as it is called and what came of it.
    pub(super) fn damage(
        &self,
        rng: &mut Rng,
        other: &Subject,
        scratch: &Path,
    ) -> (String, Outcome) {
        // Files that hold something matter most.
        let full: Vec<&Part> = self.parts.iter().filter(|part| !part.fields.is_empty()).collect();
        let part = if rng.percent(95) {
            full[rng.index(full.len())]
        } else {
            &self.parts[rng.index(self.parts.len())]
        };
        let mutation = Mutation::choose(rng, part.bytes.len(), part.used, &part.fields);
        let what = format!("{} {}: {mutation:?}", self.name, part.name);
        let disk = Overlay::default();
        let path = self.dir.join(&part.name);
        let touched = block_on(self.mutate(&disk, &path, part, &mutation, rng, other));
        let is_base = self.base.as_ref().is_some_and(|(name, _)| *name == part.name);
        if is_base && !matches!(mutation, Mutation::Remove | Mutation::Rename { keep: false }) {
            let bytes = block_on(content(&disk, &path));
            fs::write(scratch, bytes).expect("scratch space");
            let before = self.base.as_ref().map(|(_, digest)| *digest);
            return (
                what,
                match rdb::digest(scratch) {
                    Err(_) => Outcome::Refused,
                    Ok(digest) if Some(digest) == before => Outcome::Same,
                    Ok(_) => Outcome::Violation("the base has other data".to_owned()),
                },
            );
        }
        let again = rng.percent(25);
        (what, self.judge(&disk, &touched, again))
    }

    async fn mutate(
        &self,
        disk: &Overlay,
        path: &Path,
        part: &Part,
        mutation: &Mutation,
        rng: &mut Rng,
        other: &Subject,
    ) -> Vec<String> {
        let mut touched = vec![part.name.clone()];
        match mutation {
            Mutation::Remove => disk.remove(path).await.expect("in memory"),
            Mutation::Foreign => {
                let same = other.parts.iter().find(|there| there.name == part.name);
                let there = same.unwrap_or(&other.parts[rng.index(other.parts.len())]);
                replace(disk, path, &there.bytes).await;
            }
            Mutation::Rename { keep } => {
                // Not the name of another live segment: a power cut may leave a file so that was to be used again, which is
                // why a start warns of it and goes on.
                let names =
                    ["s0-77.log", "s5-1.log", "stage-7-7", "base-1.rdb", "MANIFEST.new", "x"];
                let name = names[rng.index(names.len())];
                if name != part.name {
                    replace(disk, &self.dir.join(name), &part.bytes).await;
                    touched.push(name.to_owned());
                    if !keep {
                        disk.remove(path).await.expect("in memory");
                    }
                }
            }
            _ => replace(disk, path, &mutation.apply(&part.bytes)).await,
        }
        touched
    }

    fn judge(&self, disk: &Overlay, touched: &[String], again: bool) -> Outcome {
        let recovered = match self.recover(disk, Some(touched)) {
            Ok(recovered) => recovered,
            Err(error) => {
                let text = error.to_string();
                return match text.is_empty() {
                    false => Outcome::Refused,
                    true => Outcome::Violation("refused without a word".to_owned()),
                };
            }
        };
        let frames = match replay(disk, &recovered) {
            Ok(frames) => frames,
            Err(error) => return Outcome::Violation(format!("replay: {error}")),
        };
        if !self.frames.starts_with(&frames) {
            return Outcome::Violation("frames that were never written so".to_owned());
        }
        let base = recovered.base().map(|(path, _)| path.file_name().unwrap().to_owned());
        let same_base = self.base.as_ref().map(|(name, _)| name.into()) == base;
        let same = recovered.gsn == self.gsn && frames.len() == self.frames.len();
        if !same_base {
            return Outcome::Violation("another base".to_owned());
        }
        if again {
            // A recovery of the recovery finds the same; it scans all anew.
            match self.recover(disk, None) {
                Ok(again) if again.gsn == recovered.gsn => {}
                Ok(again) => {
                    let (then, now) = (again.gsn, recovered.gsn);
                    return Outcome::Violation(format!("then GSN {then}, not {now}"));
                }
                Err(error) => return Outcome::Violation(format!("the next start: {error}")),
            }
        }
        if same {
            Outcome::Same
        } else if recovered.gsn < self.known_gsn {
            Outcome::Violation(format!(
                "went back to GSN {}, though {} was known to be durable",
                recovered.gsn, self.known_gsn
            ))
        } else if recovered.warnings.is_empty() {
            Outcome::Violation(format!("went back to GSN {} without a word", recovered.gsn))
        } else {
            Outcome::Prefix
        }
    }

    /// `touched` are the files whose scans do not hold any more; none hold where it is `None`.
    fn recover(
        &self,
        disk: &Overlay,
        touched: Option<&[String]>,
    ) -> Result<Recovered, RecoveryError> {
        let plan = block_on(RecoveryPlan::load(disk, &options(&self.dir)))?;
        let known = touched.filter(|_| plan.log().uuid == self.uuid).map(|t| (&self.scans, t));
        let scans = scan_all(disk, &self.dir, &plan, known)?;
        block_on(plan.finish(disk, scans))
    }
}

/// Whether each shard's log, by itself, tells that all that the log holds is durable. A shard that is idle says so every now and
/// then; before that, one file may hold the last write and all that vouches for it.
pub(super) fn all_shards_vouch(dir: &Path) -> bool {
    let disk = Overlay::default();
    let told = || -> Result<bool, RecoveryError> {
        let plan = block_on(RecoveryPlan::load(&disk, &options(dir)))?;
        let scans = scan_all(&disk, dir, &plan, None)?;
        let mut vouched = [0; 2];
        for scan in &scans {
            let most = scan.frames.iter().map(|frame| frame.durable_gsn).max().unwrap_or(0);
            let shard = &mut vouched[scan.id.shard as usize];
            *shard = most.max(*shard);
        }
        let gsn = block_on(plan.finish(&disk, scans))?.gsn;
        Ok(vouched.iter().all(|told| *told == gsn))
    };
    // While the server writes, what is read may not fit together.
    told().unwrap_or(false)
}

fn options(dir: &Path) -> RecoverOptions {
    RecoverOptions::new(dir, 2, [7; 16], 1)
}

/// How much is compared at once.
const PIECE_BYTES: usize = 4096;

type Known<'a> = Option<(&'a BTreeMap<SegmentId, SegmentScan>, &'a [String])>;

/// Scans what is not known already. A stage is known under the name that recovery gives it, so any that was touched makes all
/// stages unknown.
fn scan_all(
    disk: &Overlay,
    dir: &Path,
    plan: &RecoveryPlan,
    known: Known<'_>,
) -> Result<Vec<SegmentScan>, RecoveryError> {
    let is_known = |id: &SegmentId| {
        let (scans, touched) = known?;
        let of_stage = id.seq >> 63 == 1;
        let dirty = touched.contains(&id.file_name())
            || of_stage && touched.iter().any(|name| name.starts_with("stage-"));
        scans.get(id).filter(|_| !dirty).cloned()
    };
    let mut out = Vec::new();
    for id in plan.segments() {
        out.push(match is_known(id) {
            Some(scan) => scan,
            None => block_on(scan_segment(disk, &dir.join(id.file_name()), &plan.log(), *id))
                .map_err(|error| RecoveryError::Io { what: format!("read {id}"), error })?,
        });
    }
    Ok(out)
}

fn replay(disk: &Overlay, recovered: &Recovered) -> std::io::Result<Vec<(u64, Vec<u8>)>> {
    let mut replay = recovered.replay();
    let mut out = Vec::new();
    while let Some(frame) = block_on(replay.next(disk))? {
        out.push((frame.gsn, frame.records.to_vec()));
    }
    Ok(out)
}

async fn replace(disk: &Overlay, path: &Path, bytes: &[u8]) {
    let file = match disk.open(path).await {
        Ok(file) => file,
        Err(_) => disk.create(path).await.expect("in memory"),
    };
    let before = content(disk, path).await;
    disk.set_len(&file, bytes.len() as u64).await.expect("in memory");
    // Only what differs: most of a segment is zeros.
    for (at, piece) in (0..).step_by(PIECE_BYTES).zip(bytes.chunks(PIECE_BYTES)) {
        if before.get(at..at + piece.len()) != Some(piece) {
            disk.write_all_at(&file, piece, at as u64).await.expect("in memory");
        }
    }
}

async fn content(disk: &Overlay, path: &Path) -> Vec<u8> {
    let file = disk.open(path).await.expect("a file");
    let mut bytes = vec![0; disk.len(&file).await.expect("in memory") as usize];
    disk.read_full_at(&file, &mut bytes, 0).await.expect("in memory");
    bytes
}

/// Where the headers' fields of a file are.
fn layout(name: String, bytes: Vec<u8>) -> Part {
    let mut fields = Vec::new();
    let mut used = bytes.len();
    if bytes.starts_with(b"RSEG") {
        fields.extend(SEGMENT_FIELDS);
        let frames = memmem(&bytes, b"RFRM");
        used = frames.last().map_or(SEGMENT_HEADER_BYTES, |at| at + 512);
        if frames.is_empty() {
            // A spare: its header only, and now and then.
            fields.truncate(if name.starts_with("stage-") { 0 } else { 1 });
        }
        for at in frames {
            fields.extend(FRAME_FIELDS.iter().map(|(offset, len)| (at + offset, *len)));
        }
    } else if name.ends_with(".rdb") {
        fields = rdb::fields(&bytes);
    } else if name == "MANIFEST" {
        let lines: Vec<usize> = memmem(&bytes, b"\n");
        fields.extend(lines.iter().filter(|at| **at + 9 < bytes.len()).map(|at| (at + 1, 8)));
    } else {
        used = 0;
    }
    Part { name, bytes, used, fields }
}

/// Where `word` stands.
pub(super) fn memmem(bytes: &[u8], word: &[u8]) -> Vec<usize> {
    let first = word[0];
    let hit = |at: &usize| bytes[*at] == first && bytes[*at..].starts_with(word);
    (0..bytes.len()).filter(hit).collect()
}
