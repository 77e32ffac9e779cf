//! Publish and subscribe: who of this shard's connections listens to what, and how messages get there.
//!
//! ```text
//!   PUBLISH ─> own connections: a push behind their replies so far
//!         └──> Directory: which other shards have subscribers? ─> Msg::Call ─> their connections
//! ```
//!
//! Invariant: a push never comes within a reply. A connection that is at hand, with its command not answered yet, gets its
//! pushes when the answer is written (`late`).

pub mod directory;
mod events;

use std::rc::Rc;
use std::sync::Arc;

use ringstone_engine::{Reply, glob};

use crate::conn::{Conn, ConnId};
use crate::flow::execute::RespReply;
use crate::map::{Map, Set};
use crate::shard::Shard;
use crate::slab::Slab;
use crate::tracking::Note;

/// What can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A channel, of SUBSCRIBE.
    Channel,
    /// All channels that match a pattern, of PSUBSCRIBE.
    Pattern,
    /// A shard channel, of SSUBSCRIBE.
    ShardChannel,
}

/// What a subscription takes, about: a name in the connection, a place in a list of listeners.
const SUBSCRIPTION_BYTES: usize = 128;

/// Who listens, by name, in the order of subscription.
type Listeners = Map<Rc<[u8]>, Vec<ConnId>>;

/// A shard's subscribers.
#[derive(Default)]
pub struct PubSub {
    channels: Listeners,
    patterns: Listeners,
    shard_channels: Listeners,
    /// While a script runs that may yet be undone: its messages.
    deferred: Option<Vec<Message>>,
    /// Pushes to connections that were at hand.
    late: Vec<Late>,
}

/// A message that is not sent yet.
pub(crate) struct Message {
    kind: Kind,
    channel: Box<[u8]>,
    text: Box<[u8]>,
}

/// What a connection is subscribed to; there only while it is to anything.
#[derive(Default)]
pub struct Subscriptions {
    channels: Set<Rc<[u8]>>,
    patterns: Vec<Rc<[u8]>>,
    shard_channels: Set<Rc<[u8]>>,
}

impl Subscriptions {
    /// Number of channels, patterns and shard channels.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.channels.len(), self.patterns.len(), self.shard_channels.len())
    }

    /// Bytes that the subscriptions take, about.
    pub fn memory_bytes(&self) -> usize {
        let (channels, patterns, shard_channels) = self.counts();
        size_of::<Subscriptions>() + (channels + patterns + shard_channels) * SUBSCRIPTION_BYTES
    }

    fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shard_channels.is_empty()
    }

    /// The number that a confirmation of this kind carries.
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Channel | Kind::Pattern => self.channels.len() + self.patterns.len(),
            Kind::ShardChannel => self.shard_channels.len(),
        }
    }

    /// All names of a kind.
    pub fn names(&self, kind: Kind) -> Vec<Rc<[u8]>> {
        match kind {
            Kind::Channel => self.channels.iter().cloned().collect(),
            Kind::Pattern => self.patterns.clone(),
            Kind::ShardChannel => self.shard_channels.iter().cloned().collect(),
        }
    }

    /// False when it was there already.
    fn add(&mut self, kind: Kind, name: &Rc<[u8]>) -> bool {
        match kind {
            Kind::Channel => self.channels.insert(name.clone()),
            Kind::ShardChannel => self.shard_channels.insert(name.clone()),
            Kind::Pattern => {
                let new = !self.patterns.contains(name);
                if new {
                    self.patterns.push(name.clone());
                }
                new
            }
        }
    }

    /// False when it was not there.
    fn remove(&mut self, kind: Kind, name: &[u8]) -> bool {
        match kind {
            Kind::Channel => self.channels.remove(name),
            Kind::ShardChannel => self.shard_channels.remove(name),
            Kind::Pattern => {
                let at = self.patterns.iter().position(|pattern| **pattern == *name);
                at.map(|at| self.patterns.remove(at)).is_some()
            }
        }
    }
}

/// A push in both forms, each made when first needed.
struct Push<'a> {
    words: &'a [&'a [u8]],
    resp2: Vec<u8>,
    resp3: Vec<u8>,
}

impl<'a> Push<'a> {
    fn new(words: &'a [&'a [u8]]) -> Push<'a> {
        Push { words, resp2: Vec::new(), resp3: Vec::new() }
    }

    fn bytes(&mut self, resp3: bool) -> &[u8] {
        let out = if resp3 { &mut self.resp3 } else { &mut self.resp2 };
        if out.is_empty() {
            let mut reply = RespReply::new(out, resp3);
            reply.push(self.words.len());
            self.words.iter().for_each(|word| reply.bulk(word));
        }
        out
    }
}

/// Something for a connection that was at hand.
struct Late {
    conn: ConnId,
    what: What,
}

enum What {
    /// A push in RESP2 and RESP3.
    Push([Vec<u8>; 2]),
    /// A message about keys that it tracks.
    Note(Note),
}

/// Where pushes go.
struct Outbox<'a> {
    conns: &'a mut Slab,
    dirty: &'a mut Vec<ConnId>,
    late: &'a mut Vec<Late>,
}

impl Outbox<'_> {
    fn send(&mut self, to: ConnId, push: &mut Push<'_>) {
        let Some(conn) = self.conns.get(to) else {
            let forms = [false, true].map(|resp3| push.bytes(resp3).to_vec());
            self.late.push(Late { conn: to, what: What::Push(forms) });
            return;
        };
        conn.push(push.bytes(conn.resp3));
        if !conn.dirty {
            conn.dirty = true;
            self.dirty.push(to);
        }
    }
}

impl PubSub {
    fn listeners(&mut self, kind: Kind) -> &mut Listeners {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::ShardChannel => &mut self.shard_channels,
        }
    }

    /// Keeps a message about tracked keys for a connection that is at hand.
    pub(crate) fn note_late(&mut self, conn: ConnId, note: Note) {
        self.late.push(Late { conn, what: What::Note(note) });
    }

    /// True while pushes wait for connections that were at hand.
    pub fn has_late(&self) -> bool {
        !self.late.is_empty()
    }
}

impl Shard {
    /// Subscribes a connection and confirms it.
    pub(crate) fn subscribe(&mut self, conn: &mut Conn, kind: Kind, name: &[u8]) {
        let listeners = self.pubsub.listeners(kind);
        let known = listeners.get_key_value(name).map(|(name, _)| name.clone());
        let name = known.unwrap_or_else(|| name.into());
        if conn.subscriptions.get_or_insert_default().add(kind, &name) {
            listeners.entry(name.clone()).or_default().push(conn.id);
            self.shared.subscriptions.add(kind, &name, self.index);
        }
        confirm(conn, kind, true, Some(&name));
    }

    /// Ends one subscription and confirms it, whether it was there or not.
    pub(crate) fn unsubscribe(&mut self, conn: &mut Conn, kind: Kind, name: &[u8]) {
        if conn.subscriptions.as_mut().is_some_and(|all| all.remove(kind, name)) {
            self.forget_subscription(conn.id, kind, name);
        }
        confirm(conn, kind, false, Some(name));
        conn.subscriptions.take_if(|all| all.is_empty());
    }

    /// Ends all subscriptions of a kind and confirms each, or that there were none.
    pub(crate) fn unsubscribe_all(&mut self, conn: &mut Conn, kind: Kind) {
        let names = conn.subscriptions.as_ref().map(|all| all.names(kind)).unwrap_or_default();
        if names.is_empty() {
            confirm(conn, kind, false, None);
        }
        names.iter().for_each(|name| self.unsubscribe(conn, kind, name));
    }

    /// Ends all subscriptions of a connection without a word.
    pub(crate) fn drop_subscriptions(&mut self, conn: &mut Conn) {
        let Some(all) = conn.subscriptions.take() else { return };
        for kind in [Kind::Channel, Kind::Pattern, Kind::ShardChannel] {
            for name in all.names(kind) {
                self.forget_subscription(conn.id, kind, &name);
            }
        }
    }

    fn forget_subscription(&mut self, id: ConnId, kind: Kind, name: &[u8]) {
        self.shared.subscriptions.remove(kind, name, self.index);
        let listeners = self.pubsub.listeners(kind);
        if let Some(ids) = listeners.get_mut(name) {
            ids.retain(|known| *known != id);
            if ids.is_empty() {
                listeners.remove(name);
            }
        }
    }

    /// Sends a message to all subscribers of a channel or shard channel, on all shards; how many there are.
    pub fn publish(&mut self, kind: Kind, channel: &[u8], message: &[u8]) -> usize {
        if let Some(deferred) = &mut self.pubsub.deferred {
            deferred.push(Message { kind, channel: channel.into(), text: message.into() });
            let receivers = self.shared.subscriptions.receivers(kind, channel, usize::MAX);
            return receivers.iter().map(|(_, count)| count).sum();
        }
        let mut receivers = self.deliver(kind, channel, message);
        if self.shards() == 1 {
            return receivers;
        }
        let elsewhere = self.shared.subscriptions.receivers(kind, channel, self.index);
        if elsewhere.is_empty() {
            return receivers;
        }
        let words: Arc<[Box<[u8]>; 2]> = Arc::new([channel.into(), message.into()]);
        for (shard, count) in elsewhere {
            receivers += count;
            let words = words.clone();
            self.call(shard, move |there| {
                let [channel, message] = &*words;
                there.deliver(kind, channel, message);
            });
        }
        receivers
    }

    /// Keeps back what is published during `work`, behind `messages`.
    pub(crate) fn defer_messages<T>(
        &mut self,
        messages: &mut Vec<Message>,
        work: impl FnOnce(&mut Shard) -> T,
    ) -> T {
        self.pubsub.deferred = Some(std::mem::take(messages));
        let result = work(self);
        *messages = self.pubsub.deferred.take().unwrap_or_default();
        result
    }

    /// Sends what was kept back.
    pub(crate) fn publish_deferred(&mut self, messages: Vec<Message>) {
        for Message { kind, channel, text } in messages {
            self.publish(kind, &channel, &text);
        }
    }

    /// Sends a message to the subscribers of this shard; how many there are.
    fn deliver(&mut self, kind: Kind, channel: &[u8], message: &[u8]) -> usize {
        let PubSub { channels, patterns, shard_channels, late, .. } = &mut self.pubsub;
        let mut out = Outbox { conns: &mut self.conns, dirty: &mut self.dirty, late };
        let mut receivers = 0;
        let (label, listeners): (&[u8], _) = match kind {
            Kind::Channel | Kind::Pattern => (b"message", channels),
            Kind::ShardChannel => (b"smessage", shard_channels),
        };
        if let Some(ids) = listeners.get(channel) {
            let words = [label, channel, message];
            let mut push = Push::new(&words);
            ids.iter().for_each(|id| out.send(*id, &mut push));
            receivers += ids.len();
        }
        if kind == Kind::Channel {
            for (pattern, ids) in patterns {
                if glob::matches(pattern, channel) {
                    let words = [b"pmessage", &**pattern, channel, message];
                    let mut push = Push::new(&words);
                    ids.iter().for_each(|id| out.send(*id, &mut push));
                    receivers += ids.len();
                }
            }
        }
        if receivers > 0 {
            self.wake();
        }
        receivers
    }

    /// The pushes that came while this connection was at hand.
    pub(crate) fn push_late(&mut self, conn: &mut Conn) {
        let id = conn.id;
        if !self.pubsub.late.iter().any(|late| late.conn == id) {
            return;
        }
        let late: Vec<Late> = self.pubsub.late.extract_if(.., |late| late.conn == id).collect();
        for Late { what, .. } in late {
            match what {
                What::Push([resp2, resp3]) => {
                    conn.push(if conn.resp3 { &resp3 } else { &resp2 });
                }
                What::Note(note) => self.take_note(conn, note),
            }
        }
        self.mark_dirty(conn);
    }

    /// All pushes that came while their connection was at hand.
    pub(crate) fn push_all_late(&mut self) {
        while let Some(id) = self.pubsub.late.first().map(|late| late.conn) {
            match self.conns.take(id) {
                Some(mut conn) => {
                    self.push_late(&mut conn);
                    self.conns.put_back(conn);
                }
                None => self.pubsub.late.retain(|late| late.conn != id),
            }
        }
    }
}

/// Tells a connection that a subscription begins or ends; no name when there was none to end.
fn confirm(conn: &mut Conn, kind: Kind, begins: bool, name: Option<&[u8]>) {
    let word = match (kind, begins) {
        (Kind::Channel, true) => "subscribe",
        (Kind::Channel, false) => "unsubscribe",
        (Kind::Pattern, true) => "psubscribe",
        (Kind::Pattern, false) => "punsubscribe",
        (Kind::ShardChannel, true) => "ssubscribe",
        (Kind::ShardChannel, false) => "sunsubscribe",
    };
    let count = conn.subscriptions.as_ref().map_or(0, |all| all.count(kind));
    let resp3 = conn.resp3;
    let mut reply = RespReply::new(conn.reply_buffer(), resp3);
    reply.push(3);
    reply.bulk(word.as_bytes());
    reply.bulk_or_null(name);
    reply.len(count);
}
