use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn small_limits() -> EncodingLimits {
    EncodingLimits {
        zset_max_listpack_entries: 8,
        zset_max_listpack_value: 10,
        ..EncodingLimits::default()
    }
}

fn all(set: &ZSet) -> Vec<(Vec<u8>, f64)> {
    set.iter().map(|(member, score)| (member.to_vec(), score)).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u8, i8),
    Remove(u8),
    RemoveRanks(u8, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (any::<u8>(), any::<i8>()).prop_map(|(m, s)| Step::Insert(m, s)),
        2 => any::<u8>().prop_map(Step::Remove),
        1 => (any::<u8>(), 0u8..5).prop_map(|(a, n)| Step::RemoveRanks(a, n)),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn both_encodings_equal_an_ordered_map(steps in steps(), large in any::<bool>()) {
        let limits = if large { small_limits() } else { EncodingLimits { zset_max_listpack_entries: 1000, ..EncodingLimits::default() } };
        let mut set = ZSet::new();
        let mut model: BTreeMap<Vec<u8>, i8> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(member, score) => {
                    let member = member.to_string().into_bytes();
                    let expected = match model.insert(member.clone(), score) {
                        None => Inserted::Added,
                        Some(old) if old == score => Inserted::Same,
                        Some(old) => Inserted::Moved(f64::from(old)),
                    };
                    prop_assert_eq!(set.insert(&member, f64::from(score), &limits), expected);
                }
                Step::Remove(member) => {
                    let member = member.to_string().into_bytes();
                    prop_assert_eq!(set.remove(&member), model.remove(&member).map(f64::from));
                }
                Step::RemoveRanks(start, count) => {
                    let start = usize::from(start);
                    let doomed: Vec<_> = set.range(start..start + usize::from(count)).map(|(m, _)| m.to_vec()).collect();
                    prop_assert_eq!(set.remove_ranks(start..start + usize::from(count)), doomed.len());
                    doomed.iter().for_each(|m| { model.remove(m); });
                }
            }
        }
        let mut expected: Vec<(Vec<u8>, f64)> = model.iter().map(|(m, s)| (m.clone(), f64::from(*s))).collect();
        expected.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        prop_assert_eq!(all(&set), expected.clone());
        let mut back: Vec<_> = set.iter().rev().map(|(m, s)| (m.to_vec(), s)).collect();
        back.reverse();
        prop_assert_eq!(back, expected.clone());
        for (rank, (member, score)) in expected.iter().enumerate() {
            prop_assert_eq!(set.rank(member), Some((rank, *score)));
            prop_assert_eq!(set.partition_point(|s, m| s < *score || (s == *score && m < &member[..])), rank);
        }
        let mut scanned = Vec::new();
        let mut cursor = 0;
        loop {
            cursor = set.scan(cursor, 3, &mut |m, s| scanned.push((m.to_vec(), s)));
            if cursor == 0 { break; }
        }
        scanned.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        prop_assert_eq!(scanned, expected);
    }
}

#[test]
fn grows_out_of_the_listpack_by_count_and_by_length() {
    let limits = small_limits();
    let mut set = ZSet::new();
    for i in 0..8 {
        set.insert(format!("m{i}").as_bytes(), f64::from(i) / 3.0, &limits);
    }
    assert_eq!(set.encoding(), "listpack");
    let before = all(&set);
    set.insert(b"m8", 9.0, &limits);
    assert_eq!(set.encoding(), "skiplist");
    assert_eq!(all(&set)[..8], before[..]);
    let mut set = ZSet::new();
    set.insert(b"eleven char", 1.0, &limits);
    assert_eq!(set.encoding(), "skiplist");
}

#[test]
fn a_listpack_from_outside_is_checked() {
    let limits = EncodingLimits::default();
    let list = |items: &[&str]| {
        let mut list = Listpack::new();
        items.iter().for_each(|i| list.push_back(i.as_bytes()));
        ZSet::from_listpack(list, &limits)
    };
    assert_eq!(all(&list(&["b", "2", "a", "1"]).unwrap())[0].0, b"a");
    assert!(list(&["a", "1", "b", "1.5", "7", "inf"]).is_ok());
    for bad in [&["a"][..], &["a", "x"], &["a", "nan"], &["a", "1", "a", "2"]] {
        assert!(list(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_large_set_is_freed_in_slices() {
    let limits = EncodingLimits::default();
    let mut set = ZSet::new();
    for i in 0..10_000u32 {
        set.insert(format!("member:{i}").as_bytes(), f64::from(i), &limits);
    }
    assert!(set.memory_bytes() < 10_000 * 64, "{}", set.memory_bytes());
    assert_eq!(set.free_effort(), 10_000);
    let mut slices = 0;
    while !set.free_some(1000) {
        slices += 1;
    }
    assert!((5..20).contains(&slices));
}
