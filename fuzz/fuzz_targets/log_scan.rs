//! Recovery from a log that was written, damaged and forged at the input's will, over a disk in memory.
//!
//! Frames and MANIFEST carry right checksums where the input does not say otherwise: damage that any checksum finds would
//! hide everything behind it. A log that is only damaged must come back as a prefix with all that is known to have been
//! durable, or be refused for a reason. A forged one (right checksums over wrong numbers) must still end in an error or in a
//! dense run of frames. Either way a recovery of the recovery gives the same.
#![no_main]

use std::path::{Path, PathBuf};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ringstone_engine::effect::{Effects, Records};
use ringstone_fuzz::memory_disk::MemoryDisk;
use ringstone_persist::disk::{Disk as _, block_on};
use ringstone_persist::log::frame::{FRAME_HEADER_BYTES, FrameSeed, seal};
use ringstone_persist::log::segment::SEGMENT_HEADER_BYTES;
use ringstone_persist::log::{
    FrameHeader, FrameKind, LogId, Manifest, Preparation, RecoverOptions, Recovered, RecoveryError,
    SegmentId, SegmentKind, prepare_segment, recover,
};

const DIR: &str = "/log";
const BLOCK: usize = 4096;
const FRAMES_MAX: usize = 24;
const SHARDS_MAX: u32 = 3;

/// A log and what happens to it.
#[derive(Arbitrary, Debug)]
struct Input {
    shards: u8,
    direct: bool,
    force: bool,
    /// The clean shutdown of the run that wrote it.
    closed: bool,
    frames: Vec<FramePlan>,
    damage: Vec<Damage>,
    forgery: Forgery,
}

#[derive(Arbitrary, Debug)]
struct FramePlan {
    shard: u8,
    /// How far behind its own GSN everything was durable.
    durable_lag: u8,
    payload: Payload,
    new_segment: bool,
    /// Joins the group before it instead of beginning a block.
    joins: bool,
    forged: Option<Forged>,
}

#[derive(Arbitrary, Debug)]
enum Payload {
    Mark,
    Cut,
    Effect(Vec<u8>),
    Transaction(u8),
    Long(u16),
    /// A whole frame of a segment that the file was before.
    Stale(u64),
    Raw(Vec<u8>),
}

/// Numbers that no writer would write, under a right checksum.
#[derive(Arbitrary, Debug)]
enum Forged {
    Gsn(u64),
    DurableGsn(u64),
    Epoch(u32),
    Shard(u32),
    PayloadLen(u64),
    PayloadCrc(u32),
    Wall(u64),
}

#[derive(Arbitrary, Debug)]
enum Damage {
    Flip { file: u8, at: u32, mask: u8 },
    Zero { file: u8, at: u32, len: u16 },
    Swap { file: u8, a: u8, b: u8 },
    CopyBlock { from: u8, from_block: u8, to: u8, to_block: u8 },
    Cut { file: u8, len: u32 },
    Remove { file: u8 },
    Extra { name: u8 },
    /// The segment stands under the name of a stage.
    Stage { file: u8 },
}

/// Another MANIFEST than the one of the run.
#[derive(Arbitrary, Debug)]
enum Forgery {
    None,
    /// These lines under a right checksum.
    Lines(String),
    /// This text.
    Text(String),
    Base {
        cut_gsn: u64,
        epochs: Vec<(u32, u64, Option<u64>)>,
        first_live: Vec<(u8, u64)>,
    },
}

/// A frame as it was written.
#[derive(Clone, Debug)]
struct Written {
    segment: SegmentId,
    offset: usize,
    gsn: u64,
    durable_gsn: u64,
    bytes: Vec<u8>,
}

struct Log {
    disk: MemoryDisk,
    id: LogId,
    segments: Vec<SegmentId>,
    frames: Vec<Written>,
    last_gsn: u64,
}

fn path(id: SegmentId) -> PathBuf {
    Path::new(DIR).join(id.file_name())
}

fn payload(plan: &Payload, id: &LogId, segment: SegmentId) -> (FrameKind, Vec<u8>) {
    let mut effects = Effects::default();
    match plan {
        Payload::Mark => (FrameKind::Mark, vec![]),
        Payload::Cut => (FrameKind::Cut, vec![]),
        Payload::Effect(bytes) => {
            effects.push(0, 1, &[b"key", bytes]);
            (FrameKind::Batch, effects.bytes().to_vec())
        }
        Payload::Transaction(count) => {
            (0..*count).for_each(|n| effects.push(u32::from(n), 64, &[&[n]]));
            (FrameKind::Transaction, effects.bytes().to_vec())
        }
        Payload::Long(len) => (FrameKind::Batch, vec![b'x'; usize::from(*len)]),
        Payload::Stale(seq) => {
            let header = header(FrameKind::Batch, 1, 0, segment.shard, b"stale");
            let former = SegmentId { seq: seq.wrapping_add(1 << 32), ..segment };
            (FrameKind::Batch, sealed(&header, b"stale", id, former))
        }
        Payload::Raw(bytes) => (FrameKind::Batch, bytes.clone()),
    }
}

fn header(kind: FrameKind, gsn: u64, durable_gsn: u64, shard: u32, payload: &[u8]) -> FrameHeader {
    FrameHeader {
        key: 0,
        kind,
        payload_crc: crc32fast::hash(payload),
        payload_len: payload.len() as u64,
        shard,
        epoch: 1,
        gsn,
        durable_gsn,
        wall_ms: 1_700_000_000_000 + gsn,
    }
}

fn sealed(header: &FrameHeader, payload: &[u8], id: &LogId, segment: SegmentId) -> Vec<u8> {
    let mut bytes = header.encode();
    seal(&mut bytes, &FrameSeed::new(id, segment));
    [&bytes[..], payload].concat()
}

fn forge(header: &mut FrameHeader, forged: &Forged) {
    match *forged {
        Forged::Gsn(gsn) => header.gsn = gsn,
        Forged::DurableGsn(gsn) => header.durable_gsn = gsn,
        Forged::Epoch(epoch) => header.epoch = epoch,
        Forged::Shard(shard) => header.shard = shard,
        Forged::PayloadLen(len) => header.payload_len = len,
        Forged::PayloadCrc(crc) => header.payload_crc = crc,
        Forged::Wall(ms) => header.wall_ms = ms,
    }
}

/// Writes the log as a run does: GSNs in order, each frame behind the last one of its shard's segment.
fn write(input: &Input) -> Log {
    let id = LogId::new([7; 16]);
    let shards = u32::from(input.shards) % SHARDS_MAX + 1;
    let kind = if input.direct { SegmentKind::Grouped } else { SegmentKind::Buffered };
    let mut log =
        Log { disk: MemoryDisk::default(), id, segments: vec![], frames: vec![], last_gsn: 0 };
    // By shard: number of the open segment, and its bytes behind the header.
    let mut open: Vec<(u64, Vec<u8>)> = (0..shards).map(|_| (1, vec![])).collect();
    let mut images: Vec<(SegmentId, Vec<u8>)> = Vec::new();
    for plan in input.frames.iter().take(FRAMES_MAX) {
        let shard = u32::from(plan.shard) % shards;
        let (seq, bytes) = &mut open[shard as usize];
        if plan.new_segment {
            images.push((SegmentId { shard, seq: *seq }, std::mem::take(bytes)));
            *seq += 1;
        }
        let segment = SegmentId { shard, seq: *seq };
        let (frame_kind, payload) = payload(&plan.payload, &id, segment);
        let durable_gsn = log.last_gsn.saturating_sub(u64::from(plan.durable_lag));
        let gsn = if frame_kind == FrameKind::Mark { 0 } else { log.last_gsn + 1 };
        let mut header = header(frame_kind, gsn, durable_gsn, shard, &payload);
        plan.forged.iter().for_each(|forged| forge(&mut header, forged));
        if input.direct && !plan.joins {
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        let offset = SEGMENT_HEADER_BYTES + bytes.len();
        let frame = sealed(&header, &payload, &id, segment);
        bytes.extend_from_slice(&frame);
        log.frames.push(Written { segment, offset, gsn, durable_gsn, bytes: frame });
        log.last_gsn = log.last_gsn.max(gsn);
    }
    let open = open.into_iter().zip(0..);
    images.extend(open.map(|((seq, bytes), shard)| (SegmentId { shard, seq }, bytes)));
    for (segment, bytes) in images {
        let len = (SEGMENT_HEADER_BYTES + bytes.len()).next_multiple_of(BLOCK) + BLOCK;
        let job = Preparation { log: id, id: segment, kind, size_bytes: len as u64, recycle: None };
        block_on(prepare_segment(&log.disk, Path::new(DIR), &job)).expect("space for a segment");
        log.disk.edit(&path(segment), |file| {
            file[SEGMENT_HEADER_BYTES..SEGMENT_HEADER_BYTES + bytes.len()].copy_from_slice(&bytes);
        });
        log.segments.push(segment);
    }
    let mut manifest = Manifest::new(id, shards);
    if input.closed {
        manifest.close_epoch(log.last_gsn);
    }
    log.disk.put(&Path::new(DIR).join("MANIFEST"), manifest.to_text().into_bytes());
    log
}

/// Damages the files; true when one was cut off.
fn damage(log: &Log, damage: &[Damage]) -> bool {
    let mut cut = false;
    let pick = |file: u8| path(log.segments[usize::from(file) % log.segments.len()]);
    for one in damage.iter().take(8) {
        match *one {
            Damage::Flip { file, at, mask } => {
                log.disk.edit(&pick(file), |bytes| {
                    if let Some(byte) = bytes.get_mut(at as usize) {
                        *byte ^= mask;
                    }
                });
            }
            Damage::Zero { file, at, len } => {
                log.disk.edit(&pick(file), |bytes| {
                    bytes.iter_mut().skip(at as usize).take(usize::from(len)).for_each(|b| *b = 0);
                });
            }
            Damage::Swap { file, a, b } => {
                log.disk.edit(&pick(file), |bytes| {
                    let blocks = bytes.len() / BLOCK;
                    if blocks > 0 {
                        let (a, b) =
                            (usize::from(a) % blocks * BLOCK, usize::from(b) % blocks * BLOCK);
                        (0..BLOCK).for_each(|i| bytes.swap(a + i, b + i));
                    }
                });
            }
            Damage::CopyBlock { from, from_block, to, to_block } => {
                let block = log.disk.bytes(&pick(from)).and_then(|bytes| {
                    let at = usize::from(from_block) * BLOCK;
                    bytes.get(at..at + BLOCK).map(<[u8]>::to_vec)
                });
                let at = usize::from(to_block) * BLOCK;
                if let Some(block) = block {
                    log.disk.edit(&pick(to), |bytes| {
                        if let Some(place) = bytes.get_mut(at..at + BLOCK) {
                            place.copy_from_slice(&block);
                        }
                    });
                }
            }
            Damage::Cut { file, len } => {
                log.disk.edit(&pick(file), |bytes| {
                    cut |= bytes.len() > len as usize;
                    bytes.truncate(len as usize);
                });
            }
            Damage::Remove { file } => {
                let _ = block_on(log.disk.remove(&pick(file)));
            }
            Damage::Stage { file } => {
                let stage = Path::new(DIR).join(format!("stage-1-{file}"));
                let _ = block_on(log.disk.rename(&pick(file), &stage));
            }
            Damage::Extra { name } => {
                let names = [
                    "MANIFEST.new",
                    "s0-9.log.new",
                    "base-1.rdb",
                    "base-2.rdb.new",
                    "x",
                    "s9-1.logs",
                    "stage-0-0",
                    "stage-0-00",
                ];
                let name = names[usize::from(name) % names.len()];
                log.disk.put(&Path::new(DIR).join(name), b"whatever".to_vec());
            }
        }
    }
    cut
}

/// Puts another MANIFEST there; true when it is another one.
fn forge_manifest(log: &Log, forgery: &Forgery) -> bool {
    let text = match forgery {
        Forgery::None => return false,
        Forgery::Text(text) => text.clone(),
        Forgery::Lines(lines) => {
            let body = format!("ringstone-log 1\nuuid {}\nshards 1\n{lines}\n", log.id);
            format!("{body}crc32 {:08x}\n", crc32fast::hash(body.as_bytes()))
        }
        Forgery::Base { cut_gsn, epochs, first_live } => {
            log.disk.put(&Path::new(DIR).join("base-x.rdb"), b"REDIS".to_vec());
            let mut body =
                format!("ringstone-log 1\nuuid {}\nshards 2\nbase base-x.rdb {cut_gsn}\n", log.id);
            for (number, first, last) in epochs {
                let last = last.map_or("open".to_owned(), |last| last.to_string());
                body += &format!("epoch {number} {first} {last}\n");
            }
            for (shard, seq) in first_live {
                body += &format!("first-live {shard} {seq}\n");
            }
            format!("{body}crc32 {:08x}\n", crc32fast::hash(body.as_bytes()))
        }
    };
    log.disk.put(&Path::new(DIR).join("MANIFEST"), text.into_bytes());
    true
}

/// GSN, shard and payload of all frames that a recovery gives.
fn replay(disk: &MemoryDisk, recovered: &Recovered) -> Vec<(u64, u32, Vec<u8>)> {
    let mut replay = recovered.replay();
    let mut out = Vec::new();
    while let Some(frame) = block_on(replay.next(disk)).expect("a frame that was just scanned") {
        let _ = Records::new(frame.records).all(|record| record.is_ok());
        out.push((frame.gsn, frame.shard, frame.records.to_vec()));
    }
    out
}

fn options(now_ms: u64, force: bool) -> RecoverOptions {
    let mut options = RecoverOptions::new(DIR, 2, [9; 16], now_ms);
    options.force_truncate = force;
    options
}

fuzz_target!(|input: Input| {
    let log = write(&input);
    let cut_off = damage(&log, &input.damage);
    let forged =
        forge_manifest(&log, &input.forgery) || input.frames.iter().any(|f| f.forged.is_some());
    let before = log.disk.clone();
    let recovered = match block_on(recover(&log.disk, &options(1, input.force))) {
        Ok(recovered) => recovered,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            if !forged {
                refused_for_a_reason(&error, &log, &before, cut_off, &input);
            }
            return;
        }
    };
    recovered.warnings.iter().for_each(|warning| assert!(!warning.to_string().is_empty()));
    let frames = replay(&log.disk, &recovered);
    assert_eq!(frames.len(), recovered.frames_len());
    let cut = recovered.base().map_or(0, |(_, cut)| cut);
    assert!(frames.iter().map(|frame| frame.0).eq((cut..=recovered.gsn).skip(1)));
    assert!(recovered.manifest.admits(recovered.epoch, recovered.next_gsn()));
    if !forged {
        is_a_prefix_with_all_that_was_durable(&frames, &log, &before, &input);
    }
    if recovered.epoch == u32::MAX {
        return;
    }
    // A recovery of the recovery. (A forged frame may claim for ever that more than itself had been durable.)
    let again = block_on(recover(&log.disk, &options(2, input.force && forged)))
        .expect("what was recovered");
    assert_eq!(again.gsn, recovered.gsn);
    assert!(again.epoch > recovered.epoch);
    assert_eq!(replay(&log.disk, &again), frames);
});

/// The frames whose bytes are where they were written, in a file that is there.
fn whole<'a>(log: &'a Log, disk: &MemoryDisk) -> Vec<&'a Written> {
    let is_whole = |frame: &&Written| {
        let bytes = disk.bytes(&path(frame.segment)).unwrap_or_default();
        bytes.get(frame.offset..frame.offset + frame.bytes.len()) == Some(&frame.bytes[..])
    };
    log.frames.iter().filter(is_whole).collect()
}

/// Up to where everything is known to have been durable.
fn durable(log: &Log, whole: &[&Written], input: &Input) -> u64 {
    let closed = if input.closed { log.last_gsn } else { 0 };
    whole.iter().map(|frame| frame.durable_gsn).max().unwrap_or(0).max(closed)
}

fn is_a_prefix_with_all_that_was_durable(
    frames: &[(u64, u32, Vec<u8>)],
    log: &Log,
    before: &MemoryDisk,
    input: &Input,
) {
    let written = log.frames.iter().filter(|frame| frame.gsn > 0);
    for ((gsn, shard, records), frame) in frames.iter().zip(written) {
        assert_eq!(*gsn, frame.gsn);
        assert_eq!(*shard, frame.segment.shard);
        assert_eq!(records[..], frame.bytes[FRAME_HEADER_BYTES..]);
    }
    assert!(frames.len() as u64 <= log.last_gsn);
    if !input.force {
        assert!(frames.len() as u64 >= durable(log, &whole(log, before), input));
    }
}

fn refused_for_a_reason(
    error: &RecoveryError,
    log: &Log,
    before: &MemoryDisk,
    cut_off: bool,
    input: &Input,
) {
    let whole = whole(log, before);
    let is_whole = |gsn: u64| whole.iter().any(|frame| frame.gsn == gsn);
    match error {
        RecoveryError::Cut(_) => assert!(cut_off && !input.force),
        RecoveryError::Missing(missing) => {
            assert!(!input.force);
            assert!(
                missing.durable_gsn <= durable(log, &log.frames.iter().collect::<Vec<_>>(), input)
            );
            assert!(!is_whole(missing.gsn), "GSN {} is there", missing.gsn);
        }
        other => panic!("refused for no reason: {other}"),
    }
}
