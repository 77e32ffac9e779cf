//! The real disk with a step before each call that changes it.

use std::fs::File;
use std::io;
use std::path::Path;

use ringstone_persist::disk::aligned::AlignedBuf;
use ringstone_persist::disk::{Disk, StdDisk};

use super::{ARMED, Step};

/// The disk that the server uses outside of the shards' rings.
pub const DISK: StepDisk = StepDisk;

/// The real disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepDisk;

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Manifest,
    /// In preparation.
    NewSegment,
    Segment,
    Stage,
    /// A log's base in the making.
    NewBase,
    /// A snapshot in the making.
    NewDump,
    Other,
}

impl Kind {
    fn of(path: &Path) -> Kind {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_segment = |name: &str| name.starts_with('s') && name.ends_with(".log");
        match name.strip_suffix(".new") {
            _ if name.starts_with("MANIFEST") => Kind::Manifest,
            Some(name) if is_segment(name) => Kind::NewSegment,
            _ if name.starts_with("stage-") => Kind::Stage,
            _ if is_segment(name) => Kind::Segment,
            Some("base.rdb") => Kind::NewBase,
            _ if name.starts_with("temp-") => Kind::NewDump,
            _ => Kind::Other,
        }
    }

    fn create(self) -> Option<Step> {
        match self {
            Kind::NewSegment => Some(Step::SegmentCreate),
            Kind::Stage => Some(Step::StageCreate),
            Kind::Manifest | Kind::Segment | Kind::NewBase | Kind::NewDump | Kind::Other => None,
        }
    }

    fn read(self) -> Option<Step> {
        match self {
            Kind::Manifest => Some(Step::ManifestRead),
            Kind::Segment => Some(Step::SegmentRead),
            Kind::NewSegment | Kind::Stage | Kind::NewBase | Kind::NewDump | Kind::Other => None,
        }
    }

    fn write(self) -> Option<Step> {
        match self {
            Kind::Manifest => Some(Step::ManifestWrite),
            Kind::NewSegment => Some(Step::SegmentWrite),
            Kind::Segment => Some(Step::TailWrite),
            Kind::Stage => Some(Step::StageWrite),
            Kind::NewBase | Kind::NewDump | Kind::Other => None,
        }
    }

    fn sync(self) -> Option<Step> {
        match self {
            Kind::Manifest => Some(Step::ManifestSync),
            Kind::NewSegment => Some(Step::SegmentSync),
            Kind::Segment => Some(Step::TailSync),
            Kind::Stage => Some(Step::StageSync),
            Kind::NewBase => Some(Step::BaseSync),
            Kind::NewDump => Some(Step::DumpSync),
            Kind::Other => None,
        }
    }
}

fn at(step: Option<Step>) -> io::Result<()> {
    step.map_or(Ok(()), super::reach)
}

/// An open file, and what it is.
#[derive(Debug)]
pub struct StepFile(File, Kind);

impl Disk for StepDisk {
    type File = StepFile;

    async fn open(&self, path: &Path) -> io::Result<StepFile> {
        Ok(StepFile(StdDisk.open(path).await?, Kind::of(path)))
    }
    async fn create(&self, path: &Path) -> io::Result<StepFile> {
        let kind = Kind::of(path);
        at(kind.create())?;
        Ok(StepFile(StdDisk.create(path).await?, kind))
    }
    async fn read_at(&self, file: &StepFile, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        at(file.1.read())?;
        StdDisk.read_at(&file.0, buf, offset).await
    }
    async fn write_at(&self, file: &StepFile, buf: &[u8], offset: u64) -> io::Result<usize> {
        if let (Some(armed), Some(step)) = (ARMED.get(), file.1.write()) {
            let half = buf.get(..buf.len() / 2).unwrap_or_default();
            let write_half = || drop(std::os::unix::fs::FileExt::write_at(&file.0, half, offset));
            armed.reach(step, write_half)?;
        }
        StdDisk.write_at(&file.0, buf, offset).await
    }
    async fn len(&self, file: &StepFile) -> io::Result<u64> {
        StdDisk.len(&file.0).await
    }
    async fn set_len(&self, file: &StepFile, len: u64) -> io::Result<()> {
        StdDisk.set_len(&file.0, len).await
    }
    async fn allocate(&self, file: &StepFile, len: u64) -> io::Result<()> {
        if file.1 == Kind::NewSegment {
            super::reach(Step::SegmentAllocate)?;
        }
        StdDisk.allocate(&file.0, len).await
    }
    async fn sync_data(&self, file: &StepFile) -> io::Result<()> {
        at(file.1.sync())?;
        StdDisk.sync_data(&file.0).await
    }
    async fn sync_all(&self, file: &StepFile) -> io::Result<()> {
        at(file.1.sync())?;
        StdDisk.sync_all(&file.0).await
    }
    async fn map(&self, file: &StepFile, len: usize) -> io::Result<AlignedBuf> {
        super::reach(Step::StageMap)?;
        StdDisk.map(&file.0, len).await
    }
    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        at(match (Kind::of(from), Kind::of(to)) {
            (Kind::Manifest, _) => Some(Step::ManifestRename),
            (Kind::Segment, Kind::NewSegment) => Some(Step::SegmentRecycle),
            (Kind::NewSegment, _) => Some(Step::SegmentRename),
            (Kind::NewBase, _) => Some(Step::BaseRename),
            (Kind::NewDump, _) => Some(Step::DumpRename),
            (Kind::Stage, Kind::Segment) => Some(Step::StageAdopt),
            _ => Some(Step::AsideMove),
        })?;
        StdDisk.rename(from, to).await
    }
    async fn remove(&self, path: &Path) -> io::Result<()> {
        super::reach(Step::RemoveUnfinished)?;
        StdDisk.remove(path).await
    }
    async fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        StdDisk.list(dir).await
    }
    async fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("aside-") {
            super::reach(Step::AsideDir)?;
        }
        StdDisk.create_dir(dir).await
    }
    async fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        super::reach(Step::DirSync)?;
        StdDisk.sync_dir(dir).await
    }
    async fn exists(&self, path: &Path) -> io::Result<bool> {
        StdDisk.exists(path).await
    }
}
