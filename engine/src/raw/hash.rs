//! The keyed hash of keys. SCAN shows its order and clients can time us, so it is SipHash-1-3 with a secret, as in Redis.

use siphasher::sip::SipHasher13;

/// Hashes keys with one keyspace's secret.
#[derive(Clone, Copy, Debug)]
pub struct KeyHasher {
    secret: (u64, u64),
    /// Tests force collisions with it.
    #[cfg(test)]
    pub(crate) mask: u64,
}

impl KeyHasher {
    /// A hasher with a secret.
    pub fn new(first: u64, second: u64) -> Self {
        KeyHasher {
            secret: (first, second),
            #[cfg(test)]
            mask: u64::MAX,
        }
    }
    /// The hash of `key`: directory from the top bits, fingerprint and bucket from the lowest 16.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let hash = SipHasher13::new_with_keys(self.secret.0, self.secret.1).hash(key);
        #[cfg(test)]
        let hash = hash & self.mask;
        hash
    }
}
