//! The table and its entries against safe twins: `HashMap` and `Vec`.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::{Entry, KeyHasher, Table};
use crate::types::{EncodingLimits, Hash, List, Set, Value, ValueRef};

fn hasher(mask: u64) -> KeyHasher {
    let mut hasher = KeyHasher::new(1, 2);
    hasher.mask = mask;
    hasher
}

/// Masks of the hash: none, few directory bits, all keys in one bucket, all keys alike.
const MASKS: [u64; 4] = [u64::MAX, 0xc000_0000_0000_ffff, 0xffff_ffff_ffff_0000, 0];

fn key(n: u32) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

fn text(entry: &Entry) -> Vec<u8> {
    let mut scratch = itoa::Buffer::new();
    entry.value().str_bytes(&mut scratch).unwrap().to_vec()
}

struct Twins {
    hasher: KeyHasher,
    table: Table,
    map: HashMap<Vec<u8>, (Vec<u8>, Option<i64>)>,
}

impl Twins {
    fn new(mask: u64) -> Twins {
        Twins { hasher: hasher(mask), table: Table::new(), map: HashMap::new() }
    }
    fn put(&mut self, key: &[u8], value: &[u8], at: Option<i64>) {
        let hash = self.hasher.hash(key);
        let entry = Entry::new_str(key, value, at);
        match self.table.locate(hash, key) {
            Some(place) => drop(self.table.replace(place, entry).unwrap()),
            None => {
                self.table.insert(&self.hasher, hash, entry);
            }
        }
        self.map.insert(key.to_vec(), (value.to_vec(), at));
    }
    fn remove(&mut self, key: &[u8]) {
        let place = self.table.locate(self.hasher.hash(key), key);
        let removed = place.and_then(|p| self.table.remove(p)).map(|e| text(&e));
        assert_eq!(removed, self.map.remove(key).map(|v| v.0));
    }
    fn expire(&mut self, key: &[u8], at: Option<i64>) {
        if let Some(place) = self.table.locate(self.hasher.hash(key), key) {
            self.table.set_expire_at_ms(place, at);
            self.map.get_mut(key).unwrap().1 = at;
        }
    }
    fn append(&mut self, key: &[u8], bytes: &[u8]) {
        if let Some(place) = self.table.locate(self.hasher.hash(key), key) {
            let len = self.table.at_mut(place).unwrap().append(bytes);
            let value = &mut self.map.get_mut(key).unwrap().0;
            value.extend_from_slice(bytes);
            assert_eq!(len, value.len());
        }
    }
    fn check(&self) {
        assert_eq!(self.table.len(), self.map.len());
        let expires = self.map.values().filter(|v| v.1.is_some()).count();
        assert_eq!(self.table.expires_len(), expires);
        let sum: i128 = self.map.values().filter_map(|v| v.1).map(i128::from).sum();
        assert_eq!(self.table.expire_sum_ms(), sum);
        for (key, (value, at)) in &self.map {
            let entry = self.table.find(self.hasher.hash(key), key).unwrap();
            assert_eq!(
                (entry.key(), text(entry), entry.expire_at_ms()),
                (&**key, value.clone(), *at)
            );
        }
        let mut all = HashSet::new();
        self.table.for_each(&mut |e| assert!(all.insert(e.key().to_vec())));
        assert_eq!(all.len(), self.map.len());
    }
}

#[derive(Clone, Debug)]
enum Op {
    Put(u32, usize, Option<i64>),
    Fill(u32, u32),
    Remove(u32),
    RemoveMany(u32, u32),
    Expire(u32, Option<i64>),
    Append(u32, usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let key = 0..2000u32;
    let len = prop_oneof![0..70usize, 1000..1100usize];
    let at = proptest::option::of(0..1000i64);
    let op = prop_oneof![
        4 => (key.clone(), len.clone(), at.clone()).prop_map(|(k, l, a)| Op::Put(k, l, a)),
        2 => (key.clone(), 1..700u32).prop_map(|(k, n)| Op::Fill(k, n)),
        4 => key.clone().prop_map(Op::Remove),
        1 => (key.clone(), 1..700u32).prop_map(|(k, n)| Op::RemoveMany(k, n)),
        3 => (key.clone(), at).prop_map(|(k, a)| Op::Expire(k, a)),
        3 => (key, len).prop_map(|(k, l)| Op::Append(k, l)),
    ];
    proptest::collection::vec(op, 1..40)
}

fn apply(twins: &mut Twins, op: &Op) {
    match *op {
        Op::Put(k, len, at) => twins.put(&key(k), &vec![b'v'; len], at),
        Op::Fill(k, n) => (k..k + n).for_each(|k| twins.put(&key(k), &key(k), None)),
        Op::Remove(k) => twins.remove(&key(k)),
        Op::RemoveMany(k, n) => (k..k + n).for_each(|k| twins.remove(&key(k))),
        Op::Expire(k, at) => twins.expire(&key(k), at),
        Op::Append(k, len) => twins.append(&key(k), &vec![b'a'; len]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn table_equals_a_hash_map_even_when_hashes_collide(ops in ops(), mask in 0..MASKS.len()) {
        let mut twins = Twins::new(MASKS[mask]);
        ops.iter().for_each(|op| apply(&mut twins, op));
        twins.check();
    }

    #[test]
    fn a_scan_gives_every_key_that_stays_whatever_happens_between_its_steps(
        before in ops(),
        between in ops(),
        mask in 0..MASKS.len(),
    ) {
        let mut twins = Twins::new(MASKS[mask]);
        before.iter().for_each(|op| apply(&mut twins, op));
        let mut stayed: HashSet<Vec<u8>> = twins.map.keys().cloned().collect();
        let mut seen = HashSet::new();
        let mut changes = between.iter();
        let (mut cursor, mut steps) = (0, 0);
        loop {
            cursor = twins.table.step(cursor, &mut |e| { seen.insert(e.key().to_vec()); });
            steps += 1;
            if cursor == 0 {
                break;
            }
            if steps % 7 == 0 && let Some(op) = changes.next() {
                apply(&mut twins, op);
                stayed.retain(|k| twins.map.contains_key(k));
            }
        }
        prop_assert!(stayed.is_subset(&seen));
    }

    #[test]
    fn a_string_edited_in_place_equals_a_vec(
        key in proptest::collection::vec(any::<u8>(), 0..40),
        expires in any::<bool>(),
        edits in proptest::collection::vec((0..6u8, 0..1500usize, any::<u8>()), 1..30),
    ) {
        let mut at = expires.then_some(5);
        let mut entry = Entry::new_str(&key, b"12", at);
        let mut twin = b"12".to_vec();
        entry.set_access(0xabcdef);
        for (kind, n, byte) in edits {
            match kind {
                0 => {
                    twin = vec![byte; n % 300];
                    entry.set_str(&twin);
                }
                1 => {
                    twin.extend(vec![byte; n % 200]);
                    prop_assert_eq!(entry.append(&vec![byte; n % 200]), twin.len());
                }
                2 => {
                    if twin.len() < n {
                        twin.resize(n, 0);
                    }
                    let bytes = entry.bytes_mut(n);
                    prop_assert_eq!(&*bytes, &*twin);
                    if let (Some(a), Some(b)) = (bytes.last_mut(), twin.last_mut()) {
                        (*a, *b) = (byte, byte);
                    }
                }
                3 => {
                    twin = n.to_string().into_bytes();
                    entry.set_int(n as i64);
                }
                4 => {
                    at = (byte > 100).then_some(n as i64);
                    entry.set_expire_at_ms(at);
                }
                _ => {
                    twin = vec![byte; n];
                    entry.set_value(Value::Bytes(twin.clone()));
                }
            }
            prop_assert_eq!(text(&entry), &*twin);
            prop_assert_eq!(entry.key(), &*key);
            prop_assert_eq!(entry.expire_at_ms(), at);
            prop_assert_eq!(entry.access(), 0xabcdef);
            let copy = entry.clone();
            prop_assert_eq!(text(&copy), &*twin);
        }
        let parts = entry.into_parts();
        prop_assert_eq!(parts.0, key);
        prop_assert_eq!(parts.2, at);
    }
}

#[test]
fn a_16_byte_key_with_64_bytes_takes_the_96_byte_class() {
    let entry = Entry::new_str(&[b'k'; 16], &[b'v'; 64], None);
    assert_eq!(entry.memory_bytes(), 96);
    assert_eq!(Entry::new_str(&[b'k'; 16], b"1", None).memory_bytes(), 32);
    assert_eq!(entry.with_expire_at_ms(Some(1)).memory_bytes(), 112);
}

#[test]
fn a_set_of_about_the_same_length_reuses_the_block() {
    let mut entry = Entry::new_str(b"key", &[b'v'; 64], None);
    let at = entry.address();
    entry.set_str(&[b'w'; 60]);
    assert_eq!(entry.address(), at);
    assert_eq!(entry.value().to_value().as_ref().element_count(), 1);
    entry.set_str(&[b'w'; 900]);
    entry.set_str(&[b'w'; 10]);
    assert_eq!(entry.memory_bytes(), 32, "a block far too large is given back");
}

#[test]
fn collections_move_in_and_out() {
    let limits = EncodingLimits::default();
    let mut entry = Entry::new(b"key", Value::Hash(Box::new(Hash::new(&limits))), Some(9));
    assert!(matches!(entry.value(), ValueRef::Hash(_)));
    assert_eq!(entry.append(b"x"), 0);
    assert!(entry.bytes_mut(9).is_empty());
    entry.set_value(Value::List(Box::new(List::new(&limits))));
    entry.set_str(b"text");
    entry.set_value(Value::Set(Box::new(Set::new(&limits))));
    assert!(matches!(entry.clone().value(), ValueRef::Set(_)));
    let (key, value, at) = entry.into_parts();
    assert!(matches!(value, Value::Set(_)));
    assert_eq!((key.as_slice(), at), (&b"key"[..], Some(9)));
}

#[test]
fn a_string_changed_in_place_is_called_raw_until_it_is_set_again() {
    let mut entry = Entry::new_str(b"key", b"abc", None);
    assert_eq!(entry.encoding(), "embstr");
    entry.append(b"d");
    assert_eq!(entry.encoding(), "raw");
    entry.set_str(b"abc");
    assert_eq!(entry.encoding(), "embstr");
}

#[test]
fn colliding_keys_grow_a_chain_and_not_the_directory() {
    let mut twins = Twins::new(0);
    (0..5000).for_each(|n| twins.put(&key(n), b"v", None));
    assert!(twins.table.directory.len() <= 16 * (twins.table.segments + 1));
    assert!(twins.table.memory_bytes() < 5000 * 200, "{}", twins.table.memory_bytes());
    twins.check();
    (0..5000).for_each(|n| twins.remove(&key(n)));
    twins.check();
}

#[test]
fn an_empty_table_holds_nothing_and_answers() {
    let table = Table::new();
    assert_eq!(table.memory_bytes(), 0);
    assert!(table.find(7, b"key").is_none());
    assert_eq!(table.step(0, &mut |_| unreachable!()), 0);
    assert!(table.random(&mut || 3).is_none());
    assert!(table.into_drain().pop().is_none());
}

#[test]
fn any_cursor_is_answered() {
    let mut twins = Twins::new(u64::MAX);
    (0..3000).for_each(|n| twins.put(&key(n), b"v", None));
    for cursor in [1, 63, u64::MAX, u64::MAX >> 26, 1 << 37] {
        let mut at = cursor;
        for _ in 0..10_000 {
            at = twins.table.step(at, &mut |_| ());
            if at == 0 {
                break;
            }
        }
        assert_eq!(at, 0);
    }
}

#[test]
fn segments_fill_well_before_they_split() {
    let mut twins = Twins::new(u64::MAX);
    (0..200_000).for_each(|n| twins.put(&key(n), b"v", None));
    let bytes = twins.table.memory_bytes() as f64 / 200_000.0;
    assert!(bytes < 16.0, "{bytes} bytes of index a key");
}

#[test]
fn random_entries_are_picked_evenly() {
    let mut twins = Twins::new(u64::MAX);
    (0..2000).for_each(|n| twins.put(&key(n), b"v", None));
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state ^ (state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd)
    };
    let mut picks: HashMap<Vec<u8>, u32> = HashMap::new();
    for _ in 0..100_000 {
        *picks.entry(twins.table.random(&mut next).unwrap().key().to_vec()).or_default() += 1;
    }
    // 50 each on average, with a standard deviation of 7.
    assert!(picks.len() > 1990 && picks.values().all(|n| *n < 110));
}

#[test]
fn a_drained_table_gives_everything_back_once() {
    for mask in MASKS {
        let mut twins = Twins::new(mask);
        (0..3000).for_each(|n| twins.put(&key(n), b"v", None));
        let mut drain = twins.table.into_drain();
        let mut got = HashSet::new();
        while let Some(entry) = drain.pop() {
            assert!(got.insert(entry.key().to_vec()));
        }
        assert_eq!(got.len(), 3000);
        assert!(drain.is_empty());
    }
}
