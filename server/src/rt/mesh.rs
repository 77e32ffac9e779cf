//! The rings between shards: one single-producer single-consumer ring per ordered pair, and the wake-up of a parked shard.
//!
//! ```text
//!   shard a ── ring(a→b) ──> shard b          b awake: finds it in its next pass
//!        └──── MSG_RING ───>                   b parked: only then a wake-up is paid
//! ```
//!
//! Invariant: a shard announces that it parks *before* it looks at its rings for the last time, and a sender looks at that
//! announcement *after* it pushed, with a sequentially consistent fence on both sides: one of the two always sees the other.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering, fence};

use super::ring::wake_eventfd;

/// Messages that one ring holds; more wait in the sender's own queue.
pub const RING_LEN: usize = 4096;

/// What all shards know of each other.
pub struct Peers {
    shards: Vec<Peer>,
}

#[derive(Default)]
struct Peer {
    parked: AtomicBool,
    ring_fd: AtomicI32,
    eventfd: AtomicI32,
}

impl Peers {
    /// Makes shard `index` reachable.
    pub fn announce(&self, index: usize, ring_fd: RawFd, eventfd: RawFd) {
        if let Some(peer) = self.shards.get(index) {
            peer.ring_fd.store(ring_fd, Ordering::Release);
            peer.eventfd.store(eventfd, Ordering::Release);
        }
    }
    /// Wakes shard `index` from a thread that has no ring of its own.
    pub fn wake(&self, index: usize) {
        if let Some(peer) = self.shards.get(index) {
            let fd = peer.eventfd.load(Ordering::Acquire);
            if fd > 0 {
                wake_eventfd(fd);
            }
        }
    }
}

/// One shard's ends of all rings.
pub struct Mesh<M> {
    index: usize,
    peers: Arc<Peers>,
    out: Vec<Option<Outbound<M>>>,
    inbound: Vec<Option<rtrb::Consumer<M>>>,
}

struct Outbound<M> {
    ring: rtrb::Producer<M>,
    /// What did not fit, in order.
    overflow: VecDeque<M>,
    /// Something was pushed since the last flush.
    dirty: bool,
}

/// The meshes of `shards` shards, and what they share.
pub fn mesh<M>(shards: usize) -> (Vec<Mesh<M>>, Arc<Peers>) {
    let peers = Arc::new(Peers { shards: (0..shards).map(|_| Peer::default()).collect() });
    let mut meshes: Vec<Mesh<M>> = (0..shards)
        .map(|index| Mesh {
            index,
            peers: peers.clone(),
            out: (0..shards).map(|_| None).collect(),
            inbound: (0..shards).map(|_| None).collect(),
        })
        .collect();
    for from in 0..shards {
        for to in (0..shards).filter(|to| *to != from) {
            let (producer, consumer) = rtrb::RingBuffer::new(RING_LEN);
            let out = Outbound { ring: producer, overflow: VecDeque::new(), dirty: false };
            if let Some(slot) = meshes.get_mut(from).and_then(|m| m.out.get_mut(to)) {
                *slot = Some(out);
            }
            if let Some(slot) = meshes.get_mut(to).and_then(|m| m.inbound.get_mut(from)) {
                *slot = Some(consumer);
            }
        }
    }
    (meshes, peers)
}

impl<M> Mesh<M> {
    /// This shard.
    pub fn index(&self) -> usize {
        self.index
    }
    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.out.len()
    }
    /// What all shards know of each other.
    pub fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// Queues a message for another shard; it is seen in that shard's next pass after [`Mesh::flush`].
    pub fn send(&mut self, to: usize, message: M) {
        let Some(Some(out)) = self.out.get_mut(to) else { return };
        out.dirty = true;
        if !out.overflow.is_empty() {
            out.overflow.push_back(message);
        } else if let Err(rtrb::PushError::Full(message)) = out.ring.push(message) {
            out.overflow.push_back(message);
        }
    }

    /// A shard whose ring is full, so that messages for it pile up here.
    pub fn crowded(&self) -> Option<usize> {
        self.out.iter().position(|out| out.as_ref().is_some_and(|out| !out.overflow.is_empty()))
    }

    /// Pushes what waited, and calls `wake(ring_fd)` for each parked shard that has something to read.
    pub fn flush(&mut self, mut wake: impl FnMut(RawFd)) {
        if self.out.iter().flatten().all(|out| !out.dirty) {
            return;
        }
        for out in self.out.iter_mut().flatten().filter(|out| out.dirty) {
            while let Some(message) = out.overflow.pop_front() {
                if let Err(rtrb::PushError::Full(message)) = out.ring.push(message) {
                    out.overflow.push_front(message);
                    break;
                }
            }
        }
        fence(Ordering::SeqCst);
        for (out, peer) in self.out.iter_mut().zip(&self.peers.shards) {
            let Some(out) = out else { continue };
            if out.dirty {
                if peer.parked.swap(false, Ordering::AcqRel) {
                    wake(peer.ring_fd.load(Ordering::Acquire));
                }
                out.dirty = !out.overflow.is_empty();
            }
        }
    }

    /// Calls `wake(ring_fd)` if that shard is parked.
    pub fn wake_one(&self, to: usize, wake: impl FnOnce(RawFd)) {
        fence(Ordering::SeqCst);
        if let Some(peer) = self.peers.shards.get(to)
            && peer.parked.swap(false, Ordering::AcqRel)
        {
            wake(peer.ring_fd.load(Ordering::Acquire));
        }
    }

    /// Moves what has arrived into `out`, at most `max` from each shard.
    pub fn receive(&mut self, max: usize, out: &mut Vec<(usize, M)>) {
        for (from, ring) in self.inbound.iter_mut().enumerate() {
            let Some(ring) = ring else { continue };
            for _ in 0..max {
                match ring.pop() {
                    Ok(message) => out.push((from, message)),
                    Err(_) => break,
                }
            }
        }
    }

    /// Says that this shard is about to park; true when nothing has arrived and nothing waits to be sent.
    pub fn park(&self) -> bool {
        let Some(me) = self.peers.shards.get(self.index) else { return false };
        me.parked.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        let quiet = self.inbound.iter().flatten().all(rtrb::Consumer::is_empty)
            && self.out.iter().flatten().all(|out| out.overflow.is_empty());
        if !quiet {
            self.unpark();
        }
        quiet
    }

    /// Awake again.
    pub fn unpark(&self) {
        if let Some(me) = self.peers.shards.get(self.index) {
            me.parked.store(false, Ordering::Release);
        }
    }
}
