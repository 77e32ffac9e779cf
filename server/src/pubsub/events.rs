//! Keyspace events become messages: `__keyspace@<db>__:<key> <event>` and `__keyevent@<db>__:<event> <key>`.

use ringstone_engine::keyspace::{Classes, Event};

use super::Kind;
use crate::shard::Shard;

impl Shard {
    /// Publishes what happened to this shard's keys since the last call.
    #[inline]
    pub(crate) fn publish_events(&mut self) {
        if !self.keyspace.events.is_empty() {
            let events = self.keyspace.events.take();
            self.publish_these(&events);
        }
    }

    /// True when keyspace events are wanted and somebody may be listening to them.
    #[inline]
    pub(crate) fn has_event_listeners(&self) -> bool {
        let subscriptions = &self.shared.subscriptions;
        !self.keyspace.events.wanted().is_empty()
            && (subscriptions.len(Kind::Channel) > 0 || subscriptions.len(Kind::Pattern) > 0)
    }

    /// Publishes events of keys that were here for a transaction.
    #[cold]
    pub(crate) fn publish_these(&mut self, events: &[Event]) {
        if !self.has_event_listeners() {
            return;
        }
        let classes = self.keyspace.events.wanted();
        for Event { db, name, key } in events {
            if classes.contains(Classes::KEYSPACE) {
                let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
                self.publish(Kind::Channel, &channel, name.as_bytes());
            }
            if classes.contains(Classes::KEYEVENT) {
                let channel = format!("__keyevent@{db}__:{name}");
                self.publish(Kind::Channel, channel.as_bytes(), key);
            }
        }
    }
}
