//! A shard's connections by slot.

use crate::conn::{Conn, ConnId};

/// Connections; a slot that is used again has another generation.
#[derive(Default)]
pub struct Slab {
    slots: Vec<Slot>,
    free: Vec<u32>,
    len: usize,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    conn: Option<Box<Conn>>,
}

impl Slab {
    /// A name for a connection to come.
    pub fn reserve(&mut self) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let generation = self.slots.get(slot as usize).map_or(0, |s| s.generation);
        ConnId { slot, generation }
    }
    /// Puts a new connection at its reserved place.
    pub fn insert(&mut self, conn: Box<Conn>) {
        self.len += 1;
        self.put_back(conn);
    }
    /// The connection, if it is still the same.
    pub fn get(&mut self, id: ConnId) -> Option<&mut Conn> {
        let slot =
            self.slots.get_mut(id.slot as usize).filter(|s| s.generation == id.generation)?;
        slot.conn.as_deref_mut()
    }
    /// True when the connection is there, be it in its place or taken out for a while.
    pub fn is_known(&self, id: ConnId) -> bool {
        self.slots.get(id.slot as usize).is_some_and(|slot| slot.generation == id.generation)
    }
    /// Takes the connection out for a while, so that it and its shard can both be changed.
    pub fn take(&mut self, id: ConnId) -> Option<Box<Conn>> {
        self.slots.get_mut(id.slot as usize).filter(|s| s.generation == id.generation)?.conn.take()
    }
    /// Puts it back.
    pub fn put_back(&mut self, conn: Box<Conn>) {
        let slot = conn.id.slot as usize;
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.conn = Some(conn);
        }
    }
    /// Forgets a connection that was taken out.
    pub fn forget(&mut self, id: ConnId) {
        if let Some(slot) = self.slots.get_mut(id.slot as usize) {
            slot.generation = slot.generation.wrapping_add(1);
            slot.conn = None;
            self.free.push(id.slot);
            self.len -= 1;
        }
    }
    /// Number of connections.
    pub fn len(&self) -> usize {
        self.len
    }
    /// True when there is no connection.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Number of slots, used or not.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }
    /// The connection in a slot.
    pub fn at(&mut self, slot: usize) -> Option<&mut Conn> {
        self.slots.get_mut(slot)?.conn.as_deref_mut()
    }
    /// All connections.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Conn> {
        self.slots.iter_mut().filter_map(|slot| slot.conn.as_deref_mut())
    }
}
