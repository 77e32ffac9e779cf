//! Nodes that refer to each other by number, so that a tree with sibling links needs no `unsafe`.

/// Number of a node in its arena.
pub(super) type NodeId = u32;

/// No node.
pub(super) const NONE: NodeId = NodeId::MAX;

/// Boxed nodes by number. Invariant: an id given out by [`Arena::add`] is valid until [`Arena::remove`] takes it.
#[derive(Debug, Clone)]
pub(super) struct Arena<T> {
    nodes: Vec<Option<Box<T>>>,
    free: Vec<NodeId>,
}

impl<T> Arena<T> {
    pub(super) const fn new() -> Self {
        Arena { nodes: Vec::new(), free: Vec::new() }
    }

    pub(super) fn add(&mut self, node: T) -> NodeId {
        let node = Some(Box::new(node));
        if let Some(id) = self.free.pop() {
            self.nodes[id as usize] = node;
            return id;
        }
        self.nodes.push(node);
        // A node stands for many members, whose ids are u32 themselves.
        NodeId::try_from(self.nodes.len() - 1).unwrap_or(NONE)
    }

    #[expect(clippy::expect_used, reason = "ids come from add and die with remove")]
    pub(super) fn get(&self, id: NodeId) -> &T {
        self.nodes[id as usize].as_deref().expect("a live node")
    }

    #[expect(clippy::expect_used, reason = "ids come from add and die with remove")]
    pub(super) fn get_mut(&mut self, id: NodeId) -> &mut T {
        self.nodes[id as usize].as_deref_mut().expect("a live node")
    }

    pub(super) fn remove(&mut self, id: NodeId) {
        self.nodes[id as usize] = None;
        self.free.push(id);
    }

    /// Drops up to `count` nodes from the end, whoever refers to them; true when none is left.
    pub(super) fn drop_some(&mut self, count: usize) -> bool {
        self.nodes.truncate(self.nodes.len().saturating_sub(count));
        self.nodes.is_empty()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let live = self.nodes.len().saturating_sub(self.free.len());
        live * size_of::<T>()
            + self.nodes.capacity() * size_of::<Option<Box<T>>>()
            + self.free.capacity() * size_of::<NodeId>()
    }
}
