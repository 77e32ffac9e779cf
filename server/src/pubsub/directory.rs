//! Which shards have subscribers of what, over all shards: names and numbers, no connections.
//!
//! Publishing asks here which other shards a message must go to, and how many it will reach there; so it touches no shard in
//! vain, and its reply waits for nobody.
//!
//! Invariant: a shard enters a subscription here after it made its own note of it, and takes it out before, so that a message
//! never finds fewer subscribers than were counted, unless they leave while it is under way.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use ringstone_engine::glob;
use smallvec::SmallVec;

use super::Kind;
use crate::map::Map;

/// Parts of a table of names, each with its own lock: publishers of different channels seldom meet.
const STRIPES: usize = 64;

/// How many subscribers which shards have.
pub type Receivers = SmallVec<[(usize, usize); 4]>;

/// All subscriptions of the process.
pub struct Directory {
    channels: Names,
    patterns: Names,
    shard_channels: Names,
}

type Stripe = RwLock<Map<Box<[u8]>, Receivers>>;

struct Names {
    stripes: Box<[Stripe]>,
    hasher: foldhash::fast::RandomState,
    /// Names in all stripes.
    len: AtomicUsize,
}

impl Default for Directory {
    fn default() -> Directory {
        Directory {
            channels: Names::new(STRIPES),
            // A message is compared with all patterns: one lock is taken faster than many.
            patterns: Names::new(1),
            shard_channels: Names::new(STRIPES),
        }
    }
}

impl Directory {
    fn of(&self, kind: Kind) -> &Names {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::ShardChannel => &self.shard_channels,
        }
    }

    /// Shard `shard` has one more subscriber of `name`.
    pub fn add(&self, kind: Kind, name: &[u8], shard: usize) {
        self.of(kind).add(name, shard);
    }

    /// Shard `shard` has one subscriber of `name` less.
    pub fn remove(&self, kind: Kind, name: &[u8], shard: usize) {
        self.of(kind).remove(name, shard);
    }

    /// Where a message of `channel` must go, shard `except` not listed.
    pub fn receivers(&self, kind: Kind, channel: &[u8], except: usize) -> Receivers {
        let mut found = self.of(kind).get(channel);
        if kind == Kind::Channel && self.patterns.len() > 0 {
            self.patterns.each(|pattern, receivers| {
                if glob::matches(pattern, channel) {
                    receivers.iter().for_each(|(shard, more)| count(&mut found, *shard, *more));
                }
            });
        }
        found.retain(|(shard, _)| *shard != except);
        found
    }

    /// Subscribers of `name`.
    pub fn subscribers(&self, kind: Kind, name: &[u8]) -> usize {
        self.of(kind).get(name).iter().map(|(_, subscribers)| subscribers).sum()
    }

    /// Number of names that have subscribers.
    pub fn len(&self, kind: Kind) -> usize {
        self.of(kind).len()
    }

    /// Names that have subscribers and match `pattern`.
    pub fn names(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        self.of(kind).each(|name, _| {
            if pattern.is_none_or(|pattern| glob::matches(pattern, name)) {
                found.push(name.to_vec());
            }
        });
        found
    }
}

impl Names {
    fn new(stripes: usize) -> Names {
        Names {
            stripes: (0..stripes).map(|_| RwLock::default()).collect(),
            hasher: foldhash::fast::RandomState::default(),
            len: AtomicUsize::new(0),
        }
    }

    fn stripe(&self, name: &[u8]) -> Option<&Stripe> {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name);
        let at = hasher.finish() >> 32;
        self.stripes.get(usize::try_from(at).unwrap_or(0) % self.stripes.len())
    }

    fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    fn add(&self, name: &[u8], shard: usize) {
        let Some(stripe) = self.stripe(name) else { return };
        let mut names = stripe.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(receivers) = names.get_mut(name) {
            count(receivers, shard, 1);
        } else {
            names.insert(name.into(), SmallVec::from_slice(&[(shard, 1)]));
            self.len.fetch_add(1, Ordering::Release);
        }
    }

    fn remove(&self, name: &[u8], shard: usize) {
        let Some(stripe) = self.stripe(name) else { return };
        let mut names = stripe.write().unwrap_or_else(PoisonError::into_inner);
        let Some(receivers) = names.get_mut(name) else { return };
        if let Some(at) = receivers.iter().position(|(known, _)| *known == shard)
            && let Some((_, subscribers)) = receivers.get_mut(at)
        {
            *subscribers -= 1;
            if *subscribers == 0 {
                receivers.swap_remove(at);
            }
        }
        if receivers.is_empty() {
            names.remove(name);
            self.len.fetch_sub(1, Ordering::Release);
        }
    }

    fn get(&self, name: &[u8]) -> Receivers {
        if self.len() == 0 {
            return Receivers::new();
        }
        let Some(stripe) = self.stripe(name) else { return Receivers::new() };
        let names = stripe.read().unwrap_or_else(PoisonError::into_inner);
        names.get(name).cloned().unwrap_or_default()
    }

    fn each(&self, mut each: impl FnMut(&[u8], &Receivers)) {
        for stripe in &self.stripes {
            let names = stripe.read().unwrap_or_else(PoisonError::into_inner);
            names.iter().for_each(|(name, receivers)| each(name, receivers));
        }
    }
}

fn count(receivers: &mut Receivers, shard: usize, more: usize) {
    match receivers.iter_mut().find(|(known, _)| *known == shard) {
        Some((_, subscribers)) => *subscribers += more,
        None => receivers.push((shard, more)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(mut receivers: Receivers) -> Vec<(usize, usize)> {
        receivers.sort_unstable();
        receivers.to_vec()
    }

    #[test]
    fn channels_and_patterns_of_all_shards_count_together() {
        let directory = Directory::default();
        for (kind, name, shard) in [
            (Kind::Channel, "news", 0),
            (Kind::Channel, "news", 2),
            (Kind::Channel, "news", 2),
            (Kind::Pattern, "n*", 2),
            (Kind::Pattern, "*s", 1),
            (Kind::Pattern, "x*", 3),
            (Kind::ShardChannel, "news", 5),
        ] {
            directory.add(kind, name.as_bytes(), shard);
        }
        let receivers = |kind, except| sorted(directory.receivers(kind, b"news", except));
        assert_eq!(receivers(Kind::Channel, 9), [(0, 1), (1, 1), (2, 3)]);
        assert_eq!(receivers(Kind::Channel, 2), [(0, 1), (1, 1)]);
        assert_eq!(receivers(Kind::ShardChannel, 9), [(5, 1)], "no patterns");
        assert_eq!(directory.subscribers(Kind::Channel, b"news"), 3);
        assert_eq!(directory.len(Kind::Pattern), 3);
    }

    #[test]
    fn a_name_is_forgotten_with_its_last_subscriber() {
        let directory = Directory::default();
        directory.add(Kind::Channel, b"a", 0);
        directory.add(Kind::Channel, b"a", 1);
        directory.add(Kind::Channel, b"b", 1);
        directory.remove(Kind::Channel, b"a", 0);
        assert_eq!(directory.len(Kind::Channel), 2);
        directory.remove(Kind::Channel, b"a", 1);
        directory.remove(Kind::Channel, b"a", 1);
        assert_eq!(directory.names(Kind::Channel, None), [b"b"]);
        assert_eq!(directory.names(Kind::Channel, Some(b"x*")), [] as [Vec<u8>; 0]);
        assert!(directory.receivers(Kind::Channel, b"a", 9).is_empty());
    }
}
