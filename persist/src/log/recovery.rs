//! Start-up: from whatever a crash left to one state and a new epoch.
//!
//! ```text
//!   1 MANIFEST; stage files become segments ─> 2 scan segments
//!   3 frames of their epochs, above the cut, in GSN order ─> 4 G = end of the dense run
//!   5 below what is known to have been durable? refuse ─> 6 make the tail durable ─> 7 close the epoch at G, open the next
//!   8 remove what was never finished, move what does not belong aside ─> Recovered
//! ```
//!
//! Invariant: nothing is changed before step 6, so a refused start leaves all as it was, but for the names of stage files.
//! Invariant: step 7 is durable before any write is accepted. Otherwise a stale frame beyond G could come back after the
//! next crash. And what step 7 declares to be there is made durable first (6): it may have been read from the page cache
//! only, even from one whose sync had failed before.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::found::{Found, closed_through};
use super::manifest::{Base, MANIFEST_NAME, Manifest};
use super::replay::{Place, Replay};
pub use super::report::{Location, Missing, RecoveryError, Warning};
use super::scan::{FrameEntry, SegmentScan, scan_segment};
use super::seal::{FrameCipher, FrameOpener, check_base, check_frames};
use super::segment::{HeaderError, SEGMENT_HEADER_BYTES, check_header};
use super::stage;
use super::{Fault, Faults, LogId, SegmentId};
use crate::crypt::Keyring;
use crate::disk::Disk;

/// How much is copied at once when the tail is made durable.
const COPY_BYTES: u64 = 256 << 10;

/// How to recover.
#[derive(Clone, Debug)]
pub struct RecoverOptions {
    /// The log's directory, `appendonly`.
    pub dir: PathBuf,
    /// Shards of this run.
    pub shards: u32,
    /// Random bytes that name the log if there is none yet.
    pub new_uuid: [u8; 16],
    /// Wall clock, in milliseconds since 1970: names the directory for what is moved aside.
    pub now_ms: u64,
    /// Go on although data that was durable is missing.
    pub force_truncate: bool,
    /// Files whose names begin so are another program's and stay where they are: Redis's, when both use one directory.
    pub foreign_prefix: Option<String>,
    /// Only find out where the log ends: what this run logs will begin with a base of its own, and nothing of it counts
    /// before [`Manifest::set_base`].
    pub pending: bool,
    /// Opens what is encrypted; says whether what is written is to be.
    pub keyring: Keyring,
    /// Rules that the simulator has broken.
    pub faults: Faults,
}

impl RecoverOptions {
    /// The usual way.
    pub fn new(dir: impl Into<PathBuf>, shards: u32, new_uuid: [u8; 16], now_ms: u64) -> Self {
        RecoverOptions {
            dir: dir.into(),
            shards,
            new_uuid,
            now_ms,
            force_truncate: false,
            foreign_prefix: None,
            pending: false,
            keyring: Keyring::default(),
            faults: Faults::NONE,
        }
    }
}

/// A segment that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentSummary {
    pub(super) id: SegmentId,
    /// The highest GSN in it that counts.
    last_gsn: u64,
}

/// The state of the log after recovery.
#[derive(Debug)]
pub struct Recovered {
    /// The MANIFEST as it is on disk now, with the new epoch open.
    pub manifest: Manifest,
    /// The last GSN of the recovered state.
    pub gsn: u64,
    /// Up to this one everything is known to have been durable, from what the log says itself.
    pub known_gsn: u64,
    /// The epoch that this run writes.
    pub epoch: u32,
    /// True when there was no log before.
    pub is_new: bool,
    /// What an operator should hear.
    pub warnings: Vec<Warning>,
    /// Seals the frames of this run's writers, where they are to be sealed.
    pub cipher: Option<FrameCipher>,
    pub(super) opener: FrameOpener,
    pub(super) dir: PathBuf,
    pub(super) segments: Vec<SegmentSummary>,
    /// Where the frames from the cut's on are.
    pub(super) places: Vec<Place>,
    next_seq: BTreeMap<u32, u64>,
}

impl Recovered {
    /// Path and cut of the snapshot to load first.
    pub fn base(&self) -> Option<(PathBuf, u64)> {
        self.manifest.base.as_ref().map(|base| (self.dir.join(&base.file_name), base.cut_gsn))
    }

    /// The GSN that this run takes first.
    pub fn next_gsn(&self) -> u64 {
        self.gsn + 1
    }

    /// The number of a shard's next segment.
    pub fn next_seq(&self, shard: u32) -> u64 {
        self.next_seq.get(&shard).copied().unwrap_or(1)
    }

    /// The old segments that `shard` of `shards` retires after the next cut, those of shards that are no more included;
    /// with the highest GSN that counts in each, 0 where none does, so that the file may be used again at once.
    pub fn old_segments(&self, shard: u32, shards: u32) -> Vec<(SegmentId, u64)> {
        let mine = |segment: &&SegmentSummary| segment.id.shard % shards.max(1) == shard;
        self.segments.iter().filter(mine).map(|s| (s.id, s.last_gsn)).collect()
    }

    /// For shards of an earlier run that are no more: what `first-live` says of them from the next cut on.
    pub fn vanished_first_live(&self, shards: u32) -> Vec<(u32, u64)> {
        self.next_seq.iter().filter(|(shard, _)| **shard >= shards).map(|(s, n)| (*s, *n)).collect()
    }

    /// Opens sealed frames that are read by other means than [`Recovered::replay`].
    pub fn opener(&self) -> &FrameOpener {
        &self.opener
    }

    /// Number of frames that [`Recovered::replay`] gives.
    pub fn frames_len(&self) -> usize {
        self.places.len()
    }

    /// Puts a snapshot, which must be durable already, in the place of all that the log holds, in the MANIFEST and for the
    /// segments' reuse. It counts once the MANIFEST is stored.
    pub fn start_anew(&mut self, base: Base) {
        self.gsn = base.cut_gsn;
        self.manifest.set_base(base, self.next_seq.clone());
        self.places.clear();
        self.segments.iter_mut().for_each(|segment| segment.last_gsn = 0);
    }

    /// Reads the frames above the base's cut, in GSN order.
    pub fn replay<D: Disk>(&self) -> Replay<'_, D> {
        Replay::new(self)
    }
}

/// Steps 1 to 8; scans one segment after another. See [`RecoveryPlan`] to scan them in parallel.
pub async fn recover<D: Disk>(
    disk: &D,
    options: &RecoverOptions,
) -> Result<Recovered, RecoveryError> {
    let plan = RecoveryPlan::load(disk, options).await?;
    let mut scans = Vec::new();
    for id in plan.segments().to_vec() {
        let path = options.dir.join(id.file_name());
        let scan = scan_segment(disk, &path, &plan.log(), id).await;
        scans.push(scan.map_err(|error| io_error(format!("read {id}"), error))?);
    }
    plan.finish(disk, scans).await
}

/// What is to be scanned: step 1.
#[derive(Debug)]
pub struct RecoveryPlan {
    options: RecoverOptions,
    manifest: Manifest,
    opener: FrameOpener,
    is_new: bool,
    segments: Vec<SegmentId>,
    /// Segments that MANIFEST says do not matter any more.
    retired: Vec<SegmentId>,
    /// Own files that were never finished.
    unfinished: Vec<String>,
    /// Files that do not belong.
    strangers: Vec<String>,
    next_seq: BTreeMap<u32, u64>,
}

impl RecoveryPlan {
    /// Reads the MANIFEST, or makes the first one in a directory without a log.
    pub async fn load<D: Disk>(disk: &D, options: &RecoverOptions) -> Result<Self, RecoveryError> {
        let dir = &options.dir;
        let at = |error| io_error(format!("directory {}", dir.display()), error);
        if !disk.exists(dir).await.map_err(at)? {
            disk.create_dir(dir).await.map_err(at)?;
            if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
                disk.sync_dir(parent).await.map_err(at)?;
            }
        }
        let mut names = disk.list(dir).await.map_err(at)?;
        let (mut manifest, is_new) = match Manifest::load(disk, dir).await? {
            Some(manifest) => (manifest, false),
            None => {
                let ours =
                    |n: &&String| SegmentId::from_file_name(n).is_some() || n.starts_with("base-");
                if let Some(name) = names.iter().find(ours) {
                    return Err(RecoveryError::ManifestMissing(name.clone()));
                }
                let log = LogId::new(options.new_uuid);
                let manifest = Manifest::new(log, options.shards);
                manifest.store(disk, dir).await.map_err(|e| io_error("write MANIFEST", e))?;
                (manifest, true)
            }
        };
        let opener = manifest.unlock(&options.keyring)?;
        manifest.log.faults = options.faults;
        if let Some(base) = &manifest.base
            && !names.contains(&base.file_name)
        {
            return Err(RecoveryError::BaseMissing(base.file_name.clone()));
        }
        check_base(disk, dir, &manifest, &options.keyring).await?;
        if !options.faults.has(Fault::StagesIgnored) {
            adopt_stages(disk, dir, &manifest.log, &mut names).await?;
        }
        let mut plan = RecoveryPlan {
            options: options.clone(),
            next_seq: manifest.first_live.iter().map(|(s, n)| (*s, (*n).max(1))).collect(),
            manifest,
            opener,
            is_new,
            segments: Vec::new(),
            retired: Vec::new(),
            unfinished: Vec::new(),
            strangers: Vec::new(),
        };
        names.into_iter().for_each(|name| plan.sort_in(name));
        Ok(plan)
    }

    fn sort_in(&mut self, name: String) {
        if let Some(id) = SegmentId::from_file_name(&name) {
            let next = self.next_seq.entry(id.shard).or_insert(1);
            if !id.is_of_stage() {
                *next = (*next).max(id.seq.saturating_add(1));
            }
            let lives = |first: &u64| id.seq >= *first;
            if self.manifest.first_live.get(&id.shard).is_none_or(lives) {
                self.segments.push(id);
            } else {
                self.retired.push(id);
            }
            return;
        }
        let known = name == MANIFEST_NAME
            || name.starts_with("aside-")
            || self.options.foreign_prefix.as_ref().is_some_and(|prefix| name.starts_with(prefix))
            || self.manifest.base.as_ref().is_some_and(|base| base.file_name == name);
        if let Some(unfinished) = name.strip_suffix(".new")
            && (unfinished == MANIFEST_NAME
                || unfinished == "base.rdb"
                || unfinished.starts_with("base-")
                || SegmentId::from_file_name(unfinished).is_some())
        {
            self.unfinished.push(name);
        } else if stage::is_stage_name(&name) {
            // Its header names no segment: nothing was acknowledged from it.
            self.unfinished.push(name);
        } else if !known {
            self.strangers.push(name);
        }
    }

    /// The log, for [`scan_segment`].
    pub fn log(&self) -> LogId {
        self.manifest.log
    }

    /// The segments to scan.
    pub fn segments(&self) -> &[SegmentId] {
        &self.segments
    }

    /// Steps 3 to 8, given a scan of every segment.
    pub async fn finish<D: Disk>(
        mut self,
        disk: &D,
        scans: Vec<SegmentScan>,
    ) -> Result<Recovered, RecoveryError> {
        let mut warnings = Vec::new();
        self.check_headers(&scans, &mut warnings)?;
        let epoch_seen = self.check_epochs(&scans, &mut warnings)?;
        let found = Found::collect(&self.manifest, &scans)?;
        let gsn = found.gsn;
        check_frames(&self.manifest, &self.opener, &scans, gsn)?;
        let missing = found.missing(&self.manifest, &scans);
        let forced = missing.is_some();
        if let Some(missing) = missing {
            if !self.options.force_truncate {
                return Err(RecoveryError::Missing(Box::new(missing)));
            }
            warnings.push(Warning::Forced(missing));
        }
        if forced || epoch_seen > self.manifest.last_epoch() {
            warnings
                .extend(found.given_up(&self.manifest, &scans).into_iter().map(Warning::GaveUp));
        }
        if forced {
            self.manifest.truncate(gsn);
        }
        let known_gsn = found.durable_gsn.max(closed_through(&self.manifest));
        found.warn(&scans, &mut warnings);
        if !self.options.faults.has(Fault::TailNotDurable) {
            self.make_durable(disk, &scans, &found).await?;
        }
        let epoch = if self.options.pending {
            self.manifest.pend_epoch(gsn, epoch_seen)
        } else {
            self.manifest.next_epoch(gsn, epoch_seen)
        };
        let cipher = self.manifest.seal_epoch(epoch, gsn)?;
        self.manifest.shards = self.options.shards;
        let dir = &self.options.dir;
        if !self.options.faults.has(Fault::EpochNotStored) {
            let stored = self.manifest.store(disk, dir).await;
            stored.map_err(|error| io_error("write MANIFEST", error))?;
        }
        self.mend_cut(disk, &scans).await?;
        self.tidy_up(disk, &mut warnings).await?;
        // On the operator's word data was given up: leave its bytes alone as long as possible.
        let floor = if forced { gsn } else { 0 };
        let last = |scan: &SegmentScan| {
            let counts = |f: &&FrameEntry| f.gsn <= gsn && self.manifest.admits(f.epoch, f.gsn);
            scan.frames.iter().filter(counts).map(|f| f.gsn).max().unwrap_or(floor)
        };
        let scanned = scans.iter().map(|scan| SegmentSummary { id: scan.id, last_gsn: last(scan) });
        let retired = self.retired.iter().map(|id| SegmentSummary { id: *id, last_gsn: 0 });
        let segments = scanned.chain(retired);
        Ok(Recovered {
            gsn,
            known_gsn,
            epoch,
            is_new: self.is_new,
            warnings,
            cipher,
            opener: self.opener,
            segments: segments.collect(),
            places: found.places,
            next_seq: self.next_seq,
            dir: self.options.dir,
            manifest: self.manifest,
        })
    }

    fn check_headers(
        &mut self,
        scans: &[SegmentScan],
        warnings: &mut Vec<Warning>,
    ) -> Result<(), RecoveryError> {
        for scan in scans {
            let segment = scan.id;
            if scan.cut_from.is_some() {
                if !self.options.force_truncate {
                    return Err(RecoveryError::Cut(segment));
                }
                warnings.push(Warning::Cut(segment));
            }
            match scan.header_error {
                None => {}
                Some(error @ (HeaderError::Version(_) | HeaderError::OtherLog)) => {
                    return Err(RecoveryError::Segment { segment, error });
                }
                Some(error) => warnings.push(Warning::Header { segment, error }),
            }
        }
        Ok(())
    }

    /// An epoch is in MANIFEST before its first frame is written. So a frame of a later one says that this MANIFEST is an
    /// old one, and that what was acknowledged since would be lost. Gives the last epoch that any frame names.
    fn check_epochs(
        &self,
        scans: &[SegmentScan],
        warnings: &mut Vec<Warning>,
    ) -> Result<u32, RecoveryError> {
        let frames = scans.iter().flat_map(|scan| scan.frames.iter().map(move |f| (f, scan.id)));
        let Some((frame, segment)) = frames.max_by_key(|(frame, _)| frame.epoch) else {
            return Ok(0);
        };
        let (epoch, last) = (frame.epoch, self.manifest.last_epoch());
        if epoch > last {
            let location = Location { segment, offset: frame.offset };
            if !self.options.force_truncate {
                return Err(RecoveryError::OldManifest { epoch, last, location });
            }
            warnings.push(Warning::OldManifest { epoch, last, location });
        }
        Ok(epoch)
    }

    /// Writes the frames that are not known to be durable again in place, and syncs their files.
    async fn make_durable<D: Disk>(
        &self,
        disk: &D,
        scans: &[SegmentScan],
        found: &Found,
    ) -> Result<(), RecoveryError> {
        let known =
            found.durable_gsn.max(self.manifest.cut_gsn()).max(closed_through(&self.manifest));
        for scan in scans {
            let tail = |f: &&FrameEntry| f.gsn > known && f.gsn <= found.gsn;
            let mut tail = scan.frames.iter().filter(tail).peekable();
            if tail.peek().is_none() {
                continue;
            }
            let failed = |error| io_error(format!("make {} durable", scan.id), error);
            let path = self.options.dir.join(scan.id.file_name());
            let file = disk.open(&path).await.map_err(failed)?;
            let rewrites = !self.options.faults.has(Fault::TailNotRewritten);
            while let Some(frame) = tail.next().filter(|_| rewrites) {
                // Frames that lie side by side go in one piece.
                let mut end = frame.end();
                while let Some(follower) = tail.next_if(|f| f.offset == end) {
                    end = follower.end();
                }
                rewrite(disk, &file, frame.offset, end).await.map_err(failed)?;
            }
            disk.sync_data(&file).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Gives files that were cut off, and read on the operator's word, their length back, so that the next start need not
    /// be told again.
    async fn mend_cut<D: Disk>(
        &self,
        disk: &D,
        scans: &[SegmentScan],
    ) -> Result<(), RecoveryError> {
        for scan in scans {
            let Some(len) = scan.cut_from else { continue };
            let failed = |error| io_error(format!("extend {}", scan.id), error);
            let path = self.options.dir.join(scan.id.file_name());
            let file = disk.open(&path).await.map_err(failed)?;
            disk.set_len(&file, len).await.map_err(failed)?;
            disk.sync_all(&file).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Removes what was never finished and moves aside what is not the log's.
    async fn tidy_up<D: Disk>(
        &mut self,
        disk: &D,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), RecoveryError> {
        let dir = self.options.dir.clone();
        for name in &self.unfinished {
            match disk.remove(&dir.join(name)).await {
                // MANIFEST.new of a start that was cut short: storing our own MANIFEST has used the name.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(|error| io_error(format!("remove {name}"), error))?,
            }
        }
        for id in std::mem::take(&mut self.retired) {
            let ours = is_ours(disk, &dir, &self.manifest.log, id).await;
            if ours.map_err(|error| io_error(format!("read {id}"), error))? {
                self.retired.push(id);
            } else {
                self.strangers.push(id.file_name());
            }
        }
        if self.strangers.is_empty() {
            return Ok(());
        }
        let to = format!("aside-{}", self.options.now_ms);
        let failed = |error| io_error(format!("move files to {to}"), error);
        disk.create_dir(&dir.join(&to)).await.map_err(failed)?;
        for name in &self.strangers {
            let (from, target) = (dir.join(name), dir.join(&to).join(name));
            disk.rename(&from, &target).await.map_err(failed)?;
            warnings.push(Warning::MovedAside { name: name.clone(), to: to.clone() });
        }
        disk.sync_dir(&dir.join(&to)).await.map_err(failed)?;
        disk.sync_dir(&dir).await.map_err(failed)
    }
}

/// Stage files become segments; what is left under a stage's name holds nothing.
async fn adopt_stages<D: Disk>(
    disk: &D,
    dir: &Path,
    log: &LogId,
    names: &mut [String],
) -> Result<(), RecoveryError> {
    let mut renamed = false;
    for name in names.iter_mut().filter(|name| stage::is_stage_name(name)) {
        let failed = |error| io_error(format!("take over {name}"), error);
        if let Some(id) = stage::adopt(disk, dir, log, name).await.map_err(failed)? {
            *name = id.file_name();
            renamed = true;
        }
    }
    if renamed {
        let failed = |error| io_error(format!("directory {}", dir.display()), error);
        disk.sync_dir(dir).await.map_err(failed)?;
    }
    Ok(())
}

/// Whether a segment's first block says that it is this log's.
async fn is_ours<D: Disk>(disk: &D, dir: &Path, log: &LogId, id: SegmentId) -> io::Result<bool> {
    let file = disk.open(&dir.join(id.file_name())).await?;
    let mut block = vec![0; SEGMENT_HEADER_BYTES];
    disk.read_full_at(&file, &mut block, 0).await?;
    Ok(check_header(&block, log, id).is_ok())
}

async fn rewrite<D: Disk>(disk: &D, file: &D::File, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    let mut bytes = vec![0; usize::try_from((to - from).min(COPY_BYTES)).unwrap_or(0)];
    while at < to {
        let len = (to - at).min(bytes.len() as u64);
        bytes.truncate(usize::try_from(len).unwrap_or(0));
        if disk.read_full_at(file, &mut bytes, at).await? < bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        disk.write_all_at(file, &bytes, at).await?;
        at += len;
    }
    Ok(())
}

fn io_error(what: impl Into<String>, error: io::Error) -> RecoveryError {
    RecoveryError::Io { what: what.into(), error }
}

/// The directory that a log lives in, below the server's.
pub fn log_dir(server_dir: &Path) -> PathBuf {
    server_dir.join("appendonly")
}
