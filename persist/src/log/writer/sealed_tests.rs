//! The log under encryption.
#![expect(clippy::cast_possible_truncation, reason = "small numbers")]

use super::tests::{STAGE, payload, prepare, push, replayed, run};
use super::*;
use crate::crypt::Keyring;
use crate::disk::{StdDisk, block_on};
use crate::log::{RecoverOptions, Recovered, RecoveryError, recover, stage_file_name};
use std::path::Path;

const MODES: [SyncMode; 3] = [SyncMode::Always, SyncMode::EverySec, SyncMode::No];

/// Keys with these numbers, the first for writing.
fn keyring(numbers: &[u8]) -> Keyring {
    let line = |n: &u8| format!("{n:02x}{}\n", "a7".repeat(31));
    let text: String = numbers.iter().map(line).collect();
    Keyring::parse(text.as_bytes(), "encryption-key-file k", true).unwrap()
}

fn try_open(dir: &Path, keyring: &Keyring) -> Result<Recovered, RecoveryError> {
    let mut options = RecoverOptions::new(dir, 1, [3; 16], 5);
    options.keyring = keyring.clone();
    block_on(recover(&StdDisk, &options))
}

fn open(dir: &Path, keyring: &Keyring) -> Recovered {
    try_open(dir, keyring).unwrap()
}

fn writer(recovered: &Recovered, mode: SyncMode) -> LogWriter {
    let log = recovered.manifest.log;
    LogWriter::new(WriterOptions {
        segment_bytes: 64 << 10,
        stage_bytes: STAGE,
        old_segments: recovered.old_segments(0, 1),
        cipher: recovered.cipher.clone(),
        ..WriterOptions::new(log, 0, recovered.epoch, mode, recovered.next_seq(0))
    })
}

/// The file of `dir` that holds these bytes.
fn holder(dir: &Path, bytes: &[u8]) -> Option<String> {
    let names = block_on(crate::disk::Disk::list(&StdDisk, dir)).unwrap();
    names.into_iter().find(|name| {
        let content = std::fs::read(dir.join(name)).unwrap();
        memchr::memmem::find(&content, bytes).is_some()
    })
}

fn expected(through: u64) -> Vec<(u64, Vec<u8>)> {
    (1..=through).map(|gsn| (gsn, payload(gsn))).collect()
}

/// Writes GSN `from` to `to`, of which the last are in a stage only, where there are stages.
fn fill(dir: &Path, log: &mut LogWriter, from: u64, to: u64) {
    for gsn in from..=to {
        prepare(log, dir);
        push(log, gsn);
        if gsn % 40 == 0 {
            log.request_sync();
            run(log, dir);
        }
    }
    if log.mode() == SyncMode::Always {
        run(log, dir);
    }
}

#[test]
fn nothing_of_a_sealed_log_is_readable_in_any_file_and_it_recovers() {
    for mode in MODES {
        let dir = tempfile::tempdir().unwrap();
        let ring = keyring(&[1]);
        let mut log = writer(&open(dir.path(), &ring), mode);
        fill(dir.path(), &mut log, 1, 190);
        for gsn in [77, 120, 190] {
            let plain = &payload(gsn)[..64];
            assert_eq!(holder(dir.path(), plain), None, "{mode:?} {gsn}");
        }
        drop(log);
        let recovered = open(dir.path(), &ring);
        assert_eq!((recovered.gsn, replayed(&recovered)), (190, expected(190)));
        assert_eq!(holder(dir.path(), &payload(190)[..64]), None);
    }
}

#[test]
fn a_wrong_or_missing_key_is_a_refusal_that_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path(), &keyring(&[1])), SyncMode::EverySec);
    fill(dir.path(), &mut log, 1, 50);
    drop(log);
    let manifest = || std::fs::read(dir.path().join("MANIFEST")).unwrap();
    let before = manifest();
    let error = try_open(dir.path(), &keyring(&[2])).unwrap_err().to_string();
    assert!(error.starts_with("MANIFEST is encrypted under the master key "), "{error}");
    assert!(error.contains("encryption-key-file k does not hold"), "{error}");
    let error = try_open(dir.path(), &Keyring::default()).unwrap_err().to_string();
    assert!(error.contains("no key is configured: set encryption-key-file"), "{error}");
    assert_eq!(manifest(), before);
    assert!(dir.path().join(stage_file_name(0, 0)).exists());
    assert_eq!(replayed(&open(dir.path(), &keyring(&[2, 1]))), expected(50));
}

#[test]
fn a_key_is_rotated_in_the_midst_of_a_run() {
    for mode in MODES {
        let dir = tempfile::tempdir().unwrap();
        let mut recovered = open(dir.path(), &keyring(&[1]));
        let mut log = writer(&recovered, mode);
        fill(dir.path(), &mut log, 1, 50);
        let new = keyring(&[2, 1]);
        let cipher = recovered.manifest.change_keyring(&new).unwrap();
        assert!(cipher.is_some());
        block_on(recovered.manifest.store(&StdDisk, dir.path())).unwrap();
        fill(dir.path(), &mut log, 51, 60);
        log.set_cipher(cipher);
        fill(dir.path(), &mut log, 61, 100);
        drop(log);
        // What the log needs is wrapped under the new key alone.
        assert_eq!(recovered.manifest.seals.master_keys(), [new.active().unwrap()]);
        let again = open(dir.path(), &keyring(&[2]));
        assert_eq!(replayed(&again), expected(100));
        assert!(try_open(dir.path(), &keyring(&[1])).is_err());
    }
}

#[test]
fn a_log_in_clear_goes_on_sealed_and_a_sealed_one_in_clear() {
    let dir = tempfile::tempdir().unwrap();
    let sealed = keyring(&[1]);
    let known = {
        let text = format!("01{}", "a7".repeat(31));
        Keyring::parse(text.as_bytes(), "k", false).unwrap()
    };
    let mut at = 0;
    for ring in [&Keyring::default(), &sealed, &sealed, &known, &known, &sealed] {
        let recovered = open(dir.path(), ring);
        assert!(recovered.gsn == at && replayed(&recovered) == expected(at), "{at}");
        assert_eq!(recovered.cipher.is_some(), ring.seals());
        let mut log = writer(&recovered, SyncMode::EverySec);
        fill(dir.path(), &mut log, at + 1, at + 30);
        at += 30;
    }
}

#[test]
fn files_of_earlier_runs_are_removed_and_not_used_again_under_encryption() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = writer(&open(dir.path(), &Keyring::default()), SyncMode::Always);
    fill(dir.path(), &mut log, 1, 90);
    drop(log);
    assert!(holder(dir.path(), &payload(77)[..64]).is_some());
    let recovered = open(dir.path(), &keyring(&[1]));
    let old: Vec<SegmentId> = recovered.old_segments(0, 1).iter().map(|(id, _)| *id).collect();
    let mut log = writer(&recovered, SyncMode::Always);
    log.rotate();
    fill(dir.path(), &mut log, 91, 120);
    log.retire_below(90);
    let mut removed = Vec::new();
    while let Some(job) = log.next_preparation() {
        assert!(job.recycle.is_none_or(|id| !old.contains(&id)));
        log.spare_ready(job.id);
    }
    while let Some(id) = log.next_removal() {
        removed.push(id);
    }
    removed.sort_unstable();
    assert_eq!(removed, old);
}

#[test]
fn frames_that_were_changed_or_exchanged_are_refused_though_their_checksums_fit() {
    let dir = tempfile::tempdir().unwrap();
    let ring = keyring(&[1]);
    let recovered = open(dir.path(), &ring);
    let mut log = writer(&recovered, SyncMode::Always);
    push(&mut log, 1);
    push(&mut log, 2);
    run(&mut log, dir.path());
    drop(log);
    let name = dir.path().join("s0-1.log");
    let good = std::fs::read(&name).unwrap();
    let seed = FrameSeed::new(&recovered.manifest.log, SegmentId { shard: 0, seq: 1 });
    let header = FrameHeader::decode(&good[4096..], &seed).unwrap();
    let forged = |change: &dyn Fn(&mut FrameHeader, &mut Vec<u8>)| {
        let mut header = header;
        let start = 4096 + FRAME_HEADER_BYTES;
        let mut payload = good[start..start + header.payload_len as usize].to_vec();
        change(&mut header, &mut payload);
        header.payload_crc = crc32fast::hash(&payload);
        let mut sealed = header.encode();
        seal(&mut sealed, &seed);
        let mut bytes = good.clone();
        bytes[4096..start].copy_from_slice(&sealed);
        bytes[start..start + payload.len()].copy_from_slice(&payload);
        std::fs::write(&name, bytes).unwrap();
        let opened = try_open(dir.path(), &ring);
        opened.map_err(|e| e.to_string()).and_then(|recovered| {
            let mut replay = recovered.replay();
            block_on(replay.next(&StdDisk)).map(|_| ()).map_err(|e| e.to_string())
        })
    };
    assert_eq!(forged(&|_, _| ()), Ok(()));
    let error = forged(&|_, payload| payload[3] ^= 1).unwrap_err();
    assert!(error.starts_with("the frame at shard 0, segment s0-1.log, offset 4096"), "{error}");
    let error = forged(&|header, _| header.wall_ms += 1).unwrap_err();
    assert!(error.contains("does not authenticate"), "{error}");
    let error = forged(&|header, _| header.key = 0).unwrap_err();
    assert!(error.contains("is not encrypted, though MANIFEST says"), "{error}");
    let error = forged(&|header, _| header.key = 9).unwrap_err();
    assert!(error.contains("data key 9 of epoch"), "{error}");
}

#[test]
fn a_manifest_that_somebody_edited_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ring = keyring(&[1]);
    let _recovered = open(dir.path(), &ring);
    let path = dir.path().join("MANIFEST");
    let text = std::fs::read_to_string(&path).unwrap();
    let with = |change: &dyn Fn(&str) -> Option<String>| {
        let body = text.lines().filter(|line| !line.starts_with("crc32 "));
        let body: String = body.filter_map(change).map(|line| line + "\n").collect();
        let crc = crc32fast::hash(body.as_bytes());
        std::fs::write(&path, format!("{body}crc32 {crc:08x}\n")).unwrap();
        try_open(dir.path(), &ring).map(|_| ()).map_err(|e| e.to_string())
    };
    let error = with(&|line| Some(line.replace("shards 1", "shards 2"))).unwrap_err();
    assert!(error.starts_with("MANIFEST: the MAC under master key"), "{error}");
    let error = with(&|line| (!line.starts_with("mac ")).then(|| line.to_owned())).unwrap_err();
    assert!(error.contains("it names keys and has no MAC"), "{error}");
    assert!(with(&|line| Some(line.to_owned())).is_ok());
}
