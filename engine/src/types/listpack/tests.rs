use proptest::prelude::*;

use super::*;

const REDIS_DUMP: &str = concat!(
    "460000000e0000017f01c08002dfff02cfff02d00002f1001003f2ff7fff04f3000080",
    "0005f4ffffff7fffffffff09f4ffffffffffffff7f09833030370480018361626304ff",
);

fn texts(list: &Listpack) -> Vec<Vec<u8>> {
    list.iter().map(Item::to_vec).collect()
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        (-5000i64..5000).prop_map(|n| n.to_string().into_bytes()),
        (-9_000_000i64..9_000_000).prop_map(|n| n.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..80),
        (4000usize..4200).prop_map(|n| vec![b'x'; n]),
        (16370usize..16390).prop_map(|n| vec![b'y'; n]),
        Just(b"-0".to_vec()),
        Just(b"007".to_vec()),
        Just(b"9223372036854775808".to_vec()),
    ]
}

#[derive(Clone, Debug)]
enum Change {
    Back(Vec<u8>),
    Front(Vec<u8>),
    Before(usize, Vec<u8>),
    After(usize, Vec<u8>),
    Replace(usize, Vec<u8>),
    Remove(usize, usize),
    Split(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        element().prop_map(Change::Back),
        element().prop_map(Change::Front),
        (any::<usize>(), element()).prop_map(|(i, e)| Change::Before(i, e)),
        (any::<usize>(), element()).prop_map(|(i, e)| Change::After(i, e)),
        (any::<usize>(), element()).prop_map(|(i, e)| Change::Replace(i, e)),
        (any::<usize>(), 1usize..4).prop_map(|(i, n)| Change::Remove(i, n)),
        any::<usize>().prop_map(Change::Split),
    ]
}

fn apply(list: &mut Listpack, model: &mut Vec<Vec<u8>>, change: Change) {
    let len = model.len();
    let at = |i: usize| i.checked_rem(len);
    match change {
        Change::Back(e) => {
            list.push_back(&e);
            model.push(e);
        }
        Change::Front(e) => {
            list.push_front(&e);
            model.insert(0, e);
        }
        Change::Before(i, e) => {
            let Some(i) = at(i) else { return };
            let pos = list.seek(i as i64).unwrap();
            assert_eq!(list.insert_before(pos, &e), pos);
            model.insert(i, e);
        }
        Change::After(i, e) => {
            let Some(i) = at(i) else { return };
            let pos = list.seek(i as i64 - len as i64).unwrap();
            let new = list.insert_after(pos, &e);
            assert_eq!(list.get(new).to_vec(), e);
            model.insert(i + 1, e);
        }
        Change::Replace(i, e) => {
            let Some(i) = at(i) else { return };
            list.replace(list.seek(i as i64).unwrap(), &e);
            model[i] = e;
        }
        Change::Remove(i, n) => {
            let Some(i) = at(i) else { return };
            let next = list.remove_range(list.seek(i as i64).unwrap(), n);
            model.drain(i..len.min(i + n));
            assert_eq!(next.map(|p| list.get(p).to_vec()), model.get(i).cloned());
        }
        Change::Split(i) => {
            let Some(i) = at(i) else { return };
            let tail = list.split_off(list.seek(i as i64).unwrap());
            assert_eq!(texts(list), model[..i]);
            assert_eq!(texts(&tail), model[i..]);
            assert_eq!((list.len(), tail.len()), (i, len - i));
            list.append(&tail);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn behaves_like_a_vec_and_stays_well_formed(changes in prop::collection::vec(change(), 0..40)) {
        let (mut list, mut model) = (Listpack::new(), Vec::new());
        for change in changes {
            apply(&mut list, &mut model, change);
            prop_assert_eq!(texts(&list), model.clone());
            prop_assert_eq!(list.len(), model.len());
            let back: Vec<_> = list.iter().rev().map(Item::to_vec).collect();
            prop_assert!(back.iter().eq(model.iter().rev()));
            prop_assert_eq!(Listpack::from_bytes(list.as_bytes().to_vec()), Ok(list.clone()));
        }
        for (i, e) in model.iter().enumerate() {
            let first = model.iter().position(|m| m == e).unwrap();
            let found = list.find(e, 0).unwrap();
            prop_assert_eq!(Some(found), list.seek(first as i64));
            prop_assert_eq!(list.get(list.seek(i as i64).unwrap()).to_vec(), e.clone());
        }
    }

    #[test]
    fn broken_bytes_are_an_error_or_a_listpack_but_never_a_panic(
        elements in prop::collection::vec(element(), 1..6),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut list = Listpack::new();
        elements.iter().for_each(|e| list.push_back(e));
        let mut bytes = list.as_bytes().to_vec();
        let n = bytes.len();
        bytes[at.index(n)] = byte;
        if let Ok(list) = Listpack::from_bytes(bytes.clone()) {
            prop_assert_eq!(list.iter().count(), list.iter().rev().count());
        }
        bytes.truncate(cut.index(n));
        prop_assert!(Listpack::from_bytes(bytes).is_err());
    }
}

/// `RPUSH k 0 127 128 -1 4095 -4096 4096 -32769 8388608 -2147483649 9223372036854775807 007 "" abc`, taken from the
/// `DUMP` of Redis 7.0.15.
#[test]
fn the_bytes_are_those_of_redis() {
    let mut list = Listpack::new();
    for e in [
        "0",
        "127",
        "128",
        "-1",
        "4095",
        "-4096",
        "4096",
        "-32769",
        "8388608",
        "-2147483649",
        "9223372036854775807",
        "007",
        "",
        "abc",
    ] {
        list.push_back(e.as_bytes());
    }
    let hex: String = list.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, REDIS_DUMP);
}

#[test]
fn a_count_beyond_16_bits_is_unknown_and_comes_back() {
    let mut list = Listpack::new();
    for i in 0..70_000 {
        list.push_back(if i % 2 == 0 { b"1" } else { b"a" });
    }
    assert_eq!(list.as_bytes()[4..6], [0xff, 0xff]);
    assert_eq!(list.len(), 70_000);
    let mut pos = list.first();
    while let Some(at) = pos
        && list.len() > 10
    {
        pos = list.remove_range(at, 5000);
    }
    assert!(list.is_empty());
    assert_eq!(list, Listpack::new());
}
