//! Commands that are mostly valid, while time goes by: replaying their effects gives the same data, DUMP and RESTORE keep it,
//! a snapshot holds what was there at its cut whatever happens while it is written, and broken payloads are refused.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ringstone_engine::keyspace::Mode;
use ringstone_engine::serial::{Compression, RdbWriter, SnapshotWriter, crc64, dump};
use ringstone_engine::types::EncodingLimits;
use ringstone_engine::{ArgBuf, Tree};
use ringstone_tests::generate::pair::{DATABASES, Pair, Row, listing, saves_and_loads};
use ringstone_fuzz::rdb::{file_of_blocks, load, scratch_path};
use ringstone_persist::rdb::write::Header;
use ringstone_tests::generate::{Bytes, Choices, Generator};

static PATH: LazyLock<PathBuf> = LazyLock::new(scratch_path);

const NOW_MS: i64 = 1_700_000_000_000;
const COMMANDS_MAX: usize = 400;

fuzz_target!(|data: &[u8]| {
    // Its outcome is known, and it takes its time.
    let mut generator = Generator::new(|spec| spec.name != "pfselftest");
    let (mut pair, mut snapshot) = (Pair::default(), None::<Snapshot>);
    let (mut choices, mut now_ms) = (Bytes(data), NOW_MS);
    for _ in 0..COMMANDS_MAX {
        if choices.0.is_empty() {
            break;
        }
        match choices.below(64) {
            60 => now_ms += 15_000_000,
            61 => pair.expire(now_ms),
            62 => snapshot = Some(Snapshot::begin(&mut pair)),
            63 => broken(&generator.payload, &mut choices),
            _ => {}
        }
        let db = choices.below(8).saturating_sub(6).min(DATABASES - 1);
        let (command, words) = generator.command(&mut choices);
        let args = ArgBuf::from_parts(&words);
        if command.spec.arity_fits(words.len())
            && let Tree::Bulk(payload) = pair.run(command, args.as_args(), db, now_ms)
            && command.spec.name == "dump"
        {
            generator.payload = payload;
        }
        snapshot = snapshot.and_then(|snapshot| snapshot.step(&mut pair, 1 + choices.below(400)));
    }
    while let Some(running) = snapshot {
        snapshot = running.step(&mut pair, 1000);
    }
    pair.check();
    // All kinds of values that came about, damaged.
    let mut payloads = Vec::new();
    pair.live.db(0, now_ms, Mode::Replay).for_each(&mut |entry| {
        payloads.push(dump::dump_payload(entry.value()));
    });
    payloads.iter().for_each(|payload| broken(payload, &mut choices));
});

/// A snapshot under way.
struct Snapshot {
    cut: Vec<Row>,
    has_newer_types: bool,
    out: SnapshotWriter,
}

impl Snapshot {
    fn begin(pair: &mut Pair) -> Snapshot {
        let cut = listing(&mut pair.live);
        pair.live.snapshot_begin();
        let has_newer_types = pair.live.has_field_times();
        Snapshot { cut, has_newer_types, out: SnapshotWriter::new(RdbWriter::new(Compression::All)) }
    }

    /// None when it is complete, and holds what it should.
    fn step(mut self, pair: &mut Pair, budget_bytes: usize) -> Option<Snapshot> {
        if !pair.live.snapshot_step(&mut self.out, budget_bytes) {
            return Some(self);
        }
        let header = Header { has_newer_types: self.has_newer_types, ..Header::default() };
        let file = file_of_blocks(&header, [self.out.take_block()]);
        let (_, loaded) = load(&PATH, &file).expect("a snapshot loads");
        assert_eq!(loaded.rows(), self.cut);
        None
    }
}

/// Damages a payload under a right checksum: an error, or some value; never a panic, never much memory.
fn broken(payload: &[u8], choices: &mut Bytes<'_>) {
    let mut payload = payload.to_vec();
    for _ in 0..1 + choices.below(4) {
        let at = choices.below(payload.len());
        let Some(byte) = payload.get_mut(at) else { return };
        match choices.below(5) {
            0 => *byte ^= 1 << choices.below(8),
            1 => *byte = choices.below(256) as u8,
            2 => drop(payload.remove(at)),
            3 => payload.truncate(at),
            // A length of its own.
            _ => drop(payload.splice(at..at, [0x81, 0, 0, 0, choices.below(256) as u8, 0, 0, 0, 9])),
        }
    }
    if let Some(summed) = payload.len().checked_sub(8) {
        let sum = crc64::checksum(&payload[..summed]);
        payload[summed..].copy_from_slice(&sum.to_le_bytes());
    }
    dump::restore_payload(&payload, &EncodingLimits::default()).iter().for_each(saves_and_loads);
}
