use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Checks counts, first elements, links and order of the whole tree.
fn check(tree: &Tree, members: &Members) {
    fn walk(tree: &Tree, node: NodeId, height: u8, leaves: &mut Vec<NodeId>) -> usize {
        if height == 0 {
            leaves.push(node);
            return tree.leaves.get(node).len();
        }
        let inner = tree.inners.get(node);
        let mut total = 0;
        for at in 0..inner.len() {
            let count = walk(tree, inner.children[at], height - 1, leaves);
            assert!(count > 0);
            assert_eq!(inner.counts[at] as usize, count);
            assert_eq!(inner.first(at), tree.child(inner.children[at], height - 1).first);
            total += count;
        }
        total
    }
    let mut leaves = Vec::new();
    assert_eq!(walk(tree, tree.root, tree.height, &mut leaves), tree.len());
    let all: Vec<_> = tree.range(0..tree.len()).collect();
    for pair in all.windows(2) {
        assert!(order(members, pair[0], pair[1].score, members.bytes(pair[1].id)).is_lt());
    }
    let mut back: Vec<_> = tree.range(0..tree.len()).rev().collect();
    back.reverse();
    assert_eq!(all, back);
}

fn model_of(steps: &[(bool, u16, u8)], check_each: bool) {
    let mut members = Members::new();
    let mut tree = Tree::new();
    let mut model: BTreeSet<(u8, Vec<u8>)> = BTreeSet::new();
    for (add, member, score) in steps {
        let bytes = member.to_string().into_bytes();
        match (members.find(&bytes), add) {
            (Some(id), false) => {
                let score = members.score(id);
                assert!(tree.remove(Element { score, id }, &members));
                members.remove(id);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it was a u8"
                )]
                let score = score as u8;
                assert!(model.remove(&(score, bytes)));
            }
            (None, true) => {
                let id = members.add(&bytes, f64::from(*score));
                tree.insert(Element { score: f64::from(*score), id }, &members);
                model.insert((*score, bytes));
            }
            _ => {}
        }
        if check_each {
            check(&tree, &members);
        }
    }
    check(&tree, &members);
    for (rank, (score, bytes)) in model.iter().enumerate() {
        let found = tree.partition_point(|e| order(&members, e, f64::from(*score), bytes).is_lt());
        assert_eq!(found, rank);
        let at = tree.range(rank..rank + 1).next().unwrap();
        assert_eq!(members.bytes(at.id), bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn equals_an_ordered_set_with_ranks(
        steps in prop::collection::vec((prop::bool::weighted(0.6), 0u16..900, any::<u8>()), 0..3000),
    ) {
        model_of(&steps, false);
    }

    #[test]
    fn every_step_keeps_the_tree_sound(
        steps in prop::collection::vec((prop::bool::weighted(0.8), 0u16..400, 0u8..4), 0..300),
    ) {
        model_of(&steps, true);
    }
}

#[test]
fn elements_in_order_fill_their_leaves_and_go_away_again() {
    for descending in [false, true] {
        let mut members = Members::new();
        let mut tree = Tree::new();
        let mut scores: Vec<u32> = (0..20_000).collect();
        if descending {
            scores.reverse();
        }
        for score in &scores {
            let id = members.add(&score.to_be_bytes(), f64::from(*score));
            tree.insert(Element { score: f64::from(*score), id }, &members);
        }
        check(&tree, &members);
        assert!(tree.memory_bytes() < 20_000 * 14, "{}", tree.memory_bytes());
        while let Some(element) = tree.range(0..1).next() {
            assert!(tree.remove(element, &members));
            members.remove(element.id);
        }
        check(&tree, &members);
        assert_eq!((tree.height, members.len()), (0, 0));
    }
}
