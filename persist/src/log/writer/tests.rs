#![expect(clippy::cast_possible_truncation, reason = "small numbers")]

use super::*;
use crate::disk::{Disk, StdDisk, block_on};
use crate::log::{Manifest, RecoverOptions, Recovered, prepare_segment, prepare_stage, recover};
use std::path::Path;

const SIZE: u64 = 64 << 10;
pub(super) const STAGE: usize = 16 << 10;

fn open(dir: &Path) -> Recovered {
    block_on(recover(&StdDisk, &RecoverOptions::new(dir, 1, [3; 16], 5))).unwrap()
}

fn writer(recovered: &Recovered, mode: SyncMode) -> LogWriter {
    let log = recovered.manifest.log;
    let options = WriterOptions {
        segment_bytes: SIZE,
        stage_bytes: STAGE,
        old_segments: recovered.old_segments(0, 1),
        ..WriterOptions::new(log, 0, recovered.epoch, mode, recovered.next_seq(0))
    };
    LogWriter::new(options)
}

pub(super) fn prepare(writer: &mut LogWriter, dir: &Path) {
    while let Some(job) = writer.next_preparation() {
        block_on(prepare_segment(&StdDisk, dir, &job)).unwrap();
        writer.spare_ready(job.id);
    }
    while let Some(job) = writer.next_stage() {
        writer.stage_prepared(&job, block_on(prepare_stage(&StdDisk, dir, &job)));
    }
}

fn write(dir: &Path, segment: SegmentId, offset: u64, bytes: &[u8]) -> io::Result<usize> {
    let file = block_on(StdDisk.open(&dir.join(segment.file_name())))?;
    block_on(StdDisk.write_at(&file, bytes, offset))
}

pub(super) fn run(writer: &mut LogWriter, dir: &Path) {
    loop {
        prepare(writer, dir);
        if let Some(request) = writer.next_write() {
            assert_eq!(request.bytes().as_ptr().align_offset(4096), 0);
            let result = write(dir, request.segment, request.offset, request.bytes());
            let ticket = request.ticket;
            drop(request);
            writer.write_done(ticket, result);
        } else {
            break;
        }
    }
}

pub(super) fn replayed(recovered: &Recovered) -> Vec<(u64, Vec<u8>)> {
    let mut out = Vec::new();
    let mut replay = recovered.replay();
    while let Some(frame) = block_on(replay.next(&StdDisk)).unwrap() {
        out.push((frame.gsn, frame.records.to_vec()));
    }
    out
}

pub(super) fn payload(gsn: u64) -> Vec<u8> {
    vec![gsn as u8; (gsn as usize * 37) % 3000]
}

pub(super) fn push(writer: &mut LogWriter, gsn: u64) {
    writer.push(gsn, 0, gsn - 1, FrameKind::Batch, &payload(gsn)).unwrap();
}

#[test]
fn what_is_written_in_any_mode_is_recovered_in_order() {
    for mode in [SyncMode::Always, SyncMode::EverySec, SyncMode::No] {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path());
        assert!(first.is_new && first.gsn == 0);
        let mut log = writer(&first, mode);
        for gsn in 1..=200 {
            push(&mut log, gsn);
            if gsn % 3 == 0 {
                run(&mut log, dir.path());
            }
        }
        run(&mut log, dir.path());
        assert_eq!(log.written_below(), None);
        let second = open(dir.path());
        assert_eq!((second.gsn, second.epoch), (200, first.epoch + 1));
        assert_eq!(replayed(&second), (1..=200).map(|g| (g, payload(g))).collect::<Vec<_>>());
        let third = open(dir.path());
        assert_eq!((third.gsn, third.epoch), (200, first.epoch + 2));
        assert_eq!(replayed(&third), replayed(&second));
    }
}

#[test]
fn a_frame_longer_than_a_segment_is_logged_and_recovered() {
    for mode in [SyncMode::Always, SyncMode::EverySec] {
        let dir = tempfile::tempdir().unwrap();
        let mut log = writer(&open(dir.path()), mode);
        push(&mut log, 1);
        let big = vec![9; SIZE as usize * 3];
        log.push(2, 0, 0, FrameKind::Transaction, &big).unwrap();
        push(&mut log, 3);
        run(&mut log, dir.path());
        let recovered = open(dir.path());
        assert_eq!(recovered.gsn, 3);
        assert_eq!(replayed(&recovered)[1], (2, big));
    }
}

#[test]
fn small_groups_gather_while_two_are_in_flight() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path()), SyncMode::Always);
    prepare(&mut log, dir.path());
    push(&mut log, 1);
    let one = log.next_write().unwrap();
    push(&mut log, 2);
    let two = log.next_write().unwrap();
    for gsn in 3..10 {
        push(&mut log, gsn);
        assert!(log.next_write().is_none());
    }
    assert_eq!(log.synced_below(), Some(1));
    let (ticket, len) = (two.ticket, two.bytes().len());
    log.write_done(ticket, Ok(len));
    assert_eq!(log.synced_below(), Some(1));
    let three = log.next_write().unwrap();
    assert!(three.offset > two.offset && log.next_write().is_none());
    log.write_done(one.ticket, Ok(one.bytes().len()));
    assert_eq!(log.synced_below(), Some(3));
    log.write_done(three.ticket, Ok(three.bytes().len()));
    assert_eq!((log.synced_below(), log.pending_bytes()), (None, 0));
}

#[test]
fn a_short_write_goes_on_at_the_last_whole_block() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path()), SyncMode::Always);
    prepare(&mut log, dir.path());
    log.push(1, 0, 0, FrameKind::Batch, &[1; 10_000]).unwrap();
    let first = log.next_write().unwrap();
    assert_eq!(first.bytes().len(), 12_288);
    log.write_done(first.ticket, Ok(5000));
    assert_eq!(log.written_below(), Some(1));
    let rest = log.next_write().unwrap();
    assert_eq!((rest.offset, rest.bytes().len()), (first.offset + 4096, 8192));
    log.write_done(rest.ticket, Ok(8192));
    assert_eq!(log.written_below(), None);
}

#[test]
fn after_a_failed_write_everything_not_durable_goes_to_a_fresh_segment() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path()), SyncMode::Always);
    prepare(&mut log, dir.path());
    push(&mut log, 1);
    let one = log.next_write().unwrap();
    push(&mut log, 2);
    let two = log.next_write().unwrap();
    push(&mut log, 3);
    log.write_done(one.ticket, Err(io::Error::other("EIO")));
    assert!(log.next_write().is_none(), "the other write is still under way");
    write(dir.path(), two.segment, two.offset, two.bytes()).unwrap();
    log.write_done(two.ticket, Ok(two.bytes().len()));
    assert_eq!((log.synced_below(), log.health()), (Some(1), Health::Ok));
    let again = log.next_write().unwrap();
    assert_ne!(again.segment, one.segment);
    write(dir.path(), again.segment, again.offset, again.bytes()).unwrap();
    log.write_done(again.ticket, Ok(again.bytes().len()));
    run(&mut log, dir.path());
    assert_eq!(log.synced_below(), None);
    let recovered = open(dir.path());
    assert_eq!(replayed(&recovered), (1..=3).map(|g| (g, payload(g))).collect::<Vec<_>>());
}

#[test]
fn a_second_failed_write_is_fatal_and_acknowledges_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path()), SyncMode::Always);
    prepare(&mut log, dir.path());
    push(&mut log, 1);
    for _ in 0..2 {
        assert_eq!(log.health(), Health::Ok);
        let request = log.next_write().unwrap();
        log.write_done(request.ticket, Err(io::Error::other("EIO")));
    }
    assert_eq!((log.health(), log.synced_below()), (Health::Fatal, Some(1)));
    assert!(log.next_write().is_none());
}

#[test]
fn frames_of_everysec_survive_a_kill_before_any_of_them_is_in_a_segment() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path()), SyncMode::EverySec);
    prepare(&mut log, dir.path());
    (1..=10).for_each(|gsn| push(&mut log, gsn));
    assert_eq!((log.written_below(), log.synced_below()), (None, Some(1)));
    assert!(log.next_write().is_none(), "the group gathers");
    let recovered = open(dir.path());
    assert_eq!(replayed(&recovered), (1..=10).map(|g| (g, payload(g))).collect::<Vec<_>>());
    let names = block_on(StdDisk.list(dir.path())).unwrap();
    assert!(!names.iter().any(|name| name.starts_with("stage-0-0")), "{names:?}");
    assert_eq!(replayed(&open(dir.path())).len(), 10);
}

#[test]
fn a_group_starts_when_it_is_old_and_its_stage_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path()), SyncMode::EverySec);
    prepare(&mut log, dir.path());
    push(&mut log, 1);
    log.tick(999);
    assert!(log.next_write().is_none());
    log.tick(1000);
    let request = log.next_write().unwrap();
    push(&mut log, 2);
    assert_eq!(log.written_below(), Some(2), "a second stage is not there yet");
    write(dir.path(), request.segment, request.offset, request.bytes()).unwrap();
    let (ticket, len) = (request.ticket, request.bytes().len());
    drop(request);
    log.write_done(ticket, Ok(len));
    assert_eq!(log.synced_below(), Some(2));
    for gsn in 3..=300 {
        push(&mut log, gsn);
        run(&mut log, dir.path());
    }
    assert_eq!(log.written_below(), None);
    assert!(log.synced_below() > Some(250));
    let recovered = open(dir.path());
    assert_eq!(replayed(&recovered), (1..=300).map(|g| (g, payload(g))).collect::<Vec<_>>());
    assert!(recovered.warnings.is_empty(), "what an earlier use left in a stage is no damage");
}

#[test]
fn without_a_stage_replies_wait_for_the_segment() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path()), SyncMode::EverySec);
    let job = log.next_stage().unwrap();
    log.stage_prepared(&job, Err(io::ErrorKind::Unsupported.into()));
    log.tick(100_000);
    assert!(log.next_stage().is_none() && log.last_error().unwrap().contains("stage 0"));
    push(&mut log, 1);
    assert_eq!((log.health(), log.written_below()), (Health::Ok, Some(1)));
    run(&mut log, dir.path());
    assert_eq!((log.written_below(), log.synced_below()), (None, None));
    push(&mut log, 2);
    run(&mut log, dir.path());
    assert_eq!(open(dir.path()).gsn, 2);
}

#[test]
fn a_stage_made_for_a_log_that_has_ended_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let mut old = writer(&open(dir.path()), SyncMode::EverySec);
    let job = old.next_stage().unwrap();
    let mut new = writer(&open(dir.path()), SyncMode::EverySec);
    new.stage_prepared(&job, block_on(prepare_stage(&StdDisk, dir.path(), &job)));
    push(&mut new, 1);
    assert_eq!(new.written_below(), Some(1));
}

#[test]
fn a_group_that_an_earlier_use_left_in_a_segments_file_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let recovered = open(dir.path());
    let mut log = writer(&recovered, SyncMode::EverySec);
    prepare(&mut log, dir.path());
    push(&mut log, 1);
    log.request_sync();
    run(&mut log, dir.path());
    let first = dir.path().join("s0-1.log");
    assert_eq!(std::fs::read(&first).unwrap()[4096..4100], *b"RSEG");
    let copy = |from: &Path, to: &str| {
        let mut bytes = std::fs::read(dir.path().join(to)).unwrap();
        bytes[4096..].copy_from_slice(&std::fs::read(from).unwrap()[4096..]);
        std::fs::write(dir.path().join(to), bytes).unwrap();
    };
    copy(&first, "s0-2.log");
    let scan = |name: u64| {
        let id = SegmentId { shard: 0, seq: name };
        let path = dir.path().join(id.file_name());
        block_on(crate::log::scan_segment(&StdDisk, &path, &recovered.manifest.log, id)).unwrap()
    };
    assert_eq!((scan(1).frames.len(), scan(1).holes.len()), (1, 0));
    assert_eq!(scan(2).frames.len(), 0);
}

#[test]
fn after_a_failed_write_of_everysec_the_stage_keeps_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path()), SyncMode::EverySec);
    prepare(&mut log, dir.path());
    push(&mut log, 1);
    log.request_sync();
    let request = log.next_write().unwrap();
    let segment = request.segment;
    log.write_done(request.ticket, Err(io::Error::other("EIO")));
    assert_eq!((log.written_below(), log.synced_below()), (None, Some(1)));
    let copy = tempfile::tempdir().unwrap();
    for name in block_on(StdDisk.list(dir.path())).unwrap() {
        std::fs::copy(dir.path().join(&name), copy.path().join(&name)).unwrap();
    }
    assert_eq!(open(copy.path()).gsn, 1);
    run(&mut log, dir.path());
    assert_eq!(log.synced_below(), None);
    log.retire_below(1);
    assert_eq!(log.next_removal(), Some(segment));
}

#[test]
fn no_space_for_segments_clears_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path()), SyncMode::Always);
    push(&mut log, 1);
    assert!(log.is_stalled() && log.next_write().is_none());
    while let Some(job) = log.next_preparation() {
        log.spare_failed(job.id, &io::ErrorKind::StorageFull.into());
    }
    assert_eq!((log.health(), log.segments_wanted()), (Health::DiskFull, 0));
    log.tick(1000);
    run(&mut log, dir.path());
    assert_eq!((log.health(), log.synced_below()), (Health::Ok, None));
}

#[test]
fn a_full_disk_in_everysec_keeps_the_bytes_and_tries_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path()), SyncMode::EverySec);
    while let Some(job) = log.next_stage() {
        log.stage_prepared(&job, Err(io::ErrorKind::StorageFull.into()));
    }
    push(&mut log, 1);
    while let Some(job) = log.next_preparation() {
        log.spare_failed(job.id, &io::ErrorKind::StorageFull.into());
    }
    assert_eq!((log.health(), log.written_below()), (Health::DiskFull, Some(1)));
    log.tick(1000);
    run(&mut log, dir.path());
    assert_eq!((log.health(), log.written_below()), (Health::Ok, None));
    assert_eq!(open(dir.path()).gsn, 1);
}

#[test]
fn a_cut_retires_segments_and_their_files_are_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut recovered = open(dir.path());
    let mut log = writer(&recovered, SyncMode::Always);
    for gsn in 1..=100 {
        push(&mut log, gsn);
        run(&mut log, dir.path());
    }
    log.rotate();
    log.push(101, 0, 100, FrameKind::Cut, &[]).unwrap();
    push(&mut log, 102);
    run(&mut log, dir.path());
    let first_live = log.first_live_seq(100);
    assert!(first_live > 1);
    std::fs::write(dir.path().join("base-101.rdb"), "snapshot").unwrap();
    let base = crate::log::Base { file_name: "base-101.rdb".to_owned(), cut_gsn: 101 };
    recovered.manifest.set_base(base, [(0, log.first_live_seq(101))]);
    block_on(recovered.manifest.store(&StdDisk, dir.path())).unwrap();
    log.retire_below(101);
    while let Some(id) = log.next_removal() {
        std::fs::remove_file(dir.path().join(id.file_name())).unwrap();
    }
    for gsn in 103..=140 {
        push(&mut log, gsn);
        run(&mut log, dir.path());
    }
    let again = open(dir.path());
    assert_eq!((again.gsn, again.base().unwrap().1), (140, 101));
    assert_eq!(replayed(&again), (102..=140).map(|g| (g, payload(g))).collect::<Vec<_>>());
}

#[test]
fn a_change_of_mode_begins_a_segment_and_brings_the_stage_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path()), SyncMode::EverySec);
    prepare(&mut log, dir.path());
    push(&mut log, 1);
    run(&mut log, dir.path());
    assert_eq!((log.written_below(), log.synced_below()), (None, Some(1)));
    log.set_mode(SyncMode::Always);
    push(&mut log, 2);
    run(&mut log, dir.path());
    assert_eq!(log.synced_below(), None);
    log.set_mode(SyncMode::No);
    push(&mut log, 3);
    run(&mut log, dir.path());
    assert_eq!(open(dir.path()).gsn, 3);
}

#[test]
fn pushing_out_of_order_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path()), SyncMode::No);
    push(&mut log, 5);
    let error = log.push(5, 0, 0, FrameKind::Batch, &[]).unwrap_err();
    assert_eq!(error, PushError::OutOfOrder { gsn: 5, last: 5 });
}

#[test]
fn manifest_without_a_log_is_refused_where_segments_are() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path()), SyncMode::No);
    push(&mut log, 1);
    run(&mut log, dir.path());
    std::fs::remove_file(dir.path().join(crate::log::manifest::MANIFEST_NAME)).unwrap();
    let options = RecoverOptions::new(dir.path(), 1, [3; 16], 5);
    let error = block_on(recover(&StdDisk, &options)).unwrap_err().to_string();
    assert!(error.contains("s0-1.log"), "{error}");
    assert!(block_on(Manifest::load(&StdDisk, dir.path())).unwrap().is_none());
}

#[test]
fn damage_to_a_mark_does_not_hide_the_frame_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path()), SyncMode::Always);
    push(&mut log, 1);
    run(&mut log, dir.path());
    log.tick(10_000);
    log.mark_if_idle(0, 1, 2);
    push(&mut log, 2);
    run(&mut log, dir.path());
    let path = dir.path().join("s0-1.log");
    let mut bytes = std::fs::read(&path).unwrap();
    let mark = 2 * 4096 + 40;
    bytes[mark] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let recovered = open(dir.path());
    assert_eq!(recovered.gsn, 2);
    assert!(!recovered.warnings.is_empty());
}

#[test]
fn after_a_clean_shutdown_or_a_mark_a_lost_last_frame_is_refused_until_forced() {
    for clean in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut recovered = open(dir.path());
        let mut log = writer(&recovered, SyncMode::Always);
        push(&mut log, 1);
        run(&mut log, dir.path());
        push(&mut log, 2);
        run(&mut log, dir.path());
        if clean {
            recovered.manifest.close_epoch(2);
            block_on(recovered.manifest.store(&StdDisk, dir.path())).unwrap();
        } else {
            log.tick(10_000);
            log.mark_if_idle(0, 2, 3);
            run(&mut log, dir.path());
        }
        let path = dir.path().join("s0-1.log");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[2 * 4096..3 * 4096].fill(0);
        std::fs::write(&path, bytes).unwrap();
        let mut options = RecoverOptions::new(dir.path(), 1, [3; 16], 5);
        let error = block_on(recover(&StdDisk, &options)).unwrap_err().to_string();
        assert!(error.contains("GSN 2 is missing"), "{error}");
        options.force_truncate = true;
        let forced = block_on(recover(&StdDisk, &options)).unwrap();
        assert_eq!(forced.gsn, 1);
        assert_eq!(open(dir.path()).gsn, 1);
    }
}

/// A log of ten frames in one segment.
fn ten_frames(dir: &Path) {
    let mut log = writer(&open(dir), SyncMode::EverySec);
    (1..=10).for_each(|gsn| push(&mut log, gsn));
    log.request_sync();
    run(&mut log, dir);
}

#[test]
fn an_old_manifest_is_refused_and_its_epochs_never_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("MANIFEST");
    open(dir.path());
    let old = std::fs::read(&manifest).unwrap();
    ten_frames(dir.path());
    std::fs::write(&manifest, old).unwrap();
    let options = RecoverOptions::new(dir.path(), 1, [3; 16], 5);
    let error = block_on(recover(&StdDisk, &options)).unwrap_err().to_string();
    assert!(error.contains("epoch 3") && error.contains("ends with epoch 2"), "{error}");
    let forced = RecoverOptions { force_truncate: true, ..options };
    let forced = block_on(recover(&StdDisk, &forced)).unwrap();
    assert_eq!((forced.gsn, forced.epoch), (0, 4));
    use crate::log::Warning::{GaveUp, OldManifest};
    assert!(matches!(forced.warnings[..], [OldManifest { .. }, GaveUp(_)]));
    assert_eq!(open(dir.path()).gsn, 0);
}

#[test]
fn a_cut_segment_is_read_on_the_operators_word_once_and_for_all() {
    let dir = tempfile::tempdir().unwrap();
    ten_frames(dir.path());
    let segment = dir.path().join(SegmentId { shard: 0, seq: 1 }.file_name());
    let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.set_len(SIZE - 1).unwrap();
    let options = RecoverOptions::new(dir.path(), 1, [3; 16], 5);
    assert!(block_on(recover(&StdDisk, &options)).is_err());
    let forced = RecoverOptions { force_truncate: true, ..options };
    assert_eq!(block_on(recover(&StdDisk, &forced)).unwrap().gsn, 10);
    assert_eq!(open(dir.path()).gsn, 10);
}
