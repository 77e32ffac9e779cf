//! Hash slots as Redis Cluster defines them, and their ranges per shard.
//!
//! ```text
//!   key ──hash tag──> CRC16 ──mod 16384──> slot ──SlotMap──> shard        slots  0 ........ 16383
//!                                                                         shard  000 111 222 333
//! ```

/// Number of hash slots.
pub const SLOTS: u16 = 16384;

/// CRC16/XMODEM: polynomial 0x1021, start 0, not reflected.
#[expect(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, for 0..256"
)]
const CRC16: [u16; 256] = {
    let mut table = [0u16; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let [high, _] = crc.to_be_bytes();
        crc << 8 ^ CRC16.get(usize::from(high ^ byte)).copied().unwrap_or(0)
    })
}

/// The part of a key that decides its slot: what stands between the first `{` and the next `}`, when it is not empty;
/// otherwise the whole key.
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|b| *b == b'{') else { return key };
    let inner = key.get(open + 1..).unwrap_or_default();
    match inner.iter().position(|b| *b == b'}') {
        Some(len) if len > 0 => inner.get(..len).unwrap_or(key),
        _ => key,
    }
}

/// The slot of a key.
pub fn key_slot(key: &[u8]) -> u16 {
    crc16(hash_tag(key)) % SLOTS
}

/// Which shard owns which slots: shard `i` of `n` owns a contiguous range, and ranges differ by one slot at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotMap {
    shards: u16,
}

impl SlotMap {
    /// The map of `shards` shards; at least one, at most as many as there are slots.
    pub fn new(shards: usize) -> Self {
        SlotMap { shards: u16::try_from(shards).unwrap_or(SLOTS).clamp(1, SLOTS) }
    }

    /// Number of shards.
    pub fn shards(self) -> usize {
        usize::from(self.shards)
    }

    /// The shard that owns `slot` (taken modulo the number of slots).
    #[inline]
    pub fn shard_of(self, slot: u16) -> usize {
        (usize::from(slot % SLOTS) * self.shards()) / usize::from(SLOTS)
    }

    /// The shard that owns `key`.
    #[inline]
    pub fn shard_of_key(self, key: &[u8]) -> usize {
        if self.shards == 1 { 0 } else { self.shard_of(key_slot(key)) }
    }

    /// The slots of `shard`; empty for a shard that does not exist.
    pub fn slots_of(self, shard: usize) -> std::ops::Range<u16> {
        let first = |shard: usize| {
            let slot = (shard.min(self.shards()) * usize::from(SLOTS)).div_ceil(self.shards());
            u16::try_from(slot).unwrap_or(SLOTS)
        };
        first(shard)..first(shard.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis_cluster() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, slot) in [
            (&b""[..], 0),
            (b"foo", 12182),
            (b"bar", 5061),
            (b"hello", 866),
            (b"somekey", 11058),
            (b"foo{hash_tag}", 2515),
            (b"bar{hash_tag}", 2515),
            (b"hash_tag", 2515),
            (b"\xff\x00\x80", 7915),
        ] {
            assert_eq!(key_slot(key), slot, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn a_hash_tag_is_the_first_filled_pair_of_braces() {
        for (key, tag) in [
            ("{user1000}.following", "user1000"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("foo{bar", "foo{bar"),
            ("foo}bar{", "foo}bar{"),
            ("}{x}", "x"),
        ] {
            assert_eq!(hash_tag(key.as_bytes()), tag.as_bytes());
        }
    }

    #[test]
    fn ranges_cover_every_slot_once_and_evenly() {
        for shards in [1, 2, 3, 5, 7, 16, 100, 16384] {
            let map = SlotMap::new(shards);
            let mut next = 0;
            for shard in 0..shards {
                let range = map.slots_of(shard);
                assert_eq!(range.start, next);
                assert!(range.clone().all(|slot| map.shard_of(slot) == shard));
                assert!((range.len()).abs_diff(16384 / shards) <= 1);
                next = range.end;
            }
            assert_eq!(next, SLOTS);
            assert!(map.slots_of(shards).is_empty());
        }
        assert_eq!((SlotMap::new(0).shards(), SlotMap::new(1 << 20).shards()), (1, 16384));
    }
}
