//! Set: skeleton.

use super::{Object, object_of};
use crate::serial::{Digest, RdbWriter};

/// A set.
#[derive(Debug, Clone, Default)]
pub struct Set {}

impl Object for Set {
    const TYPE_NAME: &'static str = "set";
    object_of!(Set);
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
