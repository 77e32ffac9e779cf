//! Hash: skeleton.

use super::{Object, object_of};
use crate::serial::{Digest, RdbWriter};

/// A hash.
#[derive(Debug, Clone, Default)]
pub struct Hash {}

impl Object for Hash {
    const TYPE_NAME: &'static str = "hash";
    object_of!(Hash);
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
