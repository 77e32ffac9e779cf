//! Nodes under LZF, for lists that were made with `list-compress-depth`.
//!
//! ```text
//! [ open ][ squeezed ][ squeezed ] … [ squeezed ][ open ]        depth 1: one open node at each end
//! ```
//!
//! A change opens the node that it is about, and squeezes it again at its end. A read opens a copy beside the squeezed bytes, so
//! that it can lend elements; [`List::close`] drops these copies, and so does the next change.
//!
//! Invariant: at rest `depth` nodes at each end are open. Elsewhere a listpack is open only because LZF would not make it
//! smaller. Elements that are a node of their own are never squeezed.

use std::cell::OnceCell;
use std::ops::Range;

use super::List;
use super::node::Node;
use crate::serial::lzf;
use crate::types::listpack::Listpack;

/// Shorter listpacks are not squeezed, in bytes (as in Redis).
const LEN_BYTES_MIN: usize = 48;
/// What squeezing has to save, in bytes (as in Redis).
const SAVED_BYTES_MIN: usize = 8;

/// A listpack under LZF.
#[derive(Debug)]
pub(super) struct Squeezed {
    bytes: Box<[u8]>,
    /// Length of the listpack.
    len_bytes: usize,
    /// Number of its elements.
    len: usize,
    /// The listpack while somebody reads it.
    open: OnceCell<Listpack>,
}

impl Clone for Squeezed {
    fn clone(&self) -> Self {
        let (len_bytes, len) = (self.len_bytes, self.len);
        Squeezed { bytes: self.bytes.clone(), len_bytes, len, open: OnceCell::new() }
    }
}

impl Squeezed {
    /// `None` when it would not be smaller.
    pub(super) fn new(packed: &Listpack) -> Option<Squeezed> {
        let len_bytes = packed.byte_len();
        if len_bytes < LEN_BYTES_MIN {
            return None;
        }
        let mut bytes = Vec::new();
        let is_smaller = lzf::Table::default().compress(
            packed.as_bytes(),
            &mut bytes,
            len_bytes - SAVED_BYTES_MIN,
        );
        let (len, open) = (packed.len(), OnceCell::new());
        is_smaller.then(|| Squeezed { bytes: bytes.into(), len_bytes, len, open })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Length of the listpack.
    pub(super) fn byte_len(&self) -> usize {
        self.len_bytes
    }

    /// The squeezed bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The listpack; it stays beside the squeezed bytes.
    pub(super) fn packed(&self) -> &Listpack {
        self.open.get_or_init(|| self.unpack())
    }

    #[expect(clippy::expect_used, reason = "the bytes are those that `new` squeezed")]
    fn unpack(&self) -> Listpack {
        let bytes = lzf::decompress(&self.bytes, self.len_bytes);
        bytes.and_then(|bytes| Listpack::from_bytes(bytes).ok()).expect("a node's own bytes")
    }

    pub(super) fn into_packed(mut self) -> Listpack {
        self.open.take().unwrap_or_else(|| self.unpack())
    }
}

impl Node {
    /// Brings a squeezed listpack back.
    pub(super) fn open(&mut self) {
        if let Node::Squeezed(_) = self
            && let Node::Squeezed(squeezed) = std::mem::replace(self, Node::Packed(Listpack::new()))
        {
            *self = Node::Packed(squeezed.into_packed());
        }
    }
}

impl List {
    /// Squeezes and opens nodes after a change that touched at most these.
    #[inline]
    pub(super) fn settle(&mut self, touched: Range<usize>) {
        if self.depth > 0 {
            self.settle_nodes(touched);
        }
    }

    fn settle_nodes(&mut self, touched: Range<usize>) {
        self.close();
        let (len, depth) = (self.nodes.len(), self.depth as usize);
        let end = len.saturating_sub(depth);
        for at in (0..depth.min(len)).chain(end.max(depth)..len) {
            if let Some(Node::Squeezed(_)) = self.nodes.get(at) {
                self.change(at, |_| ());
            }
        }
        // What was at an end is not any more.
        let inner = depth..end;
        let ends = [depth..depth.saturating_add(1), end.saturating_sub(1)..end];
        for range in ends.into_iter().chain([touched]) {
            for at in range.start.max(inner.start)..range.end.min(inner.end) {
                self.squeeze(at);
            }
        }
    }

    fn squeeze(&mut self, at: usize) {
        let Some(Node::Packed(packed)) = self.nodes.get(at) else { return };
        let Some(squeezed) = Squeezed::new(packed) else { return };
        if let Some(node) = self.nodes.get_mut(at) {
            self.node_bytes -= node.heap_bytes();
            *node = Node::Squeezed(Box::new(squeezed));
            self.node_bytes += node.heap_bytes();
        }
    }

    /// Drops the copies that reading made of squeezed nodes. Whoever has read a list calls this.
    pub fn close(&mut self) {
        if !self.was_read.replace(false) {
            return;
        }
        for at in 0..self.nodes.len() {
            if let Some(Node::Squeezed(squeezed)) = self.nodes.get_mut(at) {
                squeezed.open.take();
            }
        }
    }
}
