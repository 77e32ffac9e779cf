//! Hashes against a map, and broken ones.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn limits() -> EncodingLimits {
    EncodingLimits {
        hash_max_listpack_entries: 20,
        hash_max_listpack_value: 10,
        ..EncodingLimits::default()
    }
}

fn texts(hash: &Hash) -> BTreeMap<Vec<u8>, Vec<u8>> {
    hash.iter().map(|(f, v)| (f.to_vec(), v.to_vec())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn behaves_like_a_map(
        changes in prop::collection::vec((0u32..40, prop::option::weighted(0.7, "[a-z0-9]{0,12}")), 0..200)
    ) {
        let limits = limits();
        let (mut hash, mut model) = (Hash::new(&limits), BTreeMap::new());
        for (field, value) in changes {
            let field = field.to_string().into_bytes();
            if let Some(value) = value {
                let new = model.insert(field.clone(), value.clone().into_bytes()).is_none();
                prop_assert_eq!(hash.set(&field, value.as_bytes(), &limits), new);
            } else {
                prop_assert_eq!(hash.remove(&field), model.remove(&field).is_some());
            }
            prop_assert_eq!(hash.get(&field).map(Item::to_vec), model.get(&field).cloned());
            prop_assert_eq!(hash.len(), model.len());
        }
        prop_assert_eq!(texts(&hash), model);
    }
}

#[test]
fn a_listpack_with_a_field_twice_or_half_a_pair_is_refused() {
    let pack = |items: &[&str]| {
        let mut packed = Listpack::new();
        items.iter().for_each(|i| packed.push_back(i.as_bytes()));
        Hash::from_listpack(packed, &limits()).map(|h| h.len())
    };
    assert_eq!(pack(&["a", "1", "b", "a"]), Ok(2));
    assert_eq!(pack(&["a", "1", "b"]), Err(BadHash::OddLength));
    assert_eq!(pack(&["a", "1", "a", "2"]), Err(BadHash::Duplicate));
}

#[test]
fn long_fields_and_long_values_survive_the_table() {
    let mut hash = Hash::new(&limits());
    let (field, value) = (vec![b'f'; 300], vec![b'v'; 70_000]);
    assert!(hash.set(&field, b"", &limits()));
    assert!(!hash.set(&field, &value, &limits()));
    assert_eq!(hash.encoding(), "hashtable");
    assert_eq!(hash.get(&field).map(Item::to_vec), Some(value));
}

#[test]
fn times_of_fields_go_with_their_fields() {
    let limits = limits();
    for count in [5, 60] {
        let mut hash = Hash::new(&limits);
        for field in 0..count {
            hash.set(field.to_string().as_bytes(), b"v", &limits);
        }
        let plain = hash.encoding();
        hash.set_time(b"none", Some(1));
        assert_eq!(hash.earliest(), None);
        hash.set_time(b"1", Some(20));
        hash.set_time(b"2", Some(10));
        hash.set_time(b"3", Some(30));
        assert_eq!((hash.earliest(), hash.time_of(b"1"), hash.len()), (Some(10), Some(20), count));
        assert_eq!(hash.due(20, 10), [b"2".to_vec(), b"1".to_vec()]);
        hash.set_value(b"2", b"w", &limits);
        assert_eq!(hash.time_of(b"2"), Some(10));
        hash.set(b"2", b"w", &limits);
        assert_eq!((hash.time_of(b"2"), hash.earliest()), (None, Some(20)));
        assert!(hash.remove(b"1") && hash.remove(b"3"));
        assert_eq!((hash.earliest(), hash.encoding()), (None, plain));
    }
}
