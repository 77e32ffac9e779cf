//! Iterators over a list's elements, from any element towards either end.

use super::List;
use super::node::{Node, NodeIter};
use crate::types::listpack::Item;

/// Elements towards the tail.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    list: &'a List,
    node: usize,
    items: NodeIter<'a>,
}

/// Elements towards the head.
#[derive(Clone, Debug)]
pub struct IterRev<'a> {
    list: &'a List,
    /// Nodes before the one under way.
    node: usize,
    items: NodeIter<'a>,
}

impl<'a> Iter<'a> {
    pub(super) fn new(list: &'a List, from: usize) -> Self {
        list.was_read.set(list.depth > 0);
        let (node, offset) = list.locate(from).unwrap_or((list.nodes.len(), 0));
        let items = list.nodes.get(node).map_or(NodeIter::Plain(None), |n| n.iter_from(offset));
        Iter { list, node, items }
    }
}

impl<'a> IterRev<'a> {
    pub(super) fn new(list: &'a List, from: usize) -> Self {
        list.was_read.set(list.depth > 0);
        let Some((node, offset)) = list.locate(from) else {
            return IterRev { list, node: 0, items: NodeIter::Plain(None) };
        };
        let items = list.nodes.get(node).map_or(NodeIter::Plain(None), |n| n.iter_to(offset));
        IterRev { list, node, items }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;
    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            if let Some(item) = self.items.next() {
                return Some(item);
            }
            self.node += 1;
            self.items = self.list.nodes.get(self.node)?.iter_from(0);
        }
    }
}

impl<'a> Iterator for IterRev<'a> {
    type Item = Item<'a>;
    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            if let Some(item) = self.items.next_back() {
                return Some(item);
            }
            self.node = self.node.checked_sub(1)?;
            self.items = self.list.nodes.get(self.node).map(Node::all)?;
        }
    }
}
