//! Lists: a deque of nodes, each a listpack of neighbouring elements (Redis's quicklist).
//!
//! ```text
//! [ a b c … ] [ x y … ] [ one huge element ] [ … ]       4 to 64 KiB or a number of elements a node
//! ```
//!
//! Both ends are O(1); an index skips whole nodes.
//!
//! Invariant: no node is empty, except for the one node of an empty list.
//! Invariant: `len` and `node_bytes` are the sums over all nodes.

mod iter;
mod node;
mod squeezed;

use std::borrow::Cow;
use std::cell::Cell;

pub use iter::{Iter, IterRev};

use super::listpack::{Item, Listpack, Needle, Pos};
use super::{EncodingLimits, Object, SavePoint, object_of};
use crate::serial::{
    Digest, QUICKLIST_NODE_PACKED, QUICKLIST_NODE_PLAIN, RDB_TYPE_LIST_QUICKLIST_2, RdbWriter,
};
use node::{Fill, Node, Nodes, seek};

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The head.
    Left,
    /// The tail.
    Right,
}

/// A list.
#[derive(Debug, Clone)]
pub struct List {
    nodes: Nodes,
    len: usize,
    node_bytes: usize,
    fill: Fill,
    /// Nodes at each end that are not squeezed, as was set when the list was made; 0: none is.
    depth: u32,
    /// Reading may have opened nodes.
    was_read: Cell<bool>,
}

impl List {
    /// An empty list.
    pub fn new(limits: &EncodingLimits) -> Self {
        let empty = Node::Packed(Listpack::new());
        let node_bytes = empty.heap_bytes();
        let fill = Fill::new(limits);
        let depth = u32::try_from(limits.list_compress_depth).unwrap_or(u32::MAX);
        let was_read = Cell::new(false);
        List { nodes: Nodes::One(empty), len: 0, node_bytes, fill, depth, was_read }
    }

    /// The element at an end.
    pub fn end(&self, side: Side) -> Option<Item<'_>> {
        match side {
            Side::Left => self.nodes.get(0)?.first(),
            Side::Right => self.nodes.get(self.nodes.len() - 1)?.last(),
        }
    }

    /// The element number `index`, negative: from the tail.
    pub fn get(&self, index: i64) -> Option<Item<'_>> {
        self.iter_from(self.index(index)?).next()
    }

    /// The elements from number `from` on.
    pub fn iter_from(&self, from: usize) -> Iter<'_> {
        Iter::new(self, from)
    }

    /// The elements from number `from` on towards the head.
    pub fn iter_rev_from(&self, from: usize) -> IterRev<'_> {
        IterRev::new(self, from)
    }

    /// The number of the element that `index`, which may count from the tail, means.
    pub fn index(&self, index: i64) -> Option<usize> {
        let from_tail = usize::try_from(index.unsigned_abs()).ok()?;
        let index = if index < 0 { self.len.checked_sub(from_tail)? } else { from_tail };
        (index < self.len).then_some(index)
    }

    // ---- the ends

    /// Adds an element at an end.
    pub fn push(&mut self, side: Side, element: &[u8]) {
        let last = self.nodes.len() - 1;
        let (at, new_at) = match side {
            Side::Left => (0, 0),
            Side::Right => (last, last + 1),
        };
        if self.has_room(at, element.len()) {
            self.change(at, |node| {
                if let Node::Packed(packed) = node {
                    match side {
                        Side::Left => packed.push_front(element),
                        Side::Right => packed.push_back(element),
                    }
                }
            });
            self.len += 1;
        } else {
            self.change(at, |node| {
                if let Node::Packed(packed) = node {
                    packed.shrink();
                }
            });
            self.insert_node(new_at, Node::of(element, self.fill));
            self.settle(0..0);
        }
    }

    /// Removes up to `count` elements from an end; how many.
    pub fn remove_end(&mut self, side: Side, count: usize) -> usize {
        let before = self.len;
        let mut left = count.min(self.len);
        while left > 0 {
            let at = if side == Side::Left { 0 } else { self.nodes.len() - 1 };
            let len = self.nodes.get(at).map_or(0, Node::len);
            let from = if side == Side::Left { 0 } else { len.saturating_sub(left) };
            let removed = self.remove_within(at, from, left);
            if removed == 0 {
                break;
            }
            left -= removed;
        }
        self.settle(0..0);
        before - self.len
    }

    // ---- the middle

    /// Replaces the element number `index`; false when there is none.
    pub fn set(&mut self, index: i64, element: &[u8]) -> bool {
        let Some(index) = self.index(index) else { return false };
        let Some((at, offset)) = self.locate(index) else { return false };
        self.change(at, |_| ());
        let fits = !self.fill.is_plain(element.len())
            && matches!(self.nodes.get(at), Some(Node::Packed(p)) if p.fits(element.len()));
        if fits {
            self.change(at, |node| {
                if let Node::Packed(packed) = node
                    && let Some(pos) = seek(packed, offset)
                {
                    packed.replace(pos, element);
                }
            });
        } else {
            self.insert_at(at, offset, element);
            if let Some((at, offset)) = self.locate(index + 1) {
                self.remove_within(at, offset, 1);
            }
        }
        self.settle(around(at));
        true
    }

    /// Adds an element before or behind the first one that equals `pivot`; false when there is none.
    pub fn insert(&mut self, pivot: &[u8], before: bool, element: &[u8]) -> bool {
        let needle = Needle::new(pivot);
        let Some(index) = self.iter_from(0).position(|item| needle.matches(item)) else {
            return false;
        };
        let Some((at, offset)) = self.locate(index) else { return false };
        self.insert_at(at, if before { offset } else { offset + 1 }, element);
        self.settle(around(at));
        true
    }

    /// Removes `count` elements from number `from` on.
    pub fn remove_range(&mut self, from: usize, count: usize) {
        let mut left = count;
        while left > 0
            && let Some((at, offset)) = self.locate(from)
        {
            let removed = self.remove_within(at, offset, left);
            if removed == 0 {
                break;
            }
            left -= removed;
            self.settle(around(at));
        }
    }

    /// Removes elements that equal `element`: up to `limit` from the given side on; how many.
    pub fn remove_matching(&mut self, element: &[u8], side: Side, limit: usize) -> usize {
        let needle = Needle::new(element);
        let (mut removed, mut step) = (0, 0);
        while removed < limit && step < self.nodes.len() {
            let at = if side == Side::Left { step } else { self.nodes.len() - 1 - step };
            let nodes = self.nodes.len();
            removed += self.remove_matching_within(at, needle, side, limit - removed);
            // A node that became empty is gone, and another stands in its place.
            if self.nodes.len() == nodes {
                step += 1;
            }
            if self.len == 0 {
                break;
            }
        }
        self.settle(0..self.nodes.len());
        removed
    }

    // ---- loading

    /// Appends a node of a snapshot; an error when it is empty.
    pub fn push_packed(&mut self, packed: Listpack) -> Result<(), EmptyNode> {
        if packed.is_empty() {
            return Err(EmptyNode);
        }
        self.append_node(Node::Packed(packed));
        Ok(())
    }

    /// Appends an element that is a node of its own in a snapshot.
    pub fn push_plain(&mut self, element: Vec<u8>) {
        self.append_node(Node::Plain(element));
    }

    fn append_node(&mut self, node: Node) {
        if self.len == 0 {
            self.node_bytes = node.heap_bytes();
            self.len = node.len();
            self.nodes = Nodes::One(node);
        } else {
            self.insert_node(self.nodes.len(), node);
        }
        self.settle(0..0);
    }

    // ---- nodes

    /// Node and place within it of element number `index`.
    fn locate(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index < self.len / 2 {
            let mut left = index;
            for at in 0..self.nodes.len() {
                let len = self.nodes.get(at)?.len();
                if left < len {
                    return Some((at, left));
                }
                left -= len;
            }
        } else {
            let mut end = self.len;
            for at in (0..self.nodes.len()).rev() {
                end -= self.nodes.get(at)?.len();
                if index >= end {
                    return Some((at, index - end));
                }
            }
        }
        None
    }

    /// Changes a node and keeps the sum of bytes.
    fn change<R: Default>(&mut self, at: usize, f: impl FnOnce(&mut Node) -> R) -> R {
        let Some(node) = self.nodes.get_mut(at) else { return R::default() };
        self.node_bytes -= node.heap_bytes();
        node.open();
        let result = f(node);
        self.node_bytes += node.heap_bytes();
        result
    }

    fn has_room(&self, at: usize, len_bytes: usize) -> bool {
        self.nodes.get(at).is_some_and(|node| node.has_room(len_bytes, self.fill))
    }

    fn insert_node(&mut self, at: usize, node: Node) {
        self.len += node.len();
        self.node_bytes += node.heap_bytes();
        if self.len == node.len() {
            // The list was empty; its one empty node goes.
            self.node_bytes = node.heap_bytes();
            self.nodes = Nodes::One(node);
        } else {
            self.nodes.insert(at, node);
        }
    }

    fn remove_node(&mut self, at: usize) -> usize {
        let Some(node) = self.nodes.remove(at) else { return 0 };
        self.len -= node.len();
        if self.len == 0 {
            self.node_bytes = self.nodes.get(0).map_or(0, Node::heap_bytes);
        } else {
            self.node_bytes -= node.heap_bytes();
        }
        node.len()
    }

    /// Removes up to `count` elements of one node from `offset` on; how many. The node goes when nothing is left.
    fn remove_within(&mut self, at: usize, offset: usize, count: usize) -> usize {
        let len = self.nodes.get(at).map_or(0, Node::len);
        let removed = count.min(len.saturating_sub(offset));
        if removed == len {
            return self.remove_node(at);
        }
        self.change(at, |node| {
            if let Node::Packed(packed) = node {
                let pos = if offset + 1 == len { packed.last() } else { seek(packed, offset) };
                if let Some(pos) = pos {
                    packed.remove_range(pos, removed);
                }
            }
        });
        self.len -= removed;
        removed
    }

    fn remove_matching_within(
        &mut self,
        at: usize,
        needle: Needle<'_>,
        side: Side,
        limit: usize,
    ) -> usize {
        let len = self.nodes.get(at).map_or(0, Node::len);
        let mut removed = 0;
        if let Some(Node::Plain(bytes)) = self.nodes.get(at) {
            return if needle.matches(Item::Str(bytes)) { self.remove_node(at) } else { 0 };
        }
        self.change(at, |node| {
            let Node::Packed(packed) = node else { return };
            let mut pos = if side == Side::Left { packed.first() } else { packed.last() };
            while removed < limit
                && let Some(here) = pos
            {
                let hit = needle.matches(packed.get(here));
                let before = if side == Side::Right { packed.prev(here) } else { None };
                let behind = if hit { packed.remove(here) } else { packed.next(here) };
                removed += usize::from(hit);
                pos = if side == Side::Left { behind } else { before };
            }
        });
        self.len -= removed;
        if removed == len {
            self.drop_empty_node(at);
        }
        removed
    }

    fn drop_empty_node(&mut self, at: usize) {
        let bytes = self.nodes.remove(at).map_or(0, |node| node.heap_bytes());
        self.node_bytes -= bytes;
        if self.len == 0 {
            self.node_bytes = self.nodes.get(0).map_or(0, Node::heap_bytes);
        }
    }

    /// Adds an element so that it stands at `offset` of node `at` (or behind the node's last one).
    fn insert_at(&mut self, at: usize, offset: usize, element: &[u8]) {
        let len = self.nodes.get(at).map_or(0, Node::len);
        let size = element.len();
        if self.has_room(at, size) {
            self.change(at, |node| {
                if let Node::Packed(packed) = node {
                    match seek(packed, offset) {
                        Some(pos) => drop(packed.insert_before(pos, element)),
                        None => packed.push_back(element),
                    }
                }
            });
            self.len += 1;
        } else if offset == 0 {
            if at > 0 && self.has_room(at - 1, size) {
                self.push_into(at - 1, element);
            } else {
                self.insert_node(at, Node::of(element, self.fill));
            }
        } else if offset >= len {
            if self.has_room(at + 1, size) {
                self.insert_at(at + 1, 0, element);
            } else {
                self.insert_node(at + 1, Node::of(element, self.fill));
            }
        } else {
            self.split_node(at, offset);
            if self.has_room(at, size) {
                self.push_into(at, element);
                self.merge_nodes(at + 1);
            } else {
                self.insert_node(at + 1, Node::of(element, self.fill));
                self.merge_nodes(at + 2);
                self.merge_nodes(at + 1);
            }
            self.merge_nodes(at);
        }
    }

    fn push_into(&mut self, at: usize, element: &[u8]) {
        self.change(at, |node| {
            if let Node::Packed(packed) = node {
                packed.push_back(element);
            }
        });
        self.len += 1;
    }

    fn split_node(&mut self, at: usize, offset: usize) {
        let tail = self.change(at, |node| {
            let Node::Packed(packed) = node else { return None };
            seek(packed, offset).map(|pos: Pos| packed.split_off(pos))
        });
        if let Some(tail) = tail {
            // Only moved: the length stays.
            self.len -= tail.len();
            self.insert_node(at + 1, Node::Packed(tail));
        }
    }

    /// Merges node `at` with the one behind it and then with the one before it, where the fill allows.
    fn merge_nodes(&mut self, at: usize) {
        for first in [Some(at), at.checked_sub(1)].into_iter().flatten() {
            let (Some(a), Some(b)) = (self.nodes.get(first), self.nodes.get(first + 1)) else {
                continue;
            };
            if !a.may_merge(b, self.fill) {
                continue;
            }
            let bytes = b.heap_bytes();
            if let Some(mut next) = self.nodes.remove(first + 1) {
                self.node_bytes -= bytes;
                next.open();
                let Node::Packed(next) = next else { continue };
                self.change(first, |node| {
                    if let Node::Packed(packed) = node {
                        packed.append(&next);
                    }
                });
            }
        }
    }
}

/// The nodes that a change within node `at` may have touched, made or moved.
fn around(at: usize) -> std::ops::Range<usize> {
    at.saturating_sub(2)..at.saturating_add(4)
}

/// A node without elements, which no list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("empty list node")]
pub struct EmptyNode;

impl Object for List {
    const TYPE_NAME: &'static str = "list";
    object_of!(List);
    fn encoding(&self) -> &'static str {
        "quicklist"
    }
    fn len(&self) -> usize {
        self.len
    }
    fn rdb_type(&self) -> u8 {
        RDB_TYPE_LIST_QUICKLIST_2
    }
    fn save_some(
        &self,
        from: SavePoint,
        budget_bytes: usize,
        out: &mut RdbWriter,
    ) -> Option<SavePoint> {
        if from.at == 0 {
            out.length(self.nodes.len() as u64);
        }
        let limit = out.buf.len().saturating_add(budget_bytes);
        let first = usize::try_from(from.at).unwrap_or(usize::MAX);
        for at in first..self.nodes.len() {
            if at > first && out.buf.len() >= limit {
                return Some(SavePoint::at(at as u64));
            }
            match self.nodes.get(at)? {
                Node::Packed(packed) => {
                    out.length(QUICKLIST_NODE_PACKED);
                    out.string(packed.as_bytes());
                }
                Node::Squeezed(squeezed) => {
                    out.length(QUICKLIST_NODE_PACKED);
                    out.squeezed(squeezed.bytes(), squeezed.byte_len());
                }
                Node::Plain(bytes) => {
                    out.length(QUICKLIST_NODE_PLAIN);
                    out.string(bytes);
                }
            }
        }
        None
    }
    fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.node_bytes + self.nodes.table_bytes()
    }
    fn digest(&self, digest: &mut Digest) {
        let mut scratch = itoa::Buffer::new();
        for at in 0..self.nodes.len() {
            // A copy of its own, so that none stays open.
            let node = self.nodes.get(at).map(|node| match node {
                Node::Squeezed(_) => Cow::Owned(node.clone()),
                Node::Packed(_) | Node::Plain(_) => Cow::Borrowed(node),
            });
            let items = node.iter().flat_map(|node| node.all());
            items.for_each(|item| digest.string(item.bytes(&mut scratch)));
        }
    }
    fn free_effort(&self) -> usize {
        self.nodes.len()
    }
    fn free_some(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            if self.len == 0 {
                break;
            }
            self.remove_node(self.nodes.len() - 1);
        }
        self.nodes.len() <= 1
    }
}

#[cfg(test)]
mod tests;
