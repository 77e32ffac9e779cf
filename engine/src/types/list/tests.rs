use proptest::prelude::*;

use super::*;

fn limits(list_max_listpack_size: i64) -> EncodingLimits {
    EncodingLimits { list_max_listpack_size, ..EncodingLimits::default() }
}

fn squeezed_nodes(list: &List) -> usize {
    let nodes = (0..list.nodes.len()).filter_map(|at| list.nodes.get(at));
    nodes.filter(|node| matches!(node, Node::Squeezed(_))).count()
}

fn texts(list: &List) -> Vec<Vec<u8>> {
    list.iter_from(0).map(Item::to_vec).collect()
}

fn check(list: &List) {
    let nodes: Vec<_> = (0..list.nodes.len()).map(|at| list.nodes.get(at).unwrap()).collect();
    assert_eq!(list.len, nodes.iter().map(|n| n.len()).sum::<usize>());
    assert_eq!(list.node_bytes, nodes.iter().map(|n| n.heap_bytes()).sum::<usize>());
    assert!(list.len == 0 && nodes.len() == 1 || nodes.iter().all(|n| n.len() > 0));
    let depth = list.depth as usize;
    for (at, node) in nodes.iter().enumerate() {
        let is_inner = depth > 0 && at >= depth && at + depth < nodes.len();
        match node {
            Node::Squeezed(_) => assert!(is_inner, "node {at} of {}", nodes.len()),
            Node::Packed(packed) => {
                assert!(!is_inner || squeezed::Squeezed::new(packed).is_none(), "node {at} is open")
            }
            Node::Plain(_) => {}
        }
    }
}

#[derive(Clone, Debug)]
enum Change {
    Push(bool, Vec<u8>),
    Pop(bool, usize),
    Set(i64, Vec<u8>),
    Insert(Vec<u8>, bool, Vec<u8>),
    RemoveRange(usize, usize),
    RemoveMatching(Vec<u8>, bool, usize),
    Plain(Vec<u8>),
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0u8..12).prop_map(|n| n.to_string().into_bytes()),
        4 => (0u8..12).prop_map(|n| format!("text {n}").into_bytes()),
        1 => (100usize..3000).prop_map(|n| vec![b'x'; n]),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        8 => (any::<bool>(), element()).prop_map(|(s, e)| Change::Push(s, e)),
        2 => (any::<bool>(), 1usize..5).prop_map(|(s, n)| Change::Pop(s, n)),
        2 => (-20i64..20, element()).prop_map(|(i, e)| Change::Set(i, e)),
        4 => (element(), any::<bool>(), element()).prop_map(|(p, b, e)| Change::Insert(p, b, e)),
        1 => (0usize..20, 0usize..20).prop_map(|(a, n)| Change::RemoveRange(a, n)),
        2 => (element(), any::<bool>(), 1usize..4).prop_map(|(e, s, n)| Change::RemoveMatching(e, s, n)),
        1 => element().prop_map(Change::Plain),
    ]
}

fn side(left: bool) -> Side {
    if left { Side::Left } else { Side::Right }
}

fn apply(list: &mut List, model: &mut Vec<Vec<u8>>, change: Change) {
    match change {
        Change::Push(left, e) => {
            list.push(side(left), &e);
            model.insert(if left { 0 } else { model.len() }, e);
        }
        Change::Pop(left, n) => {
            list.remove_end(side(left), n);
            let n = n.min(model.len());
            if left {
                model.drain(..n);
            } else {
                model.truncate(model.len() - n);
            }
        }
        Change::Set(i, e) => {
            let at = if i < 0 { i + model.len() as i64 } else { i };
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            let there = at < model.len();
            assert_eq!(list.set(i, &e), there);
            if there {
                model[at] = e;
            }
        }
        Change::Insert(pivot, before, e) => {
            let at = model.iter().position(|m| *m == pivot);
            assert_eq!(list.insert(&pivot, before, &e), at.is_some());
            if let Some(at) = at {
                model.insert(if before { at } else { at + 1 }, e);
            }
        }
        Change::RemoveRange(from, n) => {
            list.remove_range(from, n);
            model.drain(from.min(model.len())..(from + n).min(model.len()));
        }
        Change::RemoveMatching(e, left, n) => {
            let mut hits: Vec<_> = (0..model.len()).filter(|i| model[*i] == e).collect();
            if !left {
                hits.reverse();
            }
            hits.truncate(n);
            assert_eq!(list.remove_matching(&e, side(left), n), hits.len());
            hits.sort_unstable();
            hits.iter().rev().for_each(|i| drop(model.remove(*i)));
        }
        Change::Plain(e) => {
            list.push_plain(e.clone());
            model.push(e);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn behaves_like_a_vec(
        fill in prop_oneof![Just(-2i64), Just(-1), Just(0), Just(1), Just(3)],
        list_compress_depth in 0usize..3,
        changes in prop::collection::vec(change(), 0..80),
    ) {
        let limits = EncodingLimits { list_compress_depth, ..limits(fill) };
        let (mut list, mut model) = (List::new(&limits), Vec::new());
        for change in changes {
            apply(&mut list, &mut model, change);
            check(&list);
            prop_assert_eq!(texts(&list), model.clone());
        }
        for i in 0..model.len() {
            prop_assert_eq!(list.get(i as i64).map(Item::to_vec), Some(model[i].clone()));
            prop_assert!(list.iter_from(i).map(Item::to_vec).eq(model[i..].iter().cloned()));
            prop_assert!(list.iter_rev_from(i).map(Item::to_vec).eq(model[..=i].iter().rev().cloned()));
        }
        prop_assert_eq!(list.end(Side::Left).map(Item::to_vec), model.first().cloned());
        prop_assert_eq!(list.end(Side::Right).map(Item::to_vec), model.last().cloned());
    }
}

#[test]
fn inner_nodes_are_squeezed_and_read_as_before() {
    let limits = EncodingLimits { list_compress_depth: 1, ..limits(-1) };
    let mut list = List::new(&limits);
    let element =
        |n: usize| format!("element number {n} of a list that repeats itself").into_bytes();
    (0..2000).for_each(|n| list.push(Side::Right, &element(n)));
    let (nodes, bytes) = (list.nodes.len(), list.memory_bytes());
    assert_eq!(squeezed_nodes(&list), nodes - 2);
    assert!(bytes * 2 < 2000 * element(0).len(), "{bytes}");
    assert!(list.iter_from(0).map(Item::to_vec).eq((0..2000).map(element)));
    assert_eq!(list.get(1000).map(Item::to_vec), Some(element(1000)));
    list.close();
    assert_eq!(list.memory_bytes(), bytes);
    let mut saved = RdbWriter::new(crate::serial::Compression::All);
    list.save(&mut saved);
    let mut input = crate::serial::RdbReader::new(&saved.buf);
    let loaded = crate::serial::load_value(list.rdb_type(), &mut input, &limits).unwrap();
    let crate::types::Value::List(loaded) = loaded else { panic!("a list") };
    assert_eq!(texts(&loaded), texts(&list));
    assert_eq!(squeezed_nodes(&loaded), nodes - 2);
    assert!(list.set(-1000, b"other"));
    assert!(list.insert(b"other", false, b"another"));
    list.remove_range(500, 1200);
    check(&list);
    (0..800).for_each(|_| assert_eq!(list.remove_end(Side::Left, 1), 1));
    check(&list);
    assert_eq!(list.len, 1);
}

#[test]
fn nodes_keep_to_the_size_that_was_asked_for() {
    for (fill, nodes) in [(-2, 2), (-1, 4), (100, 10), (3, 334)] {
        let mut list = List::new(&limits(fill));
        (0..1000).for_each(|n| list.push(Side::Right, format!("element {n}").as_bytes()));
        assert_eq!(list.nodes.len(), nodes, "fill {fill}");
    }
}

#[test]
fn a_large_list_is_freed_in_slices() {
    let mut list = List::new(&limits(10));
    (0..1000).for_each(|n| list.push(Side::Left, n.to_string().as_bytes()));
    let mut slices = 0;
    while !list.free_some(7) {
        slices += 1;
    }
    assert!(slices > 10);
}
