#![expect(clippy::cast_possible_truncation, reason = "small numbers")]
//! Random histories of several shards with rewrites, crashes and other numbers of shards, archived as they go; every instant
//! that the archive says it has is restored and compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::disk::{Disk, StdDisk, block_on};
use crate::log::{
    Base, FrameKind, LogWriter, Manifest, RecoverOptions, Recovered, SyncMode, Watermarks,
    WriterOptions, prepare_segment, prepare_stage, recover,
};

/// A small generator; the tests need no more.
struct Rng(u64);

impl Rng {
    fn next(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

struct World {
    home: tempfile::TempDir,
    writers: Vec<LogWriter>,
    marks: Watermarks,
    manifest: Manifest,
    collector: Option<Collector>,
    clock_ms: u64,
    /// By GSN: payload and wall clock of what counts.
    oracle: BTreeMap<u64, (Vec<u8>, u64)>,
    mode: SyncMode,
    archives: bool,
}

impl World {
    fn new(mode: SyncMode, shards: usize) -> World {
        let home = tempfile::tempdir().unwrap();
        let mut world = World {
            home,
            writers: Vec::new(),
            marks: Watermarks::new(1, 1),
            manifest: Manifest::new(crate::log::LogId::new([0; 16]), 1),
            collector: None,
            clock_ms: 1_000_000,
            oracle: BTreeMap::new(),
            mode,
            archives: true,
        };
        world.start(shards, false);
        world
    }

    fn dir(&self) -> PathBuf {
        self.home.path().join("log")
    }

    fn store(&self) -> DirStore {
        DirStore::new(self.home.path().join("archive"))
    }

    fn start(&mut self, shards: usize, force: bool) -> Recovered {
        self.clock_ms += 5;
        let mut options = RecoverOptions::new(self.dir(), shards as u32, [3; 16], self.clock_ms);
        options.force_truncate = force;
        let recovered = block_on(recover(&StdDisk, &options)).unwrap();
        self.oracle.retain(|gsn, _| *gsn <= recovered.gsn);
        self.marks = Watermarks::new(shards, recovered.next_gsn());
        self.manifest = recovered.manifest.clone();
        let writer = |shard: u32| {
            let log = recovered.manifest.log;
            let next_seq = recovered.next_seq(shard);
            LogWriter::new(WriterOptions {
                segment_bytes: 64 << 10,
                stage_bytes: 16 << 10,
                old_segments: recovered.old_segments(shard, shards as u32),
                cut_gsn: recovered.manifest.cut_gsn(),
                archived_gsn: self.archives.then_some(0),
                ..WriterOptions::new(log, shard, recovered.epoch, self.mode, next_seq)
            })
        };
        self.writers = (0..shards as u32).map(writer).collect();
        self.collector = None;
        (0..shards).for_each(|shard| self.run(shard));
        recovered
    }

    fn run(&mut self, shard: usize) {
        let (dir, writer) = (self.dir(), &mut self.writers[shard]);
        loop {
            while let Some(job) = writer.next_preparation() {
                block_on(prepare_segment(&StdDisk, &dir, &job)).unwrap();
                writer.spare_ready(job.id);
            }
            while let Some(job) = writer.next_stage() {
                writer.stage_prepared(&job, block_on(prepare_stage(&StdDisk, &dir, &job)));
            }
            while let Some(id) = writer.next_removal() {
                std::fs::remove_file(dir.join(id.file_name())).unwrap();
            }
            let Some(request) = writer.next_write() else { break };
            let file = block_on(StdDisk.open(&dir.join(request.segment.file_name()))).unwrap();
            let result = block_on(StdDisk.write_at(&file, request.bytes(), request.offset));
            let ticket = request.ticket;
            drop(request);
            writer.write_done(ticket, result);
        }
        self.marks.publish(shard, writer.written_below(), writer.synced_below());
    }

    fn push(&mut self, shard: usize, rng: &mut Rng) {
        // Shards read their clocks at other moments than they take numbers, and clocks are set back at times.
        self.clock_ms += rng.next(4);
        let wall_ms = self.clock_ms - rng.next(10) * rng.next(2);
        let gsn = self.marks.take_gsn(shard);
        let records = vec![gsn as u8; (rng.next(40) * rng.next(40)) as usize];
        let kind = if rng.next(5) == 0 { FrameKind::Transaction } else { FrameKind::Batch };
        self.writers[shard].push(gsn, wall_ms, self.marks.synced(), kind, &records).unwrap();
        self.oracle.insert(gsn, (records, wall_ms));
    }

    fn sync(&mut self) {
        for shard in 0..self.writers.len() {
            self.writers[shard].request_sync();
            self.run(shard);
        }
    }

    /// A base that only tells its cut.
    fn rewrite(&mut self) {
        self.writers.iter_mut().for_each(LogWriter::rotate);
        let cut_gsn = self.marks.take_gsn(0);
        let wall_ms = self.clock_ms;
        self.writers[0].push(cut_gsn, wall_ms, self.marks.synced(), FrameKind::Cut, &[]).unwrap();
        self.oracle.insert(cut_gsn, (Vec::new(), wall_ms));
        let old = self.manifest.base.clone();
        let base = Base { file_name: format!("base-{cut_gsn}.rdb"), cut_gsn };
        let content = format!("base {cut_gsn} ").repeat(1000);
        std::fs::write(self.dir().join(&base.file_name), content).unwrap();
        let shards = 0..self.writers.len() as u32;
        let live = shards.zip(&self.writers).map(|(at, w)| (at, w.first_live_seq(cut_gsn)));
        let live: Vec<_> = live.collect();
        self.manifest.set_base(base, live);
        block_on(self.manifest.store(&StdDisk, &self.dir())).unwrap();
        if let Some(old) = old {
            std::fs::remove_file(self.dir().join(old.file_name)).unwrap();
        }
        self.writers.iter_mut().for_each(|writer| writer.retire_below(cut_gsn));
        (0..self.writers.len()).for_each(|shard| self.run(shard));
    }

    fn archive(&mut self) -> Result<Collected, ArchiveError> {
        let (store, dir) = (self.store(), self.dir());
        if self.collector.is_none() {
            let opened = Collector::open(&store, &dir, &self.manifest, self.clock_ms)?;
            self.collector = Some(opened);
        }
        let collector = self.collector.as_mut().unwrap();
        let pass =
            collector.pass(&StdDisk, &store, &self.manifest, self.marks.synced(), self.clock_ms);
        let done = block_on(pass)?;
        self.writers.iter_mut().for_each(|writer| writer.set_archived(Some(done.through)));
        Ok(done)
    }

    fn history(&self) -> History {
        Catalog::load(&self.store()).unwrap().history(self.manifest.log)
    }

    fn restore(&self, target: Target, to: &Path) -> Result<Restored, ArchiveError> {
        let options = RestoreOptions { dir: to.to_owned(), new_uuid: [8; 16], target };
        block_on(restore(&StdDisk, &self.store(), &self.history(), &options, &mut |_, _| {}))
    }

    /// Restores, starts from it with some number of shards, and compares with what was written.
    fn check(&self, target: Target) -> u64 {
        let to = tempfile::tempdir().unwrap();
        let dir = to.path().join("log");
        let restored = self.restore(target, &dir).unwrap_or_else(|e| panic!("{target:?}: {e}"));
        let options = RecoverOptions::new(&dir, 1 + restored.gsn as u32 % 3, [9; 16], 1);
        let recovered = block_on(recover(&StdDisk, &options)).unwrap();
        assert_eq!(recovered.gsn, restored.gsn, "{target:?}");
        assert!(recovered.warnings.is_empty(), "{:?}", recovered.warnings);
        let cut = recovered.base().map_or(0, |(path, cut)| {
            assert_eq!(std::fs::read_to_string(path).unwrap(), format!("base {cut} ").repeat(1000));
            cut
        });
        let mut replay = recovered.replay();
        let mut next = cut + 1;
        while let Some(frame) = block_on(replay.next(&StdDisk)).unwrap() {
            let (records, wall_ms) = &self.oracle[&next];
            assert_eq!((frame.gsn, frame.records, frame.wall_ms), (next, &records[..], *wall_ms));
            next += 1;
        }
        assert_eq!(next, restored.gsn + 1, "{target:?}");
        restored.gsn
    }

    /// The last GSN up to which nothing has a later wall clock.
    fn gsn_at(&self, time_ms: u64) -> u64 {
        self.oracle
            .iter()
            .take_while(|(_, (_, wall_ms))| *wall_ms <= time_ms)
            .last()
            .map_or(0, |(gsn, _)| *gsn)
    }
}

fn random_history(seed: u64) {
    let mut rng = Rng(seed);
    let mode = [SyncMode::Always, SyncMode::EverySec, SyncMode::No][rng.next(3) as usize];
    let mut world = World::new(mode, 1 + rng.next(3) as usize);
    world.archive().unwrap();
    for _ in 0..400 {
        let shard = rng.next(world.writers.len() as u64) as usize;
        match rng.next(100) {
            0..=69 => {
                for _ in 0..rng.next(20) {
                    world.push(shard, &mut rng);
                }
                world.run(shard);
            }
            70..=79 => world.run(shard),
            80..=85 => world.sync(),
            86..=93 => {
                let done = world.archive().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
                assert_eq!(done.lost, None, "seed {seed}");
            }
            94..=96 => world.rewrite(),
            _ => {
                let shards = 1 + rng.next(3) as usize;
                world.start(shards, false);
            }
        }
    }
    world.sync();
    world.archive().unwrap();
    let last = *world.oracle.keys().next_back().unwrap();
    let instants = world.history().instants();
    assert_eq!(instants.len(), 1, "seed {seed}: {instants:?}");
    assert_eq!((instants[0].first_gsn, instants[0].last_gsn), (0, last), "seed {seed}");
    assert_eq!(world.check(Target::Latest), last);
    for _ in 0..4 {
        let gsn = rng.next(last + 1);
        assert_eq!(world.check(Target::Gsn(gsn)), gsn);
        let (from, to) = (instants[0].first_ms, instants[0].last_ms);
        let time_ms = from + rng.next(to - from + 1);
        assert_eq!(world.check(Target::Time(time_ms)), world.gsn_at(time_ms), "seed {seed}");
    }
}

#[test]
fn every_instant_of_random_histories_is_restored_exactly() {
    for seed in 0..3 {
        random_history(seed);
    }
}

/// A history with a base, all archived.
fn simple() -> World {
    let mut rng = Rng(7);
    let mut world = World::new(SyncMode::Always, 2);
    for round in 0..6 {
        for shard in [0, 1] {
            for _ in 0..10 {
                world.push(shard, &mut rng);
            }
        }
        world.sync();
        world.archive().unwrap();
        if round % 2 == 1 {
            world.rewrite();
            world.sync();
            world.archive().unwrap();
        }
    }
    world
}

#[test]
fn what_a_start_gave_up_does_not_come_back() {
    let mut rng = Rng(3);
    let mut world = World::new(SyncMode::Always, 1);
    for _ in 0..50 {
        world.push(0, &mut rng);
        world.sync();
    }
    world.archive().unwrap();
    // Somebody loses the segment's end and says that this is fine.
    let path = world.dir().join("s0-1.log");
    let bytes = std::fs::read(&path).unwrap();
    let mut cut = bytes.clone();
    cut[4096 * 8..].fill(0);
    std::fs::write(&path, cut).unwrap();
    let recovered = world.start(1, true);
    assert!(recovered.gsn < 50);
    for _ in 0..5 {
        world.push(0, &mut rng);
    }
    world.sync();
    world.archive().unwrap();
    assert_eq!(world.check(Target::Latest), recovered.gsn + 5);
    assert_eq!(world.check(Target::Gsn(recovered.gsn + 2)), recovered.gsn + 2);
    assert!(world.restore(Target::Gsn(recovered.gsn + 6), &world.home.path().join("x")).is_err());
}

#[test]
fn a_log_put_back_from_a_copy_does_not_mix_with_its_later_life() {
    let mut rng = Rng(4);
    let mut world = World::new(SyncMode::Always, 1);
    world.push(0, &mut rng);
    world.sync();
    world.archive().unwrap();
    let copy = world.home.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for name in block_on(StdDisk.list(&world.dir())).unwrap() {
        std::fs::copy(world.dir().join(&name), copy.join(&name)).unwrap();
    }
    world.start(1, false);
    world.push(0, &mut rng);
    world.sync();
    world.archive().unwrap();
    std::fs::remove_dir_all(world.dir()).unwrap();
    std::fs::rename(&copy, world.dir()).unwrap();
    world.start(1, false);
    assert!(matches!(world.archive(), Err(ArchiveError::OtherHistory(3))));
}

#[test]
fn segments_wait_for_the_archive_before_they_are_used_again() {
    let mut rng = Rng(5);
    let mut world = World::new(SyncMode::Always, 1);
    world.archive().unwrap();
    for _ in 0..300 {
        world.push(0, &mut rng);
        world.sync();
    }
    world.rewrite();
    assert!(world.writers[0].held_segments() > 0);
    // A crash forgets who waits; the next start knows by the numbers.
    world.start(1, false);
    assert!(world.writers[0].held_segments() > 0);
    let last = world.marks.synced();
    assert_eq!(world.archive().unwrap().lost, None);
    assert_eq!(world.writers[0].held_segments(), 0);
    assert_eq!(world.check(Target::Gsn(150)), 150);
    assert_eq!(world.check(Target::Latest), last);
}

#[test]
fn where_segments_are_gone_the_archive_goes_on_with_the_base_and_says_what_is_lost() {
    let mut rng = Rng(6);
    let mut world = World::new(SyncMode::Always, 1);
    world.push(0, &mut rng);
    world.sync();
    world.archive().unwrap();
    world.writers[0].set_archived(None);
    for _ in 0..300 {
        world.push(0, &mut rng);
        world.sync();
    }
    world.rewrite();
    for _ in 0..300 {
        world.push(0, &mut rng);
        world.sync();
    }
    let cut = world.manifest.cut_gsn();
    let lost = world.archive().unwrap().lost;
    assert_eq!(lost, Some(Lost { first_gsn: 2, base_gsn: cut }));
    assert_eq!(world.check(Target::Gsn(1)), 1);
    assert_eq!(world.check(Target::Gsn(cut + 3)), cut + 3);
    let error = world.restore(Target::Gsn(100), &world.home.path().join("x")).unwrap_err();
    assert!(error.to_string().contains("GSN 0 to 1 (ms"), "{error}");
}

#[test]
fn damage_is_refused_by_name_or_gone_round_and_never_silent() {
    let world = simple();
    let history = world.history();
    let (first, last) = (history.bases[0].0, *history.bases.last().unwrap());
    let broken = |name: &ObjectName, change: &dyn Fn(&mut Vec<u8>)| {
        let path = world.store().root().join(name.to_text(&history.log));
        let good = std::fs::read(&path).unwrap();
        let mut bytes = good.clone();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        (path, good)
    };
    // A base: the one before it does as well.
    let (path, good) = broken(&ObjectName::Base(last.0), &|bytes| bytes[150] ^= 1);
    let to = world.home.path().join("x");
    let restored = world.restore(Target::Latest, &to).unwrap();
    assert!(restored.base_gsn < last.0.cut_gsn && restored.avoided[0].contains("base-"));
    std::fs::remove_dir_all(&to).unwrap();
    std::fs::write(&path, good).unwrap();
    // Frames: any byte of any object that is needed.
    let frames = history.frames.iter().find(|(f, _)| f.first_gsn > first.cut_gsn).unwrap().0;
    let object = ObjectName::Frames(frames);
    let len =
        std::fs::metadata(world.store().root().join(object.to_text(&history.log))).unwrap().len();
    for at in 0..len as usize {
        let (path, good) = broken(&object, &|bytes| bytes[at] ^= 0x10);
        let error = world.restore(Target::Gsn(frames.last_gsn), &to).unwrap_err().to_string();
        assert!(error.contains(&object.to_text(&history.log)), "byte {at}: {error}");
        assert!(error.contains("what can be restored"), "byte {at}: {error}");
        assert!(block_on(StdDisk.list(&to)).unwrap().is_empty(), "byte {at}");
        std::fs::write(&path, good).unwrap();
    }
    for cut in [0, 1, 127, 128, 140, len as usize - 1] {
        let (path, good) = broken(&object, &|bytes| bytes.truncate(cut));
        assert!(world.restore(Target::Gsn(frames.last_gsn), &to).is_err(), "cut at {cut}");
        std::fs::write(&path, good).unwrap();
    }
    let path = world.store().root().join(object.to_text(&history.log));
    std::fs::remove_file(path).unwrap();
    let error = world.restore(Target::Gsn(frames.last_gsn), &to).unwrap_err().to_string();
    assert!(error.contains("what can be restored"), "{error}");
}

#[test]
fn retention_keeps_the_window_restorable() {
    let mut world = simple();
    let before = world.history();
    let bases: Vec<BaseName> = before.valid_bases();
    assert_eq!(bases.len(), 3);
    let window =
        |since: u64| Retention { window_ms: Some(world.clock_ms - since), bytes_max: None };
    let none = prune(&world.store(), &before, window(bases[0].time_ms), world.clock_ms).unwrap();
    assert!(
        none.iter()
            .all(|name| matches!(name, ObjectName::Frames(f) if f.last_gsn <= bases[0].cut_gsn))
    );
    prune(&world.store(), &world.history(), window(bases[1].time_ms + 1), world.clock_ms).unwrap();
    let instants = world.history().instants();
    assert_eq!((instants.len(), instants[0].first_gsn), (1, bases[1].cut_gsn));
    assert_eq!(world.check(Target::Gsn(bases[1].cut_gsn)), bases[1].cut_gsn);
    assert_eq!(world.check(Target::Gsn(bases[1].cut_gsn + 4)), bases[1].cut_gsn + 4);
    // By bytes: never the last base, nor what follows it.
    let tight = Retention { window_ms: None, bytes_max: Some(1) };
    let removed = prune(&world.store(), &world.history(), tight, world.clock_ms).unwrap();
    world.collector.as_mut().unwrap().note_removed(&removed);
    assert_eq!(world.history().instants()[0].first_gsn, bases[2].cut_gsn);
    world.check(Target::Latest);
}

#[test]
fn the_bytes_of_an_object_are_pinned() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirStore::new(dir.path());
    let log = crate::log::LogId::new([5; 16]);
    let name = ObjectName::Frames(FramesName {
        first_gsn: 2,
        last_gsn: 3,
        epoch: 4,
        first_ms: 5,
        last_ms: 6,
    });
    let mut writer = ObjectWriter::begin(&store, &log, &name, 3).unwrap();
    writer.write(b"abc").unwrap();
    writer.finish().unwrap();
    let bytes = std::fs::read(dir.path().join(name.to_text(&log))).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(
        hex(&bytes[..80]),
        "52415243010001009264a5290400000005050505050505050505050505050505020000000000000003000000\
         00000000050000000000000006000000000000000300000000000000\
         0000000000000000"
    );
    assert!(bytes[80..128].iter().all(|b| *b == 0));
    let end = &bytes[bytes.len() - 24..];
    assert_eq!(u64::from_le_bytes(end[..8].try_into().unwrap()), bytes.len() as u64 - 152);
    assert_eq!(u32::from_le_bytes(end[8..12].try_into().unwrap()), crc32fast::hash(b"abc"));
    assert_eq!(hex(&end[20..]), "52415245");
    let mut reader = ObjectReader::open(&store, &log, &name).unwrap();
    let mut content = [0; 3];
    reader.read_exact(&mut content).unwrap();
    reader.finish().unwrap();
    assert_eq!(&content, b"abc");
}

#[test]
fn an_encrypted_archive_shows_nothing_and_reads_back_with_the_key_only() {
    use crate::crypt::Keyring;
    let dir = tempfile::tempdir().unwrap();
    let ring = |number: u8| {
        let text = format!("{number:02x}{}", "5a".repeat(31));
        Keyring::parse(text.as_bytes(), "test", true).unwrap()
    };
    let store = |ring: Keyring| SealedStore::new(DirStore::new(dir.path()), ring);
    let log = crate::log::LogId::new([5; 16]);
    let name = ObjectName::Base(BaseName { cut_gsn: 1, epoch: 1, time_ms: 1 });
    let mut rng = Rng(1);
    // Nothing that zstd could make shorter, so that it would be seen.
    let content: Vec<u8> = (0..700_000).map(|_| rng.next(256) as u8).collect();
    let mut writer =
        ObjectWriter::begin(&store(ring(1)), &log, &name, content.len() as u64).unwrap();
    writer.write(&content).unwrap();
    writer.finish().unwrap();
    let bytes = std::fs::read(dir.path().join(name.to_text(&log))).unwrap();
    assert!(memchr::memmem::find(&bytes, &content[1000..1016]).is_none());
    assert!(memchr::memmem::find(&bytes, b"RARC").is_none());
    let read = |ring: Keyring| -> Result<Vec<u8>, ArchiveError> {
        let mut reader = ObjectReader::open(&store(ring), &log, &name)?;
        let mut out = vec![0; content.len()];
        reader.read_exact(&mut out)?;
        reader.finish()?;
        Ok(out)
    };
    assert_eq!(read(ring(1)).unwrap(), content);
    assert!(read(ring(2)).is_err() && read(Keyring::default()).is_err());
}
