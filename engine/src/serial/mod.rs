//! Values as bytes: Redis's RDB value encodings, the DUMP payload, and digests.

/// RDB type number of a string.
pub const RDB_TYPE_STRING: u8 = 0;

/// Appends RDB-encoded values to a buffer.
#[derive(Debug, Default)]
pub struct RdbWriter {
    /// What was written.
    pub buf: Vec<u8>,
}

impl RdbWriter {
    /// A string that is an integer.
    pub fn int_string(&mut self, _value: i64) {}
    /// Any string, LZF-compressed where `rdbcompression` says so and it pays.
    pub fn string(&mut self, _bytes: &[u8]) {}
}

/// Redis's DEBUG DIGEST: SHA-1 values added up.
#[derive(Debug, Default)]
pub struct Digest {}

impl Digest {
    /// Mixes a string in, order mattering.
    pub fn string(&mut self, _bytes: &[u8]) {}
}
