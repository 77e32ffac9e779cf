//! One frame: a batch of effect records, or a whole transaction, under one GSN.
//!
//! ```text
//!   0 magic "RFRM"    4 version u8   5 kind u8   6 key u16     8 header_crc u32   12 payload_crc u32
//!  16 payload_len u64                            24 shard u32  28 epoch u32
//!  32 gsn u64                                    40 durable_gsn u64
//!  48 wall_ms u64                                56 payload: effect records
//! ```
//!
//! All numbers are little-endian. `header_crc` covers bytes 0..8 and 12..56 and is seeded with the log's uuid, the
//! segment and the epoch; through `payload_crc` it vouches for the payload as well. `key` is 0, or the number of the data key of
//! the epoch that the payload is sealed with ([`super::seal`]).
//!
//! Invariant: bytes that an earlier use of a recycled segment left never validate, since their seed named another segment.

use super::{Fault, LogId, SegmentId};

/// Length of a frame's header in bytes.
pub const FRAME_HEADER_BYTES: usize = 56;
/// A frame's first bytes.
pub const FRAME_MAGIC: [u8; 4] = *b"RFRM";
/// The layout that this code writes, and the only one it reads.
pub const FRAME_VERSION: u8 = 1;

/// No frame has a higher epoch: two thousand million starts, with room for more above it.
pub const EPOCH_MAX: u32 = 1 << 31;

/// What a frame holds. The numbers are on disk: append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// What one shard's reactor pass changed.
    Batch = 1,
    /// A transaction over several shards, whole.
    Transaction = 2,
    /// The point where a snapshot was cut; no records.
    Cut = 3,
    /// Function libraries loaded or deleted.
    Function = 4,
    /// Takes no GSN (0 in the header) and changes nothing: tells how far everything is durable, so that damage to the last
    /// frames before a pause is noticed.
    Mark = 5,
}

impl FrameKind {
    fn from_byte(byte: u8) -> Option<Self> {
        use FrameKind::{Batch, Cut, Function, Mark, Transaction};
        [Batch, Transaction, Cut, Function, Mark].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What it holds.
    pub kind: FrameKind,
    /// The data key of the epoch that the payload is sealed with; 0: the payload is in clear.
    pub key: u16,
    /// CRC-32 of the payload.
    pub payload_crc: u32,
    /// Length of the payload in bytes.
    pub payload_len: u64,
    /// The shard in whose log it stands.
    pub shard: u32,
    /// The epoch in which it was written.
    pub epoch: u32,
    /// Its place in the order of everything.
    pub gsn: u64,
    /// Every GSN up to this one was durable when the frame was made.
    pub durable_gsn: u64,
    /// Wall clock when the frame was made, in milliseconds since 1970.
    pub wall_ms: u64,
}

impl FrameHeader {
    /// The header's bytes with `header_crc` still zero; see [`seal`].
    pub fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut out = [0; FRAME_HEADER_BYTES];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            if let Some(place) = out.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
            at += bytes.len();
        };
        put(&FRAME_MAGIC);
        put(&[FRAME_VERSION, self.kind as u8]);
        put(&self.key.to_le_bytes());
        put(&[0; 4]);
        put(&self.payload_crc.to_le_bytes());
        put(&self.payload_len.to_le_bytes());
        put(&self.shard.to_le_bytes());
        put(&self.epoch.to_le_bytes());
        put(&self.gsn.to_le_bytes());
        put(&self.durable_gsn.to_le_bytes());
        put(&self.wall_ms.to_le_bytes());
        out
    }

    /// Reads a header and verifies its checksum; `None` when the bytes are no frame of this segment.
    pub fn decode(bytes: &[u8], seed: &FrameSeed) -> Option<Self> {
        let bytes: &[u8; FRAME_HEADER_BYTES] = bytes.get(..FRAME_HEADER_BYTES)?.try_into().ok()?;
        if bytes.get(..4) != Some(&FRAME_MAGIC[..]) {
            return None;
        }
        let [version, kind] = bytes_at(bytes, 4);
        if version != FRAME_VERSION {
            return None;
        }
        let epoch = u32::from_le_bytes(bytes_at(bytes, 28));
        if epoch > EPOCH_MAX
            || u32::from_le_bytes(bytes_at(bytes, 8)) != seed.header_crc(epoch, bytes)
        {
            return None;
        }
        Some(FrameHeader {
            kind: FrameKind::from_byte(kind)?,
            key: u16::from_le_bytes(bytes_at(bytes, 6)),
            payload_crc: u32::from_le_bytes(bytes_at(bytes, 12)),
            payload_len: u64::from_le_bytes(bytes_at(bytes, 16)),
            shard: u32::from_le_bytes(bytes_at(bytes, 24)),
            epoch,
            gsn: u64::from_le_bytes(bytes_at(bytes, 32)),
            durable_gsn: u64::from_le_bytes(bytes_at(bytes, 40)),
            wall_ms: u64::from_le_bytes(bytes_at(bytes, 48)),
        })
    }
}

/// What a segment's header checksums start from.
#[derive(Clone, Debug)]
pub struct FrameSeed {
    segment: SegmentId,
    hasher: crc32fast::Hasher,
}

impl FrameSeed {
    /// The seed of `segment` of the log `id`.
    pub fn new(id: &LogId, segment: SegmentId) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&id.uuid);
        if !id.faults.has(Fault::SeedWithoutSegment) {
            hasher.update(&segment.shard.to_le_bytes());
            hasher.update(&segment.seq.to_le_bytes());
        }
        FrameSeed { segment, hasher }
    }

    /// The segment.
    pub fn segment(&self) -> SegmentId {
        self.segment
    }

    fn header_crc(&self, epoch: u32, bytes: &[u8; FRAME_HEADER_BYTES]) -> u32 {
        let mut hasher = self.hasher.clone();
        hasher.update(&epoch.to_le_bytes());
        hasher.update(bytes.get(..8).unwrap_or_default());
        hasher.update(bytes.get(12..).unwrap_or_default());
        hasher.finalize()
    }
}

/// Puts the checksum into an encoded header, once it is known which segment it goes to.
pub fn seal(header: &mut [u8], seed: &FrameSeed) {
    let Some(bytes) = header.first_chunk_mut::<FRAME_HEADER_BYTES>() else { return };
    let crc = seed.header_crc(u32::from_le_bytes(bytes_at(bytes, 28)), bytes);
    if let Some(place) = bytes.get_mut(8..12) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
}

fn bytes_at<const N: usize>(bytes: &[u8; FRAME_HEADER_BYTES], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|b| b.try_into().ok()).unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> FrameHeader {
        FrameHeader {
            kind: FrameKind::Transaction,
            key: 0,
            payload_crc: 0xdead_beef,
            payload_len: 77,
            shard: 3,
            epoch: 9,
            gsn: 1 << 40,
            durable_gsn: 12,
            wall_ms: 1_700_000_000_000,
        }
    }

    fn seed(seq: u64) -> FrameSeed {
        FrameSeed::new(&LogId::new([5; 16]), SegmentId { shard: 3, seq })
    }

    #[test]
    fn a_sealed_header_reads_back_in_its_own_segment_only() {
        let mut bytes = header().encode();
        seal(&mut bytes, &seed(1));
        assert_eq!(FrameHeader::decode(&bytes, &seed(1)), Some(header()));
        assert_eq!(FrameHeader::decode(&bytes, &seed(2)), None);
    }

    #[test]
    fn any_flipped_bit_of_a_header_is_noticed() {
        let mut bytes = header().encode();
        seal(&mut bytes, &seed(1));
        for bit in 0..FRAME_HEADER_BYTES * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::decode(&bad, &seed(1)), None, "bit {bit}");
        }
    }

    #[test]
    fn the_bytes_of_a_frame_are_pinned() {
        let mut bytes = header().encode();
        seal(&mut bytes, &seed(1));
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "5246524d01020000710e1656efbeadde4d0000000000000003000000090000000000000000010000\
             0c000000000000000068e5cf8b010000"
        );
    }
}
