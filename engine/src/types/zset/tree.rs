//! A counted B+tree over (score, member), O(log n) in both directions between an element and its rank.
//!
//! ```text
//! inner = per child: its first element, its node, the number of elements under it
//! leaf  = scores | member numbers, linked to both neighbours; 62 elements in 768 bytes
//! ```
//!
//! Invariant: elements are strictly ordered by score, then member bytes; no node but an empty root is empty; what an inner
//! node says of a child (first element, count) is true between calls.

use std::cmp::Ordering;
use std::ops::Range;

use super::arena::{Arena, NONE, NodeId};
use super::members::{MemberId, Members};

/// Fill a node to a multiple of jemalloc's size classes: 62 * 12 + 10 = 754 and 37 * 20 + 2 = 742 of 768 bytes.
const LEAF_LEN_MAX: usize = 62;
const INNER_LEN_MAX: usize = 37;

/// An element: its score and its member's number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Element {
    pub(super) score: f64,
    pub(super) id: MemberId,
}

#[derive(Debug, Clone)]
struct Leaf {
    scores: [f64; LEAF_LEN_MAX],
    ids: [MemberId; LEAF_LEN_MAX],
    prev: NodeId,
    next: NodeId,
    len: u16,
}

#[derive(Debug, Clone)]
struct Inner {
    first_scores: [f64; INNER_LEN_MAX],
    first_ids: [MemberId; INNER_LEN_MAX],
    children: [NodeId; INNER_LEN_MAX],
    counts: [u32; INNER_LEN_MAX],
    len: u16,
}

/// What an inner node says of a child.
#[derive(Clone, Copy)]
struct Child {
    first: Element,
    node: NodeId,
    count: u32,
}

/// The tree. Members are looked up in the [`Members`] that every call is given.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    leaves: Arena<Leaf>,
    inners: Arena<Inner>,
    root: NodeId,
    /// Levels of inner nodes.
    height: u8,
    len: usize,
}

/// Opens a gap at `at` in the first `len` places of `items`.
fn insert_at<T: Copy>(items: &mut [T], len: usize, at: usize, item: T) {
    items.copy_within(at..len, at + 1);
    items[at] = item;
}

fn remove_at<T: Copy>(items: &mut [T], len: usize, at: usize) {
    items.copy_within(at + 1..len, at);
}

#[expect(clippy::cast_possible_truncation, reason = "node lengths are below 64")]
fn len_u16(len: usize) -> u16 {
    len as u16
}

impl Leaf {
    const fn empty() -> Self {
        Leaf { scores: [0.0; LEAF_LEN_MAX], ids: [0; LEAF_LEN_MAX], prev: NONE, next: NONE, len: 0 }
    }
    fn len(&self) -> usize {
        usize::from(self.len)
    }
    fn at(&self, at: usize) -> Element {
        Element { score: self.scores[at], id: self.ids[at] }
    }
    fn insert(&mut self, at: usize, element: Element) {
        let len = self.len();
        insert_at(&mut self.scores, len, at, element.score);
        insert_at(&mut self.ids, len, at, element.id);
        self.len += 1;
    }
    fn remove(&mut self, at: usize) {
        let len = self.len();
        remove_at(&mut self.scores, len, at);
        remove_at(&mut self.ids, len, at);
        self.len -= 1;
    }
    /// Moves everything from `at` on to the end of `to`.
    fn move_tail(&mut self, at: usize, to: &mut Leaf) {
        let (len, had) = (self.len(), to.len());
        let count = len - at;
        to.scores[had..had + count].copy_from_slice(&self.scores[at..len]);
        to.ids[had..had + count].copy_from_slice(&self.ids[at..len]);
        to.len += len_u16(count);
        self.len = len_u16(at);
    }
    /// Number of leading elements for which `before` holds.
    fn partition_point(&self, before: &impl Fn(Element) -> bool) -> usize {
        partition_point(self.len(), |i| before(self.at(i)))
    }
}

impl Inner {
    const fn empty() -> Self {
        Inner {
            first_scores: [0.0; INNER_LEN_MAX],
            first_ids: [0; INNER_LEN_MAX],
            children: [NONE; INNER_LEN_MAX],
            counts: [0; INNER_LEN_MAX],
            len: 0,
        }
    }
    fn len(&self) -> usize {
        usize::from(self.len)
    }
    fn first(&self, at: usize) -> Element {
        Element { score: self.first_scores[at], id: self.first_ids[at] }
    }
    fn insert(&mut self, at: usize, child: Child) {
        let len = self.len();
        insert_at(&mut self.first_scores, len, at, child.first.score);
        insert_at(&mut self.first_ids, len, at, child.first.id);
        insert_at(&mut self.children, len, at, child.node);
        insert_at(&mut self.counts, len, at, child.count);
        self.len += 1;
    }
    fn set(&mut self, at: usize, child: Child) {
        self.first_scores[at] = child.first.score;
        self.first_ids[at] = child.first.id;
        self.children[at] = child.node;
        self.counts[at] = child.count;
    }
    fn remove(&mut self, at: usize) {
        let len = self.len();
        remove_at(&mut self.first_scores, len, at);
        remove_at(&mut self.first_ids, len, at);
        remove_at(&mut self.children, len, at);
        remove_at(&mut self.counts, len, at);
        self.len -= 1;
    }
    fn move_tail(&mut self, at: usize, to: &mut Inner) {
        let (len, had) = (self.len(), to.len());
        let count = len - at;
        to.first_scores[had..had + count].copy_from_slice(&self.first_scores[at..len]);
        to.first_ids[had..had + count].copy_from_slice(&self.first_ids[at..len]);
        to.children[had..had + count].copy_from_slice(&self.children[at..len]);
        to.counts[had..had + count].copy_from_slice(&self.counts[at..len]);
        to.len += len_u16(count);
        self.len = len_u16(at);
    }
    fn count(&self) -> u32 {
        self.counts[..self.len()].iter().sum()
    }
    /// The child in which the border between elements with and without `before` lies.
    fn child_at_border(&self, before: &impl Fn(Element) -> bool) -> usize {
        partition_point(self.len(), |i| before(self.first(i))).saturating_sub(1)
    }
}

fn partition_point(len: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// Order of an element against a score and member.
pub(super) fn order(members: &Members, element: Element, score: f64, member: &[u8]) -> Ordering {
    match element.score.partial_cmp(&score) {
        // Scores are never NaN: the commands refuse it.
        None | Some(Ordering::Equal) => members.bytes(element.id).cmp(member),
        Some(other) => other,
    }
}

impl Tree {
    pub(super) fn new() -> Self {
        let mut leaves = Arena::new();
        let root = leaves.add(Leaf::empty());
        Tree { leaves, inners: Arena::new(), root, height: 0, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Number of leading elements for which `before` holds; it must hold for a prefix.
    pub(super) fn partition_point(&self, before: impl Fn(Element) -> bool) -> usize {
        let (mut node, mut rank) = (self.root, 0usize);
        for _ in 0..self.height {
            let inner = self.inners.get(node);
            let at = inner.child_at_border(&before);
            rank += inner.counts[..at].iter().map(|c| *c as usize).sum::<usize>();
            node = inner.children[at];
        }
        rank + self.leaves.get(node).partition_point(&before)
    }

    /// Adds an element that is not there yet; its member is in `members` already.
    pub(super) fn insert(&mut self, element: Element, members: &Members) {
        let member = members.bytes(element.id);
        let before = |e: Element| order(members, e, element.score, member).is_lt();
        let right = self.insert_under(self.root, self.height, element, &before);
        self.len += 1;
        let Some(right) = right else { return };
        let mut root = Inner::empty();
        root.insert(0, self.child(self.root, self.height));
        root.insert(1, self.child(right, self.height));
        self.root = self.inners.add(root);
        self.height += 1;
    }

    /// Removes an element; false when it is not there.
    pub(super) fn remove(&mut self, element: Element, members: &Members) -> bool {
        let member = members.bytes(element.id);
        let up_to = |e: Element| order(members, e, element.score, member).is_le();
        if !self.remove_under(self.root, self.height, element, &up_to) {
            return false;
        }
        self.len -= 1;
        while self.height > 0 && self.inners.get(self.root).len() == 1 {
            let old = self.root;
            self.root = self.inners.get(old).children[0];
            self.inners.remove(old);
            self.height -= 1;
        }
        true
    }

    /// The elements with these ranks, from either end.
    pub(super) fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        let end = ranks.end.min(self.len);
        let start = ranks.start.min(end);
        let left = end - start;
        let (front, back) = if left == 0 {
            ((self.root, 0), (self.root, 0))
        } else {
            (self.seek(start), self.seek(end - 1))
        };
        Iter { tree: self, front, back, left }
    }

    /// Drops about `count` nodes, whoever refers to them; true when none is left.
    pub(super) fn drop_some(&mut self, count: usize) -> bool {
        self.leaves.drop_some(count) && self.inners.drop_some(count)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.leaves.memory_bytes() + self.inners.memory_bytes()
    }

    /// Leaf and place of the element with this rank, which must be below the length.
    fn seek(&self, mut rank: usize) -> (NodeId, usize) {
        let mut node = self.root;
        for _ in 0..self.height {
            let inner = self.inners.get(node);
            let mut at = 0;
            while at + 1 < inner.len() && rank >= inner.counts[at] as usize {
                rank -= inner.counts[at] as usize;
                at += 1;
            }
            node = inner.children[at];
        }
        (node, rank)
    }

    /// What a parent says of a node that is not empty.
    fn child(&self, node: NodeId, height: u8) -> Child {
        if height == 0 {
            let leaf = self.leaves.get(node);
            Child { first: leaf.at(0), node, count: u32::from(leaf.len) }
        } else {
            let inner = self.inners.get(node);
            Child { first: inner.first(0), node, count: inner.count() }
        }
    }

    fn child_len(&self, node: NodeId, height: u8) -> usize {
        if height == 0 { self.leaves.get(node).len() } else { self.inners.get(node).len() }
    }

    /// Inserts below `node`; the new right neighbour when it was split.
    fn insert_under(
        &mut self,
        node: NodeId,
        height: u8,
        element: Element,
        before: &impl Fn(Element) -> bool,
    ) -> Option<NodeId> {
        if height == 0 {
            let at = self.leaves.get(node).partition_point(before);
            return self.leaf_insert(node, at, element);
        }
        let inner = self.inners.get(node);
        let at = inner.child_at_border(before);
        let split = self.insert_under(inner.children[at], height - 1, element, before);
        let inner = self.inners.get(node);
        let child = self.child(inner.children[at], height - 1);
        self.inners.get_mut(node).set(at, child);
        let right = self.child(split?, height - 1);
        self.inner_insert(node, at + 1, right)
    }

    fn leaf_insert(&mut self, node: NodeId, at: usize, element: Element) -> Option<NodeId> {
        let leaf = self.leaves.get_mut(node);
        let len = leaf.len();
        if len < LEAF_LEN_MAX {
            leaf.insert(at, element);
            return None;
        }
        // Elements that come in order fill their leaves; others split in the middle.
        let cut = match at {
            _ if at == len && leaf.next == NONE => len,
            0 if leaf.prev == NONE => 0,
            _ => len / 2,
        };
        let mut right = Leaf { prev: node, next: leaf.next, ..Leaf::empty() };
        leaf.move_tail(cut, &mut right);
        if at < cut || cut == 0 {
            leaf.insert(at, element);
        } else {
            right.insert(at - cut, element);
        }
        let after = right.next;
        let right = self.leaves.add(right);
        self.leaves.get_mut(node).next = right;
        if after != NONE {
            self.leaves.get_mut(after).prev = right;
        }
        Some(right)
    }

    fn inner_insert(&mut self, node: NodeId, at: usize, child: Child) -> Option<NodeId> {
        let inner = self.inners.get_mut(node);
        let len = inner.len();
        if len < INNER_LEN_MAX {
            inner.insert(at, child);
            return None;
        }
        let cut = if at == len { len } else { len / 2 };
        let mut right = Inner::empty();
        inner.move_tail(cut, &mut right);
        if at < cut {
            inner.insert(at, child);
        } else {
            right.insert(at - cut, child);
        }
        Some(self.inners.add(right))
    }

    fn remove_under(
        &mut self,
        node: NodeId,
        height: u8,
        element: Element,
        up_to: &impl Fn(Element) -> bool,
    ) -> bool {
        if height == 0 {
            let leaf = self.leaves.get_mut(node);
            let Some(at) = leaf.partition_point(up_to).checked_sub(1) else { return false };
            let found = leaf.ids[at] == element.id;
            if found {
                leaf.remove(at);
            }
            return found;
        }
        let inner = self.inners.get(node);
        let at = inner.child_at_border(up_to);
        let child = inner.children[at];
        if !self.remove_under(child, height - 1, element, up_to) {
            return false;
        }
        let (len, len_max) = (
            self.child_len(child, height - 1),
            if height == 1 { LEAF_LEN_MAX } else { INNER_LEN_MAX },
        );
        if len == 0 {
            self.free(child, height - 1);
            self.inners.get_mut(node).remove(at);
            return true;
        }
        let summary = self.child(child, height - 1);
        self.inners.get_mut(node).set(at, summary);
        if len < len_max / 3 {
            self.merge_around(node, height, at, len_max);
        }
        true
    }

    /// Merges child `at` with a neighbour when both fit one node.
    fn merge_around(&mut self, node: NodeId, height: u8, at: usize, len_max: usize) {
        for left in [Some(at), at.checked_sub(1)].into_iter().flatten() {
            let inner = self.inners.get(node);
            if left + 1 >= inner.len() {
                continue;
            }
            let (a, b) = (inner.children[left], inner.children[left + 1]);
            if self.child_len(a, height - 1) + self.child_len(b, height - 1) > len_max {
                continue;
            }
            if height == 1 {
                let mut tail = self.leaves.get(b).clone();
                tail.move_tail(0, self.leaves.get_mut(a));
            } else {
                let mut tail = self.inners.get(b).clone();
                tail.move_tail(0, self.inners.get_mut(a));
            }
            self.free(b, height - 1);
            let merged = self.child(a, height - 1);
            let inner = self.inners.get_mut(node);
            inner.remove(left + 1);
            inner.set(left, merged);
            return;
        }
    }

    /// Frees a node that its parent forgets, unlinking a leaf.
    fn free(&mut self, node: NodeId, height: u8) {
        if height > 0 {
            self.inners.remove(node);
            return;
        }
        let (prev, next) = (self.leaves.get(node).prev, self.leaves.get(node).next);
        if prev != NONE {
            self.leaves.get_mut(prev).next = next;
        }
        if next != NONE {
            self.leaves.get_mut(next).prev = prev;
        }
        self.leaves.remove(node);
    }
}

/// Elements in order.
#[derive(Debug, Clone)]
pub(super) struct Iter<'a> {
    tree: &'a Tree,
    front: (NodeId, usize),
    back: (NodeId, usize),
    left: usize,
}

impl Iterator for Iter<'_> {
    type Item = Element;
    fn next(&mut self) -> Option<Element> {
        self.left = self.left.checked_sub(1)?;
        let (node, at) = self.front;
        let leaf = self.tree.leaves.get(node);
        self.front = if at + 1 < leaf.len() { (node, at + 1) } else { (leaf.next, 0) };
        Some(leaf.at(at))
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Element> {
        self.left = self.left.checked_sub(1)?;
        let (node, at) = self.back;
        let leaf = self.tree.leaves.get(node);
        if self.left > 0 {
            self.back = match at.checked_sub(1) {
                Some(at) => (node, at),
                None => (leaf.prev, self.tree.leaves.get(leaf.prev).len() - 1),
            };
        }
        Some(leaf.at(at))
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests;
