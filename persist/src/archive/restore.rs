//! From an archive to a data directory that a server starts from.
//!
//! ```text
//!   Plan ─> base, unpacked ─> frames up to the wanted one, sealed for segments of a new log ─> MANIFEST, last of all
//! ```
//!
//! The new log has a name of its own, so that what it archives later does not mix with what it was made from; GSNs go on.
//!
//! Invariant: a directory that is not complete has no MANIFEST, and no server starts from it.
//! Invariant: each byte was verified by its object's sums and, in frames, by their own before MANIFEST is written.

use std::path::{Path, PathBuf};

use super::catalog::{History, Plan, Target};
use super::collect::archived_seed;
use super::error::ArchiveError;
use super::names::{BaseName, ObjectName};
use super::object::ObjectReader;
use super::store::Store;
use crate::disk::{BLOCK_BYTES, Disk};
use crate::log::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameSeed, seal};
use crate::log::segment::{SEGMENT_BYTES_DEFAULT, SEGMENT_HEADER_BYTES, encode_header};
use crate::log::{Base, Epoch, LogId, Manifest, Preparation, SegmentId, SegmentKind};

/// How much of a base is copied at once.
const COPY_BYTES: usize = 256 << 10;
/// Longest payload that a header may announce before more of it was seen than this.
const TRUSTED_BYTES: usize = 16 << 20;

/// Where to restore to.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// The new log's directory, `appendonly` in the data directory. It must be empty, or not there.
    pub dir: PathBuf,
    /// Random bytes that name the new log.
    pub new_uuid: [u8; 16],
    /// The instant.
    pub target: Target,
}

/// What was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The last GSN of the state.
    pub gsn: u64,
    /// The latest wall clock of all frames that were read, in milliseconds since 1970; 0 without any.
    pub time_ms: u64,
    /// The cut of the base that was used; 0 = none.
    pub base_gsn: u64,
    /// Frames behind it.
    pub frames: u64,
    /// Bases that are damaged, so that an earlier one was taken.
    pub avoided: Vec<String>,
}

/// Restores from what `history` knows to be in `store`. `progress` hears how many bytes are done, and of how many.
pub async fn restore<D: Disk>(
    disk: &D,
    store: &dyn Store,
    history: &History,
    options: &RestoreOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Restored, ArchiveError> {
    let dir = &options.dir;
    let failed = |error| ArchiveError::io(format!("directory {}", dir.display()), error);
    if disk.exists(dir).await.map_err(failed)? && !disk.list(dir).await.map_err(failed)?.is_empty()
    {
        let what =
            format!("{} is not empty; give a directory that is not there yet", dir.display());
        return Err(ArchiveError::NotThere(what));
    }
    let (mut avoid, mut avoided) = (Vec::new(), Vec::new());
    loop {
        let plan = match history.plan(options.target, &avoid) {
            // Of the two reasons the damage is the one to tell.
            Err(_) if !avoided.is_empty() => {
                return Err(ArchiveError::NotThere(avoided.join("; ")));
            }
            plan => plan?,
        };
        disk.create_dir(dir).await.map_err(failed)?;
        let mut writer = Writer::new(disk, options, history, progress);
        match writer.run(store, &plan).await {
            Ok(restored) => return Ok(Restored { avoided, ..restored }),
            Err(error) => {
                writer.give_up().await;
                match (error, plan.base) {
                    (error @ ArchiveError::Damaged { .. }, Some(base))
                        if writer.frames == 0 && !writer.has_base =>
                    {
                        avoided.push(error.to_string());
                        avoid.push(base);
                    }
                    (error @ ArchiveError::Damaged { .. }, _) => {
                        return Err(writer.explain(&error, history));
                    }
                    (error, _) => return Err(error),
                }
            }
        }
    }
}

struct Writer<'a, D: Disk> {
    disk: &'a D,
    dir: &'a Path,
    log: LogId,
    total: u64,
    history: &'a History,
    progress: &'a mut dyn FnMut(u64, u64),
    done_bytes: u64,
    files: Vec<String>,
    segment: Option<Segment<D::File>>,
    next_seq: u64,
    has_base: bool,
    frames: u64,
    /// The last GSN written.
    gsn: u64,
    time_ms: u64,
}

struct Segment<F> {
    file: F,
    id: SegmentId,
    seed: FrameSeed,
    at: u64,
    buf: Vec<u8>,
}

impl<'a, D: Disk> Writer<'a, D> {
    fn new(
        disk: &'a D,
        options: &'a RestoreOptions,
        history: &'a History,
        progress: &'a mut dyn FnMut(u64, u64),
    ) -> Self {
        Writer {
            disk,
            dir: &options.dir,
            log: LogId::new(options.new_uuid),
            total: 0,
            history,
            progress,
            done_bytes: 0,
            files: Vec::new(),
            segment: None,
            next_seq: 1,
            has_base: false,
            frames: 0,
            gsn: 0,
            time_ms: 0,
        }
    }

    async fn run(&mut self, store: &dyn Store, plan: &Plan) -> Result<Restored, ArchiveError> {
        self.total = self.bytes_of(plan);
        let base = match &plan.base {
            Some(base) => Some(self.copy_base(store, plan.log, base).await?),
            None => None,
        };
        self.has_base = base.is_some();
        self.gsn = plan.base.map_or(0, |base| base.cut_gsn);
        self.time_ms = plan.base.map_or(0, |base| base.time_ms);
        let first_gsn = self.gsn + 1;
        self.copy_frames(store, plan).await?;
        self.end_segment().await?;
        if plan.until_ms.is_none() && self.gsn != plan.last_gsn {
            let what = format!("GSN {} is missing in the archive", self.gsn + 1);
            return Err(ArchiveError::NotThere(what));
        }
        let manifest = Manifest {
            base,
            epochs: vec![Epoch { number: 1, first_gsn, last_gsn: Some(self.gsn) }],
            ..Manifest::new(self.log, 1)
        };
        let failed = |error| ArchiveError::io(format!("directory {}", self.dir.display()), error);
        self.disk.sync_dir(self.dir).await.map_err(failed)?;
        manifest.store(self.disk, self.dir).await.map_err(failed)?;
        Ok(Restored {
            gsn: self.gsn,
            time_ms: self.time_ms,
            base_gsn: manifest.cut_gsn(),
            frames: self.frames,
            avoided: Vec::new(),
        })
    }

    fn bytes_of(&self, plan: &Plan) -> u64 {
        let base = self.history.bases.iter().filter(|(base, _)| Some(*base) == plan.base);
        let wanted = |name| plan.pieces.iter().any(|piece| piece.name == name);
        let frames = self.history.frames.iter().filter(|(name, _)| wanted(*name));
        base.map(|(_, bytes)| bytes).chain(frames.map(|(_, bytes)| bytes)).sum()
    }

    fn tell(&mut self, bytes: u64) {
        self.done_bytes += bytes;
        (self.progress)(self.done_bytes.min(self.total), self.total);
    }

    async fn copy_base(
        &mut self,
        store: &dyn Store,
        log: LogId,
        base: &BaseName,
    ) -> Result<Base, ArchiveError> {
        let object = ObjectName::Base(*base);
        let mut reader = ObjectReader::open(store, &log, &object)?;
        let file_name = format!("base-{}.rdb", base.cut_gsn);
        let failed = |error| ArchiveError::io(format!("write {file_name}"), error);
        self.files.push(file_name.clone());
        let file = self.disk.create(&self.dir.join(&file_name)).await.map_err(failed)?;
        let mut buf = vec![0; COPY_BYTES];
        let packed = self.history.bases.iter().find(|(b, _)| b == base).map_or(0, |(_, n)| *n);
        let (mut at, whole) = (0, reader.plain_bytes().max(1));
        loop {
            let n = reader.read(&mut buf)?;
            if n == 0 {
                break;
            }
            let bytes = buf.get(..n).unwrap_or_default();
            self.disk.write_all_at(&file, bytes, at).await.map_err(failed)?;
            at += n as u64;
            let share = |at: u64| {
                u64::try_from(u128::from(packed) * u128::from(at) / u128::from(whole)).unwrap_or(0)
            };
            self.tell(share(at) - share(at - n as u64));
        }
        reader.finish()?;
        self.disk.sync_all(&file).await.map_err(failed)?;
        Ok(Base { file_name, cut_gsn: base.cut_gsn })
    }

    async fn copy_frames(&mut self, store: &dyn Store, plan: &Plan) -> Result<(), ArchiveError> {
        for piece in &plan.pieces {
            let object = ObjectName::Frames(piece.name);
            let mut reader = ObjectReader::open(store, &plan.log, &object)?;
            let mut time_ms = piece.name.first_ms;
            let mut payload = Vec::new();
            let mut is_over = false;
            while reader.left_bytes() > 0 {
                let header = read_frame(&mut reader, &plan.log, &mut payload)?;
                if !(piece.name.first_gsn..=piece.name.last_gsn).contains(&header.gsn)
                    || header.epoch != piece.name.epoch
                {
                    return Err(reader.damaged(format!("GSN {} does not belong there", header.gsn)));
                }
                time_ms = time_ms.max(header.wall_ms);
                is_over |= plan.until_ms.is_some_and(|until| time_ms > until);
                if is_over || !(piece.first_gsn..=piece.last_gsn).contains(&header.gsn) {
                    continue;
                }
                if header.gsn != self.gsn + 1 {
                    return Err(reader.damaged(format!("GSN {} is missing", self.gsn + 1)));
                }
                self.write_frame(&header, &payload).await?;
                self.time_ms = self.time_ms.max(time_ms);
            }
            reader.finish()?;
            let packed = self.history.frames.iter().find(|(name, _)| *name == piece.name);
            self.tell(packed.map_or(0, |(_, bytes)| *bytes));
            if is_over {
                break;
            }
            if self.gsn != piece.last_gsn {
                let name = object.to_text(&plan.log);
                return Err(ArchiveError::damaged(
                    name,
                    format!("GSN {} is missing", self.gsn + 1),
                ));
            }
        }
        Ok(())
    }

    async fn write_frame(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
    ) -> Result<(), ArchiveError> {
        let len = (FRAME_HEADER_BYTES + payload.len()) as u64;
        if self
            .segment
            .as_ref()
            .is_some_and(|s| s.at + s.buf.len() as u64 + len > SEGMENT_BYTES_DEFAULT)
        {
            self.end_segment().await?;
        }
        if self.segment.is_none() {
            self.begin_segment().await?;
        }
        let Some(segment) = &mut self.segment else { return Ok(()) };
        // One shard, one epoch; what had been durable is no matter any more, as all of it is there.
        let header = FrameHeader { shard: 0, epoch: 1, durable_gsn: self.gsn, ..*header };
        let mut bytes = header.encode();
        seal(&mut bytes, &segment.seed);
        segment.buf.extend_from_slice(&bytes);
        segment.buf.extend_from_slice(payload);
        if segment.buf.len() >= COPY_BYTES {
            let id = segment.id;
            let failed = |error| ArchiveError::io(format!("write {id}"), error);
            self.disk
                .write_all_at(&segment.file, &segment.buf, segment.at)
                .await
                .map_err(failed)?;
            segment.at += segment.buf.len() as u64;
            segment.buf.clear();
        }
        (self.gsn, self.frames) = (header.gsn, self.frames + 1);
        Ok(())
    }

    async fn begin_segment(&mut self) -> Result<(), ArchiveError> {
        let id = SegmentId { shard: 0, seq: self.next_seq };
        self.next_seq += 1;
        self.files.push(id.file_name());
        let failed = |error| ArchiveError::io(format!("write {id}"), error);
        let file = self.disk.create(&self.dir.join(id.file_name())).await.map_err(failed)?;
        let seed = FrameSeed::new(&self.log, id);
        let at = SEGMENT_HEADER_BYTES as u64;
        self.segment = Some(Segment { file, id, seed, at, buf: Vec::new() });
        Ok(())
    }

    /// The header comes last, since only then the length is known.
    async fn end_segment(&mut self) -> Result<(), ArchiveError> {
        let Some(mut segment) = self.segment.take() else { return Ok(()) };
        let end = segment.at + segment.buf.len() as u64;
        let size_bytes = end.next_multiple_of(BLOCK_BYTES as u64);
        segment.buf.resize(segment.buf.len() + usize::try_from(size_bytes - end).unwrap_or(0), 0);
        let job = Preparation {
            log: self.log,
            id: segment.id,
            kind: SegmentKind::Grouped,
            size_bytes,
            recycle: None,
        };
        let failed = |error| ArchiveError::io(format!("write {}", segment.id), error);
        let disk = self.disk;
        disk.write_all_at(&segment.file, &segment.buf, segment.at).await.map_err(failed)?;
        disk.write_all_at(&segment.file, &encode_header(&job), 0).await.map_err(failed)?;
        disk.sync_all(&segment.file).await.map_err(failed)
    }

    /// Removes what was written.
    async fn give_up(&mut self) {
        self.segment = None;
        for name in std::mem::take(&mut self.files) {
            // Without MANIFEST nothing can come of a file that stays.
            let _ = self.disk.remove(&self.dir.join(name)).await;
        }
    }

    /// What the damage leaves.
    fn explain(&self, error: &ArchiveError, history: &History) -> ArchiveError {
        let damaged = match error {
            ArchiveError::Damaged { name, .. } => ObjectName::parse(name).map(|(_, object)| object),
            ArchiveError::Io { .. }
            | ArchiveError::NotInLog(_)
            | ArchiveError::OtherHistory(_)
            | ArchiveError::NotThere(_) => None,
        };
        let mut left = history.clone();
        left.bases.retain(|(base, _)| Some(ObjectName::Base(*base)) != damaged);
        left.frames.retain(|(frames, _)| Some(ObjectName::Frames(*frames)) != damaged);
        ArchiveError::NotThere(format!(
            "{error}; without it, {}",
            History::describe(&left.instants())
        ))
    }
}

/// Reads one frame.
fn read_frame(
    reader: &mut ObjectReader,
    log: &LogId,
    payload: &mut Vec<u8>,
) -> Result<FrameHeader, ArchiveError> {
    let mut bytes = [0; FRAME_HEADER_BYTES];
    reader.read_exact(&mut bytes)?;
    let shard = bytes.get(24..28).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
    let header = FrameHeader::decode(&bytes, &archived_seed(log, shard))
        .ok_or_else(|| reader.damaged("a frame's header does not check"))?;
    if header.payload_len > reader.left_bytes() {
        return Err(reader.damaged("a frame is longer than what is left"));
    }
    let mut left = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
    payload.clear();
    while left > 0 {
        let from = payload.len();
        let n = left.min(TRUSTED_BYTES);
        payload.resize(from + n, 0);
        reader.read_exact(payload.get_mut(from..).unwrap_or_default())?;
        left -= n;
    }
    if crc32fast::hash(payload) != header.payload_crc {
        return Err(reader.damaged(format!("GSN {} does not check", header.gsn)));
    }
    Ok(header)
}
