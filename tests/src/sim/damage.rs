//! Damage to the files of a log: after it, a start must give the same data, or a prefix with a warning where nothing known
//! to be durable is gone, or refuse. Never other data, never a panic.

use std::path::{Path, PathBuf};

use ringstone_persist::disk::{Disk as _, block_on};
use ringstone_persist::log::{
    FrameKind, Health, LogWriter, RecoverOptions, Recovered, SyncMode, Watermarks, WriterOptions,
    prepare_segment, prepare_stage, recover,
};

use super::disk::Disk;
use super::oracle::Violation;
use super::rng::Rng;

const DIR: &str = "/data/appendonly";
const SHARDS: u32 = 2;
const BLOCK_BYTES: usize = 4096;

/// What a start made of the damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All data is there.
    Same,
    /// Some frames at the end are not.
    Prefix,
    /// The start was refused.
    Refused,
}

/// A log of two shards and two runs, everything durable.
struct Sample {
    disk: Disk,
    /// By GSN, from 1 on.
    frames: Vec<Vec<u8>>,
    /// The highest `durable_gsn` that a frame tells.
    told: u64,
}

fn options(force: bool) -> RecoverOptions {
    RecoverOptions { force_truncate: force, ..RecoverOptions::new(DIR, SHARDS, [7; 16], 1) }
}

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

impl Sample {
    fn new(rng: &mut Rng, mode: SyncMode, marked: bool) -> Self {
        let disk = Disk::new(1, false);
        let mut sample = Sample { disk, frames: Vec::new(), told: 0 };
        for _ in 0..2 {
            let recovered =
                block_on(recover(&sample.disk, &options(false))).expect("no damage yet");
            sample.run(rng, &recovered, mode, marked);
        }
        sample
    }

    fn run(&mut self, rng: &mut Rng, recovered: &Recovered, mode: SyncMode, marked: bool) {
        let marks = Watermarks::new(SHARDS as usize, recovered.next_gsn());
        let writer = |shard| {
            let (log, seq) = (recovered.manifest.log, recovered.next_seq(shard));
            LogWriter::new(WriterOptions {
                segment_bytes: 24 << 10,
                stage_bytes: 8 << 10,
                spares: 1,
                ..WriterOptions::new(log, shard, recovered.epoch, mode, seq)
            })
        };
        let mut logs: Vec<LogWriter> = (0..SHARDS).map(writer).collect();
        for _ in 0..15 {
            let shard = rng.index(logs.len());
            let len = if rng.percent(80) { rng.below(300) } else { rng.below(9000) };
            let records: Vec<u8> = (0..len).map(|_| rng.next() as u8).collect();
            let durable = marks.synced();
            let gsn = marks.take_gsn(shard);
            logs[shard].push(gsn, 0, durable, FrameKind::Batch, &records).expect("in order");
            self.told = self.told.max(durable);
            self.frames.push(records);
            self.write(&mut logs[shard]);
            marks.publish(shard, logs[shard].written_below(), logs[shard].synced_below());
        }
        for log in logs.iter_mut().filter(|_| marked) {
            log.tick(10_000);
            log.mark_if_idle(0, marks.synced(), marks.next_gsn());
            self.told = marks.synced();
            self.write(log);
        }
    }

    fn write(&self, log: &mut LogWriter) {
        loop {
            while let Some(job) = log.next_preparation() {
                block_on(prepare_segment(&self.disk, Path::new(DIR), &job)).expect("no faults");
                log.spare_ready(job.id);
            }
            while let Some(job) = log.next_stage() {
                let stage = block_on(prepare_stage(&self.disk, Path::new(DIR), &job));
                log.stage_prepared(&job, stage);
            }
            log.request_sync();
            if let Some(request) = log.next_write() {
                let file = path(&request.segment.file_name());
                self.disk.write_direct(&file, request.offset, request.bytes(), || true);
                let (ticket, len) = (request.ticket, request.bytes().len());
                log.write_done(ticket, Ok(len));
            } else {
                break;
            }
        }
        assert_eq!((log.synced_below(), log.health()), (None, Health::Ok));
    }

    /// What the replay gives, checked to be what was written.
    fn check(&self, disk: &Disk, recovered: &Recovered) -> Result<(), Violation> {
        let mut replay = recovered.replay::<Disk>();
        let mut gsn = 0;
        while let Some(frame) = block_on(replay.next(disk)).map_err(|e| Violation(e.to_string()))? {
            gsn += 1;
            if frame.gsn != gsn
                || self.frames.get(gsn as usize - 1).is_none_or(|f| f != frame.records)
            {
                return Err(Violation(format!("other data at GSN {gsn}")));
            }
        }
        if gsn == recovered.gsn { Ok(()) } else { Err(Violation("too few frames".to_owned())) }
    }
}

/// Makes a log, damages one of its files, starts, and checks what comes of it.
pub fn damage_once(seed: u64) -> Result<Outcome, Violation> {
    let mut rng = Rng::new(seed);
    let mode = [SyncMode::Always, SyncMode::EverySec][rng.index(2)];
    let marked = rng.percent(50);
    let sample = Sample::new(&mut rng, mode, marked);
    let names = block_on(sample.disk.list(Path::new(DIR))).expect("a directory");
    let name = &names[rng.index(names.len())];
    let len = sample.disk.bytes(&path(name)).map_or(0, |bytes| bytes.len());
    let (at, other, bit) = (rng.index(len), rng.index(len) / BLOCK_BYTES, rng.below(8));
    let kind = rng.below(6);
    let what = format!("{name}: damage {kind} at {at} of {len}, {mode:?}, marked {marked}");
    let disk = sample.disk.fork();
    let block = at / BLOCK_BYTES * BLOCK_BYTES;
    let mut leaves_a_trace = true;
    match kind {
        0 | 1 => disk.damage(&path(name), |bytes| bytes[at] ^= 1 << bit),
        2 => disk.damage(&path(name), |bytes| bytes.truncate(at)),
        3 => {
            leaves_a_trace = false;
            disk.damage(&path(name), |bytes| {
                let end = (block + BLOCK_BYTES).min(bytes.len());
                bytes[block..end].fill(0);
            });
        }
        4 => {
            // Blocks swapped behind the last frame may look like an end.
            leaves_a_trace = false;
            disk.damage(&path(name), |bytes| {
                for i in 0..BLOCK_BYTES {
                    let (a, b) = (block + i, other * BLOCK_BYTES + i);
                    if a < bytes.len() && b < bytes.len() {
                        bytes.swap(a, b);
                    }
                }
            });
        }
        _ => {
            leaves_a_trace = false;
            block_on(disk.remove(&path(name))).expect("no faults");
        }
    }
    let fail = |text: String| Violation(format!("{what}: {text}"));
    let Ok(recovered) = block_on(recover(&disk, &options(false))) else {
        // Refused: what is there must be as before, and the operator's word must help where MANIFEST can be read.
        let Ok(forced) = block_on(recover(&disk, &options(true))) else {
            return if name == "MANIFEST" {
                Ok(Outcome::Refused)
            } else {
                Err(fail("forced in vain".to_owned()))
            };
        };
        sample.check(&disk, &forced).map_err(|v| fail(v.0))?;
        return Ok(Outcome::Refused);
    };
    sample.check(&disk, &recovered).map_err(|v| fail(v.0))?;
    let all = sample.frames.len() as u64;
    if recovered.gsn == all {
        return Ok(Outcome::Same);
    }
    // The frame that tells may itself be what was damaged, but never those of both shards.
    let known = if marked { all } else { 15 };
    if recovered.gsn < known {
        return Err(fail(format!(
            "silently ends at {} of {all}, told {}",
            recovered.gsn, sample.told
        )));
    }
    if leaves_a_trace && recovered.warnings.is_empty() {
        return Err(fail(format!("ends at {} of {all} without a warning", recovered.gsn)));
    }
    Ok(Outcome::Prefix)
}
