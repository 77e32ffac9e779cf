//! A large sorted set: the tree for order and ranks, the members with their index for lookups.
//!
//! Invariant: tree and members hold the same elements with the same scores.

use std::ops::Range;

use super::members::Members;
use super::tree::{Element, Iter, Tree, order};

/// A large sorted set.
#[derive(Debug, Clone)]
pub(super) struct Large {
    pub(super) members: Members,
    tree: Tree,
}

impl Large {
    pub(super) fn new() -> Self {
        Large { members: Members::new(), tree: Tree::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.members.find(member).map(|id| self.members.score(id))
    }

    /// Adds a member or changes its score; its former score.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let Some(id) = self.members.find(member) else {
            let id = self.members.add(member, score);
            self.tree.insert(Element { score, id }, &self.members);
            return None;
        };
        let old = self.members.score(id);
        if old != score {
            self.tree.remove(Element { score: old, id }, &self.members);
            self.members.set_score(id, score);
            self.tree.insert(Element { score, id }, &self.members);
        }
        Some(old)
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let id = self.members.find(member)?;
        let score = self.members.score(id);
        self.remove_element(Element { score, id });
        Some(score)
    }

    pub(super) fn remove_ranks(&mut self, ranks: Range<usize>) {
        for _ in ranks.clone() {
            let Some(element) = self.tree.range(ranks.start..ranks.start + 1).next() else {
                return;
            };
            self.remove_element(element);
        }
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        let before = |e| order(&self.members, e, score, member).is_lt();
        Some((self.tree.partition_point(before), score))
    }

    pub(super) fn partition_point(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        self.tree.partition_point(|e| before(e.score, self.members.bytes(e.id)))
    }

    pub(super) fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        self.tree.range(ranks)
    }

    pub(super) fn drop_some(&mut self, budget: usize) -> bool {
        self.members.drop_some(budget) && self.tree.drop_some(budget / 32 + 1)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.members.memory_bytes() + self.tree.memory_bytes()
    }

    fn remove_element(&mut self, element: Element) {
        self.tree.remove(element, &self.members);
        self.members.remove(element.id);
    }
}
