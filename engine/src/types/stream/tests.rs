use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::serial::RdbReader;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;
type Model = BTreeMap<StreamId, Fields>;

fn limits() -> EncodingLimits {
    EncodingLimits { stream_node_max_entries: 5, ..EncodingLimits::default() }
}

fn content<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Vec<(StreamId, Fields)> {
    entries.map(|e| (e.id, e.fields().map(|(f, v)| (f.to_vec(), v.to_vec())).collect())).collect()
}

fn round_trip(stream: &Stream) -> Stream {
    let mut out = RdbWriter::default();
    stream.save(&mut out);
    let mut input = RdbReader::new(&out.buf);
    let loaded = Stream::load(&mut input, stream.rdb_type()).unwrap();
    assert!(input.is_at_end());
    loaded
}

#[derive(Clone, Debug)]
enum Step {
    Push(u64, u64, Vec<(u8, String)>),
    Remove(u64),
    MaxLen(u64, bool),
    MinId(u64, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fields = prop::collection::vec((0u8..3, "[a-z0-9]{0,5}"), 1..4);
    let step = prop_oneof![
        8 => (0u64..2, 1u64..3, fields).prop_map(|(ms, seq, f)| Step::Push(ms, seq, f)),
        3 => (0u64..60).prop_map(Step::Remove),
        1 => (0u64..30, any::<bool>()).prop_map(|(n, b)| Step::MaxLen(n, b)),
        1 => (0u64..60, any::<bool>()).prop_map(|(n, b)| Step::MinId(n, b)),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn equals_an_ordered_map(steps in steps()) {
        let mut stream = Stream::new();
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Push(ms, seq, fields) => {
                    let last = stream.last_id();
                    let id = if ms == 0 { StreamId::new(last.ms, last.seq + seq) } else { StreamId::new(last.ms + ms, 0) };
                    let owned: Vec<_> = fields.iter().map(|(f, v)| (format!("f{f}").into_bytes(), v.clone().into_bytes())).collect();
                    let pairs: Vec<_> = owned.iter().map(|(f, v)| (&f[..], &v[..])).collect();
                    stream.push(id, &pairs, &limits()).unwrap();
                    prop_assert_eq!(stream.push(id, &pairs, &limits()), Err(PushError::IdTooSmall));
                    model.insert(id, owned);
                }
                Step::Remove(n) => {
                    let id = model.keys().nth(usize::try_from(n).unwrap()).copied().unwrap_or(StreamId::new(n, 77));
                    prop_assert_eq!(stream.remove(id), model.remove(&id).is_some());
                }
                Step::MaxLen(max, whole) => {
                    let removed = stream.trim(Trim::MaxLen(max), whole, 0);
                    for _ in 0..removed { model.pop_first(); }
                    prop_assert!(whole || model.len() as u64 <= max || removed == 0);
                }
                Step::MinId(ms, whole) => {
                    let min = StreamId::new(ms, 0);
                    let removed = stream.trim(Trim::MinId(min), whole, 0);
                    for _ in 0..removed { model.pop_first(); }
                    prop_assert!(whole || model.keys().next().is_none_or(|id| *id >= min));
                }
            }
            prop_assert_eq!(stream.len(), model.len());
            prop_assert_eq!(stream.first_id(), model.keys().next().copied().unwrap_or_default());
        }
        let expected: Vec<_> = model.clone().into_iter().collect();
        prop_assert_eq!(content(stream.iter()), expected.clone());
        let mut back = content(stream.range_rev(StreamId::MIN..=StreamId::MAX));
        back.reverse();
        prop_assert_eq!(back, expected.clone());
        for ms in [0, 3, 9, 20] {
            let (from, to) = (StreamId::new(ms, 1), StreamId::new(ms + 5, 0));
            let part: Vec<_> = expected.iter().filter(|(id, _)| (from..=to).contains(id)).cloned().collect();
            prop_assert_eq!(content(stream.range(from..=to)), part.clone());
            let mut back = content(stream.range_rev(from..=to));
            back.reverse();
            prop_assert_eq!(back, part);
        }
        let loaded = round_trip(&stream);
        prop_assert_eq!(content(loaded.iter()), expected);
        prop_assert_eq!(loaded.last_id(), stream.last_id());
        prop_assert_eq!(loaded.max_deleted_id(), stream.max_deleted_id());
    }

    #[test]
    fn broken_bodies_are_refused_and_never_panic(flip in any::<prop::sample::Index>(), bit in 0u32..8, cut in any::<prop::sample::Index>()) {
        let mut stream = Stream::new();
        for n in 1..20u64 {
            stream.push(StreamId::new(n, n), &[(b"field", b"value"), (b"n", n.to_string().as_bytes())], &limits()).unwrap();
        }
        stream.remove(StreamId::new(3, 3));
        let mut group = Group::new(StreamId::new(2, 2), Some(2));
        let (consumer, _) = group.find_or_add(b"ann", 5);
        group.set_pending(StreamId::new(1, 1), Pending { consumer, delivered_at_ms: 5, deliveries: 1 });
        stream.add_group(b"g", group);
        let mut out = RdbWriter::new(crate::serial::Compression::None);
        stream.save(&mut out);
        let mut bytes = out.buf;
        prop_assert!(Stream::load(&mut RdbReader::new(&bytes[..cut.index(bytes.len())]), 19).is_err());
        let at = flip.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(stream) = Stream::load(&mut RdbReader::new(&bytes), 19) {
            content(stream.iter());
        }
    }
}

#[test]
fn approximate_trimming_takes_whole_blocks_within_its_limit() {
    let mut stream = Stream::new();
    for n in 1..=22 {
        stream.push(StreamId::new(n, 0), &[(b"f", b"v")], &limits()).unwrap();
    }
    assert_eq!(stream.trim(Trim::MaxLen(20), true, 0), 0);
    assert_eq!(stream.trim(Trim::MaxLen(3), true, 5), 5);
    assert_eq!(stream.trim(Trim::MaxLen(3), true, 0), 10);
    assert_eq!(stream.trim(Trim::MinId(StreamId::new(21, 0)), true, 0), 5);
    assert_eq!(stream.first_id(), StreamId::new(21, 0));
    assert_eq!(stream.max_deleted_id(), StreamId::MIN);
}

#[test]
fn groups_survive_an_rdb_body() {
    let mut stream = Stream::new();
    stream.push(StreamId::new(1, 0), &[(b"f", b"v")], &limits()).unwrap();
    let mut group = Group::new(StreamId::new(1, 0), None);
    let (ann, _) = group.find_or_add(b"ann", 11);
    let (bob, _) = group.find_or_add(b"bob", 12);
    let pending = Pending { consumer: ann, delivered_at_ms: 3, deliveries: 2 };
    group.set_pending(StreamId::new(1, 0), pending);
    group.set_pending(StreamId::new(1, 0), Pending { consumer: bob, ..pending });
    stream.add_group(b"g", group);
    let loaded = round_trip(&stream);
    let group = loaded.group(b"g").unwrap();
    assert_eq!(group.entries_read, None);
    let of = |name: &[u8]| group.consumer(group.find(name).unwrap()).unwrap();
    assert_eq!((of(b"ann").seen_at_ms, of(b"ann").pending().len()), (11, 0));
    assert_eq!((of(b"bob").seen_at_ms, of(b"bob").pending().len()), (12, 1));
    assert_eq!(group.pending()[&StreamId::new(1, 0)].deliveries, 2);
}

#[test]
fn a_stream_saved_in_slices_is_the_stream_saved_whole() {
    let mut stream = Stream::new();
    let limits = EncodingLimits { stream_node_max_entries: 3, ..EncodingLimits::default() };
    let id = |n: u64| StreamId::new(n, n % 5);
    for n in 1..=40 {
        stream.push(id(n), &[(b"field", b"value")], &limits).unwrap();
    }
    for (name, consumers, each) in [("empty", 0, 0), ("one", 1, 17), ("two", 2, 6), ("idle", 3, 0)]
    {
        let mut group = Group::new(id(9), None);
        for consumer in 0..consumers {
            let (number, _) = group.find_or_add(format!("c{consumer}").as_bytes(), 5);
            for n in 1..=each {
                let pending = Pending { consumer: number, delivered_at_ms: 7, deliveries: n };
                group.set_pending(id(consumer * each + n), pending);
            }
        }
        assert!(stream.add_group(name.as_bytes(), group));
    }
    let mut whole = RdbWriter::default();
    stream.save(&mut whole);
    for budget in [0, 1, 20, 100, 700] {
        let (mut out, mut slices) = (RdbWriter::default(), 0);
        let mut next = Some(SavePoint::default());
        while let Some(from) = next {
            let before = out.buf.len();
            next = stream.save_some(from, budget, &mut out);
            assert!(out.buf.len() - before < budget + 200, "a slice is bounded");
            slices += 1;
        }
        assert_eq!(out.buf, whole.buf, "budget {budget}");
        assert!(slices > whole.buf.len() / (budget + 200));
    }
}
