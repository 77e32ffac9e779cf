//! Stream: skeleton.

use super::{Object, object_of};
use crate::serial::{Digest, RdbWriter};

/// A stream.
#[derive(Debug, Clone, Default)]
pub struct Stream {}

impl Object for Stream {
    const TYPE_NAME: &'static str = "stream";
    object_of!(Stream);
    fn encoding(&self) -> &'static str {
        "listpack"
    }
    fn len(&self) -> usize {
        0
    }
    fn rdb_type(&self) -> u8 {
        0
    }
    fn save(&self, _out: &mut RdbWriter) {}
    fn memory_bytes(&self) -> usize {
        0
    }
    fn digest(&self, _digest: &mut Digest) {}
}
