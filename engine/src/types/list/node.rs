//! The nodes of a list.

use std::collections::VecDeque;

use super::squeezed::Squeezed;
use crate::types::listpack::{self, Item, Listpack};
use crate::types::{EncodingLimits, LIST_PLAIN_LEN_MIN};

/// Where `list-max-listpack-size` counts elements, a node still has no more bytes than this (as in Redis).
const COUNTED_LEN_BYTES_MAX: usize = 8192;
/// What an element's head and backlen are estimated at (as in Redis).
const ENTRY_OVERHEAD: usize = 8;

/// How large nodes become, as was set when the list was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    /// `list-max-listpack-size`.
    size: i16,
    /// From this size on an element gets a node without a listpack around it, in bytes.
    plain_len_min: u32,
}

impl Fill {
    pub(super) fn new(limits: &EncodingLimits) -> Self {
        // Redis keeps 16 bits of it, and knows five sizes in bytes.
        let size = limits.list_max_listpack_size.clamp(-5, i64::from(i16::MAX));
        // Two elements that are no plain nodes have to fit into a listpack.
        let plain_len_min = limits.list_plain_len_min.min(LIST_PLAIN_LEN_MIN);
        Fill {
            size: i16::try_from(size).unwrap_or(-2),
            plain_len_min: u32::try_from(plain_len_min).unwrap_or(u32::MAX),
        }
    }

    /// True when an element of this size gets a node of its own.
    pub(super) fn is_plain(self, len_bytes: usize) -> bool {
        len_bytes >= self.plain_len_min as usize
    }

    /// True when a node may have these totals.
    fn allows(self, len_bytes: usize, count: impl FnOnce() -> usize) -> bool {
        match usize::try_from(self.size) {
            Ok(count_max) => len_bytes <= COUNTED_LEN_BYTES_MAX && count() <= count_max,
            Err(_) => len_bytes <= 2048 << self.size.unsigned_abs(),
        }
    }
}

/// A run of neighbouring elements.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Elements in a listpack.
    Packed(Listpack),
    /// The same under LZF.
    Squeezed(Box<Squeezed>),
    /// One element as it is.
    Plain(Vec<u8>),
}

impl Node {
    pub(super) fn of(element: &[u8], fill: Fill) -> Node {
        if fill.is_plain(element.len()) {
            return Node::Plain(element.to_vec());
        }
        let mut packed = Listpack::with_capacity(element.len() + ENTRY_OVERHEAD);
        packed.push_back(element);
        Node::Packed(packed)
    }

    /// Length of the listpack, and number of its elements.
    fn packed_lens(&self) -> Option<(usize, usize)> {
        match self {
            Node::Packed(packed) => Some((packed.byte_len(), packed.len())),
            Node::Squeezed(squeezed) => Some((squeezed.byte_len(), squeezed.len())),
            Node::Plain(_) => None,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Node::Packed(packed) => packed.len(),
            Node::Squeezed(squeezed) => squeezed.len(),
            Node::Plain(_) => 1,
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Node::Packed(packed) => packed.memory_bytes(),
            Node::Squeezed(squeezed) => size_of::<Squeezed>() + squeezed.bytes().len(),
            Node::Plain(bytes) => bytes.capacity(),
        }
    }

    /// True when one more element of `len_bytes` may go in.
    pub(super) fn has_room(&self, len_bytes: usize, fill: Fill) -> bool {
        match self {
            Node::Packed(packed) if !fill.is_plain(len_bytes) => {
                let total = packed.byte_len() + len_bytes + ENTRY_OVERHEAD;
                packed.is_empty() || fill.allows(total, || packed.len() + 1)
            }
            Node::Squeezed(squeezed) if !fill.is_plain(len_bytes) => {
                let total = squeezed.byte_len() + len_bytes + ENTRY_OVERHEAD;
                fill.allows(total, || squeezed.len() + 1)
            }
            Node::Packed(_) | Node::Squeezed(_) | Node::Plain(_) => false,
        }
    }

    /// True when both nodes may become one.
    pub(super) fn may_merge(&self, next: &Node, fill: Fill) -> bool {
        let (Some(a), Some(b)) = (self.packed_lens(), next.packed_lens()) else { return false };
        fill.allows(a.0 + b.0 - Listpack::new().byte_len(), || a.1 + b.1)
    }

    pub(super) fn first(&self) -> Option<Item<'_>> {
        match self {
            Node::Packed(packed) => packed.first().map(|pos| packed.get(pos)),
            Node::Squeezed(squeezed) => {
                let packed = squeezed.packed();
                packed.first().map(|pos| packed.get(pos))
            }
            Node::Plain(bytes) => Some(Item::Str(bytes)),
        }
    }

    pub(super) fn last(&self) -> Option<Item<'_>> {
        match self {
            Node::Packed(packed) => packed.last().map(|pos| packed.get(pos)),
            Node::Squeezed(squeezed) => {
                let packed = squeezed.packed();
                packed.last().map(|pos| packed.get(pos))
            }
            Node::Plain(bytes) => Some(Item::Str(bytes)),
        }
    }

    /// All elements.
    pub(super) fn all(&self) -> NodeIter<'_> {
        self.iter_from(0)
    }

    /// The elements from number `from` on.
    pub(super) fn iter_from(&self, from: usize) -> NodeIter<'_> {
        match self {
            Node::Packed(packed) => NodeIter::packed_from(packed, from),
            Node::Squeezed(squeezed) => NodeIter::packed_from(squeezed.packed(), from),
            Node::Plain(bytes) => NodeIter::Plain((from == 0).then_some(bytes)),
        }
    }

    /// The elements up to and with number `to`.
    pub(super) fn iter_to(&self, to: usize) -> NodeIter<'_> {
        match self {
            Node::Packed(packed) => NodeIter::Packed(packed.iter_to(seek(packed, to))),
            Node::Squeezed(squeezed) => {
                let packed = squeezed.packed();
                NodeIter::Packed(packed.iter_to(seek(packed, to)))
            }
            Node::Plain(bytes) => NodeIter::Plain(Some(bytes)),
        }
    }
}

/// Position of element number `index` of a listpack.
pub(super) fn seek(packed: &Listpack, index: usize) -> Option<listpack::Pos> {
    packed.seek(i64::try_from(index).unwrap_or(i64::MAX))
}

/// Elements of one node.
#[derive(Clone, Debug)]
pub(super) enum NodeIter<'a> {
    Packed(listpack::Iter<'a>),
    Plain(Option<&'a [u8]>),
}

impl<'a> NodeIter<'a> {
    fn packed_from(packed: &'a Listpack, from: usize) -> NodeIter<'a> {
        if from == 0 {
            NodeIter::Packed(packed.iter())
        } else {
            NodeIter::Packed(packed.iter_from(seek(packed, from)))
        }
    }
}

impl<'a> Iterator for NodeIter<'a> {
    type Item = Item<'a>;
    fn next(&mut self) -> Option<Item<'a>> {
        match self {
            NodeIter::Packed(items) => items.next(),
            NodeIter::Plain(bytes) => bytes.take().map(Item::Str),
        }
    }
}

impl DoubleEndedIterator for NodeIter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            NodeIter::Packed(items) => items.next_back(),
            NodeIter::Plain(bytes) => bytes.take().map(Item::Str),
        }
    }
}

/// The nodes in order. A list of one node needs no further allocation.
#[derive(Clone, Debug)]
pub(super) enum Nodes {
    One(Node),
    Many(VecDeque<Node>),
}

impl Nodes {
    pub(super) fn len(&self) -> usize {
        match self {
            Nodes::One(_) => 1,
            Nodes::Many(nodes) => nodes.len(),
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<&Node> {
        match self {
            Nodes::One(node) => (at == 0).then_some(node),
            Nodes::Many(nodes) => nodes.get(at),
        }
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Node> {
        match self {
            Nodes::One(node) => (at == 0).then_some(node),
            Nodes::Many(nodes) => nodes.get_mut(at),
        }
    }

    pub(super) fn insert(&mut self, at: usize, new: Node) {
        if let Nodes::One(node) = self {
            let one = std::mem::replace(node, Node::Packed(Listpack::new()));
            *self = Nodes::Many(VecDeque::from([one]));
        }
        if let Nodes::Many(nodes) = self {
            nodes.insert(at.min(nodes.len()), new);
        }
    }

    /// Takes a node out; the last one leaves an empty node.
    pub(super) fn remove(&mut self, at: usize) -> Option<Node> {
        match self {
            Nodes::Many(nodes) if nodes.len() > 1 => nodes.remove(at),
            Nodes::Many(nodes) => {
                let last = nodes.pop_front();
                *self = Nodes::One(Node::Packed(Listpack::new()));
                last
            }
            Nodes::One(node) => Some(std::mem::replace(node, Node::Packed(Listpack::new()))),
        }
    }

    /// Bytes of the nodes' own table.
    pub(super) fn table_bytes(&self) -> usize {
        match self {
            Nodes::One(_) => 0,
            Nodes::Many(nodes) => nodes.capacity() * size_of::<Node>(),
        }
    }
}
