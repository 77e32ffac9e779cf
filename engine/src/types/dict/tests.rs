use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;
use crate::types::rng::Rng;

impl Element for String {
    fn key(&self) -> &[u8] {
        self.as_bytes()
    }
    fn heap_bytes(&self) -> usize {
        self.len()
    }
}

fn check(dict: &Dict<String>) {
    let segments: Vec<_> = dict.chunks.iter().flatten().collect();
    let total: usize = segments.iter().map(|s| s.len()).sum();
    assert_eq!(total + dict.rest.len(), dict.len());
    assert_eq!(dict.element_bytes, dict.iter().map(String::len).sum::<usize>());
    if dict.directory.is_empty() {
        return;
    }
    assert_eq!(dict.directory.len(), 1 << dict.depth);
    for (number, segment) in segments.iter().enumerate() {
        let named = dict.directory.iter().filter(|n| **n as usize == number).count();
        assert_eq!(named, 1 << (dict.depth - u32::from(segment.depth)));
        for element in segment.slots.iter().flatten() {
            assert_eq!(dict.directory_at(dict.hash(element.key())), number);
        }
    }
    let deepest = segments.iter().filter(|s| u32::from(s.depth) == dict.depth).count();
    assert_eq!(dict.deepest, deepest);
}

fn add(dict: &mut Dict<String>, n: u32) -> bool {
    let key = n.to_string();
    dict.add(key.as_bytes(), || key.clone())
}

#[test]
fn grows_and_shrinks_with_its_structure_intact() {
    let mut dict = Dict::new(7);
    for n in 0..5000 {
        assert!(add(&mut dict, n));
        assert!(!add(&mut dict, n));
    }
    check(&dict);
    let clone = dict.clone();
    for n in 0..5000 {
        assert_eq!(dict.remove(n.to_string().as_bytes()), Some(n.to_string()));
        assert_eq!(dict.remove(n.to_string().as_bytes()), None);
        if n % 500 == 0 {
            check(&dict);
        }
    }
    check(&dict);
    assert!(dict.segments_len() < 8, "{} segments are left for nothing", dict.segments_len());
    assert_eq!(clone.iter().collect::<BTreeSet<_>>().len(), 5000);
}

#[test]
fn random_choice_is_uniform_whatever_the_segments_look_like() {
    let mut dict = Dict::new(3);
    (0..300).for_each(|n| assert!(add(&mut dict, n)));
    (0..250).for_each(|n| assert!(dict.remove(n.to_string().as_bytes()).is_some()));
    let mut rng = Rng::new(99);
    let mut seen: HashMap<String, usize> = HashMap::new();
    for _ in 0..50_000 {
        *seen.entry(dict.random(&mut rng).unwrap().clone()).or_default() += 1;
    }
    assert_eq!(seen.len(), 50);
    assert!(seen.values().all(|n| (800..1200).contains(n)), "{seen:?}");
}

#[test]
fn a_scan_ends_although_the_cursor_is_made_up() {
    let mut dict = Dict::new(3);
    (0..1000).for_each(|n| assert!(add(&mut dict, n)));
    for cursor in [1, 12345, u64::MAX, 1 << 47, 1 << 48] {
        let mut next = cursor;
        let mut steps = 0;
        while next != 0 {
            next = dict.scan(next, 10, &mut |_| {});
            steps += 1;
            assert!(steps < 1000);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn a_scan_gives_every_element_that_stays(
        seed in any::<u64>(),
        stay in 1u32..600,
        count in 1usize..50,
        changes in prop::collection::vec((any::<bool>(), 0u32..3000), 0..60),
    ) {
        let mut dict = Dict::new(seed);
        (0..stay).for_each(|n| assert!(add(&mut dict, n)));
        let mut seen = BTreeSet::new();
        let mut changes = changes.into_iter();
        let mut cursor = 0;
        loop {
            cursor = dict.scan(cursor, count, &mut |e| { seen.insert(e.clone()); });
            if cursor == 0 {
                break;
            }
            // Between two steps many elements come or go, so that segments split and merge.
            if let Some((grow, from)) = changes.next() {
                for n in from..from + 200 {
                    if grow {
                        add(&mut dict, 10_000 + n);
                    } else {
                        dict.remove((10_000 + n).to_string().as_bytes());
                    }
                }
            }
        }
        check(&dict);
        for n in 0..stay {
            prop_assert!(seen.contains(&n.to_string()), "{} is missing", n);
        }
    }
}
