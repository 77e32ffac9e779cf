//! Keys with their values as the body of an RDB file, in blocks that stand on their own.
//!
//! ```text
//! block = ( [0xFE db] [0xFC expire_at_ms:i64le] type:u8 key value )*      a block names its database before its first entry
//! ```

use super::{Compression, RdbWriter};
use crate::types::{SavePoint, ValueRef};

const OPCODE_SELECTDB: u8 = 0xfe;
const OPCODE_EXPIRETIME_MS: u8 = 0xfc;

/// Writes entries into the current block.
#[derive(Debug, Default)]
pub struct SnapshotWriter {
    out: RdbWriter,
    db: Option<u32>,
    entries: u64,
}

impl SnapshotWriter {
    /// A writer of blocks through `out`, which carries the encoding's options.
    pub fn new(out: RdbWriter) -> Self {
        SnapshotWriter { out, db: None, entries: 0 }
    }
    /// Which strings are compressed from now on.
    pub fn set_compression(&mut self, compression: Compression) {
        self.out.set_compression(compression);
    }
    /// An empty writer with the same options.
    pub fn sibling(&self) -> SnapshotWriter {
        SnapshotWriter::new(RdbWriter::new(self.out.compression()))
    }
    /// Writes one entry.
    pub fn entry(&mut self, db: u32, key: &[u8], value: ValueRef<'_>, expire_at_ms: Option<i64>) {
        self.head(db, key, value, expire_at_ms);
        value.save(&mut self.out);
        self.entries += 1;
    }
    /// Begins an entry whose value is written in parts, by [`SnapshotWriter::part`] until that is done; nothing else may be
    /// written in between.
    pub fn head(&mut self, db: u32, key: &[u8], value: ValueRef<'_>, expire_at_ms: Option<i64>) {
        if self.db != Some(db) {
            self.db = Some(db);
            self.out.buf.push(OPCODE_SELECTDB);
            self.out.length(u64::from(db));
        }
        if let Some(at) = expire_at_ms {
            self.out.buf.push(OPCODE_EXPIRETIME_MS);
            self.out.buf.extend_from_slice(&at.to_le_bytes());
        }
        self.out.buf.push(value.rdb_type());
        self.out.string(key);
    }
    /// Writes the next part of a value, as [`crate::types::Object::save_some`] does.
    pub fn part(
        &mut self,
        value: ValueRef<'_>,
        from: SavePoint,
        budget_bytes: usize,
    ) -> Option<SavePoint> {
        let next = value.save_some(from, budget_bytes, &mut self.out);
        self.entries += u64::from(next.is_none());
        next
    }
    /// Makes room for so many more bytes.
    pub fn reserve(&mut self, len: usize) {
        self.out.buf.reserve(len);
    }
    /// Adds another writer's block; the smaller of the two is copied.
    pub fn absorb(&mut self, mut other: SnapshotWriter) {
        if other.len_bytes() > self.len_bytes() {
            std::mem::swap(&mut self.out.buf, &mut other.out.buf);
        }
        self.append_block(&other.out.buf, other.entries);
    }
    /// Appends a block that another writer made.
    pub fn append_block(&mut self, bytes: &[u8], entries: u64) {
        self.out.buf.extend_from_slice(bytes);
        self.entries += entries;
        self.db = None;
    }
    /// Bytes in the current block.
    pub fn len_bytes(&self) -> usize {
        self.out.buf.len()
    }
    /// Entries in the current block.
    pub fn entries(&self) -> u64 {
        self.entries
    }
    /// The current block and the number of its entries; a new one begins.
    pub fn take_block(&mut self) -> (Vec<u8>, u64) {
        self.db = None;
        (std::mem::take(&mut self.out.buf), std::mem::take(&mut self.entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_names_its_database_first() {
        let mut out = SnapshotWriter::default();
        out.entry(3, b"a", ValueRef::Int(1), Some(-2));
        out.entry(3, b"b", ValueRef::Int(1), None);
        let (block, entries) = out.take_block();
        assert_eq!(entries, 2);
        assert_eq!(&block[..11], &[0xfe, 3, 0xfc, 0xfe, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(block.iter().filter(|b| **b == 0xfe).count(), 2, "one of them in the expiry");
        out.entry(3, b"c", ValueRef::Int(1), None);
        assert_eq!(&out.take_block().0[..2], &[0xfe, 3]);
    }
}
