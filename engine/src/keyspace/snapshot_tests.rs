//! A snapshot equals the state at its cut, each key once, whatever happens while it runs.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::raw::Entry;
use crate::serial::{Compression, RdbReader, RdbWriter, SnapshotWriter, skip_value};
use crate::types::{Hash, Object, Value};

const DATABASES: usize = 3;

/// What a key holds, as the bytes that an RDB file has of it, expiry included.
type State = BTreeMap<(u32, Vec<u8>), Vec<u8>>;

fn read_block(block: &[u8], entries: u64, into: &mut State) {
    let mut reader = RdbReader::new(block);
    let mut db = None;
    let mut seen = 0;
    while !reader.is_at_end() {
        let start = reader.at();
        let mut opcode = reader.byte().unwrap();
        if opcode == 0xfe {
            db = Some(u32::try_from(reader.length().unwrap()).unwrap());
            continue;
        }
        if opcode == 0xfc {
            reader.ms_time().unwrap();
            opcode = reader.byte().unwrap();
        }
        let key = reader.string().unwrap().into_owned();
        skip_value(opcode, &mut reader).unwrap();
        let db = db.expect("a block names its database first");
        let bytes = block[start..reader.at()].to_vec();
        assert!(into.insert((db, key.clone()), bytes).is_none(), "{db} {key:?} came twice");
        seen += 1;
    }
    assert_eq!(seen, entries);
}

fn state_of(ks: &mut Keyspace) -> State {
    let mut out = SnapshotWriter::new(RdbWriter::new(Compression::None));
    for index in 0..DATABASES {
        ks.db(index, 0, Mode::Replay).for_each(&mut |entry| {
            let db = u32::try_from(index).unwrap();
            out.entry(db, entry.key(), entry.value(), entry.expire_at_ms());
        });
    }
    let (block, entries) = out.take_block();
    let mut state = State::new();
    read_block(&block, entries, &mut state);
    state
}

#[derive(Clone, Debug)]
enum Op {
    Set(usize, u32, usize, Option<i64>),
    Fill(usize, u32, u32),
    Append(usize, u32),
    HashSet(usize, u32, u32),
    Remove(usize, u32),
    RemoveMany(usize, u32, u32),
    Rename(usize, u32, u32),
    Move(usize, usize, u32),
    TakeAndPutBack(usize, u32),
    Loan(usize, u32),
    Expire(usize, u32, Option<i64>),
    LazyExpire(usize, u32),
    Cycle(usize),
    Swap(usize, usize),
    Flush(usize),
    SaveAhead(usize, u32),
    FreeSome,
    Step(usize),
    Abort,
}

fn op() -> impl Strategy<Value = Op> {
    let db = 0..DATABASES;
    let key = 0..400u32;
    let at = proptest::option::of(0..100i64);
    prop_oneof![
        6 => (db.clone(), key.clone(), 0..80usize, at.clone())
            .prop_map(|(d, k, l, a)| Op::Set(d, k, l, a)),
        2 => (db.clone(), key.clone(), 1..1500u32).prop_map(|(d, k, n)| Op::Fill(d, k, n)),
        4 => (db.clone(), key.clone()).prop_map(|(d, k)| Op::Append(d, k)),
        4 => (db.clone(), key.clone(), 1..200u32).prop_map(|(d, k, n)| Op::HashSet(d, k, n)),
        5 => (db.clone(), key.clone()).prop_map(|(d, k)| Op::Remove(d, k)),
        1 => (db.clone(), key.clone(), 1..800u32).prop_map(|(d, k, n)| Op::RemoveMany(d, k, n)),
        4 => (db.clone(), key.clone(), key.clone()).prop_map(|(d, a, b)| Op::Rename(d, a, b)),
        4 => (db.clone(), db.clone(), key.clone()).prop_map(|(a, b, k)| Op::Move(a, b, k)),
        3 => (db.clone(), key.clone()).prop_map(|(d, k)| Op::TakeAndPutBack(d, k)),
        3 => (db.clone(), key.clone()).prop_map(|(d, k)| Op::Loan(d, k)),
        4 => (db.clone(), key.clone(), at).prop_map(|(d, k, a)| Op::Expire(d, k, a)),
        4 => (db.clone(), key.clone()).prop_map(|(d, k)| Op::LazyExpire(d, k)),
        2 => (1..600usize).prop_map(Op::Cycle),
        3 => (db.clone(), db.clone()).prop_map(|(a, b)| Op::Swap(a, b)),
        1 => db.clone().prop_map(Op::Flush),
        2 => (db.clone(), key).prop_map(|(d, k)| Op::SaveAhead(d, k)),
        2 => Just(Op::FreeSome),
        8 => (1..3000usize).prop_map(Op::Step),
        1 => Just(Op::Abort),
    ]
}

fn key(n: u32) -> Vec<u8> {
    format!("k{n}").into_bytes()
}

/// A keyspace with a snapshot of it that may run.
struct Run {
    ks: Keyspace,
    out: SnapshotWriter,
    cut: State,
    got: State,
}

impl Run {
    fn begin(&mut self) {
        self.cut = state_of(&mut self.ks);
        self.got.clear();
        self.out.take_block();
        self.ks.snapshot_set_compression(Compression::None);
        self.ks.snapshot_begin();
    }
    fn take_block(&mut self) {
        let (block, entries) = self.out.take_block();
        read_block(&block, entries, &mut self.got);
    }
    fn step(&mut self, budget: usize) -> bool {
        let done = self.ks.snapshot_step(&mut self.out, budget);
        if budget.is_multiple_of(2) || done {
            self.take_block();
        }
        done
    }
    fn finish(&mut self) {
        let mut steps = 0;
        while !self.step(5000) {
            steps += 1;
            assert!(steps < 100_000, "the snapshot does not end");
        }
        assert_eq!(self.ks.snapshot_queue_bytes(), 0);
        assert_eq!(self.got, self.cut);
    }
    fn apply(&mut self, op: &Op) {
        let ks = &mut self.ks;
        match *op {
            Op::Set(d, k, len, at) => {
                ks.db(d, 0, Mode::Replay).set_str(&key(k), &vec![b'v'; len], at);
            }
            Op::Fill(d, k, n) => {
                let mut db = ks.db(d, 0, Mode::Replay);
                (k..k + n).for_each(|k| db.set_str(&key(k), b"filled", None));
            }
            Op::Append(d, k) => {
                if let Some(entry) = ks.db(d, 0, Mode::Replay).get_mut(&key(k)) {
                    entry.append(b"appended");
                }
            }
            Op::HashSet(d, k, n) => {
                let limits = ks.limits;
                let mut db = ks.db(d, 0, Mode::Replay);
                if let Ok(hash) = db.get_or_insert_as(&key(k), Hash::new) {
                    for n in 0..n {
                        hash.set(&key(n), b"field", &limits);
                    }
                }
            }
            Op::Remove(d, k) => {
                ks.db(d, 0, Mode::Replay).remove(&key(k));
            }
            Op::RemoveMany(d, k, n) => {
                let mut db = ks.db(d, 0, Mode::Replay);
                for k in k..k + n {
                    db.remove(&key(k));
                }
            }
            Op::Rename(d, from, to) => {
                let mut db = ks.db(d, 0, Mode::Replay);
                if let Some(entry) = db.take(&key(from)) {
                    let (_, value, at) = entry.into_parts();
                    db.put(Entry::new(&key(to), value, at));
                }
            }
            Op::Move(from, to, k) => {
                if let Some(entry) = ks.db(from, 0, Mode::Replay).take(&key(k)) {
                    ks.db(to, 0, Mode::Replay).put(entry);
                }
            }
            Op::TakeAndPutBack(d, k) => {
                let mut db = ks.db(d, 0, Mode::Replay);
                if let Some(entry) = db.take(&key(k)) {
                    db.put(entry);
                }
            }
            Op::Loan(d, k) => {
                if let Some(entry) = ks.checkout(d, &key(k)) {
                    let mut scratch = Keyspace::new(DATABASES, 9);
                    scratch.checkin(d, entry);
                    if let Some(entry) = scratch.db(d, 0, Mode::Replay).get_mut(&key(k)) {
                        entry.append(b"on loan");
                    }
                    scratch.drain(&mut |db, entry| ks.checkin(db, entry));
                }
            }
            Op::Expire(d, k, at) => {
                ks.db(d, 0, Mode::Replay).set_expire_at_ms(&key(k), at);
            }
            Op::LazyExpire(d, k) => {
                ks.db(d, 50, Mode::Live).contains(&key(k));
            }
            Op::Cycle(budget) => {
                ks.expire_cycle(40, budget);
            }
            Op::Swap(a, b) => ks.swap(a, b),
            Op::Flush(d) => {
                ks.db(d, 0, Mode::Replay).flush();
            }
            Op::SaveAhead(d, k) => {
                let effort = ks.snapshot_unsaved_effort(d, &key(k));
                let saved = ks.snapshot_save_key(d, &key(k), &mut self.out);
                assert_eq!(effort > 0, saved);
                assert_eq!(ks.snapshot_unsaved_effort(d, &key(k)), 0);
            }
            Op::FreeSome => {
                ks.free_some(100);
            }
            Op::Step(budget) => {
                if ks.snapshot_is_running() && self.step(budget) {
                    assert_eq!(self.got, self.cut);
                    self.begin();
                }
            }
            Op::Abort => {
                ks.snapshot_abort();
                assert_eq!(ks.snapshot_queue_bytes(), 0);
                if ks.random().is_multiple_of(2) {
                    while ks.free_some(50) {}
                }
                self.begin();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_snapshot_is_the_state_at_its_cut_with_each_key_once(
        before in proptest::collection::vec(op(), 1..40),
        during in proptest::collection::vec(op(), 1..120),
        mask in 0..3usize,
        seed in any::<u64>(),
    ) {
        let mut ks = Keyspace::new(DATABASES, seed);
        ks.hasher.mask = [u64::MAX, 0xe000_0000_0000_ffff, 0xffff_ffff_0000_f000][mask];
        let mut run = Run {
            ks,
            out: SnapshotWriter::new(RdbWriter::new(Compression::None)),
            cut: State::new(),
            got: State::new(),
        };
        let before = before.iter().filter(|op| !matches!(op, Op::Step(_) | Op::Abort));
        before.for_each(|op| run.apply(op));
        run.begin();
        during.iter().for_each(|op| run.apply(op));
        run.finish();
        let after = state_of(&mut run.ks);
        while run.ks.free_some(1000) {}
        prop_assert_eq!(run.ks.lazyfree_pending_objects(), 0);
        // The next one starts from a consistent state.
        run.begin();
        run.finish();
        prop_assert_eq!(run.got, after);
    }
}

fn filled(keys: u32) -> Run {
    let mut ks = Keyspace::new(DATABASES, 1);
    let mut db = ks.db(0, 0, Mode::Replay);
    (0..keys).for_each(|n| db.set_str(&key(n), &[b'v'; 100], None));
    let out = SnapshotWriter::new(RdbWriter::new(Compression::None));
    Run { ks, out, cut: State::new(), got: State::new() }
}

#[test]
fn a_step_keeps_to_its_budget() {
    let mut run = filled(5000);
    run.begin();
    let mut steps = 0;
    while !run.ks.snapshot_step(&mut run.out, 1000) {
        let (block, entries) = run.out.take_block();
        assert!(block.len() < 5000, "{}", block.len());
        read_block(&block, entries, &mut run.got);
        steps += 1;
    }
    run.take_block();
    assert!(steps > 300, "{steps}");
    assert_eq!(run.got, run.cut);
}

#[test]
fn flushing_during_a_snapshot_keeps_the_old_keys_for_it_and_frees_them_afterwards() {
    let mut run = filled(2000);
    run.begin();
    run.step(1000);
    assert_eq!(run.ks.db(0, 0, Mode::Replay).flush(), 2000);
    assert_eq!(run.ks.lazyfree_pending_objects(), 0);
    run.ks.db(0, 0, Mode::Replay).set_str(&key(1), b"new", None);
    run.finish();
    assert_eq!(run.ks.lazyfree_pending_objects(), 2000);
    while run.ks.free_some(100) {}
    assert_eq!(run.ks.lazyfreed_objects(), 2000);
}

#[test]
fn replaced_values_move_to_the_queue_and_count_for_backpressure() {
    let mut run = filled(100);
    run.begin();
    run.ks.db(0, 0, Mode::Replay).set_str(&key(5), b"new", None);
    let moved = run.ks.snapshot_queue_bytes();
    assert!((100..200).contains(&moved), "{moved}");
    run.ks.db(0, 0, Mode::Replay).set_str(&key(5), b"newer", None);
    assert_eq!(run.ks.snapshot_queue_bytes(), moved, "saved once");
    run.ks.db(0, 0, Mode::Replay).get_mut(&key(6));
    assert!(run.ks.snapshot_queue_bytes() > moved);
    run.finish();
}

#[test]
fn a_large_value_is_freed_in_slices() {
    let mut ks = Keyspace::new(1, 1);
    let limits = ks.limits;
    let mut hash = Hash::new(&limits);
    for n in 0..5000 {
        hash.set(&key(n), b"v", &limits);
    }
    let effort = hash.free_effort();
    assert!(effort >= 5000);
    ks.db(0, 0, Mode::Live).set(b"h", Value::Hash(Box::new(hash)), None);
    assert!(ks.db(0, 0, Mode::Live).remove(b"h"));
    assert_eq!(ks.lazyfree_pending_objects(), 1);
    let mut slices = 0;
    while ks.free_some(500) {
        slices += 1;
    }
    assert!(slices >= 9, "{slices}");
    assert_eq!((ks.lazyfree_pending_objects(), ks.lazyfreed_objects()), (0, 1));
}
