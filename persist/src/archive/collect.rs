//! From the log's directory into the archive: frames of all shards in GSN order, bases, epochs.
//!
//! ```text
//!   pass: epochs of MANIFEST ─> each segment from where it was read to last ─> frames through+1..=synced, without a gap
//!         ─> objects ─> the base, if it is a new one
//! ```
//!
//! It reads what is on the disk and asks nobody but for `synced`, so that one pass after a crash takes up what the run before had
//! not archived, whatever the number of shards was.
//!
//! Invariant: a frame is archived when it and all below it are durable, so that no start can find less.
//! Invariant: after an error all that is remembered of segments is forgotten; the archive itself says where to go on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::catalog::{Catalog, History};
use super::error::ArchiveError;
use super::names::{BaseName, EpochName, FramesName, ObjectName};
use super::object::ObjectWriter;
use super::store::Store;
use super::stream::{Found, Reader, Stream};
use crate::crypt::{Keyring, Purpose, SealedFile, TAG_BYTES, sealed_with};
use crate::disk::Disk;
use crate::disk::map::MappedFile;
use crate::log::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameSeed, seal};
use crate::log::replay::{Cursor, Place};
use crate::log::scan::FrameEntry;
use crate::log::{FrameKind, FrameOpener, LogId, Manifest, SegmentId};

/// Content of an object of frames, about: more where one frame is longer.
const OBJECT_BYTES: u64 = 16 << 20;
/// Frames of a shard that are remembered at once.
const PENDING_MAX: usize = 1 << 18;
/// How far behind a frame the next group may begin in a segment that was not damaged.
const NEAR_BYTES: u64 = 64 << 10;
/// How much of a base is read at once.
const COPY_BYTES: usize = 256 << 10;

/// What a pass did.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// Everything up to this GSN is in the archive, or lost to it.
    pub through: u64,
    /// Its time, in milliseconds since 1970.
    pub time_ms: u64,
    /// Objects made.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was missing, so that the archive goes on with a base.
    pub lost: Option<Lost>,
}

/// Frames that the archive will never get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The first of them.
    pub first_gsn: u64,
    /// The cut of the base at which the archive goes on.
    pub base_gsn: u64,
}

/// Which files make a stream: those of a shard, or one former stage.
type StreamKey = (u32, Option<u64>);

/// Archives one log.
#[derive(Debug)]
pub struct Collector {
    dir: PathBuf,
    log: LogId,
    history: History,
    /// `None` before anything of the log is archived.
    through: Option<u64>,
    time_ms: u64,
    streams: BTreeMap<StreamKey, Stream>,
    /// Frames of a stream that are remembered at once.
    pending_max: usize,
    /// Times of cuts met on the way.
    cuts: BTreeMap<u64, u64>,
    keyring: Keyring,
    /// Of sealed frames, as MANIFEST had the keys when the pass began.
    opener: FrameOpener,
}

impl Collector {
    /// Goes on with the log in `dir` where the archive ends, for a run that began at `started_ms`.
    pub fn open(
        store: &dyn Store,
        dir: &Path,
        manifest: &Manifest,
        started_ms: u64,
    ) -> Result<Self, ArchiveError> {
        let history = Catalog::load(store)?.history(manifest.log);
        let open = manifest.epochs.last().filter(|epoch| epoch.last_gsn.is_none());
        let noted = open.and_then(|epoch| history.epochs.get(&epoch.number));
        if let Some(noted) = noted.filter(|noted| noted.time_ms < started_ms) {
            // Epochs' numbers are not used twice, but for a log that was put back from a copy.
            return Err(ArchiveError::OtherHistory(noted.number));
        }
        let mut collector = Collector {
            dir: dir.to_owned(),
            log: LogId::new(manifest.log.uuid),
            history,
            through: None,
            time_ms: 0,
            streams: BTreeMap::new(),
            pending_max: PENDING_MAX,
            cuts: BTreeMap::new(),
            keyring: Keyring::default(),
            opener: FrameOpener::default(),
        };
        collector.find_end(manifest);
        Ok(collector)
    }

    fn find_end(&mut self, manifest: &Manifest) {
        let fence = |epoch: u32| {
            let later = manifest.epochs.iter().filter(|e| e.number > epoch).map(|e| e.first_gsn);
            later.min().unwrap_or(u64::MAX)
        };
        let end = |gsn: u64, epoch: u32| gsn.min(fence(epoch).saturating_sub(1));
        let spans = self.history.spans();
        let frames = spans.iter().map(|s| (end(s.last_gsn, s.name.epoch), s.name.last_ms));
        let bases = self.history.valid_bases();
        let bases = bases.iter().map(|b| (end(b.cut_gsn, b.epoch), b.time_ms));
        let ends: Vec<(u64, u64)> = frames.chain(bases).collect();
        // A log that was archived from its first epoch on needs no base, even when nothing of it got here yet.
        let whole = self.history.epochs.values().any(|epoch| epoch.first_gsn == 1).then_some(0);
        self.through = ends.iter().map(|(gsn, _)| *gsn).max().or(whole);
        self.time_ms = spans.iter().map(|s| s.name.last_ms).max().unwrap_or(0);
    }

    /// The log.
    pub fn log(&self) -> LogId {
        self.log
    }

    /// Everything up to this GSN is archived, or lost.
    pub fn through(&self) -> u64 {
        self.through.unwrap_or(0)
    }

    /// The keys that open what is encrypted in the log; to be told before a pass, and again when they change.
    pub fn set_keyring(&mut self, keyring: Keyring) {
        self.keyring = keyring;
    }

    /// What the archive holds of the log.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Looks at the archive anew, after objects were removed.
    pub fn note_removed(&mut self, removed: &[ObjectName]) {
        self.history.bases.retain(|(base, _)| !removed.contains(&ObjectName::Base(*base)));
        self.history.frames.retain(|(f, _)| !removed.contains(&ObjectName::Frames(*f)));
        self.history.epochs.retain(|_, e| !removed.contains(&ObjectName::Epoch(*e)));
    }

    /// Archives what is there up to `synced`, which was read before this call; `manifest` as well.
    pub async fn pass<D: Disk>(
        &mut self,
        disk: &D,
        store: &dyn Store,
        manifest: &Manifest,
        synced: u64,
        now_ms: u64,
    ) -> Result<Collected, ArchiveError> {
        let mut done = Collected::default();
        let result = self.try_pass(disk, store, manifest, (synced, now_ms), &mut done).await;
        if result.is_err() {
            self.streams.clear();
        }
        result?;
        (done.through, done.time_ms) = (self.through(), self.time_ms);
        Ok(done)
    }

    async fn try_pass<D: Disk>(
        &mut self,
        disk: &D,
        store: &dyn Store,
        manifest: &Manifest,
        (synced, now_ms): (u64, u64),
        done: &mut Collected,
    ) -> Result<(), ArchiveError> {
        self.unlock(manifest)?;
        self.note_epochs(store, manifest, now_ms)?;
        let cut = manifest.cut_gsn();
        if self.through.is_none() {
            self.through = Some(0);
            if cut > 0 && !self.has_first(disk, manifest, synced).await? {
                self.through = None;
                self.archive_base(disk, store, manifest, done).await?;
                self.through = Some(cut);
            }
        }
        let mut is_thorough = false;
        while self.through() < synced {
            let part = if is_thorough { u64::MAX } else { NEAR_BYTES };
            let epoch = manifest.last_epoch();
            self.fill(disk, synced, epoch, part).await?;
            let run = self.next_run(manifest, synced);
            if !run.is_empty() {
                self.archive_frames(disk, store, run, done).await?;
                (is_thorough, self.pending_max) = (false, PENDING_MAX);
            } else if self.streams.values().any(|s| s.is_partial) {
                // After a failed write frames may stand behind later ones.
                self.pending_max *= 2;
            } else if !is_thorough {
                self.streams.clear();
                is_thorough = true;
            } else if !self.skip(disk, store, manifest, done).await? {
                return Err(ArchiveError::NotInLog(self.through() + 1));
            }
        }
        let newest = self.history.bases.iter().map(|(base, _)| base.cut_gsn).max();
        if cut > 0 && cut <= self.through() && newest.is_none_or(|newest| newest < cut) {
            self.archive_base(disk, store, manifest, done).await?;
        }
        Ok(())
    }

    fn unlock(&mut self, manifest: &Manifest) -> Result<(), ArchiveError> {
        if !manifest.seals.is_sealed() {
            return Ok(());
        }
        let failed = |e: String| ArchiveError::io("open the log's keys", std::io::Error::other(e));
        // What was read from a file can be verified, and only what was verified opens.
        let mut read = Manifest::parse(&manifest.to_text()).map_err(|e| failed(e.to_string()))?;
        self.opener = read.unlock(&self.keyring).map_err(|e| failed(e.to_string()))?;
        Ok(())
    }

    /// Whether the log still holds its very first frame, so that no base is needed to begin with.
    async fn has_first<D: Disk>(
        &mut self,
        disk: &D,
        manifest: &Manifest,
        synced: u64,
    ) -> Result<bool, ArchiveError> {
        self.fill(disk, synced, manifest.last_epoch(), NEAR_BYTES).await?;
        let mut firsts = self.streams.values().filter_map(|s| s.pending.first_key_value());
        let has = firsts
            .any(|((gsn, _), found)| *gsn == 1 && admits(manifest, &self.history, &found.entry));
        self.streams.clear();
        Ok(has)
    }

    /// Goes on at the base where the next frame is not to be had any more.
    async fn skip<D: Disk>(
        &mut self,
        disk: &D,
        store: &dyn Store,
        manifest: &Manifest,
        done: &mut Collected,
    ) -> Result<bool, ArchiveError> {
        let (cut, first_gsn) = (manifest.cut_gsn(), self.through() + 1);
        if cut < first_gsn {
            return Ok(false);
        }
        self.archive_base(disk, store, manifest, done).await?;
        // A log that begins anew leaves out one number: nothing is lost there.
        let anew = manifest.epochs.iter().any(|e| e.last_gsn.is_none() && e.first_gsn > first_gsn);
        if !(anew && cut == first_gsn + 1) {
            done.lost = Some(Lost { first_gsn, base_gsn: cut });
        }
        self.through = Some(cut);
        Ok(true)
    }

    fn note_epochs(
        &mut self,
        store: &dyn Store,
        manifest: &Manifest,
        now_ms: u64,
    ) -> Result<(), ArchiveError> {
        for epoch in &manifest.epochs {
            if self.history.epochs.contains_key(&epoch.number) {
                continue;
            }
            let name = EpochName {
                number: epoch.number,
                first_gsn: epoch.first_gsn,
                shards: manifest.shards,
                time_ms: now_ms,
            };
            let object = ObjectName::Epoch(name);
            ObjectWriter::begin(store, &self.log, &object, 0)?.finish()?;
            self.history.add(object, 0);
        }
        Ok(())
    }

    /// Reads on in all files.
    async fn fill<D: Disk>(
        &mut self,
        disk: &D,
        synced: u64,
        epoch: u32,
        search_bytes: u64,
    ) -> Result<(), ArchiveError> {
        let listed = disk.list(&self.dir).await;
        let names = listed.map_err(|error| {
            ArchiveError::io(format!("directory {}", self.dir.display()), error)
        })?;
        let mut files: BTreeMap<StreamKey, Vec<u64>> = BTreeMap::new();
        for id in names.iter().filter_map(|name| SegmentId::from_file_name(name)) {
            let key = (id.shard, id.is_of_stage().then_some(id.seq));
            files.entry(key).or_default().push(id.seq);
        }
        self.streams.retain(|key, stream| files.contains_key(key) || !stream.pending.is_empty());
        let through = self.through();
        for ((shard, stage), mut seqs) in files {
            seqs.sort_unstable();
            let stream = self.streams.entry((shard, stage)).or_default();
            if stream.pending.len() < self.pending_max {
                let reader = Reader {
                    disk,
                    dir: &self.dir,
                    log: &self.log,
                    shard,
                    through,
                    synced,
                    epoch,
                    search_bytes,
                    pending_max: self.pending_max,
                };
                reader.read_on(stream, &seqs).await?;
            }
        }
        Ok(())
    }

    /// The frames that come next, without a gap and of one epoch, as much as goes into one object.
    fn next_run(&mut self, manifest: &Manifest, synced: u64) -> Vec<Found> {
        let known =
            |s: &Stream| s.pending.keys().next_back().filter(|_| s.is_partial).map(|key| key.0);
        let limit = self.streams.values().filter_map(known).min().unwrap_or(synced).min(synced);
        let mut run: Vec<Found> = Vec::new();
        let (mut next, mut bytes) = (self.through() + 1, 0);
        while next <= limit && bytes < OBJECT_BYTES {
            let Some(found) = self.take(next, manifest) else { break };
            let other_epoch = run.first().is_some_and(|f| f.entry.epoch != found.entry.epoch);
            if other_epoch {
                let key = (found.file.shard, found.file.is_of_stage().then_some(found.file.seq));
                let stream = self.streams.entry(key).or_default();
                stream.pending.insert((found.entry.gsn, found.entry.epoch), found);
                break;
            }
            bytes += found.entry.payload_len + FRAME_HEADER_BYTES as u64;
            next += 1;
            run.push(found);
        }
        run
    }

    /// Takes a frame out of the stream that has it in front, and passes over what is below it or does not count.
    fn take(&mut self, gsn: u64, manifest: &Manifest) -> Option<Found> {
        let mut taken = None;
        for stream in self.streams.values_mut() {
            while let Some(front) = stream.pending.first_entry() {
                if front.key().0 > gsn {
                    break;
                }
                let found = front.remove();
                let counts = || admits(manifest, &self.history, &found.entry);
                if found.entry.gsn == gsn && taken.is_none() && counts() {
                    taken = Some(found);
                }
            }
        }
        taken
    }

    async fn archive_frames<D: Disk>(
        &mut self,
        disk: &D,
        store: &dyn Store,
        run: Vec<Found>,
        done: &mut Collected,
    ) -> Result<(), ArchiveError> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
        let first_ms = self.time_ms.max(first.entry.wall_ms);
        let highest = run.iter().map(|found| found.entry.wall_ms).max().unwrap_or(0);
        let name = FramesName {
            first_gsn: first.entry.gsn,
            last_gsn: last.entry.gsn,
            epoch: first.entry.epoch,
            first_ms,
            last_ms: self.time_ms.max(highest),
        };
        let len = |Found { entry, .. }: &Found| {
            let tag = if entry.key == 0 { 0 } else { TAG_BYTES as u64 };
            entry.payload_len.saturating_sub(tag) + FRAME_HEADER_BYTES as u64
        };
        let plain_bytes = run.iter().map(len).sum();
        let object = ObjectName::Frames(name);
        let mut writer = ObjectWriter::begin(store, &self.log, &object, plain_bytes)?;
        let (mut cursors, mut payload) = (BTreeMap::new(), Vec::new());
        let mut time_ms = self.time_ms;
        let failed =
            |file: SegmentId, error| ArchiveError::io(format!("read {file} to archive it"), error);
        for Found { entry, file } in run {
            if let std::collections::btree_map::Entry::Vacant(vacant) = cursors.entry(file) {
                let opened = Cursor::open(disk, &self.dir, self.log, file).await;
                vacant.insert(opened.map_err(|error| failed(file, error))?);
            }
            let Some(cursor) = cursors.get_mut(&file) else { continue };
            let place = Place { segment: 0, offset: entry.offset, sealed_for: entry.sealed_for };
            let read = cursor.read(disk, &place, &mut payload).await;
            let header = read.map_err(|error| failed(file, error))?;
            let opened = self.opener.open(&header, &mut payload, &file);
            opened.map_err(|error| failed(file, std::io::Error::other(error)))?;
            time_ms = time_ms.max(header.wall_ms);
            if header.kind == FrameKind::Cut {
                self.cuts.insert(header.gsn, time_ms);
            }
            writer.write(&archived_header(&self.log, &header, &payload))?;
            writer.write(&payload)?;
        }
        let bytes = writer.finish()?;
        self.history.add(object, bytes);
        (done.objects, done.bytes) = (done.objects + 1, done.bytes + bytes);
        (self.through, self.time_ms) = (Some(name.last_gsn), name.last_ms);
        Ok(())
    }

    async fn archive_base<D: Disk>(
        &mut self,
        disk: &D,
        store: &dyn Store,
        manifest: &Manifest,
        done: &mut Collected,
    ) -> Result<(), ArchiveError> {
        let Some(base) = &manifest.base else { return Ok(()) };
        let failed =
            |error| ArchiveError::io(format!("read {} to archive it", base.file_name), error);
        let path = self.dir.join(&base.file_name);
        let file = disk.open(&path).await.map_err(failed)?;
        let sealed = match sealed_with(&path).map_err(failed)? {
            None => None,
            Some(_) => {
                let map = MappedFile::open(&path).map_err(failed)?;
                let opened = SealedFile::open(&path, map, &self.keyring, Purpose::Snapshot);
                Some(opened.map_err(|error| failed(std::io::Error::other(error)))?)
            }
        };
        let len = match &sealed {
            Some(sealed) => sealed.len(),
            None => disk.len(&file).await.map_err(failed)?,
        };
        let made_ms = std::fs::metadata(&path).ok().and_then(|meta| meta.modified().ok());
        let made_ms = made_ms.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let made_ms = made_ms.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
        // The latest epoch whose frames the cut can cover.
        let epoch = manifest.epochs.iter().rev().find(|e| e.first_gsn <= base.cut_gsn + 1);
        let name = BaseName {
            cut_gsn: base.cut_gsn,
            epoch: epoch.map_or(0, |epoch| epoch.number),
            time_ms: self.cuts.get(&base.cut_gsn).copied().unwrap_or(made_ms.max(self.time_ms)),
        };
        let object = ObjectName::Base(name);
        let mut writer = ObjectWriter::begin(store, &self.log, &object, len)?;
        let mut buf = vec![0; COPY_BYTES];
        let mut at = 0;
        while at < len {
            if let Some(sealed) = &sealed {
                let unit = sealed.unit_at(at);
                let unit = unit.map_err(|error| failed(std::io::Error::other(error)))?;
                let (_, unit) =
                    unit.ok_or_else(|| failed(std::io::ErrorKind::UnexpectedEof.into()))?;
                writer.write(&unit)?;
                at += unit.len() as u64;
                continue;
            }
            let n = disk.read_full_at(&file, &mut buf, at).await.map_err(failed)?;
            if n == 0 {
                return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
            }
            writer.write(buf.get(..n).unwrap_or_default())?;
            at += n as u64;
        }
        let bytes = writer.finish()?;
        self.history.add(object, bytes);
        self.cuts = self.cuts.split_off(&base.cut_gsn);
        (done.objects, done.bytes) = (done.objects + 1, done.bytes + bytes);
        Ok(())
    }
}

/// Whether a frame counts: by MANIFEST, and for epochs that it has forgotten by what the archive knows of later ones.
fn admits(manifest: &Manifest, history: &History, entry: &FrameEntry) -> bool {
    if manifest.epochs.iter().any(|e| e.number == entry.epoch) {
        return manifest.admits(entry.epoch, entry.gsn);
    }
    let later = history.epochs.range(entry.epoch.saturating_add(1)..).map(|(_, e)| e.first_gsn);
    let listed = manifest.epochs.iter().filter(|e| e.number > entry.epoch).map(|e| e.first_gsn);
    manifest.pending != Some(entry.epoch)
        && later.chain(listed).min().is_none_or(|fence| entry.gsn < fence)
}

/// The header of a frame as it stands in the archive: sealed for segment 0, which no file has.
fn archived_header(log: &LogId, header: &FrameHeader, payload: &[u8]) -> [u8; FRAME_HEADER_BYTES] {
    let header = FrameHeader {
        payload_crc: crc32fast::hash(payload),
        payload_len: payload.len() as u64,
        key: 0,
        ..*header
    };
    let mut bytes = header.encode();
    seal(&mut bytes, &archived_seed(log, header.shard));
    bytes
}

/// What frames of a shard are sealed with in the archive.
pub(super) fn archived_seed(log: &LogId, shard: u32) -> FrameSeed {
    FrameSeed::new(log, SegmentId { shard, seq: 0 })
}
