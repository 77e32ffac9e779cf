//! The data types: a folder and a row each. Everything that handles "any value" derives from [`Object`] and the rows of [`types!`].

pub mod dict;
pub mod hash;
pub mod intset;
pub mod list;
pub mod listpack;
pub mod rng;
pub mod set;
pub mod stream;
pub mod zset;

use crate::error::Error;
use crate::serial::{Digest, RdbWriter};

pub use hash::Hash;
pub use list::List;
pub use set::Set;
pub use stream::Stream;
pub use zset::ZSet;

/// What a collection type must be able to do, so that snapshot, DUMP, MEMORY USAGE, lazy free, TYPE and DEBUG DIGEST follow.
pub trait Object: Sized {
    /// Name in TYPE and SCAN.
    const TYPE_NAME: &'static str;

    /// The object in a value, if it is of this type.
    fn from_ref<'a>(value: ValueRef<'a>) -> Option<&'a Self>;
    /// The same, to be changed.
    fn from_mut<'a>(value: ValueMut<'a>) -> Option<&'a mut Self>;
    /// Wraps the object.
    fn into_value(self) -> Value;

    /// Name in OBJECT ENCODING.
    fn encoding(&self) -> &'static str;
    /// Number of elements.
    fn len(&self) -> usize;
    /// True when nothing is left, so that the key goes (not for streams).
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The RDB type number that [`Object::save`] writes for it.
    fn rdb_type(&self) -> u8;
    /// Writes the RDB body (after type and key).
    fn save(&self, out: &mut RdbWriter) {
        let mut next = Some(SavePoint::default());
        while let Some(from) = next {
            next = self.save_some(from, usize::MAX, out);
        }
    }
    /// Writes the next part of the RDB body, about `budget_bytes` of it but never nothing: from the default on at first, then from
    /// what the call before returned; `None` when all is written. The object must not change in between.
    fn save_some(
        &self,
        from: SavePoint,
        budget_bytes: usize,
        out: &mut RdbWriter,
    ) -> Option<SavePoint>;
    /// Bytes held on the heap, the object itself included.
    fn memory_bytes(&self) -> usize;
    /// Adds the content to a digest, as Redis's DEBUG DIGEST-VALUE does.
    fn digest(&self, digest: &mut Digest);
    /// Rough number of allocations that dropping it frees; large ones are freed in slices.
    fn free_effort(&self) -> usize {
        self.len()
    }
    /// Frees about `budget` elements; true when the rest may simply be dropped.
    fn free_some(&mut self, budget: usize) -> bool {
        let _ = budget;
        true
    }
}

/// Where to go on with an object of which a part is written; the default is its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SavePoint {
    /// In the type's own counting.
    pub at: u64,
    /// Within that.
    pub part: u64,
    /// The stream entry that was written last.
    pub id: Option<stream::StreamId>,
}

impl SavePoint {
    /// A place that one number names.
    pub fn at(at: u64) -> SavePoint {
        SavePoint { at, ..SavePoint::default() }
    }
}

macro_rules! types {
    ($($variant:ident),* $(,)?) => {
        /// A value on its way in or out of an entry.
        #[derive(Debug, Clone)]
        pub enum Value {
            /// A string that is a 64-bit integer in canonical form.
            Int(i64),
            /// Any other string.
            Bytes(Vec<u8>),
            $(
                #[doc = concat!("A ", stringify!($variant), ".")]
                $variant(Box<$variant>),
            )*
        }

        /// A value inside its entry.
        #[derive(Clone, Copy, Debug)]
        pub enum ValueRef<'a> {
            /// A string that is an integer.
            Int(i64),
            /// Any other string.
            Bytes(&'a [u8]),
            $(
                #[doc = concat!("A ", stringify!($variant), ".")]
                $variant(&'a $variant),
            )*
        }

        /// A collection inside its entry, to be changed in place (strings change through the entry).
        #[derive(Debug)]
        pub enum ValueMut<'a> {
            /// A string.
            Str,
            $(
                #[doc = concat!("A ", stringify!($variant), ".")]
                $variant(&'a mut $variant),
            )*
        }

        impl<'a> ValueRef<'a> {
            /// Name in TYPE.
            pub fn type_name(self) -> &'static str {
                match self {
                    ValueRef::Int(_) | ValueRef::Bytes(_) => "string",
                    $(ValueRef::$variant(_) => <$variant as Object>::TYPE_NAME,)*
                }
            }
            /// Name in OBJECT ENCODING.
            pub fn encoding(self) -> &'static str {
                match self {
                    ValueRef::Int(_) => "int",
                    ValueRef::Bytes(b) if b.len() <= EMBSTR_LEN_MAX => "embstr",
                    ValueRef::Bytes(_) => "raw",
                    $(ValueRef::$variant(o) => o.encoding(),)*
                }
            }
            /// RDB type number.
            pub fn rdb_type(self) -> u8 {
                match self {
                    ValueRef::Int(_) | ValueRef::Bytes(_) => crate::serial::RDB_TYPE_STRING,
                    $(ValueRef::$variant(o) => o.rdb_type(),)*
                }
            }
            /// Writes the RDB body.
            pub fn save(self, out: &mut RdbWriter) {
                match self {
                    ValueRef::Int(n) => out.int_string(n),
                    ValueRef::Bytes(b) => out.string(b),
                    $(ValueRef::$variant(o) => o.save(out),)*
                }
            }
            /// Writes the next part of the RDB body; see [`Object::save_some`].
            pub fn save_some(
                self,
                from: SavePoint,
                budget_bytes: usize,
                out: &mut RdbWriter,
            ) -> Option<SavePoint> {
                match self {
                    ValueRef::Int(_) | ValueRef::Bytes(_) => {
                        self.save(out);
                        None
                    }
                    $(ValueRef::$variant(o) => o.save_some(from, budget_bytes, out),)*
                }
            }
            /// Bytes held outside the entry.
            pub fn memory_bytes(self) -> usize {
                match self {
                    ValueRef::Int(_) => 0,
                    ValueRef::Bytes(_) => 0,
                    $(ValueRef::$variant(o) => o.memory_bytes(),)*
                }
            }
            /// Rough number of allocations that dropping it frees.
            pub fn free_effort(self) -> usize {
                match self {
                    ValueRef::Int(_) | ValueRef::Bytes(_) => 1,
                    $(ValueRef::$variant(o) => o.free_effort(),)*
                }
            }
            /// Number of elements; 1 for a string.
            pub fn element_count(self) -> usize {
                match self {
                    ValueRef::Int(_) | ValueRef::Bytes(_) => 1,
                    $(ValueRef::$variant(o) => o.len(),)*
                }
            }
            /// Adds the content to a digest.
            pub fn digest(self, digest: &mut Digest) {
                match self {
                    ValueRef::Int(n) => digest.string(itoa::Buffer::new().format(n).as_bytes()),
                    ValueRef::Bytes(b) => digest.string(b),
                    $(ValueRef::$variant(o) => o.digest(digest),)*
                }
            }
            /// An owned copy.
            pub fn to_value(self) -> Value {
                match self {
                    ValueRef::Int(n) => Value::Int(n),
                    ValueRef::Bytes(b) => Value::Bytes(b.to_vec()),
                    $(ValueRef::$variant(o) => Value::$variant(Box::new(o.clone())),)*
                }
            }
        }

        impl Value {
            /// A view.
            pub fn as_ref(&self) -> ValueRef<'_> {
                match self {
                    Value::Int(n) => ValueRef::Int(*n),
                    Value::Bytes(b) => ValueRef::Bytes(b),
                    $(Value::$variant(o) => ValueRef::$variant(o),)*
                }
            }
            /// A view to change collections.
            pub fn as_mut(&mut self) -> ValueMut<'_> {
                match self {
                    Value::Int(_) | Value::Bytes(_) => ValueMut::Str,
                    $(Value::$variant(o) => ValueMut::$variant(o),)*
                }
            }
            /// Frees about `budget` elements; true when the rest may simply be dropped.
            pub fn free_some(&mut self, budget: usize) -> bool {
                match self {
                    Value::Int(_) | Value::Bytes(_) => true,
                    $(Value::$variant(o) => o.free_some(budget),)*
                }
            }
        }
    };
}
/// The longest string that OBJECT ENCODING calls `embstr`, in bytes.
pub const EMBSTR_LEN_MAX: usize = 44;

/// Calls a macro with the rows of the types, for whoever handles each of them.
macro_rules! with_types {
    ($callback:ident) => {
        $callback! { List, Set, Hash, ZSet, Stream }
    };
}
pub(crate) use with_types;

with_types!(types);

/// The three conversions of [`Object`], which are the same for every type.
macro_rules! object_of {
    ($variant:ident) => {
        fn from_ref<'a>(value: $crate::types::ValueRef<'a>) -> Option<&'a Self> {
            if let $crate::types::ValueRef::$variant(o) = value { Some(o) } else { None }
        }
        fn from_mut<'a>(value: $crate::types::ValueMut<'a>) -> Option<&'a mut Self> {
            if let $crate::types::ValueMut::$variant(o) = value { Some(o) } else { None }
        }
        fn into_value(self) -> $crate::types::Value {
            $crate::types::Value::$variant(Box::new(self))
        }
    };
}

pub(crate) use object_of;

impl ValueRef<'_> {
    /// The string's bytes, an integer written out into `scratch`.
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other type is the wrong one")]
    pub fn str_bytes<'s>(&'s self, scratch: &'s mut itoa::Buffer) -> Result<&'s [u8], Error> {
        match self {
            ValueRef::Int(n) => Ok(scratch.format(*n).as_bytes()),
            ValueRef::Bytes(b) => Ok(b),
            _ => Err(Error::WrongType),
        }
    }
}

impl Value {
    /// A string value: an integer when `bytes` is one in canonical form, as Redis's `tryObjectEncoding` has it.
    pub fn from_str_bytes(bytes: &[u8]) -> Value {
        match crate::num::parse_i64(bytes) {
            Some(n) => Value::Int(n),
            None => Value::Bytes(bytes.to_vec()),
        }
    }
}

/// From which size on small encodings become large ones; set by the config parameters of the same names.
#[derive(Clone, Copy, Debug)]
pub struct EncodingLimits {
    /// `hash-max-listpack-entries`
    pub hash_max_listpack_entries: usize,
    /// `hash-max-listpack-value`, bytes
    pub hash_max_listpack_value: usize,
    /// `list-max-listpack-size`: elements a node, or -1..-5 for 4..64 KiB
    pub list_max_listpack_size: i64,
    /// `list-compress-depth`
    pub list_compress_depth: usize,
    /// From this size on a list's element gets a node of its own, bytes; no parameter.
    pub list_plain_len_min: usize,
    /// `set-max-intset-entries`
    pub set_max_intset_entries: usize,
    /// `zset-max-listpack-entries`
    pub zset_max_listpack_entries: usize,
    /// `zset-max-listpack-value`, bytes
    pub zset_max_listpack_value: usize,
    /// `stream-node-max-bytes`
    pub stream_node_max_bytes: usize,
    /// `stream-node-max-entries`
    pub stream_node_max_entries: usize,
    /// `hll-sparse-max-bytes`: the longest sparse HyperLogLog, header included
    pub hll_sparse_max_bytes: usize,
    /// `proto-max-bulk-len`, bytes: the longest string
    pub string_len_max: usize,
    /// Secret of the hash tables inside sets and hashes; set by the keyspace, no parameter.
    pub hash_seed: u64,
}

/// The largest [`EncodingLimits::list_plain_len_min`], and its default: two smaller elements fit into a listpack.
pub const LIST_PLAIN_LEN_MIN: usize = listpack::LEN_BYTES_MAX / 2;

impl Default for EncodingLimits {
    fn default() -> Self {
        EncodingLimits {
            hash_max_listpack_entries: 128,
            hash_max_listpack_value: 64,
            list_max_listpack_size: -2,
            list_compress_depth: 0,
            list_plain_len_min: LIST_PLAIN_LEN_MIN,
            set_max_intset_entries: 512,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
            stream_node_max_bytes: 4096,
            stream_node_max_entries: 100,
            hll_sparse_max_bytes: 3000,
            string_len_max: 512 << 20,
            hash_seed: 0,
        }
    }
}
